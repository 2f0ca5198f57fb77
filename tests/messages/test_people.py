"""People are recognized by what a message tells, and asked for beside the queue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
import time
from typing import TYPE_CHECKING

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.messages import inbox, people
from custom_components.whatsapp_gateway.messages.memory import async_memory_of
from custom_components.whatsapp_gateway.providers.messages import (
    IncomingMessage,
    MessageEvent,
    MessageKind,
)
from custom_components.whatsapp_gateway.providers.models import Skipped
from tests.harness.facts import SUPPORTED, needs
from tests.harness.receiving import MESSAGE, Receiving
from tests.harness.recipients import BEN, FAMILY, add_recipient

if TYPE_CHECKING:
    from tests.harness.clock import Clock

BEN_NUMBER = "12025550123"
SOON = 0.5
"""Seconds until a message is shown, at most."""
TIME_LIMIT = 5
"""Seconds that a gateway has to tell a number."""


@pytest.fixture(
    params=[key for key, kind in SUPPORTED.items() if kind.has("receiving")]
)
def provider_key(request: pytest.FixtureRequest) -> str:
    """Return the key of each provider that reports messages in turn."""
    key: str = request.param
    return key


def strangers(home: Receiving, count: int) -> list[str]:
    """Let WhatsApp know people by a LID only; return their chat IDs."""
    numbers = [str(12025551000 + number) for number in range(count)]
    home.gateway.lids |= {number: f"28147497671{number[-4:]}" for number in numbers}
    return [f"{number}@s.whatsapp.net" for number in numbers]


@pytest.mark.parametrize("chat", [BEN, FAMILY])
@needs("receiving", "lids")
async def test_number_beside_lid(home: Receiving, clock: Clock, chat: str) -> None:
    """A number that is told with the LID isn't asked for, and is known from then on."""
    await home.choose("recipients")
    for one, name in ((BEN, "Ben"), (FAMILY, "Family")):
        add_recipient(home.hass, home.entry, home.session, one, name)
    home.gateway.tells_numbers = True
    await home.get("told", chat_id=chat, sender=BEN_NUMBER, as_lid=True)
    await clock.run(SOON)
    home.gateway.tells_numbers = False
    await home.get("known", chat_id=FAMILY, sender=BEN_NUMBER, as_lid=True)
    await clock.run(SOON)
    # also after a reload
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    await home.get("later", chat_id=chat, sender=BEN_NUMBER, as_lid=True)
    await clock.run(SOON)
    assert home.texts == ["told", "known", "later"]
    assert {state.attributes["sender"] for state in home.seen} == {f"+{BEN_NUMBER}"}
    assert home.gateway.count("lid") == 0


@needs("receiving", "lid_lookup")
async def test_strangers(home: Receiving, clock: Clock) -> None:
    """A gateway that tells no number delays nobody else, and is left alone then."""
    home.gateway.fail("lid", hang=True)
    for chat in strangers(home, 60):
        await home.get("from a stranger", chat_id=chat, as_lid=True)
    await home.get("Open the door")
    await clock.run(SOON)
    assert home.texts == ["Open the door"]
    # a time limit is rounded up to a full second
    await clock.run(TIME_LIMIT + 2)
    assert len(home.texts) == 61
    assert home.gateway.count("lid") == people.MAX_AT_ONCE
    # nothing is asked during the pause
    await home.get("one more", chat_id=strangers(home, 61)[-1], as_lid=True)
    await clock.run(SOON)
    assert home.texts[-1] == "one more"
    assert home.gateway.count("lid") == people.MAX_AT_ONCE
    home.gateway.heal()
    await clock.run(people.PAUSE_SECONDS)
    await home.get("found", as_lid=True)
    await clock.run(SOON)
    assert home.last["sender"] == f"+{BEN_NUMBER}"


