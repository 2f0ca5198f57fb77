"""An instance is gone when two lists in a row lack it, not before."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
import time
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers.models import BadResponse, NotFound

from .gateways.machine import State
from .harness.calls import CALLS
from .harness.facts import SUPPORTED, needs
from .harness.helpers import (
    POLL,
    SECOND_LIST,
    device_names,
    pass_polls,
    poll_twice,
    raised_issues,
    remember_linked,
    state_of,
)
from .harness.recipients import device_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import Event, HomeAssistant
    from homeassistant.core import EventStateChangedData as Changed
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.providers.base import Provider
    from custom_components.whatsapp_gateway.providers.models import GatewayError

    from .gateways import Gateway
    from .gateways.machine import Session
    from .harness.clock import Clock
    from .harness.dialog import Dialog

DAY = 24 * 3600.0
FOREIGN: tuple[bytes, ...] = (
    b"",
    b"404 page not found\n",
    b"default backend - 404",
    b'"Not Found"',
    b"null",
    b"[]",
    b"{}",
    b'{"error": "Not Found"}',
    b'{"detail": "Not Found"}',
    b'{"message": "Not found"}',
    b'{"code": 404, "message": "Session not found"}',
    b'{"success": false, "error": "Instance not found"}',
    b'{"error": {"message": "Instance not found"}}',
    b'{"error": {"code": "not_found", "message": "Not found"}}',
    b'{"message": "no Route matched with those values", "request_id": "6b1"}',
    b'{"status": 404, "error": "Not Found", "path": "/x"}',
    b'{"message": "Cannot GET /x", "error": "Not Found", "statusCode": 404}',
    b'{"message": "Route GET:/x not found", "error": "Not Found", "statusCode": 404}',
    b"<!DOCTYPE html><html><body><pre>Cannot GET /x</pre></body></html>",
)
"""What others than the gateway answer with the status 404: proxies and frameworks."""
ROUTES = [
    (key, route)
    for key, kind in SUPPORTED.items()
    for route in ("one", "qr", "delete", *kind.actions)
    if route in CALLS and route in {one.kwargs["name"] for one in kind().routes()}
]


@contextmanager
def hidden(gateway: Gateway, *sessions: Session) -> Iterator[None]:
    """Let the gateway list some of its instances only, none without arguments."""
    every = gateway.sessions
    gateway.sessions = {session.id: session for session in sessions}
    yield
    gateway.sessions = every


def customize(hass: HomeAssistant, entry: MockConfigEntry) -> set[str]:
    """Do what people do with a device; return how its entities are kept."""
    area = ar.async_get(hass).async_get_or_create("Kitchen")
    device = device_named(hass, entry, "Home")
    dr.async_get(hass).async_update_device(
        device.id, area_id=area.id, name_by_user="Ours"
    )
    er.async_get(hass).async_update_entity(
        "sensor.home_status", name="Mood", new_entity_id="sensor.mood"
    )
    er.async_get(hass).async_update_entity(
        "button.home_connect", disabled_by=er.RegistryEntryDisabler.USER
    )
    return kept(hass, entry)


def kept(hass: HomeAssistant, entry: MockConfigEntry) -> set[str]:
    """Return all that people have chosen for an account."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return {
        *(f"{one.id} {one.area_id} {one.name_by_user}" for one in devices),
        *(f"{one.entity_id} {one.name} {one.disabled_by}" for one in entities),
    }


def note_changes(hass: HomeAssistant) -> list[str]:
    """Return a list that gets the ID of each entity whose state changes."""
    changed: list[str] = []

    def note(event: Event[Changed]) -> None:
        changed.append(event.data["entity_id"])

    hass.bus.async_listen("state_changed", note)
    return changed


async def delete(hass: HomeAssistant, device_id: str) -> str | None:
    """Delete an instance; return the key of the error, None if that succeeds."""
    data = {"device_id": device_id}
    try:
        await hass.services.async_call(DOMAIN, "delete_instance", data, blocking=True)
    except HomeAssistantError as err:
        return err.translation_key
    return None


