"""Questions that wait for an answer."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
import time
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.core import Context
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
)
from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.messages.questions import (
    CLOCK_TOLERANCE_SECONDS,
)
from tests.harness.facts import needs
from tests.harness.receiving import Receiving, start_with_recipients
from tests.harness.recipients import FAMILY

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

receiving = needs("receiving")
SENT = 5.0
"""Seconds until a question has been sent, at most."""
SOON = 1.0
NONE = dict.fromkeys(("number", "answer", "sender_name", "message_id"))
"""The response without an answer."""


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Receiving:
    """Return an account with two recipients whose messages it receives."""
    return await start_with_recipients(
        hass, gateway, entry, hass_client_no_auth, "recipients"
    )


class Asked:
    """A question to Ben that is being asked."""

    def __init__(self, home: Receiving, **data: Any) -> None:
        """Call the action."""
        data = {
            "entity_id": "notify.ben",
            "message": "Close the garage?",
            "choices": ["Yes", "No"],
            "time_limit": 60,
            **data,
        }
        call = home.hass.services.async_call(
            DOMAIN, "ask_question", data, blocking=True, return_response=True
        )
        self.task: asyncio.Task[Any] = asyncio.create_task(call)

    @property
    def number(self) -> int | None:
        """The number of the choice, None while there is no answer."""
        if not self.task.done():
            return None
        number: int | None = self.task.result()["number"]
        return number

    async def end(self) -> dict[str, Any]:
        """Wait until it ends; return the response."""
        response: dict[str, Any] = await self.task
        return response


async def ask(home: Receiving, clock: Clock, **data: Any) -> Asked:
    """Ask Ben a question, and wait until it has been sent."""
    asked = Asked(home, **data)
    await clock.run(SENT)
    return asked


@receiving
async def test_answer(home: Receiving, clock: Clock) -> None:
    """The response tells which choice it is, and who has chosen it."""
    asked = await ask(home, clock)
    assert home.gateway.sent[0].text == "Close the garage?\n\n1. Yes\n2. No"
    for text in ("3", "Maybe", "", "11"):
        await home.get(text)
    await home.get("1", chat_id=FAMILY, sender="12025550123")
    await home.get("1", chat_id="12025550199@s.whatsapp.net")
    await clock.run(SOON)
    assert not asked.task.done()
    message_id = await home.get("\u200e no ")
    assert await asked.end() == {
        "number": 2,
        "answer": "No",
        "sender_name": "Ben",
        "message_id": message_id,
    }


@receiving
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2),
        ("2.", 2),
        ("2)", 2),
        ("2\ufe0f\u20e3", 2),
        ("\u0662", 2),
        ("\uff12", 2),
        (" TWO ", 3),
        ("\U0001f44d\ufe0f", 4),
        ("3", 3),
        ("22", None),
        ("2 3", None),
    ],
)
async def test_choice(
    home: Receiving, clock: Clock, text: str, number: int | None
) -> None:
    """An answer is a number as phones write it, or the words of a choice."""
    asked = await ask(home, clock, choices=["2", "3", "two", "\U0001f44d"])
    await home.get(text)
    await clock.run(SOON)
    assert asked.number == number
    asked.task.cancel()


@receiving
async def test_markdown(home: Receiving, clock: Clock) -> None:
    """Markdown in a question becomes WhatsApp's own form; the choices stay."""
    asked = await ask(home, clock, message="Close the **garage**?", choices=["__Yes__"])
    assert home.gateway.sent[0].text == "Close the *garage*?\n\n1. __Yes__"
    await home.get("__yes__")
    assert (await asked.end())["answer"] == "__Yes__"


