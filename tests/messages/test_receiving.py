"""Messages that a gateway reports, on their way to the event entity."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    EVENT_STATE_CHANGED,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_capture_events
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from custom_components.whatsapp_gateway.messages import inbox, seen
from custom_components.whatsapp_gateway.providers.messages import (
    IncomingMessage,
    MessageEvent,
    MessageKind,
)
from tests.gateways.machine import State
from tests.harness.facts import SUPPORTED, needs
from tests.harness.helpers import POLL, state_of, until
from tests.harness.receiving import MESSAGE, Receiving, start
from tests.harness.recipients import BEN, FAMILY, add_recipient

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from homeassistant.core import Event, EventStateChangedData, HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

STRANGER = "12025550199@s.whatsapp.net"
BY_WEBHOOK = [
    key
    for key, kind in SUPPORTED.items()
    if kind.has("receiving", "webhooks") and not kind.has("events")
]
SOON = 0.5
"""Seconds until a message is shown, at most."""


@pytest.fixture(
    params=[key for key, kind in SUPPORTED.items() if kind.has("receiving")]
)
def provider_key(request: pytest.FixtureRequest) -> str:
    """Return the key of each provider that reports messages in turn."""
    key: str = request.param
    return key


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Receiving:
    """Return an account that receives no messages yet."""
    assert await async_setup_component(hass, "diagnostics", {})
    return await start(hass, gateway, entry, hass_client_no_auth)


@pytest.fixture
async def everyone(home: Receiving) -> Receiving:
    """Return an account that receives messages from everyone."""
    await home.choose("everyone")
    return home


async def counts(
    home: Receiving, hass_client: ClientSessionGenerator
) -> dict[str, Any]:
    """Return what the diagnostics tell."""
    told = await get_diagnostics_for_config_entry(home.hass, hass_client, home.entry)
    found: dict[str, Any] = told["messages"]
    return found


async def test_message(everyone: Receiving, clock: Clock) -> None:
    """A message is shown at once, with all that an automation needs."""
    assert state_of(everyone.hass, MESSAGE) == STATE_UNKNOWN
    polls = everyone.gateway.count("list")
    message_id = await everyone.get("Hello")
    await clock.run(SOON)

    [state] = everyone.seen
    triggered = dt_util.parse_datetime(state.state)
    assert triggered
    assert abs((dt_util.utcnow() - triggered).total_seconds()) < 2 * SOON
    shown = everyone.last
    sent_at = datetime.fromisoformat(shown.pop("timestamp"))
    # some gateways only tell the second
    assert abs((dt_util.utcnow() - sent_at).total_seconds()) < 2 * SOON + 1
    assert shown.pop("sender_name") == "Ben"
    del shown["event_types"], shown["friendly_name"]
    assert shown == {
        "event_type": "received",
        "text": "Hello",
        "kind": "text",
        "sender": "+12025550123",
        "chat_id": BEN,
        "chat_name": None,
        "is_group": False,
        "recipient": None,
        "message_id": message_id,
        "reply_to": None,
        "has_media": False,
        "mime_type": None,
        "filename": None,
        "mentioned_me": False,
    }
    assert everyone.gateway.count("list") == polls


async def test_group(everyone: Receiving, clock: Clock) -> None:
    """A message of a group tells the group, and the recipient that it is."""
    add_recipient(everyone.hass, everyone.entry, everyone.session, FAMILY)
    await clock.run(1)
    await everyone.get("Dinner", chat_id=FAMILY, sender="12025550123")
    await clock.run(SOON)
    assert everyone.last["is_group"]
    assert everyone.last["chat_id"] == FAMILY
    assert everyone.last["chat_name"] == "Family"
    assert everyone.last["sender"] == "+12025550123"
    assert everyone.last["recipient"] == "notify.family"


async def test_long_text(everyone: Receiving, clock: Clock) -> None:
    """What other people choose is cut."""
    await everyone.get("x" * 9000, name="n" * 900)
    await clock.run(SOON)
    assert everyone.last["text"] == "x" * 4096
    assert len(everyone.last["sender_name"]) <= 255


async def test_reaction(everyone: Receiving, clock: Clock) -> None:
    """A reaction tells the emoji and the message."""
    gateway, session = everyone.gateway, everyone.session
    message_id = await everyone.get()
    await gateway.react(session, BEN, message_id, "👍")
    await clock.run(SOON)
    assert everyone.last["event_type"] == "reaction"
    assert everyone.last["text"] == "👍"
    assert everyone.last["reply_to"] == message_id


@needs("receiving", "own_messages")
async def test_sent_by_phone(everyone: Receiving, clock: Clock) -> None:
    """A message that was sent with the phone has no sender."""
    await everyone.get("I am late", from_me=True)
    await clock.run(SOON)
    assert everyone.last["event_type"] == "sent_by_phone"
    assert everyone.last["text"] == "I am late"
    assert everyone.last["sender"] is None


async def test_burst(
    everyone: Receiving, clock: Clock, hass_client: ClientSessionGenerator
) -> None:
    """1,000 messages at once start an automation once each, in order.

    Nothing else waits for long meanwhile.
    """
    ran = async_capture_events(everyone.hass, "ran")
    action = {"event": "ran", "event_data": {"text": TEXT}}
    trigger = {"trigger": "state", "entity_id": MESSAGE, "not_to": [STATE_UNKNOWN]}
    it = {"alias": "It", "triggers": trigger, "actions": action}
    config = {"automation": it | {"mode": "queued", "max": 1000}}
    assert await async_setup_component(everyone.hass, "automation", config)
    expected = [f"Number {number}" for number in range(1000)]
    for text in expected:
        await everyone.get(text)
    await until(lambda: len(ran) >= len(expected))
    await clock.run(5)

    assert everyone.texts == expected
    assert [event.data["text"] for event in ran] == expected
    assert len({state.state for state in everyone.seen}) == len(expected)
    told = await counts(everyone, hass_client)
    assert told["events"] == {"received": 1000}
    assert not told["dropped"]
    assert not told["queued"]


TEXT = "{{ trigger.to_state.attributes.text }}"


async def test_duplicates(
    everyone: Receiving, clock: Clock, hass_client: ClientSessionGenerator
) -> None:
    """A message that is reported again is shown once."""
    for text in ("First", "Second", "First"):
        await everyone.get(text, message_id=f"3EB0{text.upper()}")
        await clock.run(SOON)
    assert everyone.texts == ["First", "Second"]
    assert (await counts(everyone, hass_client))["dropped"] == {"duplicate": 1}


@pytest.mark.parametrize("provider_key", BY_WEBHOOK)
async def test_lost_answer(
    everyone: Receiving, session: ClientSession, clock: Clock
) -> None:
    """A call that the gateway repeats because the answer was lost is shown once."""
    target, calls = str(everyone.hass.config.internal_url), 0

    async def lose(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        url = f"{target}{request.path}"
        await session.post(url, data=await request.read(), headers=request.headers)
        return web.Response(status=502 if calls == 1 else 200)

    app = web.Application()
    app.router.add_post("/{path:.*}", lose)
    async with TestServer(app) as proxy:
        everyone.gateway.webhooks.proxies[target] = str(proxy.make_url(""))
        await everyone.get("Hello")
        assert calls == 1
        await clock.run(60)
    assert calls == 2
    assert everyone.texts == ["Hello"]


async def test_forgotten_duplicates(everyone: Receiving, clock: Clock) -> None:
    """Only the last messages are remembered."""
    for number in range(seen.MAX_SEEN + 1):
        await everyone.get(f"{number}", message_id=f"3EB0{number:08}")
    await clock.run(10)
    await everyone.get("0", message_id=f"3EB0{0:08}")
    await clock.run(SOON)
    assert everyone.texts[-1] == "0"
    assert Counter(everyone.texts)["0"] == 2


async def test_old_messages(
    everyone: Receiving, clock: Clock, hass_client: ClientSessionGenerator
) -> None:
    """Messages of the past, which some gateways report after a start, are dropped."""
    now = time.time()
    await everyone.get("Old", sent_at=now - inbox.MAX_AGE_SECONDS - 2)
    await everyone.get("New", sent_at=now - inbox.MAX_AGE_SECONDS + 2)
    await everyone.get("Ahead", sent_at=now + 60)
    await clock.run(SOON)
    assert everyone.texts == ["New", "Ahead"]
    assert (await counts(everyone, hass_client))["dropped"] == {"old": 1}


async def test_same_millisecond(everyone: Receiving, clock: Clock) -> None:
    """Messages that arrive at the same time are events of their own."""
    await asyncio.gather(*(everyone.get(f"{number}") for number in range(3)))
    await clock.run(SOON)
    assert len({state.state for state in everyone.seen}) == 3


async def test_recipients_only(
    home: Receiving, clock: Clock, hass_client: ClientSessionGenerator
) -> None:
    """Only the chats of the instance's recipients are shown."""
    await home.choose("recipients")
    other = home.gateway.add("Shop", State.CONNECTED)
    await home.account.coordinator.async_refresh()
    add_recipient(home.hass, home.entry, other, BEN, "Ben")
    add_recipient(home.hass, home.entry, home.session, FAMILY)
    await clock.run(1)
    await home.get("Not here")
    await home.get("Stranger", chat_id=STRANGER)
    await home.get("Family", chat_id=FAMILY, sender="12025550199")
    await clock.run(SOON)
    assert home.texts == ["Family"]
    assert (await counts(home, hass_client))["dropped"] == {"other_chat": 2}

    # a recipient counts as soon as it is added
    add_recipient(home.hass, home.entry, home.session, BEN, "Ben")
    await clock.run(1)
    await home.get("Here")
    await clock.run(SOON)
    assert home.texts == ["Family", "Here"]
    assert home.last["recipient"] == "notify.ben_2"