# the list


@pytest.mark.parametrize("left", [0, 1])
async def test_one_odd_list(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    left: int,
) -> None:
    """One list that lacks instances changes nothing, and is soon read again."""
    gateway.add("Home", State.CONNECTED)
    shop = gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    before, linked = customize(hass, entry), entry.data["linked"]
    await clock.run(POLL)
    changed = note_changes(hass)

    for _ in range(2):
        with hidden(gateway, *[shop][:left]):
            await entry.runtime_data.coordinator.async_refresh()
        await hass.async_block_till_done()
        assert state_of(hass, "sensor.mood") == "connected"
        listed = gateway.count("list")
        await clock.run(SECOND_LIST)
        assert gateway.count("list") == listed + 1

    await clock.run(POLL)
    assert changed == []
    assert kept(hass, entry) == before
    assert entry.data["linked"] == linked
    assert not entry.data.get("gone")


async def test_lists_at_once(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """Lists that are read in quick succession, as events may cause it, count as one."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    with hidden(gateway):
        for _ in range(4):
            await entry.runtime_data.coordinator.async_refresh()
            await clock.run(0.7)
    await entry.runtime_data.coordinator.async_refresh()
    assert device_names(hass, entry) == {"Home"}

    with hidden(gateway):
        await poll_twice(entry)
    assert device_names(hass, entry) == set()


@needs("events")
async def test_odd_list_while_changes_are_reported(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A second list is soon read also where polls are rare."""
    gateway.events.on = True
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(POLL)
    gateway.events.on = False
    gateway.sessions.clear()
    await entry.runtime_data.coordinator.async_refresh()
    assert device_names(hass, entry) == {"Home"}
    await clock.run(SECOND_LIST)

    assert device_names(hass, entry) == set()


async def test_failure_between_two_lists(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """What can't be read is no list: only the next list counts as the second one."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    with hidden(gateway):
        await entry.runtime_data.coordinator.async_refresh()
        for fault in ({"status": 404}, {"status": 502}, {"body": b"{}"}):
            gateway.fail("list", **fault)
            await poll_twice(entry)
            assert device_names(hass, entry) == {"Home"}
        gateway.heal()
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "sensor.home_status") == "connected"

    gateway.sessions.clear()
    await poll_twice(entry)
    assert device_names(hass, entry) == set()


@needs("bound_key")
@pytest.mark.parametrize("body", FOREIGN)
async def test_one_instance(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, body: bytes
) -> None:
    """The only instance of a key is gone if the gateway itself says so twice."""
    one = gateway.add("Home", State.CONNECTED)
    data = {**entry.data, "instance_id": one.id}
    hass.config_entries.async_update_entry(entry, data=data)
    assert await hass.config_entries.async_setup(entry.entry_id)

    gateway.fail("one", status=404, body=body)
    await poll_twice(entry)
    assert device_names(hass, entry) == {"Home"}
    gateway.fail("one", missing=True)
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "sensor.home_status") == "connected"
    gateway.heal()
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "sensor.home_status") == "connected"

    gateway.fail("one", missing=True)
    await poll_twice(entry)
    assert device_names(hass, entry) == set()


async def test_odd_list_after_a_restart(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """The first list after a restart is only one list as well."""
    session = gateway.add("Home", State.FAILED)
    remember_linked(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await pass_polls(clock, 4)
    before = customize(hass, entry)
    [issue] = raised_issues(hass)
    ir.async_ignore_issue(hass, DOMAIN, issue.issue_id, ignore=True)
    assert await hass.config_entries.async_unload(entry.entry_id)
    # Home Assistant restarts, and remembers which issues are ignored
    registry = ir.async_get(hass)
    ignored = registry.issues[DOMAIN, issue.issue_id]
    inactive = replace(ignored, active=False, data=None)
    registry.issues[DOMAIN, issue.issue_id] = inactive

    with hidden(gateway):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
    assert kept(hass, entry) == before
    await clock.run(SECOND_LIST)
    assert state_of(hass, "sensor.mood") != "unavailable"
    assert kept(hass, entry) == before
    await pass_polls(clock, 4)
    [issue] = raised_issues(hass)
    assert issue.dismissed_version


# what is expected to be connected


@pytest.mark.parametrize("reload", [False, True])
@pytest.mark.parametrize(("days", "repairs"), [(0.9, 1), (1.1, 0)])
async def test_back_again(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    days: float,
    repairs: int,
    *,
    reload: bool,
) -> None:
    """What was linked is expected to be connected if it comes back within a day."""
    home = gateway.add("Home", State.CONNECTED)
    shop = gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    del gateway.sessions[home.id]
    await poll_twice(entry)
    assert device_names(hass, entry) == {"Shop"}
    if reload:
        assert await hass.config_entries.async_reload(entry.entry_id)
    clock.freezer.tick(days * DAY)
    await clock.run(POLL)

    home.state = State.FAILED
    gateway.sessions = {session.id: session for session in (home, shop)}
    await pass_polls(clock, 5)
    assert len(raised_issues(hass)) == repairs
    assert not entry.data["gone"]
    home.state = State.CONNECTED
    await pass_polls(clock, 1)
    assert raised_issues(hass) == []
    assert home.id in entry.data["linked"]


async def test_wrong_clock(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A machine may have noted a time of the past, before it knew the time of day."""
    home = gateway.add("Home", State.FAILED)
    data = {**entry.data, "linked": [home.id], "gone": {home.id: time.time() - 9 * DAY}}
    hass.config_entries.async_update_entry(entry, data=data)
    gateway.sessions = {}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await poll_twice(entry)
    gateway.sessions = {home.id: home}
    await pass_polls(clock, 5)
    assert len(raised_issues(hass)) == 1


# deleting


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        *(({"status": 404, "body": body}, "unexpected_response") for body in FOREIGN),
        ({"missing": True}, "not_deleted"),
    ],
    ids=str,
)
async def test_not_deleted(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    fault: dict[str, Any],
    error: str,
) -> None:
    """An instance that is still there is not reported as deleted, nor forgotten."""
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    before = customize(hass, entry)
    device = device_named(hass, entry, "Home")
    gateway.fail("delete", **fault)
    assert await delete(hass, device.id) == error
    await clock.run(POLL)
    assert kept(hass, entry) == before
    assert entry.data["linked"] == [session.id]

    gateway.heal()
    assert await delete(hass, device.id) is None
    assert gateway.sessions == {}
    assert device_names(hass, entry) == set()