@receiving
@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"message": "\u200e"}, "message_required"),
        ({"message": "x" * 65_536}, "message_too_long"),
        ({"choices": ["Yes", "\ud83d"]}, "invalid_characters"),
    ],
)
async def test_invalid_text(
    home: Receiving, clock: Clock, data: dict[str, Any], key: str
) -> None:
    """A question that can't be sent is refused before the gateway is asked."""
    with pytest.raises(ServiceValidationError) as error:
        await Asked(home, **data).end()
    assert error.value.translation_key == key
    assert home.gateway.sent == []

    asked = await ask(home, clock)
    await home.get("1")
    assert (await asked.end())["number"] == 1


@receiving
async def test_no_choices(home: Receiving) -> None:
    """A question that nobody could answer isn't sent."""
    asked = Asked(home, choices=["", " "])
    with pytest.raises(ServiceValidationError) as error:
        await asked.end()
    assert error.value.translation_key == "choices_required"
    assert home.gateway.sent == []


@receiving
async def test_no_answer(home: Receiving, clock: Clock) -> None:
    """Without an answer in time the response is empty, and a late one is ignored."""
    asked = await ask(home, clock, time_limit={"seconds": 30})
    await clock.run(31)
    assert await asked.end() == NONE
    await home.get("1")
    await clock.run(SOON)
    later = await ask(home, clock)
    await clock.run(SOON)
    assert not later.task.done()
    await home.get("2")
    assert (await later.end())["number"] == 2


@receiving
async def test_group(home: Receiving, clock: Clock) -> None:
    """In a group, the first answer counts."""
    asked = await ask(home, clock, entity_id="notify.family")
    await home.get("2", chat_id=FAMILY, sender="12025550199", name="Zoe")
    await home.get("1", chat_id=FAMILY, sender="12025550123")
    response = await asked.end()
    assert (response["number"], response["sender_name"]) == (2, "Zoe")


@needs("receiving", "replies", "message_ids")
async def test_quotes(home: Receiving, clock: Clock) -> None:
    """A reply that quotes another message is no answer."""
    other = await home.get("Hello")
    asked = await ask(home, clock)
    await home.get("1", reply_to=other)
    await home.get("1", reply_to="3EB0FFFFFFFFFFFFFFFFFF")
    await clock.run(SOON)
    assert not asked.task.done()
    await home.get("2", reply_to=home.gateway.sent[0].id)
    assert (await asked.end())["number"] == 2


@receiving
async def test_two_questions(home: Receiving, clock: Clock) -> None:
    """Without a quote, an answer belongs to the latest question that is open."""
    first, second = await ask(home, clock), await ask(home, clock)
    # a choice of the first one only
    await home.get("Yes!")
    await home.get("1")
    await clock.run(SOON)
    assert (first.number, second.number) == (None, 1)
    await home.get("2")
    await clock.run(SOON)
    assert first.number == 2


@receiving
async def test_two_answers_at_once(home: Receiving, clock: Clock) -> None:
    """A question takes one answer, and the next one belongs to the question before."""
    first, second = await ask(home, clock), await ask(home, clock)
    await asyncio.gather(home.get("1"), home.get("1"))
    await clock.run(SOON)
    assert (first.number, second.number) == (1, 1)


@receiving
async def test_choices_of_an_older_question(home: Receiving, clock: Clock) -> None:
    """The latest question is the only one, also if its choices are others."""
    first = await ask(home, clock, choices=["", "", "", "Later"])
    second = await ask(home, clock)
    await home.get("4")
    await home.get("later")
    await clock.run(SOON)
    assert (first.number, second.number) == (None, None)
    second.task.cancel()
    await clock.run(SOON)
    await home.get("later")
    await clock.run(SOON)
    assert first.number == 4


@needs("receiving", "replies", "message_ids")
async def test_quoted_older_question(home: Receiving, clock: Clock) -> None:
    """A quote tells which of two questions is answered."""
    first, second = await ask(home, clock), await ask(home, clock)
    await home.get("1", reply_to=home.gateway.sent[0].id)
    await clock.run(SOON)
    assert (first.number, second.number) == (1, None)
    await home.get("2", reply_to=home.gateway.sent[0].id)
    await clock.run(SOON)
    assert second.number is None
    await home.get("2", reply_to=home.gateway.sent[1].id)
    await clock.run(SOON)
    assert second.number == 2