@needs("receiving", "lids")
async def test_lids(home: Receiving, clock: Clock) -> None:
    """A person whose number WhatsApp hides is found among the recipients."""
    await home.choose("recipients")
    add_recipient(home.hass, home.entry, home.session, BEN, "Ben")
    await clock.run(1)
    await home.get("Hidden", as_lid=True)
    await home.get("Stranger", chat_id=STRANGER, as_lid=True)
    await clock.run(20)
    assert home.texts == ["Hidden"]
    assert home.last["sender"] == "+12025550123"
    assert home.last["chat_id"] == BEN
    assert home.last["recipient"] == "notify.ben"


@needs("receiving", "lid_lookup")
async def test_unknown_lid(everyone: Receiving, clock: Clock) -> None:
    """A message whose sender's number isn't told in time is shown with the LID."""
    everyone.gateway.fail("lid", hang=True)
    await everyone.get("Hidden", as_lid=True)
    await everyone.get("Next")
    await clock.run(SOON)
    assert everyone.texts == ["Next"]
    await clock.run(10)
    assert everyone.texts == ["Next", "Hidden"]
    assert everyone.last["sender"] == everyone.last["chat_id"]
    assert everyone.last["sender"].endswith("@lid")


@needs("receiving", "lid_lookup")
async def test_lid_outage(home: Receiving, clock: Clock) -> None:
    """A recipient is found again soon after the gateway could not be asked."""
    await home.choose("recipients")
    add_recipient(home.hass, home.entry, home.session, BEN, "Ben")
    await clock.run(1)
    home.gateway.fail("lid", status=500)
    await home.get("Outage", as_lid=True)
    await clock.run(15)
    home.gateway.heal()
    await home.get("Found", as_lid=True)
    await clock.run(SOON)
    assert home.texts[-1:] == ["Found"]