@needs("receiving", "lid_lookup")
async def test_order_in_chat(home: Receiving, clock: Clock) -> None:
    """The messages of a chat stay in order, and one question is asked for all."""
    home.gateway.fail("lid", late=2)
    for number in range(5):
        await home.get(f"{number}", as_lid=True)
    home.gateway.tells_numbers = True
    # this one needs no question
    await home.get("5", as_lid=True)
    await clock.run(SOON)
    assert home.texts == []
    await clock.run(2)
    assert home.texts == [f"{number}" for number in range(6)]
    assert home.gateway.count("lid") == 1
    assert home.account.inbox.queued == 0


@needs("receiving", "lid_lookup")
async def test_reload_meanwhile(home: Receiving, clock: Clock) -> None:
    """Messages that wait are shown after a reload, in order and once."""
    home.gateway.fail("lid", late=4)
    for number in range(3):
        await home.get(f"{number}", as_lid=True)
    await clock.run(SOON)
    assert home.texts == []
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    await clock.run(people.MAX_WAIT_SECONDS + SOON)
    assert home.texts == ["0", "1", "2"]
    assert home.account.inbox.queued == 0
    # nothing is kept for the next time
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    await clock.run(people.MAX_WAIT_SECONDS + SOON)
    assert home.texts == ["0", "1", "2"]


@pytest.mark.parametrize("how", ["disabled", "turned off", "too late"])
@needs("receiving", "lid_lookup")
async def test_reload_without_receiving(
    home: Receiving, clock: Clock, how: str
) -> None:
    """Messages that wait end with what they waited for."""
    home.gateway.fail("lid", late=4)
    await home.get("0", as_lid=True)
    await clock.run(SOON)
    entries, entry_id = home.hass.config_entries, home.entry.entry_id
    memory = async_memory_of(home.hass, entry_id)
    if how == "disabled":
        await entries.async_set_disabled_by(entry_id, ConfigEntryDisabler.USER)
        assert memory.waiting == []
        await entries.async_set_disabled_by(entry_id, None)
    elif how == "turned off":
        await home.choose("no")
        assert memory.waiting == []
        await home.choose("everyone")
    else:
        assert await entries.async_unload(entry_id)
        await clock.run(inbox.MAX_AGE_SECONDS)
        assert await entries.async_setup(entry_id)
    await home.until_ready()
    await clock.run(people.MAX_WAIT_SECONDS + SOON)
    assert home.texts == []


@needs("receiving", "lid_lookup")
async def test_two_chats_of_one_person(home: Receiving, clock: Clock) -> None:
    """A LID that writes in several chats is asked for once at a time."""
    home.gateway.fail("lid", late=2)
    await home.get("private", as_lid=True)
    await home.get("group", chat_id=FAMILY, sender=BEN_NUMBER, as_lid=True)
    await clock.run(3)
    assert sorted(home.texts) == ["group", "private"]
    assert {state.attributes["sender"] for state in home.seen} == {f"+{BEN_NUMBER}"}
    assert home.gateway.count("lid") == 1


@pytest.mark.parametrize("in_group", [True, False])
@needs("receiving", "lid_lookup")
async def test_slow_answers(home: Receiving, clock: Clock, *, in_group: bool) -> None:
    """Slow answers delay a message for some seconds at most."""
    home.gateway.fail("lid", late=4)
    for chat in strangers(home, 60):
        sender, _, _ = chat.partition("@")
        to = FAMILY if in_group else chat
        await home.get("hi", chat_id=to, sender=sender, as_lid=True)
    await clock.run(people.MAX_WAIT_SECONDS + SOON)
    assert len(home.texts) == 60
    home.gateway.heal()
    await clock.run(TIME_LIMIT)