@receiving
@pytest.mark.parametrize(
    ("seconds", "counts"),
    [
        (0, True),
        (-CLOCK_TOLERANCE_SECONDS, True),
        (-10, False),
        (-120, False),
        (9, True),
    ],
)
async def test_time(
    home: Receiving, clock: Clock, seconds: float, *, counts: bool
) -> None:
    """What was written before the question is no answer, but clocks differ a bit."""
    asked_at = time.time()
    asked = await ask(home, clock)
    await home.get("1", sent_at=asked_at + seconds)
    await clock.run(SOON)
    assert asked.task.done() is counts
    await home.get("2")
    assert (await asked.end())["number"] == (1 if counts else 2)


@receiving
async def test_time_of_the_second(home: Receiving, clock: Clock) -> None:
    """What was written just before a question answers the one before it."""
    first = await ask(home, clock)
    asked_at = time.time()
    second = await ask(home, clock)
    await home.get("1", sent_at=asked_at - 1)
    await clock.run(SOON)
    assert (first.number, second.number) == (1, None)
    await home.get("2", sent_at=asked_at - 1)
    assert (await second.end())["number"] == 2


@receiving
async def test_arrived_before(home: Receiving, clock: Clock) -> None:
    """What has arrived before the question was sent never counts."""
    home.gateway.fail("send", delay=2)
    await home.get("1")
    await clock.run(0.1)
    asked = await ask(home, clock)
    assert not asked.task.done()
    await home.get("2")
    assert (await asked.end())["number"] == 2


@receiving
async def test_while_it_waits(home: Receiving, clock: Clock) -> None:
    """A question that waits for its turn, or for the gateway, isn't asked yet."""
    first = await ask(home, clock)
    home.gateway.fail("send", status=429, headers={"Retry-After": "30"}, times=1)
    second = Asked(home)
    await clock.run(10)
    await home.get("1")
    await clock.run(SOON)
    assert second.number is None
    await clock.run(40)
    assert len(home.gateway.sent) == 2
    assert (first.number, second.number) == (1, None)
    await home.get("2")
    await clock.run(SOON)
    assert second.number == 2


@receiving
@pytest.mark.parametrize("quotes", [False, True])
async def test_may_be_sent(home: Receiving, clock: Clock, *, quotes: bool) -> None:
    """A question that may have been sent counts as asked."""
    before = await ask(home, clock)
    home.gateway.fail("send", truncate=True)
    asked = await ask(home, clock)
    assert not asked.task.done()
    question = home.gateway.sent[1].id
    await home.get("2", **({"reply_to": question} if quotes else {}))
    await clock.run(SOON)
    assert (before.number, asked.number) == (None, 2)
    before.task.cancel()


@needs("receiving", "replies", "message_ids")
async def test_other_quote_without_id(home: Receiving, clock: Clock) -> None:
    """A quote of another question is no answer to one whose ID isn't known."""
    before = await ask(home, clock)
    home.gateway.fail("send", truncate=True)
    asked = await ask(home, clock)
    await home.get("1", reply_to=home.gateway.sent[0].id)
    await clock.run(SOON)
    assert (before.number, asked.number) == (1, None)
    await home.get("2")
    assert (await asked.end())["number"] == 2


@needs("receiving", "replies", "message_ids", "own_messages")
async def test_reported_question(home: Receiving, clock: Clock) -> None:
    """The report of a question that may have been sent tells its ID."""
    before = await ask(home, clock)
    home.gateway.forgets_own = True
    home.gateway.fail("send", truncate=True)
    asked = await ask(home, clock)
    home.gateway.heal()
    await home.get("1", reply_to="3EB0FFFFFFFFFFFFFFFFFF")
    await clock.run(SOON)
    assert (before.number, asked.number) == (None, None)
    await home.get("2", reply_to=home.gateway.sent[1].id)
    await clock.run(SOON)
    assert (before.number, asked.number) == (None, 2)
    await home.get("1")
    assert (await before.end())["number"] == 1


