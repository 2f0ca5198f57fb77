"""Changes that a gateway reports at once."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, override

import pytest

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import callback

from custom_components.whatsapp_gateway.providers.capabilities import Events
from custom_components.whatsapp_gateway.providers.http import HEARTBEAT, MAX_FRAME
from custom_components.whatsapp_gateway.providers.models import (
    GatewayError,
    InstanceChanged,
    Skipped,
    TooLarge,
)
from custom_components.whatsapp_gateway.push.stream import Stream
from tests.gateways.machine import LINK, State
from tests.harness.calls import present
from tests.harness.facts import needs
from tests.harness.helpers import (
    POLL,
    PROBLEMS,
    raised_issues,
    raised_problems,
    state_of,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.providers.base import Provider
    from custom_components.whatsapp_gateway.providers.capabilities import (
        Payload,
        Report,
    )
    from tests.gateways import Gateway, VirtualPhone
    from tests.gateways.machine import Session
    from tests.harness.clock import Clock
    from tests.harness.dialog import Dialog

pytestmark = needs("events")
LONGEST = 400.0
"""Seconds until another attempt and the first sign of life, at most."""


@pytest.fixture(autouse=True)
async def events(gateway: Gateway) -> None:
    """Let the gateway report changes."""
    gateway.events.on = True


@pytest.fixture
def instance(gateway: Gateway) -> Session:
    """Return a linked instance."""
    return gateway.add("Home", State.CONNECTED)


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> Stream:
    """Set an account up, and wait until changes are reported at once."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    stream: Stream = entry.runtime_data.stream
    await until(lambda: stream.connected)
    await asyncio.sleep(2)
    return stream