async def test_form(home: Receiving, clock: Clock) -> None:
    """Receiving is off until it is turned on, and an entity exists while it is."""
    await home.get("Off")
    await clock.run(SOON)
    assert home.hass.states.get(MESSAGE) is None
    dialog = await home.form()
    loaded = home.account.coordinator
    await dialog.give(receive="no")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    await home.hass.async_block_till_done()
    assert home.account.coordinator is loaded

    await home.choose("everyone")
    assert home.entry.options == {"receive": "everyone"}
    await home.get("On")
    await clock.run(SOON)
    assert home.texts == ["On"]

    await home.choose("no")
    webhook = home.account.webhook
    calls = webhook and webhook.calls
    await home.get("Off again")
    await clock.run(SOON)
    assert home.texts == ["On"]
    # it isn't even reported
    assert (webhook and webhook.calls) == calls
    assert home.hass.states.get(MESSAGE) is None
    assert er.async_get(home.hass).async_get(MESSAGE) is None


async def test_status_update(everyone: Receiving, clock: Clock) -> None:
    """What is no message for the user is not shown, and no reason to poll."""
    polls = everyone.gateway.count("list")
    await everyone.get("My day", chat_id="status@broadcast")
    await clock.run(SOON)
    assert everyone.seen == []
    assert everyone.gateway.count("list") == polls

    await everyone.get("Hello")
    await clock.run(SOON)
    assert everyone.texts == ["Hello"]


