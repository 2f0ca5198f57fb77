"""Repairs: when issues are raised, when they go, and their fixes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryDisabler
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers import translation

from custom_components.whatsapp_gateway import problems as issues
from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.problems import issues_of

from .gateways.machine import State
from .harness.facts import needs, offers
from .harness.helpers import (
    BUTTONS,
    POLL,
    PROBLEMS,
    SECOND_LIST,
    enable_entities,
    pass_polls,
    poll_twice,
    press,
    raised_issues,
    raised_problems,
    remember_linked,
    state_of,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .gateways import Gateway, VirtualPhone
    from .harness.clock import Clock
    from .harness.dialog import Dialog


@pytest.mark.parametrize("state", [State.STOPPED, State.WAITING, State.FAILED])
@pytest.mark.parametrize("restarted", [False, True])
async def test_raised(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    state: State,
    clock: Clock,
    *,
    restarted: bool,
) -> None:
    """A linked number in trouble for a minute raises an issue until it is connected."""
    session = gateway.add("Home", state if restarted else State.CONNECTED)
    if restarted:
        remember_linked(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    session.state = state
    await pass_polls(clock, 1)
    assert raised_problems(hass) == []
    await pass_polls(clock, 3)
    assert raised_problems(hass) == [PROBLEMS[gateway.looks_like(state)]]
    [issue] = raised_issues(hass)
    assert issue.is_fixable
    placeholders = {"name": "Home", "problem": PROBLEMS[gateway.looks_like(state)]}
    assert issue.translation_placeholders == placeholders

    session.state = State.CONNECTED
    await pass_polls(clock, 1)
    assert raised_problems(hass) == []


async def test_unlinked_on_the_phone(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A number that its phone has unlinked is connected again by the fix."""
    session = gateway.add("Home", State.CONNECTED, linked=True)
    assert await hass.config_entries.async_setup(entry.entry_id)
    phone.unlink(session.id)
    await pass_polls(clock, 4)
    [issue] = raised_issues(hass)
    assert raised_problems(hass) == [PROBLEMS[gateway.unlinked]]

    await dialog.open_fix(issue)
    if gateway.unlinked is State.FAILED:
        assert dialog.step == "restart"
        await dialog.give()
    if gateway.has("stale_links"):
        await dialog.wait_for()
        assert dialog.step == "unlink"
        await dialog.give()
    assert phone.scan(await dialog.code()) is session
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert raised_problems(hass) == []
    assert state_of(hass, "sensor.home_status") == "connected"