@needs("receiving", "replies", "message_ids")
async def test_quote_of_a_known_message(home: Receiving, clock: Clock) -> None:
    """A quote of a message from somebody else is no answer, also without the ID."""
    other = await home.get("Hello")
    home.gateway.fail("send", truncate=True)
    asked = await ask(home, clock)
    home.gateway.heal()
    later = await home.get("Are you there?")
    for message_id in (other, later):
        await home.get("1", reply_to=message_id)
    await clock.run(SOON)
    assert not asked.task.done()
    await home.get("2", reply_to=home.gateway.sent[0].id)
    assert (await asked.end())["number"] == 2


@receiving
@pytest.mark.parametrize("ending", ["time_limit", "cancel", "cancel_while_sent"])
async def test_ended_question(home: Receiving, clock: Clock, ending: str) -> None:
    """An answer to a question that has ended isn't one to an older question."""
    first = await ask(home, clock, choices=["Yes", "No", "Later"], time_limit=300)
    if ending == "cancel_while_sent":
        home.gateway.fail("send", late=5, times=1)
    second = Asked(home, time_limit=20)
    await clock.run(30 if ending == "time_limit" else 2)
    second.task.cancel()
    await clock.run(10)
    assert len(home.gateway.sent) == 2
    await home.get("1")
    await home.get("no")
    await clock.run(SOON)
    assert first.number is None
    await home.get("3")
    assert (await first.end())["number"] == 3
    # nothing is left to be absorbed
    third = await ask(home, clock)
    await home.get("1")
    assert (await third.end())["number"] == 1


@receiving
async def test_long_ended_question(home: Receiving, clock: Clock) -> None:
    """After ten minutes nobody answers a question that has ended."""
    first = await ask(home, clock, time_limit=3600)
    second = Asked(home, time_limit=20)
    await clock.run(30)
    await home.get("1")
    await clock.run(600)
    assert (first.number, second.task.done()) == (None, True)
    await home.get("2")
    assert (await first.end())["number"] == 2


@needs("receiving", "replies", "message_ids")
async def test_quote_beside_an_ended_question(home: Receiving, clock: Clock) -> None:
    """A quote of an older question is an answer to it."""
    first = await ask(home, clock)
    second = await ask(home, clock)
    second.task.cancel()
    await clock.run(SOON)
    await home.get("1", reply_to=home.gateway.sent[1].id)
    await clock.run(SOON)
    assert first.number is None
    await home.get("2", reply_to=home.gateway.sent[0].id)
    assert (await first.end())["number"] == 2


@receiving
async def test_taken_back_question(home: Receiving, clock: Clock) -> None:
    """A question that was never sent absorbs nothing."""
    first = await ask(home, clock)
    home.gateway.fail("send", status=429, headers={"Retry-After": "30"}, times=1)
    second = Asked(home)
    await clock.run(5)
    second.task.cancel()
    await home.get("1")
    assert (await first.end())["number"] == 1
    assert len(home.gateway.sent) == 1
    await clock.run(30)


@receiving
async def test_cancelled_before_a_repetition(home: Receiving, clock: Clock) -> None:
    """A question that nobody waits for is not sent after the gateway's pause."""
    first = await ask(home, clock)
    home.gateway.fail(
        "send", status=429, headers={"Retry-After": "10"}, delay=5, times=1
    )
    second = Asked(home)
    await clock.run(3)
    second.task.cancel()
    await clock.run(20)
    assert len(home.gateway.sent) == 1
    await home.get("1")
    await clock.run(SOON)
    assert first.number == 1