async def test_reported_after_the_end(everyone: Receiving, clock: Clock) -> None:
    """A gateway that still reports messages while they are turned off is ignored."""
    everyone.hass.config_entries.async_update_entry(everyone.entry, options={})
    await everyone.get()
    await clock.run(SOON)
    assert everyone.seen == []


@pytest.mark.parametrize("provider_key", BY_WEBHOOK)
async def test_needs_webhook(home: Receiving, clock: Clock) -> None:
    """A gateway that reports messages by its webhook needs it."""
    off = await home.form("webhook")
    await off.give(webhook=False)
    dialog = await home.form()
    await dialog.give(receive="everyone")
    assert dialog.errors == {"receive": "webhook_required"}
    assert not home.entry.options
    assert not home.gateway.webhooks.active

    on = await home.form("webhook")
    await on.give(webhook=True)
    await dialog.give(receive="everyone")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    await home.until_ready()
    await home.get()
    await clock.run(SOON)
    assert home.texts == ["Hello"]

    needed = await home.form("webhook")
    await needed.give(webhook=False)
    assert needed.errors == {"base": "webhook_needed"}
    assert home.gateway.webhooks.active
    await home.choose("no")
    await needed.give(webhook=False)
    assert needed.result["type"] is FlowResultType.CREATE_ENTRY
    assert not home.gateway.webhooks.active


async def test_failed_poll(everyone: Receiving, clock: Clock) -> None:
    """Messages arrive while polls fail, and none is new when they succeed again."""
    await everyone.get("Before")
    await clock.run(SOON)
    everyone.gateway.fail("list", status=500)
    await everyone.account.coordinator.async_refresh()
    assert state_of(everyone.hass, "sensor.home_status") == STATE_UNAVAILABLE
    await everyone.get("Meanwhile")
    await clock.run(SOON)
    everyone.gateway.heal()
    await everyone.account.coordinator.async_refresh()
    await clock.run(2 * POLL)
    assert everyone.texts == ["Before", "Meanwhile"]


@needs("receiving", "events")
async def test_cut(everyone: Receiving, clock: Clock) -> None:
    """What happens while a connection is cut is lost, and nothing is shown twice."""
    await everyone.get("Before")
    await clock.run(SOON)
    everyone.gateway.hang_up()
    await everyone.get("Lost")
    await clock.run(1)
    await everyone.until_ready()
    await clock.run(3)
    await everyone.get("After")
    await clock.run(SOON)
    assert everyone.texts == ["Before", "After"]


