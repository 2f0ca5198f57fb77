"""Instances in trouble: their issues, and the fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir

from custom_components.whatsapp_gateway import issues
from custom_components.whatsapp_gateway.const import DOMAIN

from .gateways.machine import State
from .harness.facts import offers
from .harness.helpers import POLL, raised_issues, state_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .gateways import Gateway, VirtualPhone
    from .harness.clock import Clock
    from .harness.dialog import Dialog


def titles(hass: HomeAssistant) -> list[str | None]:
    """Return what the raised issues are about."""
    return [issue.translation_key for issue in raised_issues(hass)]


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
    clock: Clock,
) -> None:
    """Trouble that lasts becomes an issue; it goes when the instance is connected."""
    one = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    one.state = state
    await clock.run(31)
    await clock.run(31)
    assert titles(hass) == []
    await clock.run(31)
    assert titles(hass) == [key]
    [issue] = raised_issues(hass)
    assert issue.is_fixable
    assert issue.translation_placeholders == {"name": "Home"}

    one.state = State.CONNECTED
    await clock.run(31)
    assert titles(hass) == []


@pytest.mark.parametrize("state", [State.NEW, State.STOPPED])
async def test_not_raised(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    state: State,
    clock: Clock,
) -> None:
    """What may be meant is no issue."""
    gateway.add("Home", state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(5):
        await clock.run(31)

    assert titles(hass) == []


async def test_flapping(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An instance that goes to and fro raises nothing."""
    one = gateway.add("Home")
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(3):
        for state in (State.WAITING, State.FAILED, State.BOOTING, State.STOPPED):
            one.state = state
            await clock.run(31)
            assert titles(hass) == []


async def test_starting_changes_nothing(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An issue stays while an instance starts, and becomes what it then is."""
    one = gateway.add("Home", State.FAILED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(3):
        await clock.run(31)
    one.state = State.BOOTING
    await clock.run(31)
    assert titles(hass) == ["instance_failed"]

    one.state = State.WAITING
    for _ in range(3):
        await clock.run(31)
    assert titles(hass) == ["not_linked"]


@pytest.mark.parametrize("how", ["deleted", "unloaded", "removed"])
async def test_taken_back(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    how: str,
    clock: Clock,
) -> None:
    """An issue goes with its instance, and with its account."""
    one = gateway.add("Home", State.FAILED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(3):
        await clock.run(31)
    assert titles(hass) == ["instance_failed"]

    match how:
        case "deleted":
            del gateway.sessions[one.id]
            await clock.run(31)
        case "unloaded":
            assert await hass.config_entries.async_unload(entry.entry_id)
        case _:
            await hass.config_entries.async_remove(entry.entry_id)
    assert titles(hass) == []


async def trouble(
    hass: HomeAssistant, entry: MockConfigEntry, clock: Clock
) -> ir.IssueEntry:
    """Set an account up, and return the issue that its instance becomes."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(issues.PATIENCE + POLL)
    [issue] = raised_issues(hass)
    return issue


async def test_link_again(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """The fix of an unlinked instance is the live QR."""
    one = gateway.add("Home", State.WAITING)
    issue = await trouble(hass, entry, clock)
    await dialog.open_fix(issue)
    assert phone.scan(await dialog.code()) is one
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert titles(hass) == []
    assert state_of(hass, "sensor.home_status") == "connected"

    one.state = State.WAITING
    await clock.run(issues.PATIENCE + 2 * POLL)
    assert titles(hass) == ["not_linked"]


async def test_not_linked_again(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A fix that did not link leaves the issue."""
    gateway.add("Home", State.WAITING)
    issue = await trouble(hass, entry, clock)
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


@pytest.mark.parametrize("linked", [True, False])
async def test_restart_failed(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
    *,
    linked: bool,
) -> None:
    """The fix of a failed instance restarts it, and links it if it has to be."""
    gateway.add("Home", State.FAILED, linked=linked)
    issue = await trouble(hass, entry, clock)
    await dialog.open_fix(issue)
    assert dialog.step == "restart"
    assert gateway.count("restart") == 0
    await dialog.give()
    if not linked:
        phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert gateway.count("restart") == ("restart" in gateway.actions)
    assert state_of(hass, "sensor.home_status") == "connected"
    assert titles(hass) == []


@offers("restart")
async def test_restart_refused(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A restart that is refused says why, and can be tried again."""
    gateway.add("Home", State.FAILED)
    issue = await trouble(hass, entry, clock)
    gateway.fail("restart", status=500, times=1)
    await dialog.open_fix(issue)
    await dialog.give()
    assert dialog.errors == {"base": "cannot_connect"}

    await dialog.give()
    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS


@pytest.mark.parametrize("how", ["deleted", "unloaded"])
async def test_settled_meanwhile(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    how: str,
    clock: Clock,
) -> None:
    """The fix of an instance that is gone is a mere confirmation."""
    one = gateway.add("Home", State.WAITING)
    issue = await trouble(hass, entry, clock)
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


async def test_no_issue_while_linking(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """While a dialog links the instance no issue is raised; once it is closed, yes."""
    gateway.add("Home")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.choose("link")
    await dialog.code()
    await clock.run(issues.PATIENCE + POLL)
    assert state_of(hass, "sensor.home_status") == "scan_qr"
    assert titles(hass) == []

    dialog.close()
    await clock.run(POLL)
    assert titles(hass) == ["not_linked"]
