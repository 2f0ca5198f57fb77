"""Link an instance again whose gateway has kept a link that WhatsApp refuses."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from homeassistant.data_entry_flow import FlowResultType

from custom_components.whatsapp_gateway.pairing import engine
from custom_components.whatsapp_gateway.pairing.engine import Phase
from tests.gateways.machine import PHONE_NUMBER, State
from tests.harness.facts import needs
from tests.harness.helpers import (
    BUTTONS,
    PROBLEMS,
    enable_entities,
    pass_polls,
    press,
    raised_issues,
    raised_problems,
    remember_linked,
    state_of,
    until,
)
from tests.harness.pairings import first_code, pair, phases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.pairing.engine import Pairing
    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways import Gateway, VirtualPhone
    from tests.gateways.machine import Session
    from tests.harness.clock import Clock
    from tests.harness.dialog import Dialog

METHODS = ["scan", "phone"]


async def choose(dialog: Dialog, how: str) -> None:
    """Choose how to link."""
    assert dialog.step == "link_method"
    await dialog.choose(how)
    if how == "phone":
        await dialog.give(phone_number=PHONE_NUMBER)


async def link(dialog: Dialog, phone: VirtualPhone, how: str) -> Session:
    """Link the phone by the code that a dialog shows or will show."""
    if how == "phone":
        session = phone.enter(await dialog.pairing_code())
    else:
        session = phone.scan(await dialog.code())
    await dialog.wait_for()
    return session


@pytest.fixture
async def unlinked(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    clock: Clock,
) -> Session:
    """Return an instance that its phone has unlinked."""
    session = gateway.add("Home", State.CONNECTED, linked=True)
    assert await hass.config_entries.async_setup(entry.entry_id)
    phone.unlink(session.id)
    await pass_polls(clock, 4)
    return session


# the dialogs


@needs("stale_links")
@pytest.mark.parametrize("how", METHODS)
async def test_configure(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    unlinked: Session,
    how: str,
) -> None:
    """Whoever links the instance from Configure gets the code without a question."""
    await dialog.open_options(entry)
    await dialog.choose("link")
    await choose(dialog, how)

    assert await link(dialog, phone, how) is unlinked
    assert dialog.reason == "linked"
    assert gateway.count("logout") == 1
    assert state_of(hass, "sensor.home_status") == "connected"
    assert raised_issues(hass) == []


@needs("stale_links")
@pytest.mark.parametrize("how", METHODS)
async def test_failed_repair(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    unlinked: Session,
    how: str,
) -> None:
    """The repair of a failed instance restarts it, and asks before it unlinks it."""
    [issue] = raised_issues(hass)
    assert raised_problems(hass) == [PROBLEMS[State.FAILED]]
    await dialog.open_fix(issue)
    assert dialog.step == "restart"
    await dialog.give()
    await choose(dialog, how)
    await dialog.wait_for()
    assert dialog.step == "unlink"
    assert "**Home** failed again" in dialog.text
    assert gateway.count("restart") > 0
    assert gateway.count("logout") == 0

    await dialog.give()
    assert await link(dialog, phone, how) is unlinked
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert gateway.count("logout") == 1
    assert raised_issues(hass) == []


@needs("stale_links")
async def test_not_unlinked(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    unlinked: Session,
) -> None:
    """Nothing is unlinked if the question is not answered, and it is asked again."""
    [issue] = raised_issues(hass)
    for _ in range(2):
        await dialog.open_fix(issue)
        await dialog.give()
        await dialog.wait_for()
        assert dialog.step == "unlink"
        dialog.close()
    assert gateway.count("logout") == 0

    await dialog.open_fix(issue)
    await dialog.give()
    await dialog.wait_for()
    await dialog.give()
    assert await link(dialog, phone, "scan") is unlinked
    assert raised_issues(hass) == []


@needs("stale_links")
async def test_recovered_before_the_answer(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog, unlinked: Session
) -> None:
    """An instance that works again when the question is answered is not unlinked."""
    [issue] = raised_issues(hass)
    await dialog.open_fix(issue)
    await dialog.give()
    await dialog.wait_for()
    assert dialog.step == "unlink"
    unlinked.state = State.CONNECTED
    await dialog.give()
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert gateway.count("logout") == 0
    assert unlinked.linked


@needs("stale_links")
async def test_unlinked_while_stopped(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """The repair of a disconnected instance asks as well."""
    session = gateway.add("Home", State.CONNECTED, linked=True)
    phone.unlink(session.id)
    session.stop()
    remember_linked(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await pass_polls(clock, 4)
    [issue] = raised_issues(hass)
    assert raised_problems(hass) == [PROBLEMS[State.STOPPED]]
    await dialog.open_fix(issue)
    await dialog.scan()
    await dialog.wait_for()
    assert dialog.step == "unlink"
    assert gateway.count("logout") == 0

    await dialog.give()
    assert await link(dialog, phone, "scan") is session


@needs("stale_links")
@pytest.mark.parametrize("how", METHODS)
async def test_abandoned_code(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
    how: str,
) -> None:
    """After a pairing code that nobody entered, each way to link works."""
    session = gateway.add("Home")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.choose("link")
    await choose(dialog, "phone")
    await dialog.pairing_code()
    dialog.close()
    await clock.run(sum(gateway.code_lives) + 5)
    assert session.state is State.FAILED

    await dialog.open_options(entry)
    await dialog.choose("link")
    await choose(dialog, how)
    assert await link(dialog, phone, how) is session
    assert dialog.reason == "linked"
    assert gateway.count("logout") == 1


@needs("stale_links")
@pytest.mark.parametrize("how", METHODS)
async def test_not_linked_repair(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
    how: str,
) -> None:
    """The repair of an instance that isn't linked goes on to the code by itself."""
    session = gateway.add("Home", State.WAITING)
    remember_linked(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await pass_polls(clock, 3)
    [issue] = raised_issues(hass)
    assert raised_problems(hass) == [PROBLEMS[State.WAITING]]
    await dialog.open_fix(issue)
    await choose(dialog, "phone")
    await dialog.pairing_code()
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    dialog.close()
    assert session.state is State.FAILED

    await dialog.open_fix(issue)
    await choose(dialog, how)
    assert await link(dialog, phone, how) is session
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert gateway.count("logout") == 1
    assert raised_issues(hass) == []


@needs("stale_links")
@pytest.mark.parametrize("route", ["restart", "logout"])
@pytest.mark.parametrize("after", [0.1, 1.0, 6.0])
async def test_closed_meanwhile(
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    unlinked: Session,
    clock: Clock,
    route: str,
    after: float,
) -> None:
    """A dialog that is closed at any moment leaves an instance that can be linked."""
    await dialog.open_options(entry)
    await dialog.choose("link")
    await dialog.choose("scan")
    await until(lambda: gateway.count(route))
    await clock.run(after)
    dialog.close()
    await clock.run(60)

    await dialog.open_options(entry)
    await dialog.link()
    assert await link(dialog, phone, "scan") is unlinked
    assert dialog.reason == "linked"
    assert gateway.count("logout") <= 2


@needs("stale_links")
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"status": 500}, "The gateway stopped responding."),
        (
            {"status": 422, "code": "no", "message": "Ask your admin"},
            "The gateway rejected the request: Ask your admin",
        ),
    ],
    ids=["unreachable", "rejected"],
)
async def test_logout_fails(
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    unlinked: Session,
    fault: dict[str, object],
    text: str,
) -> None:
    """The dialog says why the logout failed, and tries again when it is told to."""
    gateway.fail("logout", **fault)
    await dialog.open_options(entry)
    await dialog.link()
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    assert dialog.text == f"**Home** isn't linked to a phone yet. {text}"

    gateway.heal()
    await dialog.choose("scan")
    assert await link(dialog, phone, "scan") is unlinked
    assert dialog.reason == "linked"