async def test_disabled(
    everyone: Receiving, clock: Clock, hass_client: ClientSessionGenerator
) -> None:
    """Messages of an instance whose entity is disabled are dropped."""
    by_user = er.RegistryEntryDisabler.USER
    registry = er.async_get(everyone.hass)
    registry.async_update_entity(MESSAGE, disabled_by=by_user)
    await clock.run(1)
    await everyone.get()
    await clock.run(SOON)
    assert (await counts(everyone, hass_client))["dropped"] == {"no_entity": 1}
    registry.async_update_entity(MESSAGE, disabled_by=None)
    await clock.run(POLL)
    await everyone.until_ready()
    await everyone.get("Enabled")
    await clock.run(SOON)
    assert everyone.texts == ["Enabled"]


@pytest.mark.parametrize("busy", ["idle", "burst", "lookup"])
async def test_unload(everyone: Receiving, clock: Clock, busy: str) -> None:
    """Unloading an account ends everything in any state, and nothing is shown then.

    What waited is shown when the account is loaded again.
    """
    hass, entry, gateway = everyone.hass, everyone.entry, everyone.gateway
    if busy == "lookup":
        if not gateway.has("lids"):
            return
        gateway.fail("lid", hang=True)
    expected = [f"{number}" for number in range(100 * (busy != "idle"))]
    for text in expected:
        await everyone.get(text, as_lid=busy == "lookup")
    await clock.run(0.01)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert not [task for task in asyncio.all_tasks() if "messages" in task.get_name()]
    shown = len(everyone.seen)
    assert shown < len(expected) or busy == "idle"
    gateway.heal()
    await clock.run(POLL)
    assert len(everyone.seen) == shown
    assert state_of(hass, MESSAGE) == STATE_UNAVAILABLE

    assert await hass.config_entries.async_setup(entry.entry_id)
    await everyone.until_ready()
    assert (state_of(hass, MESSAGE) == STATE_UNKNOWN) is (busy == "idle")
    await everyone.get("After")
    await clock.run(SOON)
    assert everyone.texts == [*expected, "After"]


async def test_arrives_during_unload(everyone: Receiving, clock: Clock) -> None:
    """A message that arrives while the entities are removed is shown after a reload."""
    hass, entry, inbox_before = everyone.hass, everyone.entry, everyone.account.inbox
    message = IncomingMessage(
        event=MessageEvent.RECEIVED,
        instance_id=everyone.session.id,
        id="3EB0",
        chat_id=BEN,
        kind=MessageKind.TEXT,
        sent_at=dt_util.utcnow(),
        sender_id=BEN,
        text="Meanwhile",
    )
    states: list[ConfigEntryState] = []

    @callback
    def removed(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        is_gone = state is None or state.state == STATE_UNAVAILABLE
        if event.data["entity_id"] == MESSAGE and is_gone and not states:
            states.append(entry.state)
            inbox_before.put(message)

    hass.bus.async_listen(EVENT_STATE_CHANGED, removed)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await everyone.until_ready()
    await clock.run(SOON)
    assert states == [ConfigEntryState.UNLOAD_IN_PROGRESS]
    assert everyone.texts == ["Meanwhile"]


async def test_too_many(
    everyone: Receiving,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    hass_client: ClientSessionGenerator,
) -> None:
    """Messages that arrive too fast are dropped, which is said once."""
    monkeypatch.setattr(inbox, "MAX_QUEUED", 0)
    for _ in range(3):
        await everyone.get("Secret")
    await clock.run(SOON)
    assert everyone.seen == []
    assert caplog.text.count("arrive too fast") == 1
    assert (await counts(everyone, hass_client))["dropped"] == {"too_many": 3}
    monkeypatch.undo()
    await everyone.get("Again")
    await clock.run(SOON)
    assert everyone.texts == ["Again"]