@receiving
@pytest.mark.parametrize("behind", [60, -60])
async def test_wrong_clock(home: Receiving, clock: Clock, behind: int) -> None:
    """If Home Assistant's clock is wrong, the gateway's time of the answer helps."""

    def theirs(seconds: float) -> float:
        return time.time() - behind + seconds

    date = formatdate(theirs(0), usegmt=True)
    home.gateway.fail("send", status=200, headers={"Date": date}, body=b"{}")
    asked = await ask(home, clock)
    home.gateway.heal()
    await home.get("1", sent_at=theirs(-SENT - 10))
    await clock.run(SOON)
    assert not asked.task.done()
    await home.get("2", sent_at=theirs(0))
    assert (await asked.end())["number"] == 2


@needs("receiving", "replies", "message_ids")
async def test_quote_needs_no_clock(home: Receiving, clock: Clock) -> None:
    """A quote of the question is an answer whatever the time of the message."""
    asked = await ask(home, clock)
    await home.get("1", sent_at=time.time() - 60)
    await clock.run(SOON)
    assert not asked.task.done()
    quote = {"reply_to": home.gateway.sent[0].id}
    await home.get("2", sent_at=time.time() - 60, **quote)
    assert (await asked.end())["number"] == 2


@receiving
async def test_written_before_a_slow_send(home: Receiving, clock: Clock) -> None:
    """What arrives while a question is sent, but was written before, doesn't count."""
    before = await ask(home, clock)
    asked_at = time.time()
    home.gateway.fail("send", late=8, times=1)
    asked = Asked(home)
    await clock.run(4)
    await home.get("1", sent_at=asked_at - 4)
    await clock.run(6)
    assert (before.number, asked.number) == (1, None)
    await home.get("2")
    assert (await asked.end())["number"] == 2


@receiving
async def test_not_sent(home: Receiving, clock: Clock) -> None:
    """A question that was refused is an error, and the one before gets the answer."""
    before = await ask(home, clock)
    home.gateway.fail("send", status=400, delay=3)
    asked = Asked(home)
    await clock.run(1)
    await home.get("1")
    await clock.run(SENT)
    with pytest.raises(HomeAssistantError) as error:
        await asked.end()
    assert error.value.translation_key == "not_sent"
    assert "notify.ben" in (error.value.translation_placeholders or {})["failures"]
    assert before.number == 1
    home.gateway.heal()
    again = await ask(home, clock)
    await home.get("1")
    assert (await again.end())["number"] == 1


@receiving
async def test_reload(home: Receiving, clock: Clock) -> None:
    """A question goes on to wait while the account is reloaded."""
    asked = await ask(home, clock)
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    await home.get("1")
    assert (await asked.end())["number"] == 1


@receiving
async def test_disabled_entity(home: Receiving, clock: Clock) -> None:
    """The event entity isn't needed."""
    registry = er.async_get(home.hass)
    user = er.RegistryEntryDisabler.USER
    registry.async_update_entity("event.home_message", disabled_by=user)
    await home.hass.async_block_till_done()
    asked = await ask(home, clock)
    await home.get("1")
    assert (await asked.end())["number"] == 1


@receiving
async def test_not_receiving(home: Receiving) -> None:
    """Without receiving there would be no answer."""
    await home.choose("no")
    with pytest.raises(ServiceValidationError) as error:
        await Asked(home).end()
    assert error.value.translation_key == "not_receiving"
    assert home.gateway.sent == []


@receiving
async def test_user(
    home: Receiving, hass_read_only_user: MockUser, clock: Clock
) -> None:
    """Who can't control entities can't ask."""
    data = {"entity_id": "notify.ben", "message": "Hello?", "choices": ["Yes"]}
    with pytest.raises(Unauthorized):
        await home.hass.services.async_call(
            DOMAIN,
            "ask_question",
            data,
            blocking=True,
            context=Context(user_id=hass_read_only_user.id),
        )


@needs("receiving", "own_messages")
async def test_own_answer(home: Receiving, clock: Clock) -> None:
    """What the phone sends is no answer."""
    asked = await ask(home, clock)
    await home.get("1", from_me=True)
    await clock.run(SOON)
    assert not asked.task.done()
    await home.get("2")
    assert (await asked.end())["number"] == 2
