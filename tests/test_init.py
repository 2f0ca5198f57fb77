"""An account in Home Assistant: setup, polls, devices that come and go."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
)

from custom_components.whatsapp_gateway.const import DOMAIN

from .gateways.machine import State
from .harness.facts import lacks, needs
from .harness.helpers import (
    POLL,
    SECOND_LIST,
    device_names,
    poll_twice,
    press,
    state_of,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .gateways import Gateway
    from .harness.clock import Clock
    from .harness.dialog import Dialog

FAULTS: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 403},
    {"html": True},
    {"drop": True},
    {"body": b"[{}]"},
]


async def test_setup_and_unload(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """An account is set up with one request for the list, and unloaded."""
    for number in range(10):
        gateway.add(f"Number {number}", State.CONNECTED)

    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert len(device_names(hass, entry)) == 10
    routes = Counter(asked.route for asked in gateway.asked)
    live_states = {"one": 10} if gateway.has("live_states") else {}
    once = dict.fromkeys({"list", *gateway.asked_once} - {"events"}, 1)
    # a background task connects for events, now or a moment later
    routes.pop("events", None)
    assert routes == once | live_states

    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert state_of(hass, "sensor.number_1_status") == STATE_UNAVAILABLE


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_setup_retries(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    fault: dict[str, Any],
    clock: Clock,
) -> None:
    """A gateway that is away at the start is asked again."""
    gateway.fail("list", **fault)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY

    gateway.heal()
    await clock.run(60)
    assert entry.state is ConfigEntryState.LOADED


async def test_setup_without_instances(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An empty account is polled too."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.add("Home", State.CONNECTED)
    await clock.run(31)

    assert device_names(hass, entry) == {"Home"}


async def test_key_refused(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A key that is refused asks for another one; the devices stay."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    del gateway.owners[gateway.key]
    await clock.run(31)
    assert state_of(hass, "sensor.home_status") == STATE_UNAVAILABLE
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    hass.config_entries.flow.async_abort(flow["flow_id"])


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_outage(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    fault: dict[str, Any],
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An outage makes all unavailable, is logged once, removes nothing, and passes."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("list", **fault)
    for _ in range(3):
        await clock.run(31)
    assert state_of(hass, "sensor.home_status") == STATE_UNAVAILABLE
    assert caplog.text.count("Error fetching") == 1
    assert device_names(hass, entry) == {"Home"}

    gateway.heal()
    await clock.run(31)
    assert state_of(hass, "sensor.home_status") == "connected"


@pytest.mark.parametrize("retry_after", [5, 100])
async def test_rate_limit(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    retry_after: int,
    clock: Clock,
) -> None:
    """The poll waits as long as the gateway asks, not longer."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    headers = {"Retry-After": str(retry_after)}
    gateway.fail("list", status=429, headers=headers, times=1)
    await clock.run(31)
    assert gateway.count("list") == 2

    await clock.run(retry_after - 2)
    assert gateway.count("list") == 2
    await clock.run(4)
    assert gateway.count("list") == 3
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_pause(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A pause makes nothing unavailable, unless it takes very long."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("list", status=429, headers={"Retry-After": "60"})
    for _ in range(4):
        await clock.run(63)
        assert state_of(hass, "sensor.home_status") == "connected"
    for _ in range(2):
        await clock.run(63)
    assert state_of(hass, "sensor.home_status") == STATE_UNAVAILABLE

    gateway.heal()
    await clock.run(63)
    assert state_of(hass, "sensor.home_status") == "connected"
    assert entry.runtime_data.coordinator.update_interval == timedelta(seconds=30)


async def test_pause_of_an_empty_account(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A pause of an account without instances is no error either."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("list", status=429, headers={"Retry-After": "60"}, times=1)
    await clock.run(POLL)
    assert gateway.count("list") == 2
    assert entry.runtime_data.coordinator.last_update_success
    assert "Error" not in caplog.text

    gateway.add("Home", State.CONNECTED)
    await clock.run(65)
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_pause_for_all_calls(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A pause that one call is asked for holds for the poll as well."""
    gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    headers = {"Retry-After": "60"}
    gateway.fail(gateway.actions["connect"], status=429, headers=headers)
    with pytest.raises(HomeAssistantError):
        await press(hass, "button.home_connect")
    await clock.run(31)
    assert gateway.count("list") == 1

    await clock.run(32)
    assert gateway.count("list") == 2


async def test_interval(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """The poll is fast while something moves, but not for hours."""
    gateway.scale = 0.001
    one = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = entry.runtime_data.coordinator
    assert coordinator.update_interval == timedelta(seconds=30)

    one.unlink()
    one.state = State.WAITING
    await clock.run(31)
    assert coordinator.update_interval == timedelta(seconds=5)
    for _ in range(20):
        await clock.run(6)
    assert coordinator.update_interval == timedelta(seconds=5)
    for _ in range(12):
        await clock.run(6)
    assert coordinator.update_interval == timedelta(seconds=30)

    one.state = State.CONNECTED
    await clock.run(31)
    assert coordinator.update_interval == timedelta(seconds=30)


async def test_come_and_go(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """Instances appear, vanish and come back without a reload."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert device_names(hass, entry) == {"Home"}

    shop = gateway.add("Shop", State.CONNECTED)
    await clock.run(31)
    assert device_names(hass, entry) == {"Home", "Shop"}
    assert state_of(hass, "sensor.shop_status") == "connected"

    del gateway.sessions[shop.id]
    await clock.run(31 + SECOND_LIST)
    assert device_names(hass, entry) == {"Home"}
    assert hass.states.get("sensor.shop_status") is None

    gateway.sessions[shop.id] = shop
    await clock.run(31)
    assert device_names(hass, entry) == {"Home", "Shop"}
    assert state_of(hass, "sensor.shop_status") == "connected"


@lacks("names_are_ids")
async def test_renamed(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """An instance that is renamed at the gateway is renamed without a reload."""
    home = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    home.name = "House"
    await clock.run(POLL)

    assert device_names(hass, entry) == {"House"}


async def test_gone_while_away(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """What was deleted while Home Assistant was off is gone at the next start."""
    gateway.add("Home", State.CONNECTED)
    shop = gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await hass.config_entries.async_unload(entry.entry_id)
    del gateway.sessions[shop.id]
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert device_names(hass, entry) == {"Home", "Shop"}
    await clock.run(SECOND_LIST)
    assert device_names(hass, entry) == {"Home"}

    assert await hass.config_entries.async_unload(entry.entry_id)
    gateway.sessions.clear()
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert device_names(hass, entry) == {"Home"}
    await clock.run(SECOND_LIST)
    assert device_names(hass, entry) == set()


@needs("bound_key")
async def test_page_of_a_proxy(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A proxy's page does not remove the one instance of a bound key."""
    one = gateway.add("Home", State.CONNECTED)
    data = {**entry.data, "instance_id": one.id}
    hass.config_entries.async_update_entry(entry, data=data)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("one", status=404, html=True)
    await poll_twice(entry)
    assert device_names(hass, entry) == {"Home"}

    gateway.fail("one", missing=True)
    await poll_twice(entry)
    assert device_names(hass, entry) == set()


async def test_unique_ids(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Unique ids survive a new address, a new key, and adding the account again."""
    gateway.add("Home", State.CONNECTED)
    gateway.owners["new key"] = "me"
    assert await hass.config_entries.async_setup(entry.entry_id)
    registry = er.async_get(hass)

    def unique_ids(entry_id: str) -> set[str]:
        entries = er.async_entries_for_config_entry(registry, entry_id)
        return {one.unique_id for one in entries}

    before = unique_ids(entry.entry_id)
    url = gateway.url.replace("127.0.0.1", "localhost")
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "url": url, "api_key": "new key"}
    )
    assert unique_ids(entry.entry_id) == before

    await hass.config_entries.async_remove(entry.entry_id)
    again = MockConfigEntry(domain=DOMAIN, data=entry.data | {"url": gateway.url})
    again.add_to_hass(hass)
    assert await hass.config_entries.async_setup(again.entry_id)
    assert unique_ids(again.entry_id) == before


@pytest.mark.parametrize("letter", ["a", "\u5bb6", "\u01c6", "\U0001f3e0"])
async def test_long_names(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, letter: str
) -> None:
    """A long name of any script loses no entity, also when it is renamed to that."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    few = len(er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id))
    shop = gateway.add(letter * 300, State.CONNECTED)
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    many = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert len(many) == 2 * few
    # the registry also keeps entities whose ID turned out to be invalid
    lost = [one for one in many if not (one.disabled or hass.states.get(one.entity_id))]
    assert lost == []

    shop.name = f"{letter * 250} again"
    await entry.runtime_data.coordinator.async_refresh()
    assert len(device_names(hass, entry)) == 2
    assert all(len(name or "") <= 100 for name in device_names(hass, entry))


async def test_unknown_status(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A status that nobody knows is unknown to Home Assistant."""
    one = gateway.add("Home", State.CONNECTED)
    gateway.say("dreaming")
    assert await hass.config_entries.async_setup(entry.entry_id)

    assert state_of(hass, "sensor.home_status") == STATE_UNKNOWN
    assert state_of(hass, "binary_sensor.home_connection") == STATE_UNKNOWN
    assert state_of(hass, "button.home_connect") == STATE_UNKNOWN
    assert one.starts == 0


async def test_nothing_stays_behind(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Unloading, removing and adding again leave no task, device, entity or issue."""
    gateway.add("Home", State.FAILED)

    def traces() -> list[object]:
        return [
            *dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id),
            *er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id),
            *(key for key in ir.async_get(hass).issues if key[0] == DOMAIN),
            *(one for one in hass.states.async_all() if "home" in one.entity_id),
        ]

    def tasks() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks(hass.loop)]

    before = tasks()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.choose("link")
    await dialog.code()
    assert await hass.config_entries.async_reload(entry.entry_id)
    dialog.close()
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert traces() == []
    assert not [name for name in tasks() if name not in before and DOMAIN in name]
