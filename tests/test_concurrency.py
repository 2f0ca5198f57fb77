"""What happens at the same time does not get into each other's way."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import callback
from homeassistant.helpers.event import async_track_state_change_event
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN

from .gateways.machine import State
from .harness.dialog import Dialog
from .harness.helpers import device_names, press, state_of, until

if TYPE_CHECKING:
    from homeassistant.core import Event, HomeAssistant

    from .gateways import Gateway, VirtualPhone
    from .harness.clock import Clock


def troubles(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the errors, and what the integration warns of."""
    return [
        record.message
        for record in caplog.records
        if record.levelno >= logging.ERROR
        or (record.levelno == logging.WARNING and DOMAIN in record.name)
    ]


async def press_button(hass: HomeAssistant, action: str, name: str = "home") -> None:
    """Press a button of an instance."""
    await press(hass, f"button.{name}_{action}")


async def test_press_that_nobody_waits_for(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A press that is cancelled leaves no error, and the next one works."""
    one = gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    route = gateway.actions["connect"]
    gateway.fail(route, status=403, delay=0.2)
    pressed = asyncio.create_task(press_button(hass, "connect"))
    await until(lambda: gateway.count(route))
    pressed.cancel()
    await asyncio.sleep(0.4)

    assert not troubles(caplog)
    gateway.heal()
    await press_button(hass, "connect")
    assert one.starts == 1


async def test_refresh_that_nobody_waits_for(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A press that is cancelled while it refreshes leaves its entities available."""
    one = gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    polls = gateway.count("list")
    gateway.fail("list", late=5)
    pressed = asyncio.create_task(press_button(hass, "connect"))
    await until(lambda: gateway.count("list") > polls)
    pressed.cancel()
    await asyncio.sleep(0.1)
    gateway.heal()
    assert one.starts == 1

    one.state = State.STOPPED
    await press_button(hass, "connect")
    assert one.starts == 2
    # until the gateway has answered
    await clock.run(5)


async def test_two_dialogs(
    hass: HomeAssistant, gateway: Gateway, phone: VirtualPhone, entry: MockConfigEntry
) -> None:
    """Two dialogs and a button that link an instance at once end well."""
    one = gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    dialogs = [Dialog(hass), Dialog(hass)]
    for dialog in dialogs:
        await dialog.open_options(entry)
    await asyncio.gather(
        press_button(hass, "connect"), *(dialog.link() for dialog in dialogs)
    )
    codes = await asyncio.gather(*(dialog.code() for dialog in dialogs))
    assert set(codes) == {codes[0]}
    phone.scan(codes[0])
    await asyncio.gather(*(dialog.wait_for() for dialog in dialogs))

    assert {dialog.reason for dialog in dialogs} == {"linked"}
    assert one.state is State.CONNECTED
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_poll_during_an_action(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A list that was made before an action does not come over one made after it."""
    gateway.add("Home", State.STOPPED, linked=True)
    assert await hass.config_entries.async_setup(entry.entry_id)
    written: list[str] = []

    @callback
    def note(event: Event[Any]) -> None:
        written.append(event.data["new_state"].state)

    async_track_state_change_event(hass, ["sensor.home_status"], note)
    gateway.fail("list", late=0.5, times=1)
    poll = asyncio.create_task(entry.runtime_data.coordinator.async_refresh())
    await until(lambda: gateway.count("list") == 2)
    await press_button(hass, "connect")
    await poll
    await until(lambda: state_of(hass, "sensor.home_status") == "connected")

    assert "disconnected" not in written


@pytest.mark.parametrize("how", ["unload", "remove", "reload"])
async def test_unload_during_requests(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    """Unloading waits for no request, and what still arrives changes nothing."""
    one = gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    one.name = "House"
    gateway.add("Shop", State.WAITING)
    await asyncio.sleep(5)
    asked = len(gateway.asked)
    gateway.fail("*", late=1)
    requests = [
        asyncio.create_task(entry.runtime_data.coordinator.async_refresh()),
        asyncio.create_task(press_button(hass, "connect")),
    ]
    await until(lambda: len(gateway.asked) == asked + 2)
    gateway.heal()
    await getattr(hass.config_entries, f"async_{how}")(entry.entry_id)
    assert not any(request.done() for request in requests)
    before = device_names(hass, entry)
    _, refused = await asyncio.gather(*requests, return_exceptions=True)
    # a press may need several requests
    assert refused is None or "unavailable" in str(refused)
    await asyncio.sleep(5)

    assert device_names(hass, entry) == before
    assert not troubles(caplog)


@pytest.mark.parametrize("how", ["unload", "remove"])
async def test_unload_during_the_first_answer(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    """Who an account belongs to is not kept for an account that is gone."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.add("Home", State.CONNECTED)
    gateway.fail("list", late=0.3)
    poll = asyncio.create_task(entry.runtime_data.coordinator.async_refresh())
    await until(lambda: gateway.count("list") == 2)
    await getattr(hass.config_entries, f"async_{how}")(entry.entry_id)
    await poll

    assert device_names(hass, entry) == set()
    assert not troubles(caplog)


async def test_two_accounts(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Two accounts at one gateway have nothing to do with each other."""
    gateway.add("Home", State.STOPPED, linked=True)
    values = {"linked": True, "owner": "somebody else"}
    theirs = gateway.add("Shop", State.STOPPED, **values)
    other = MockConfigEntry(
        domain=DOMAIN, data={**entry.data, "api_key": f"{gateway.key}_other"}
    )
    other.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert other.state is ConfigEntryState.LOADED
    assert (device_names(hass, entry), device_names(hass, other)) == (
        {"Home"},
        {"Shop"},
    )

    await press_button(hass, "connect")
    assert theirs.starts == 0
    del gateway.owners[gateway.key]
    gateway.add("Store", State.STOPPED, **values)
    for one in (entry, other):
        await one.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "sensor.home_status") == STATE_UNAVAILABLE
    assert state_of(hass, "sensor.shop_status") == "disconnected"
    assert (device_names(hass, entry), device_names(hass, other)) == (
        {"Home"},
        {"Shop", "Store"},
    )
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert flow["context"]["entry_id"] == entry.entry_id
    hass.config_entries.flow.async_abort(flow["flow_id"])

    await hass.config_entries.async_remove(entry.entry_id)
    assert other.state is ConfigEntryState.LOADED
    assert device_names(hass, other) == {"Shop", "Store"}