@pytest.mark.parametrize("status", [400, 422, 500])
@needs("receiving", "lid_lookup")
async def test_unknown(home: Receiving, clock: Clock, status: int) -> None:
    """A number that isn't known is asked for again only after some minutes."""
    home.gateway.fail("lid", status=status)
    for _ in range(3):
        await home.get("hi", as_lid=True)
        await clock.run(SOON)
    assert home.gateway.count("lid") == 1
    home.gateway.heal()
    await clock.run(people.LOOKUP_INTERVAL_SECONDS)
    await home.get("found", as_lid=True)
    await clock.run(SOON)
    assert home.last["sender"] == f"+{BEN_NUMBER}"


@needs("receiving", "lid_lookup")
async def test_rate_limit(home: Receiving, clock: Clock) -> None:
    """A pause that the gateway asks for is kept."""
    home.gateway.fail("lid", status=429, headers={"Retry-After": "40"})
    await home.get("limited", as_lid=True)
    await clock.run(SOON)
    home.gateway.heal()
    await clock.run(45)
    await home.get("found", as_lid=True)
    await clock.run(SOON)
    assert home.texts == ["limited", "found"]
    assert home.last["sender"] == f"+{BEN_NUMBER}"


@needs("receiving", "lid_lookup")
async def test_nobody_listens(home: Receiving, clock: Clock) -> None:
    """No number is asked for if nobody gets the message."""
    await home.choose("recipients")
    add_recipient(home.hass, home.entry, home.session, FAMILY, "Family")
    await clock.run(1)
    await home.get("other group", chat_id="1@g.us", sender=BEN_NUMBER, as_lid=True)
    assert home.gateway.count("lid") == 0
    registry = er.async_get(home.hass)
    disabled = er.RegistryEntryDisabler.USER
    registry.async_update_entity(MESSAGE, disabled_by=disabled)
    await clock.run(1)
    await home.get("family", chat_id=FAMILY, sender=BEN_NUMBER, as_lid=True)
    await clock.run(SOON)
    assert home.gateway.count("lid") == 0
    assert home.account.inbox.dropped == {"other_chat": 1, "no_entity": 1}
    registry.async_update_entity(MESSAGE, disabled_by=None)
    await clock.run(30)
    await home.until_ready()
    await home.get("family", chat_id=FAMILY, sender=BEN_NUMBER, as_lid=True)
    await clock.run(SOON)
    assert home.texts == ["family"]
    assert home.gateway.count("lid") == 1


@needs("receiving", "lids")
async def test_recipient_by_lid(home: Receiving, clock: Clock) -> None:
    """A recipient that was added by a LID is recognized once the number is known."""
    await home.choose("recipients")
    lid = f"{home.gateway.lids[BEN_NUMBER]}@lid"
    add_recipient(home.hass, home.entry, home.session, lid, "Ben")
    await clock.run(1)
    home.gateway.tells_numbers = True
    await home.get("told", as_lid=True)
    await clock.run(SOON)
    home.gateway.tells_numbers = False
    await home.get("as a number")
    await clock.run(SOON)
    assert home.texts == ["told", "as a number"]
    assert {state.attributes["recipient"] for state in home.seen} == {"notify.ben"}


