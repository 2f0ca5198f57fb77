"""Find the answers to questions that were sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING
import unicodedata

from homeassistant.util import dt as dt_util

from .phone_number import plain_text
from .providers.message_parsing import bare_id
from .providers.messages import MessageEvent, next_sequence

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from .providers.messages import IncomingMessage
    from .sent import SentMessages

CLOCK_TOLERANCE_SECONDS = 3
"""How far WhatsApp's clock may be behind ours."""

EMOJI_STYLES = "\ufe0e\ufe0f"
"""Variation selectors, which phones add to signs that are also emojis."""


@dataclass(slots=True, kw_only=True, eq=False)
class Question:
    """A question with numbered choices, from its send to its answer."""

    instance_id: str
    chat_id: str
    choices: dict[int, str]
    """Texts by their numbers."""
    answer: asyncio.Future[tuple[int, IncomingMessage]]
    """The number of a choice, and the message that has chosen it."""
    asked_at: datetime = field(default_factory=dt_util.utcnow)
    sequence: int = 0
    """Order of arrival: earlier messages have a lower value."""
    message_id: str | None = None
    """None if the gateway doesn't tell it."""
    is_sent: bool = False
    waiting: list[IncomingMessage] = field(default_factory=list)
    """Messages that arrived while it was on its way."""

    def may_follow(self, message: IncomingMessage) -> bool:
        """Return whether a message of the same chat was written after the question.

        WhatsApp's times are whole seconds.
        """
        chat = message.instance_id, message.chat_id
        if chat != (self.instance_id, self.chat_id) or message.sequence < self.sequence:
            return False
        seconds = int(message.sent_at.timestamp()) - int(self.asked_at.timestamp())
        return seconds >= -CLOCK_TOLERANCE_SECONDS

    def choice_of(self, text: str) -> int | None:
        """Return the choice that a text names by its number or its words."""
        number = plain_text(text).rstrip(".)")
        text = _simplified(text)
        by_number = (choice for choice in self.choices if str(choice) == number)
        by_words = (
            choice
            for choice, words in self.choices.items()
            if _simplified(words) == text
        )
        return next(chain(by_number, by_words), None)


class Questions:
    """The questions of an account that wait for an answer."""

    def __init__(self, sent: SentMessages) -> None:
        """Start without any."""
        self._sent = sent
        self._open: list[Question] = []
        """In the order in which they were sent."""

    def start(self, question: Question) -> None:
        """Note that a question is sent now; its send may be repeated."""
        self.close(question)
        question.asked_at, question.sequence = dt_util.utcnow(), next_sequence()
        self._open.append(question)

    def note_sent(self, question: Question, message_id: str | None) -> None:
        """Note that a question has been sent, or may have been."""
        question.message_id, question.is_sent = message_id, True
        self._offer_waiting(question)

    def close(self, question: Question) -> None:
        """Give a question up, or end it."""
        if question in self._open:
            self._open.remove(question)
            self._offer_waiting(question)

    def _offer_waiting(self, question: Question) -> None:
        messages, question.waiting = question.waiting, []
        for message in messages:
            self.offer(message)

    def offer(self, message: IncomingMessage) -> None:
        """Hand a message to the question that it answers.

        It is the one that is quoted, and without a quote the last one.
        """
        if message.event is not MessageEvent.RECEIVED:
            return
        for question in reversed(self._open):
            if question.answer.done() or not question.may_follow(message):
                continue
            if not question.is_sent:
                question.waiting.append(message)
                return
            if self._is_for(question, message.reply_to):
                if number := question.choice_of(message.text):
                    question.answer.set_result((number, message))
                return

    def _is_for(self, question: Question, quoted: str | None) -> bool:
        if quoted is None:
            return True
        if question.message_id is None:
            # it may be this one if it is none of the others
            return not self._sent.has(question.instance_id, quoted)
        return bare_id(quoted) == bare_id(question.message_id)


def _simplified(text: str) -> str:
    """Return a text in lower case, without invisible characters."""
    visible = (
        character
        for character in text
        if unicodedata.category(character) != "Cf" and character not in EMOJI_STYLES
    )
    return "".join(visible).strip().casefold()