@needs("stale_links")
async def test_button(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """The button that unlinks the phone leads a failed instance to codes as well."""
    session = gateway.add("Home", State.CONNECTED, linked=True)
    await enable_entities(hass, entry, clock)
    phone.unlink(session.id)
    await pass_polls(clock, 2)
    assert state_of(hass, "sensor.home_status") == "failed"
    await press(hass, BUTTONS["logout"])
    await pass_polls(clock, 4)

    assert state_of(hass, "sensor.home_status") == "scan_qr"
    assert raised_issues(hass) == []


# the engine


async def phases_until_code(pairings: AsyncIterator[Pairing]) -> list[Phase]:
    """Return the phases up to the first code."""
    seen: list[Phase] = []
    async for shown in pairings:
        seen.append(shown.phase)
        if shown.phase in {Phase.SCAN, Phase.ENTER_CODE}:
            break
    return seen


@needs("stale_links")
@pytest.mark.parametrize("number", [None, PHONE_NUMBER])
async def test_stopped_after_the_logout(
    gateway: Gateway, provider: Provider, number: str | None
) -> None:
    """An instance that is stopped after the logout is started."""
    session = gateway.add("Home", State.CONNECTED)
    session.unlink()
    gateway.then["logout"] = lambda _: setattr(session, "state", State.STOPPED)
    async with aclosing(pair(provider, session.id, number)) as pairings:
        seen = await phases_until_code(pairings)

    assert seen == [Phase.WAITING, Phase.ENTER_CODE if number else Phase.SCAN]
    assert gateway.count("logout") == 1


@needs("says_failed", actions=["logout"])
async def test_failed_after_the_logout(gateway: Gateway, provider: Provider) -> None:
    """An instance that a logout doesn't help has failed; it is logged out once."""
    session = gateway.add("Home", State.FAILED)
    gateway.say(gateway.statuses[State.FAILED])

    assert await phases(pair(provider, session.id)) == [Phase.WAITING, Phase.FAILED]
    assert gateway.count("logout") == 1


@needs("says_failed", actions=["logout"])
@pytest.mark.parametrize("linked", [True, False])
async def test_codes_after_the_restart(
    gateway: Gateway, provider: Provider, phone: VirtualPhone, *, linked: bool
) -> None:
    """An instance that shows codes or connects after a restart is not logged out."""
    session = gateway.add("Home", State.FAILED, linked=linked)
    async with aclosing(pair(provider, session.id)) as pairings:
        if not linked:
            phone.scan(await first_code(pairings))

        assert (await phases(pairings))[-1] is Phase.LINKED
    assert session.starts == 1
    assert gateway.count("logout") == 0


@needs("says_failed", "says_starting", actions=["logout"])
async def test_slow_start(gateway: Gateway, provider: Provider) -> None:
    """An instance that is slow to start is not logged out."""
    session = gateway.add("Home", State.FAILED, boot=120.0, linked=True)

    assert await phases(pair(provider, session.id)) == [Phase.WAITING, Phase.LINKED]
    assert gateway.count("logout") == 0


@needs("says_failed", "says_starting", actions=["logout"])
@pytest.mark.parametrize(("failed", "booting"), [(2.0, 1.7), (2.0, 0.4)])
async def test_flapping(
    gateway: Gateway, provider: Provider, clock: Clock, failed: float, booting: float
) -> None:
    """An instance that alternates between failing and starting is not logged out."""
    session = gateway.add("Home", State.FAILED, boot=1000.0)
    task = asyncio.create_task(phases(pair(provider, session.id)))
    await until(lambda: session.starts)
    for _ in range(30):
        session.state = State.FAILED
        await clock.run(failed)
        session.state = State.BOOTING
        await clock.run(booting)
    assert gateway.count("logout") == 0

    session.state = State.CONNECTED
    assert (await task)[-1] is Phase.LINKED


@needs("says_failed", actions=["logout"])
async def test_failed_start(gateway: Gateway, provider: Provider, clock: Clock) -> None:
    """A linked instance whose start fails once is restarted and not logged out."""
    session = gateway.add("Home", State.STOPPED, linked=True)
    task = asyncio.create_task(phases(pair(provider, session.id)))
    await until(lambda: session.starts)
    session.state = State.FAILED

    assert (await task)[-1] is Phase.LINKED
    assert session.starts == 2
    assert gateway.count("logout") == 0


@needs("says_failed", actions=["logout"])
@pytest.mark.parametrize("outage", [0, 20])
async def test_slow_restart(
    gateway: Gateway, provider: Provider, clock: Clock, outage: float
) -> None:
    """An instance that looks failed for a while after its restart is not logged out."""
    session = gateway.add("Home", State.FAILED, linked=True)
    task = asyncio.create_task(phases(pair(provider, session.id)))
    await until(lambda: session.starts)
    gateway.say(gateway.statuses[State.FAILED])
    await clock.run(8)
    if outage:
        gateway.fail("*", status=500)
        await clock.run(outage)
        gateway.heal()
        await clock.run(8)
    gateway.say(None)

    assert (await task)[-1] is Phase.LINKED
    assert gateway.count("logout") == 0


@needs("says_failed", "says_starting", "pairing_code", actions=["logout"])
async def test_not_started_by_us(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """An instance that fails in a start of somebody else is restarted first."""
    session = gateway.add("Home", State.BOOTING, boot=1000.0)
    pairings = pair(provider, session.id, PHONE_NUMBER)
    task = asyncio.create_task(phases_until_code(pairings))
    await clock.run(5)
    session.boot = 2.0
    session.state = State.FAILED

    assert (await task)[-1] is Phase.ENTER_CODE
    assert session.starts == 1
    assert gateway.count("logout") == 0
    await pairings.aclose()


@needs("says_failed", actions=["logout"])
async def test_expired_codes(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """An instance that fails because its codes expired is not logged out."""
    session = gateway.add("Home", State.FAILED)
    started = clock.time()

    assert (await phases(pair(provider, session.id)))[-1] is Phase.EXPIRED
    assert clock.time() - started < engine.DEADLINE_SECONDS
    assert session.state is State.FAILED
    assert gateway.count("logout") == 0