@needs("receiving", "lid_lookup")
async def test_old_after_lookup(
    home: Receiving, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The age of a message counts when it is handed over."""
    monkeypatch.setattr(inbox, "MAX_AGE_SECONDS", 3)
    home.gateway.fail("lid", hang=True)
    await home.get("too old by then", as_lid=True)
    await clock.run(TIME_LIMIT + 1)
    assert home.texts == []
    assert home.account.inbox.dropped == {"old": 1}
    home.gateway.heal()
    await home.get("fresh")
    await clock.run(SOON)
    assert home.texts == ["fresh"]


async def test_unexpected_error(
    home: Receiving, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """An odd message ends nothing: it is counted, and said once without its content."""
    listeners = home.account.inbox._listeners
    listener = listeners[home.session.id]

    def fail(message: object) -> None:
        raise ValueError(message)

    listeners[home.session.id] = fail
    for _ in range(3):
        await home.get("Secret")
    await clock.run(SOON)
    assert home.account.inbox.dropped == {"unexpected_error": 3}
    assert caplog.text.count("can't be handed over: ValueError") == 1
    assert "Secret" not in caplog.text
    listeners[home.session.id] = listener
    await home.get("After")
    await clock.run(SOON)
    assert home.texts == ["After"]


@pytest.mark.parametrize("seconds", [-400, -300, 0, 300, 400])
async def test_clock_of_home_assistant(
    home: Receiving, clock: Clock, seconds: float
) -> None:
    """A wrong clock of Home Assistant, or of the gateway, drops nothing."""
    home.gateway.clock_ahead = seconds
    await home.account.coordinator.async_refresh()
    now = time.time() + seconds
    await home.get("new", sent_at=now)
    await home.get("a minute ago", sent_at=now - 60)
    await home.get("old", sent_at=now - inbox.MAX_AGE_SECONDS - 30)
    await clock.run(SOON)
    # if Home Assistant's clock is behind, a message that is a little old seems new
    assert home.texts == ["new", "a minute ago", *["old"] * (seconds > 0)]
    # nothing lies in the future
    for state in home.seen:
        assert state.attributes["timestamp"] <= state.last_updated.isoformat()


@pytest.mark.parametrize("delay", [0, 569])
async def test_delayed_report(home: Receiving, clock: Clock, delay: float) -> None:
    """What was held up on its way for minutes is old, whatever its own clock says."""
    home.gateway.clock_ahead = -delay
    await home.get("Open the door", sent_at=time.time() - delay - 1)
    await clock.run(SOON)
    assert home.texts == ([] if delay else ["Open the door"])


@needs("receiving", "lids", "own_messages")
async def test_own_number_beside_lid(home: Receiving, clock: Clock) -> None:
    """Nobody else gets the own number, whatever the gateway tells."""
    own = home.session.phone_number
    home.account.inbox._learn(
        replace(
            message_of_ben(home),
            same_people=(("281474976710652@lid", f"{own}@s.whatsapp.net"),),
            own_ids=(f"{own}@s.whatsapp.net",),
        )
    )
    await home.get("hi", chat_id=FAMILY, sender=BEN_NUMBER, as_lid=True)
    await clock.run(SOON)
    assert home.last["sender"] == f"+{BEN_NUMBER}"


def message_of_ben(home: Receiving) -> IncomingMessage:
    """Return a message as a provider reports it."""
    return IncomingMessage(
        event=MessageEvent.SENT_BY_PHONE,
        instance_id=home.session.id,
        id="1",
        chat_id="281474976710652@lid",
        kind=MessageKind.TEXT,
        sent_at=dt_util.utcnow(),
    )


@needs("receiving", "messages", "lids")
async def test_question_to_lid(home: Receiving, clock: Clock) -> None:
    """The answer to a question is found though the number is known only then."""
    lid = f"{home.gateway.lids[BEN_NUMBER]}@lid"
    add_recipient(home.hass, home.entry, home.session, lid, "Ben")
    await clock.run(1)
    vars(home.gateway).get("cached_chats", set()).add(lid)
    data = {"entity_id": "notify.ben", "message": "Open?", "choices": ["Yes", "No"]}
    asked = asyncio.create_task(
        home.hass.services.async_call(
            DOMAIN, "ask_question", data, blocking=True, return_response=True
        )
    )
    await clock.run(5)
    home.gateway.tells_numbers = True
    await home.get("2", as_lid=True)
    await clock.run(SOON)
    answer = await asked
    assert answer
    assert answer["number"] == 2


async def test_many_reasons(home: Receiving) -> None:
    """Only some reasons are counted by name, whatever a gateway calls them."""
    account_inbox = home.account.inbox
    for number in range(2 * inbox.MAX_REASONS):
        account_inbox.count_skipped(Skipped(f"type{number}"))
    assert len(account_inbox.skipped) == inbox.MAX_REASONS + 1
    assert account_inbox.skipped["other"] == inbox.MAX_REASONS
