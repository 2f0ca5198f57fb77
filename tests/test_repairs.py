"""Instances in trouble: their issues, and the fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir

from custom_components.whatsapp_gateway import issues
from custom_components.whatsapp_gateway.const import DOMAIN

from .common import state_of
from .gateways.machine import State
from .test_init import later

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .dialog import Dialog
    from .gateways import Gateway, VirtualPhone

SLOW = 0.001
"""A scale at which a code outlives a test of frozen time."""


def raised(hass: HomeAssistant) -> list[ir.IssueEntry]:
    """Return the issues of the integration that are raised."""
    return [
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN and issue.active
    ]


def titles(hass: HomeAssistant) -> list[str | None]:
    """Return what the raised issues are about."""
    return [issue.translation_key for issue in raised(hass)]


@pytest.mark.parametrize(
    ("state", "key"),
    [(State.WAITING, "not_linked"), (State.FAILED, "instance_failed")],
)
async def test_raised(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    state: State,
    key: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Trouble that lasts becomes an issue; it goes when the instance is connected."""
    one = gateway.add("Home", State.CONNECTED, scale=SLOW)
    assert await hass.config_entries.async_setup(entry.entry_id)
    one.state = state
    await later(hass, freezer, 31)
    await later(hass, freezer, 31)
    assert titles(hass) == []
    await later(hass, freezer, 31)
    assert titles(hass) == [key]
    [issue] = raised(hass)
    assert issue.is_fixable
    assert issue.translation_placeholders == {"name": "Home"}

    one.state = State.CONNECTED
    await later(hass, freezer, 31)
    assert titles(hass) == []


@pytest.mark.parametrize("state", [State.NEW, State.STOPPED])
async def test_not_raised(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    state: State,
    freezer: FrozenDateTimeFactory,
) -> None:
    """What may be meant is no issue."""
    gateway.add("Home", state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(5):
        await later(hass, freezer, 31)

    assert titles(hass) == []


async def test_flapping(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An instance that goes to and fro raises nothing."""
    one = gateway.add("Home", scale=SLOW)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(3):
        for state in (State.WAITING, State.FAILED, State.BOOTING, State.STOPPED):
            one.state = state
            await later(hass, freezer, 31)
            assert titles(hass) == []


async def test_starting_changes_nothing(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An issue stays while an instance starts, and becomes what it then is."""
    one = gateway.add("Home", State.FAILED, scale=SLOW)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(3):
        await later(hass, freezer, 31)
    one.state = State.BOOTING
    await later(hass, freezer, 31)
    assert titles(hass) == ["instance_failed"]

    one.state = State.WAITING
    for _ in range(3):
        await later(hass, freezer, 31)
    assert titles(hass) == ["not_linked"]


@pytest.mark.parametrize("how", ["deleted", "unloaded", "removed"])
async def test_taken_back(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    how: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An issue goes with its instance, and with its account."""
    one = gateway.add("Home", State.FAILED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(3):
        await later(hass, freezer, 31)
    assert titles(hass) == ["instance_failed"]

    match how:
        case "deleted":
            del gateway.sessions[one.id]
            await later(hass, freezer, 31)
        case "unloaded":
            assert await hass.config_entries.async_unload(entry.entry_id)
        case _:
            await hass.config_entries.async_remove(entry.entry_id)
    assert titles(hass) == []


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trouble become an issue at once."""
    monkeypatch.setattr(issues, "PATIENCE", 0)


@pytest.mark.usefixtures("at_once")
async def test_link_again(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """The fix of an unlinked instance is the live QR."""
    one = gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    [issue] = raised(hass)
    await dialog.open_fix(issue)
    assert phone.scan(await dialog.code()) is one
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert titles(hass) == []
    assert state_of(hass, "sensor.home_status") == "connected"

    one.state = State.WAITING
    await entry.runtime_data.async_refresh()
    assert titles(hass) == ["not_linked"]


@pytest.mark.usefixtures("at_once")
async def test_not_linked_again(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A fix that did not link leaves the issue."""
    gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    [issue] = raised(hass)
    await dialog.open_fix(issue)
    await dialog.code()
    gateway.fail("one", status=401)
    await dialog.wait_for()
    assert dialog.errors == {"base": "invalid_auth"}
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    hass.config_entries.flow.async_abort(flow["flow_id"])
    await dialog.give(next="finish")

    assert dialog.result["reason"] == "not_linked"
    assert titles(hass) == ["not_linked"]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("linked", [True, False])
async def test_restart_failed(
    hass: HomeAssistant,
    provider_key: str,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    *,
    linked: bool,
) -> None:
    """The fix of a failed instance restarts it, and links it if it has to be."""
    gateway.add("Home", State.FAILED, linked=linked)
    assert await hass.config_entries.async_setup(entry.entry_id)
    [issue] = raised(hass)
    await dialog.open_fix(issue)
    assert dialog.step == "restart"
    assert gateway.count("restart") == 0
    await dialog.give()
    if not linked:
        phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert gateway.count("restart") == (provider_key == "wappfy")
    assert state_of(hass, "sensor.home_status") == "connected"
    assert titles(hass) == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("provider_key", ["wappfy"])
async def test_restart_refused(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A restart that is refused says why, and can be tried again."""
    gateway.add("Home", State.FAILED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    [issue] = raised(hass)
    gateway.fail("restart", status=500, times=1)
    await dialog.open_fix(issue)
    await dialog.give()
    assert dialog.errors == {"base": "cannot_connect"}

    await dialog.give()
    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("how", ["deleted", "unloaded"])
async def test_settled_meanwhile(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    how: str,
) -> None:
    """The fix of an instance that is gone is a mere confirmation."""
    one = gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    [issue] = raised(hass)
    if how == "deleted":
        del gateway.sessions[one.id]
        await entry.runtime_data.async_refresh()
    else:
        assert await hass.config_entries.async_unload(entry.entry_id)
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue.issue_id,
        data=issue.data,
        is_fixable=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key="not_linked",
    )
    await dialog.open_fix(issue)
    assert dialog.step == "confirm"
    await dialog.give()
    assert titles(hass) == []


@pytest.mark.usefixtures("at_once")
async def test_no_issue_while_linking(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """While a dialog links the instance no issue is raised; once it is closed, yes."""
    gateway.add("Home")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.choose("link")
    await dialog.code()
    await entry.runtime_data.async_refresh()
    assert state_of(hass, "sensor.home_status") == "scan_qr"
    assert titles(hass) == []

    dialog.close()
    await hass.async_block_till_done(wait_background_tasks=True)
    await entry.runtime_data.async_refresh()
    assert titles(hass) == ["not_linked"]