async def test_deleted_in_vain(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A success is only believed if the list confirms it."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    device = device_named(hass, entry, "Home")
    for body in (b"", b'{"success": true}', b'{"status": "SUCCESS"}'):
        gateway.fail("delete", body=body)
        # some gateways confirm in words
        error = await delete(hass, device.id)
        assert error in {"not_deleted", "unexpected_response"}
    assert state_of(hass, "sensor.home_status") == "connected"

    gateway.heal()
    assert await delete(hass, device.id) is None


async def test_deleted_but_not_listed(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """Without a list it isn't known; after that one list is enough."""
    home = gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("list", status=502)
    assert await delete(hass, device_named(hass, entry, "Home").id) == "not_deleted"
    assert device_names(hass, entry) == {"Home", "Shop"}

    gateway.heal()
    await entry.runtime_data.coordinator.async_refresh()
    assert device_names(hass, entry) == {"Shop"}
    assert home.id not in entry.data["linked"]
    # what was deleted before does not count for another instance
    with hidden(gateway):
        await entry.runtime_data.coordinator.async_refresh()
    assert device_names(hass, entry) == {"Shop"}
    await clock.run(SECOND_LIST)
    assert device_names(hass, entry) == {"Shop"}


async def test_deleted(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """An instance that is deleted on purpose is gone at once, and not expected back."""
    home = gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    listed = gateway.count("list")
    assert await delete(hass, device_named(hass, entry, "Home").id) is None
    # some gateways delete in the background
    assert listed < gateway.count("list") <= listed + 3
    assert device_names(hass, entry) == {"Shop"}
    assert home.id not in entry.data["linked"]

    gateway.add("Home", State.STOPPED, id=home.id)
    await pass_polls(clock, 6)
    assert raised_issues(hass) == []


async def test_deleted_at_the_gateway(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """What is deleted already is a success as soon as two lists confirm it."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    device = device_named(hass, entry, "Home")
    gateway.sessions.clear()

    assert await delete(hass, device.id) is None
    assert device_names(hass, entry) == set()


# the gateway's own form


@pytest.mark.parametrize(("provider_key", "route"), ROUTES)
async def test_foreign_404(gateway: Gateway, provider: Provider, route: str) -> None:
    """A 404 in another form than the gateway's says nothing about the instance."""
    # nothing has to be asked of a session that is started
    state = State.STOPPED if route == "connect" else State.WAITING
    one = gateway.add("Home", state)
    await provider.instances()
    for body in FOREIGN:
        gateway.fail(route, status=404, body=body)
        with pytest.raises(BadResponse) as raised:
            await CALLS[route](provider, one.id)
        assert raised.value.status == HTTPStatus.NOT_FOUND
    # a path that the gateway's own framework doesn't know
    for message in (f"Cannot GET /x/{one.id}", "Route GET:/x not found", "No route"):
        gateway.fail(route, status=404, code="not_found", message=message)
        with pytest.raises(BadResponse):
            await CALLS[route](provider, one.id)

    gateway.heal()
    assert (await provider.instance(one.id)).id == one.id


@needs("error_codes")
@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("not_found", 'Instance "Router" not found', NotFound),
        ("instance_not_found", "No such instance", NotFound),
        ("not_found", "Endpoint not found", BadResponse),
        ("route_not_found", "Not found", BadResponse),
    ],
)
async def test_own_404(
    gateway: Gateway,
    provider: Provider,
    code: str,
    message: str,
    error: type[GatewayError],
) -> None:
    """Where the words aren't documented, an unknown path is told by its words."""
    gateway.fail("one", status=404, code=code, message=message)
    with pytest.raises(error):
        await provider.instance("one")


# dialogs


async def test_end_of_a_dialog(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The end of a dialog doesn't say that an instance is gone if one list lacks it."""
    home = gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.link()
    await dialog.code()
    gateway.fail("*", status=422, code="no", message="No")
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    gateway.heal()
    gateway.fail("list", body=b"[]", times=1)
    await dialog.choose("finish")

    assert dialog.reason == "not_linked"
    assert home.id in entry.runtime_data.coordinator.data


@needs("messages")
@pytest.mark.parametrize("how", ["link", "fix", "recipient"])
async def test_dialog_after_a_reload(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    how: str,
    clock: Clock,
) -> None:
    """A dialog about an instance that the first list lacks doesn't say it is gone."""
    home = gateway.add("Home", State.FAILED)
    others = [gateway.add(name, State.FAILED) for name in ("Shop", "Den")]
    remember_linked(hass, entry, home)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await pass_polls(clock, 4)
    [issue] = raised_issues(hass)
    if how == "link":
        await dialog.open_options(entry)
        await dialog.choose("link")
    elif how == "recipient":
        await dialog.open_recipient(entry)
    with hidden(gateway, *others):
        await hass.config_entries.async_reload(entry.entry_id)
    gateway.fail("list", status=502)
    if how == "fix":
        await dialog.open_fix(issue)
    else:
        await dialog.give(instance=home.id)
    assert dialog.reason == "account_unavailable"

    gateway.heal()
    await clock.run(POLL)
    assert state_of(hass, "sensor.home_status") != "unavailable"
