"""The action that asks a question and waits for the answer."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import voluptuous as vol

from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv

from ..const import Receive
from ..messages.questions import Question
from ..providers.messages import OutgoingMessage
from ..texts import failed, invalid, is_maybe_sent
from .calls import async_check_control, destinations_by_entity
from .fields import ATTR_MESSAGE, NOT_EMPTY, check_features
from .send import async_reason, async_send

if TYPE_CHECKING:
    from homeassistant.core import ServiceCall, ServiceResponse

    from .calls import Destination

ATTR_CHOICES = "choices"
ATTR_TIME_LIMIT = "time_limit"
ASK_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_ENTITY_ID): cv.entity_id,
        vol.Required(ATTR_MESSAGE): NOT_EMPTY,
        vol.Required(ATTR_CHOICES): vol.All(
            cv.ensure_list, [vol.All(cv.string, vol.Strip)], vol.Length(min=1)
        ),
        vol.Optional(ATTR_TIME_LIMIT, default={"minutes": 5}): cv.positive_time_period,
    }
)


async def async_ask_question(call: ServiceCall) -> ServiceResponse:
    """Ask a question, and return its first answer, or none after the time limit."""
    await async_check_control(call)
    data = call.data
    [destination] = destinations_by_entity(call.hass, [data[ATTR_ENTITY_ID]])
    account = destination.account
    check_features(account.provider, {ATTR_MESSAGE: data[ATTR_MESSAGE]})
    if account.inbox.receive is Receive.NO:
        raise invalid("not_receiving")
    if not any(data[ATTR_CHOICES]):
        raise invalid("choices_required")
    question = Question(
        instance_id=destination.instance_id,
        chat_id=destination.chat_id,
        # an empty choice keeps its number
        choices={
            number: choice
            for number, choice in enumerate(data[ATTR_CHOICES], 1)
            if choice
        },
        answer=call.hass.loop.create_future(),
    )
    try:
        await _async_send(destination, question, data[ATTR_MESSAGE])
        async with asyncio.timeout(data[ATTR_TIME_LIMIT].total_seconds()):
            number, message = await question.answer
    except TimeoutError:
        return dict.fromkeys(("number", "answer", "sender_name", "message_id"))
    finally:
        account.memory.questions.close(question)
    return {
        "number": number,
        "answer": question.choices[number],
        "sender_name": message.sender_name,
        "message_id": message.id,
    }


async def _async_send(
    destination: Destination, question: Question, message: str
) -> None:
    """Send a question with its choices; one that may have been sent is no error."""
    choices = (f"{number}. {text}" for number, text in question.choices.items())
    text = "\n".join([message, "", *choices])
    questions = destination.account.memory.questions
    result = await async_send(
        destination,
        lambda _: nullcontext(OutgoingMessage(text=text)),
        partial(questions.start, question),
    )
    if not isinstance(result, HomeAssistantError):
        questions.note_sent(question, result.answered_at)
    elif is_maybe_sent(result):
        questions.note_sent(question, None)
    else:
        reason = await async_reason(destination.account.hass, result)
        raise failed("not_sent", failures=f"{destination.name}: {reason}")