@pytest.mark.parametrize("state", [State.NEW, State.STOPPED, State.WAITING])
async def test_never_linked(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    state: State,
    clock: Clock,
) -> None:
    """A number that was never linked raises nothing, also after its codes expired."""
    gateway.add("Home", state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await pass_polls(clock, 8)

    assert raised_problems(hass) == []


@offers("disconnect")
@pytest.mark.parametrize("action", ["disconnect", "logout"])
async def test_disconnected_on_purpose(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    action: str,
    clock: Clock,
) -> None:
    """A number that somebody disconnected by its button raises nothing."""
    session = gateway.add("Home", State.CONNECTED, linked=True)
    await enable_entities(hass, entry, clock)
    # the list may lag behind
    gateway.then[gateway.actions[action]] = lambda _: setattr(
        session, "state", State.CONNECTED
    )
    await press(hass, BUTTONS[action])
    await clock.settle()
    session.state = State.STOPPED
    await pass_polls(clock, 5)
    assert raised_problems(hass) == []

    # once it is connected again it is watched again
    session.state = State.CONNECTED
    await pass_polls(clock, 1)
    session.state = State.STOPPED
    await pass_polls(clock, 4)
    assert raised_problems(hass) == ["is disconnected"]


async def test_expired_codes_are_no_failure(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A number whose codes nobody scanned isn't linked; it has not failed."""
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    session.state = State.WAITING
    await clock.run(sum(gateway.code_lives) + 2 * POLL)

    assert session.state is State.FAILED
    assert raised_problems(hass) == ["isn't linked"]
    # also after a reload, which forgets what was before
    assert await hass.config_entries.async_reload(entry.entry_id)
    await pass_polls(clock, 4)
    assert raised_problems(hass) == ["isn't linked"]


@needs("says_failed", "says_starting")
async def test_starting_changes_nothing(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An issue stays while an instance starts; trouble after that may be another."""
    session = gateway.add("Home", State.FAILED)
    remember_linked(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await pass_polls(clock, 3)
    session.boot = 1000.0
    session.state = State.BOOTING
    await pass_polls(clock, 1)
    assert raised_problems(hass) == ["isn't working"]

    session.state = State.WAITING
    await pass_polls(clock, 4)
    assert raised_problems(hass) == ["isn't linked"]


@needs("says_starting")
async def test_no_issue_while_it_starts(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A number that is about to come back raises nothing."""
    session = gateway.add("Home", State.STOPPED)
    remember_linked(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await pass_polls(clock, 1)
    session.boot = 1000.0
    session.state = State.BOOTING
    await pass_polls(clock, 4)
    assert raised_problems(hass) == []


@pytest.mark.parametrize(
    "how", ["deleted", "disabled", "disabled_while_unreachable", "removed"]
)
async def test_deleted(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    how: str,
    clock: Clock,
) -> None:
    """An issue goes with its instance and with its account."""
    session = gateway.add("Home", State.FAILED)
    remember_linked(hass, entry, session)
    await raise_issue(hass, entry, clock)

    match how:
        case "deleted":
            del gateway.sessions[session.id]
            await pass_polls(clock, 2)
        case "disabled" | "disabled_while_unreachable":
            if how == "disabled_while_unreachable":
                gateway.fail("*", status=503)
                await hass.config_entries.async_reload(entry.entry_id)
                assert issues_of(hass, entry.entry_id)
            await hass.config_entries.async_set_disabled_by(
                entry.entry_id, ConfigEntryDisabler.USER
            )
        case _:
            await hass.config_entries.async_remove(entry.entry_id)
    assert issues_of(hass, entry.entry_id) == set()


@pytest.mark.parametrize("healed", ["deleted", "connected"])
async def test_ignored(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    healed: str,
    clock: Clock,
) -> None:
    """An ignored issue stays ignored until the instance is connected or deleted."""
    session = gateway.add("Home", State.FAILED)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    ir.async_ignore_issue(hass, DOMAIN, issue.issue_id, ignore=True)

    assert await hass.config_entries.async_reload(entry.entry_id)
    await pass_polls(clock, 4)
    [issue] = raised_issues(hass)
    assert issue.dismissed_version

    # Home Assistant restarts, and remembers which issues are ignored
    assert await hass.config_entries.async_unload(entry.entry_id)
    inactive = replace(issue, active=False, data=None)
    ir.async_get(hass).issues[DOMAIN, issue.issue_id] = inactive
    if healed == "deleted":
        del gateway.sessions[session.id]
    else:
        session.state = State.CONNECTED
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(SECOND_LIST)
    assert issues_of(hass, entry.entry_id) == set()
    gateway.sessions[session.id] = session
    session.state = State.CONNECTED
    await pass_polls(clock, 1)
    session.state = State.FAILED
    await pass_polls(clock, 4)
    [issue] = raised_issues(hass)
    assert issue.dismissed_version is None


async def test_another_problem(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """The issue of an instance is updated when it has another problem."""
    session = gateway.add("Home", State.STOPPED)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    ir.async_ignore_issue(hass, DOMAIN, issue.issue_id, ignore=True)
    session.state = State.WAITING
    await pass_polls(clock, 1)
    assert raised_problems(hass) == [PROBLEMS[State.WAITING]]
    [issue] = raised_issues(hass)
    assert issue.dismissed_version

    session.state = State.CONNECTED
    await pass_polls(clock, 1)
    assert raised_problems(hass) == []


@pytest.mark.parametrize("kind", ["not_linked", "disconnected", "instance_failed"])
async def test_issue_of_an_earlier_version(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    kind: str,
    clock: Clock,
) -> None:
    """An ignored issue of version 0.1 is replaced by the new one."""
    session = gateway.add("Home", State.WAITING)
    remember_linked(hass, entry, session)
    old_id = f"{entry.entry_id}_{kind}_{session.id}"
    ir.async_ignore_issue(hass, DOMAIN, add_issue(hass, old_id), ignore=True)
    issue = await raise_issue(hass, entry, clock)
    assert issues_of(hass, entry.entry_id) == {issue.issue_id}

    session.state = State.CONNECTED
    await pass_polls(clock, 1)
    assert raised_problems(hass) == []


async def test_language(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """The title uses the language of the server, also after that has been changed."""
    session = gateway.add("Home", State.STOPPED)
    remember_linked(hass, entry, session)
    await raise_issue(hass, entry, clock)
    assert raised_problems(hass) == [PROBLEMS[State.STOPPED]]
    # as Home Assistant's start does it
    translation.async_setup(hass)
    await hass.config.async_update(language="de")
    await pass_polls(clock, 1)
    assert raised_problems(hass) == ["ist getrennt"]

    session.state = State.CONNECTED
    await pass_polls(clock, 1)
    assert raised_problems(hass) == []


def add_issue(
    hass: HomeAssistant,
    issue_id: str,
    data: dict[str, str | int | float | None] | None = None,
) -> str:
    """Add an issue of an instance, and return its ID."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data=data,
        is_fixable=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key="needs_attention",
    )
    return issue_id


async def raise_issue(
    hass: HomeAssistant, entry: MockConfigEntry, clock: Clock
) -> ir.IssueEntry:
    """Set an account up, and return the issue that its instance raises."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(issues.REPAIR_DELAY + POLL)
    [issue] = raised_issues(hass)
    return issue


async def test_not_linked_after_a_restart(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A number that isn't linked stays so if its session ends before a restart."""
    session = gateway.add("Home", State.WAITING)
    remember_linked(hass, entry, session)
    await raise_issue(hass, entry, clock)
    session.state = State.FAILED
    await clock.run(2 * POLL)

    assert await hass.config_entries.async_unload(entry.entry_id)
    registry = ir.async_get(hass)
    for key, issue in registry.issues.items():
        # what Home Assistant has after a restart
        registry.issues[key] = replace(issue, active=False, data=None)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(issues.REPAIR_DELAY + 2 * POLL)

    assert raised_problems(hass) == ["isn't linked"]


async def test_not_linked_again(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A fix that did not link leaves the issue."""
    session = gateway.add("Home", State.WAITING)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    await dialog.open_fix(issue)
    await dialog.code()
    gateway.fail("*", status=401)
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    assert "rejected the API key" in dialog.result["description_placeholders"]["reason"]
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    hass.config_entries.flow.async_abort(flow["flow_id"])
    await dialog.choose("finish")

    assert dialog.result["reason"] == "not_linked"
    assert raised_problems(hass) == ["isn't linked"]


@needs("says_failed")
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
    """The fix of a failed instance restarts it if it can, and links it if it must."""
    session = gateway.add("Home", State.FAILED, linked=linked)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    await dialog.open_fix(issue)
    restarts = "restart" in gateway.actions
    if restarts:
        assert dialog.step == "restart"
        assert gateway.count("restart") == 0
        await dialog.give()
    if not linked:
        phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert gateway.count("restart") == restarts
    assert state_of(hass, "sensor.home_status") == "connected"
    assert raised_problems(hass) == []


@needs("says_failed", actions=["restart"])
async def test_restart_rejected(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A restart that fails says why, and can be tried again."""
    session = gateway.add("Home", State.FAILED)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    gateway.fail("restart", status=500, times=1)
    await dialog.open_fix(issue)
    await dialog.give()
    assert dialog.errors == {"base": "cannot_connect"}

    await dialog.give()
    await dialog.scan()
    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS


@needs("says_failed", actions=["restart"])
async def test_deleted_before_the_restart(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """The fix of an instance that is deleted meanwhile says so, and is over."""
    session = gateway.add("Home", State.FAILED)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    await dialog.open_fix(issue)
    del gateway.sessions[session.id]
    await dialog.give()

    assert dialog.result["reason"] == "instance_gone"
    assert raised_problems(hass) == []


@needs("types")
@pytest.mark.parametrize(
    ("state", "step"), [(State.FAILED, "restart"), (State.STOPPED, "connect")]
)
async def test_without_qr_code(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    state: State,
    step: str,
    clock: Clock,
) -> None:
    """An instance that has no QR code is started again, and shows none."""
    session = gateway.add("Home", state, type=gateway.type_without_qr, linked=True)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    assert hass.states.get("image.home_qr_code") is None
    await dialog.open_fix(issue)
    assert dialog.step == step
    await dialog.give()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    await clock.run(POLL)
    assert state_of(hass, "sensor.home_status") == "connected"
    assert gateway.count("qr") == 0


@needs("types")
async def test_scan_without_qr_code(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """An instance that has no QR code but claims to wait for a scan isn't working."""
    session = gateway.add("Home", State.WAITING, type=gateway.type_without_qr)
    remember_linked(hass, entry, session)
    await raise_issue(hass, entry, clock)

    assert raised_problems(hass) == ["isn't working"]


@pytest.mark.parametrize("how", ["deleted", "unloaded", "removed"])
async def test_resolved_meanwhile(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    how: str,
    clock: Clock,
) -> None:
    """A fix that is opened too late says why there is nothing to fix."""
    session = gateway.add("Home", State.WAITING)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    match how:
        case "deleted":
            del gateway.sessions[session.id]
            await poll_twice(entry)
        case "unloaded":
            assert await hass.config_entries.async_unload(entry.entry_id)
        case _:
            await hass.config_entries.async_remove(entry.entry_id)
    add_issue(hass, issue.issue_id, issue.data)
    await dialog.open_fix(issue)
    reasons = {"deleted": "instance_gone", "unloaded": "account_unavailable"}
    if how in reasons:
        assert dialog.result["reason"] == reasons[how]
    else:
        assert dialog.step == "confirm"
        await dialog.give()
        assert raised_problems(hass) == []


async def test_deleted_while_linking(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A fix whose instance is deleted meanwhile does not claim that it stays open."""
    session = gateway.add("Home", State.WAITING)
    remember_linked(hass, entry, session)
    issue = await raise_issue(hass, entry, clock)
    await dialog.open_fix(issue)
    await dialog.code()
    del gateway.sessions[session.id]
    await dialog.wait_for()

    assert dialog.result["reason"] == "instance_gone"
    await clock.run(SECOND_LIST)
    assert raised_problems(hass) == []


async def test_no_issue_while_linking(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """While a dialog links the instance no issue is raised; once it is closed, yes."""
    session = gateway.add("Home")
    remember_linked(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.link()
    await dialog.code()
    await clock.run(issues.REPAIR_DELAY + POLL)
    assert state_of(hass, "sensor.home_status") == "scan_qr"
    assert raised_problems(hass) == []

    dialog.close()
    await clock.run(POLL)
    assert raised_problems(hass) == ["isn't linked"]


async def test_finish_without_linking(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """Somebody who chose not to link the number gets no repair for it."""
    session = gateway.add("Home")
    remember_linked(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.link()
    await dialog.code()
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    await dialog.choose("finish")
    await pass_polls(clock, 4)

    assert dialog.result["reason"] == "not_linked"
    assert raised_problems(hass) == []