async def test_change_at_once(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A change is seen at once, and the account is polled every 5 minutes meanwhile."""
    await set_up(hass, entry)
    polls = gateway.count("list")
    await clock.run(290)
    assert gateway.count("list") == polls

    instance.state = State.STOPPED
    await clock.run(0.1)
    assert state_of(hass, "sensor.home_status") == "disconnected"
    await clock.run(610)
    # the early poll, perhaps another one after it, those of the minute until the
    # issue, and one or two of every 5 minutes
    assert polls + 4 <= gateway.count("list") <= polls + 6


async def test_change_during_a_poll(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A change that an answer on its way doesn't contain is not missed."""
    await set_up(hass, entry)
    gateway.fail("list", late=1, times=1)
    instance.state = State.STOPPED
    await clock.run(0.5)
    instance.state = State.CONNECTED
    await clock.run(4)
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_flood(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """10,000 events, all alike, cause one poll a second."""
    stream = await set_up(hass, entry)
    polls, began = gateway.count("list"), time.time()
    frame = gateway.event_of(instance)
    for _ in range(10):
        for _ in range(1000):
            await gateway.events.send(frame)
        await clock.run(0.5)
    await until(lambda: stream.events["status"] >= 10_000)
    await clock.run(3)
    assert polls + 2 <= gateway.count("list") <= polls + 2 + time.time() - began
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_late_event(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An event is never trusted for the status itself."""
    await set_up(hass, entry)
    instance.state = State.STOPPED
    stopped = gateway.event_of(instance)
    instance.state = State.CONNECTED
    await clock.run(5)
    polls = gateway.count("list")
    await gateway.events.send(stopped)
    await clock.run(5)
    assert gateway.count("list") == polls + 1
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_dialog_at_once(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """A dialog goes on as soon as the phone is linked."""
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    await dialog.give(name="Home")
    code = await dialog.code()
    await asyncio.sleep(5)
    scanned_at = time.time()
    phone.scan(code)
    await dialog.wait_for()
    assert dialog.reason == "linked"
    # a dialog never ends earlier than a second after it last changed
    assert time.time() - scanned_at < LINK + 1.5


async def test_new_code_at_once(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """A reported code is a change of its own."""
    session = gateway.add("Home", State.WAITING)
    seen: list[Any] = []

    async def follow() -> None:
        async for event in present(provider.events).follow():
            seen.append(event)  # noqa: PERF401  until it fails

    task = asyncio.create_task(follow())
    await clock.run(70)
    gateway.hang_up()
    with pytest.raises(GatewayError):
        await task
    changes = [event for event in seen if event]
    assert {event.instance_id for event in changes} == {session.id}
    assert any(event.has_code for event in changes)


async def test_cut(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without events the account is polled as before, until they are back."""
    caplog.set_level(logging.INFO)
    stream = await set_up(hass, entry)
    gateway.fail("*", status=502)
    gateway.hang_up()
    await clock.run(1)
    assert not stream.connected
    assert state_of(hass, "sensor.home_status") == STATE_UNAVAILABLE
    await clock.run(3600)
    # 5 s, doubled up to 300 s
    attempts = gateway.count("events")
    assert 12 <= attempts <= 30

    gateway.heal()
    instance.state = State.STOPPED
    await clock.run(POLL)
    assert state_of(hass, "sensor.home_status") == "disconnected"
    await until(lambda: stream.connected, LONGEST)
    assert stream.connections == 2
    assert caplog.text.count("are found by polling") == 1
    assert caplog.text.count("are reported at once") == 2


async def test_closed_at_once(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A server that accepts and closes is asked more and more seldom."""
    gateway.fail("events", drop=True)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(3600)
    # some attempts are two requests: aiohttp repeats one if a connection was reused
    assert gateway.count("events") <= 60

    gateway.heal()
    await until(lambda: entry.runtime_data.stream.connected, LONGEST)


async def test_silence(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A connection without a sign of life for a minute is dead."""
    gateway.events.silent = True
    assert await hass.config_entries.async_setup(entry.entry_id)
    polls = gateway.count("list")
    await clock.run(59)
    # it doesn't slow down the polls
    assert gateway.count("list") >= polls + 1
    await clock.run(12)
    assert gateway.count("events") == 2

    gateway.events.silent = False
    gateway.hang_up()
    await until(lambda: entry.runtime_data.stream.connected)
    # older versions of aiohttp ping once more on a WebSocket that got no answer
    await clock.run(1.5 * HEARTBEAT)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 403},
        {"status": 404},
        {"status": 405},
        {"status": 501},
        {"html": True},
        # a proxy's page says nothing about the API key
        {"status": 401, "html": True},
        {"redirect": "/elsewhere"},
    ],
    ids=str,
)
async def test_not_offered(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
) -> None:
    """A gateway that offers no events is asked more and more seldom."""
    caplog.set_level(logging.DEBUG)
    gateway.fail("events", **fault)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(60)
    assert gateway.count("events") >= 3
    await clock.run(3500)
    assert gateway.count("events") <= 32
    assert caplog.text.count("reports no events") == 1
    assert not hass.config_entries.flow.async_progress()

    gateway.heal()
    await until(lambda: entry.runtime_data.stream.connected, LONGEST)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_odd_answer_while_it_restarts(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
    status: int,
) -> None:
    """A gateway that has reported events is soon asked again, whatever it answers."""
    stream = await set_up(hass, entry)
    gateway.fail("events", status=status)
    gateway.hang_up()
    await clock.run(30)
    assert not stream.connected
    gateway.heal()
    await until(lambda: stream.connected)
    assert not hass.config_entries.flow.async_progress()


async def test_too_many_requests(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """The pause that a gateway asks for is kept."""
    gateway.fail("events", status=429, headers={"Retry-After": "90"})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(80)
    assert gateway.count("events") == 1
    gateway.heal()
    await clock.run(60)
    assert entry.runtime_data.stream.connected


async def test_pause_between_polls(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A pause of a few minutes is not noticed, however long ago the last poll was."""
    await set_up(hass, entry)
    gateway.fail("list", status=429, headers={"Retry-After": "60"})
    await clock.run(500)
    assert state_of(hass, "sensor.home_status") == "connected"
    await clock.run(300)
    assert state_of(hass, "sensor.home_status") == STATE_UNAVAILABLE
    gateway.heal()
    await clock.run(100)
    assert state_of(hass, "sensor.home_status") == "connected"


@pytest.mark.parametrize("state", ["connecting", "connected", "waiting"])
async def test_unload(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
    state: str,
) -> None:
    """Unloading an account ends its connection in any state."""
    if state != "connected":
        gateway.fail("events", hang=state == "connecting", drop=state == "waiting")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: gateway.count("events"))
    await clock.run(1)
    assert gateway.events.listeners == (state == "connected")
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    gateway.heal()
    await clock.run(POLL)
    assert not gateway.events.listeners
    asked = gateway.count("events")
    await clock.run(600)
    assert gateway.count("events") == asked


async def test_key_that_only_the_events_reject(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An API key that works is not asked for, whatever is said of the events."""
    gateway.fail("events", status=401)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: gateway.count("events"))
    polls = gateway.count("list")
    await clock.run(POLL)
    assert gateway.count("list") > polls
    assert hass.config_entries.flow.async_progress() == []
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_issue_in_time(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An issue is raised as soon as its problem has lasted, although polls are rare."""
    await set_up(hass, entry)
    instance.state = State.STOPPED
    await clock.run(50)
    assert raised_issues(hass) == []
    await clock.run(50)
    assert raised_problems(hass) == [PROBLEMS[State.STOPPED]]

    instance.state = State.CONNECTED
    await clock.run(2)
    assert raised_issues(hass) == []


async def test_wrong_key(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A rejected API key is asked for, and the new one is used."""
    await set_up(hass, entry)
    gateway.owners = {"another key": "me"}
    gateway.hang_up()
    await clock.run(10)
    await dialog.open_pending()
    await dialog.give(api_key="another key")
    assert dialog.reason == "reauth_successful"
    await until(lambda: entry.state is ConfigEntryState.LOADED)
    await until(lambda: entry.runtime_data.stream.connected)


async def test_no_refresh_of_states_that_did_not_change(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An event without a change writes no state."""
    await set_up(hass, entry)
    written: list[Any] = []

    @callback
    def note(event: Any) -> None:
        written.append(event.data["entity_id"])

    hass.bus.async_listen("state_changed", note)
    events = entry.runtime_data.stream.events["status"]
    polls = gateway.count("list")
    await gateway.events.send(gateway.event_of(instance))
    await clock.run(5)
    assert entry.runtime_data.stream.events["status"] == events + 1
    assert gateway.count("list") == polls + 1
    assert written == []


async def test_large_events(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """An event of 16 MiB is read, a larger one is skipped, and the next one is read."""
    stream = await set_up(hass, entry)
    inbox = entry.runtime_data.inbox
    start, rest = gateway.event_of(instance).split(b"{", 1)
    seen = stream.events["status"]

    async def send(size: int) -> None:
        padding = b" " * (size - len(start) - 1 - len(rest))
        await gateway.events.send(start + b"{" + padding + rest)

    await send(MAX_FRAME)
    await until(lambda: stream.events["status"] == seen + 1)
    await send(MAX_FRAME + 100)
    await until(lambda: inbox.skipped == {"too_large": 1})
    await send(1000)
    await until(lambda: stream.events["status"] == seen + 2)
    assert stream.connections == 1
    assert state_of(hass, "sensor.home_status") == "connected"


class Script(Events):
    """Events that come as a test says: a list for each connection, an error at last."""

    def __init__(self, *connections: list[Any]) -> None:
        """Report these."""
        self._connections = list(connections)

    @override
    async def payloads(self) -> AsyncGenerator[Payload]:
        for one in self._connections.pop(0):
            if isinstance(one, Exception):
                raise one
            yield one
        await asyncio.Event().wait()

    @override
    def parse(self, payload: bytes | str) -> Report | None:
        return InstanceChanged(instance_id=str(int(payload)))


@pytest.mark.parametrize(
    ("error", "reason", "within"),
    [
        (TooLarge(), Skipped("too_large"), 1.5),
        (RuntimeError("a message"), Skipped("unexpected_error", "RuntimeError"), 6.0),
    ],
)
async def test_error_between_events(
    provider: Provider,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    reason: Skipped,
    within: float,
) -> None:
    """A bad event doesn't end a connection, and nothing ends the stream."""
    reports: list[Report] = []
    script = Script(["1", "bad", b"2", None, error], ["3"])
    stream = Stream(provider, script, "Account", reports.append)
    task = asyncio.create_task(stream.async_run())
    await clock.run(within)
    task.cancel()
    assert [one for one in reports if one != InstanceChanged()] == [
        InstanceChanged(instance_id="1"),
        Skipped("unexpected_error", "ValueError"),
        InstanceChanged(instance_id="2"),
        reason,
        InstanceChanged(instance_id="3"),
    ]
    assert "a message" not in caplog.text


async def test_unexpected_error(
    hass: HomeAssistant,
    gateway: Gateway,
    instance: Session,
    entry: MockConfigEntry,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What can't be handled is counted and logged once, without its content."""
    stream = await set_up(hass, entry)
    reason: Any = ["private"]
    for _ in range(3):
        stream._handle(Skipped(reason))
    assert entry.runtime_data.inbox.skipped == {"unexpected_error": 3}
    assert caplog.text.count("unexpected error: TypeError") == 1
    assert "private" not in caplog.text

    instance.state = State.STOPPED
    await clock.run(2)
    assert state_of(hass, "sensor.home_status") == "disconnected"
