"""Find the answers to questions that were sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING

from homeassistant.util import dt as dt_util

from ..providers.message_parsing import bare_id, remember
from ..providers.messages import MessageEvent, next_sequence
from ..texts import without_invisible
from .phone_number import plain_text

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from ..providers.messages import IncomingMessage
    from .people import People
    from .sent import Sending, SentMessages

CLOCK_TOLERANCE_SECONDS = 3
"""How far WhatsApp's clock may be behind ours."""
LATE_ANSWER_SECONDS = 600.0
"""How long after its end people may still answer a question."""
MAX_OTHERS = 1_000
"""Number of IDs of messages of an account that are remembered."""

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
    sending: Sending | None = None
    """Its send, which may be reported only later: then it tells the ID."""
    is_sent: bool = False
    """Whether it has been sent, or may have been."""
    clock_difference: timedelta = timedelta()
    """By how much the gateway's clock is ahead of the one of Home Assistant."""
    ended_at: float = 0.0
    """Of the monotonic clock, in seconds."""
    waiting: list[IncomingMessage] = field(default_factory=list)
    """Messages that arrived while it was on its way."""

    @property
    def message_id(self) -> str | None:
        """The ID of the question, None if it isn't known yet."""
        return self.sending.message_id if self.sending else None

    @property
    def absorbs(self) -> bool:
        """Whether people may still answer it, though nobody waits for that any more."""
        was_sent = self.sending is not None and not self.sending.is_refused
        has_just_ended = monotonic() - self.ended_at < LATE_ANSWER_SECONDS
        return self.answer.cancelled() and was_sent and has_just_ended

    def may_follow(self, message: IncomingMessage) -> bool:
        """Return whether a message of the same chat arrived after the question."""
        chat = message.instance_id, message.chat_id
        return (
            chat == (self.instance_id, self.chat_id)
            and message.sequence > self.sequence
        )

    def is_quoted_by(self, message: IncomingMessage) -> bool:
        """Return whether a message surely quotes the question."""
        if message.reply_to is None or self.message_id is None:
            return False
        return bare_id(message.reply_to) == bare_id(self.message_id)

    def compare_clocks(self, answered_at: datetime) -> None:
        """Note the gateway's time of the answer that has just arrived.

        If the clocks agree, it lies between the question and this moment.
        """
        now = dt_util.utcnow()
        if not self.asked_at.replace(microsecond=0) <= answered_at <= now:
            self.clock_difference = answered_at - now.replace(microsecond=0)

    def is_older_than(self, message: IncomingMessage, tolerance: int) -> bool:
        """Return whether a message was written after the question.

        WhatsApp's times are whole seconds, and so is the tolerance.
        """
        asked_at = self.asked_at + self.clock_difference
        seconds = int(message.sent_at.timestamp()) - int(asked_at.timestamp())
        return seconds >= -tolerance

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

    def __init__(self, sent: SentMessages, people: People) -> None:
        """Start without any."""
        self._sent = sent
        self._people = people
        self._asked: list[Question] = []
        """In the order in which they were sent, with those that absorb answers."""
        self._others: dict[tuple[str, str], None] = {}
        """IDs of messages that are no questions of ours, by instance."""

    def waits(self, instance_id: str) -> bool:
        """Return whether a question of an instance waits for an answer."""
        return any(
            question.instance_id == instance_id and not question.answer.done()
            for question in self._asked
        )

    def start(self, question: Question, sending: Sending) -> None:
        """Note that a question is sent now; its send may be repeated."""
        if question in self._asked:
            self._asked.remove(question)
        question.sending, question.is_sent = sending, False
        question.asked_at, question.sequence = dt_util.utcnow(), next_sequence()
        self._asked.append(question)
        self._offer_waiting(question)

    def note_sent(self, question: Question, answered_at: datetime | None) -> None:
        """Note that a question has been sent, or may have been.

        `answered_at` is the gateway's time at this moment, None if it isn't known.
        """
        if answered_at is not None:
            question.compare_clocks(answered_at)
        question.is_sent = True
        self._offer_waiting(question)

    def close(self, question: Question) -> None:
        """Give a question up, or end it.

        Without an answer, it may still get one that isn't meant for an older question.
        """
        question.answer.cancel()
        question.ended_at = monotonic()
        self._forget()
        self._offer_waiting(question)

    def _forget(self) -> None:
        """Forget the questions that have ended and don't matter to an older one."""
        asked, self._asked = self._asked, []
        chats = set()
        for question in asked:
            chat = question.instance_id, question.chat_id
            is_open = not question.answer.done()
            if is_open or (question.absorbs and chat in chats):
                self._asked.append(question)
            if is_open:
                chats.add(chat)

    def _offer_waiting(self, question: Question) -> None:
        messages, question.waiting = question.waiting, []
        for message in messages:
            self.offer(message)

    def offer(self, message: IncomingMessage) -> None:
        """Hand a message to the question that it answers.

        It is the one that is quoted, and without a quote the last one.
        """
        key = message.instance_id, bare_id(message.id)
        remember(self._others, key, None, MAX_OTHERS)
        if message.event is not MessageEvent.RECEIVED:
            return
        for question in reversed(self._asked):
            # the number of a LID may be known by now
            question.chat_id = self._people.person(
                question.instance_id, question.chat_id
            )
            if not question.may_follow(message):
                continue
            is_open = not question.answer.done()
            if is_open and not question.is_sent:
                question.waiting.append(message)
                return
            if not self._is_for(question, message):
                continue
            number = question.choice_of(message.text)
            if is_open and number:
                question.answer.set_result((number, message))
            if is_open or (question.absorbs and number):
                return

    def _is_for(self, question: Question, message: IncomingMessage) -> bool:
        """Return whether a message can be meant for a question."""
        if question.is_quoted_by(message):
            # this needs no clock
            return True
        # a tolerance must not take an answer from an earlier question
        is_only_one = not any(
            other is not question and other.may_follow(message)
            for other in self._asked
            if not other.answer.done()
        )
        tolerance = CLOCK_TOLERANCE_SECONDS if is_only_one else 0
        if not question.is_older_than(message, tolerance):
            return False
        if (quoted := message.reply_to) is None:
            return True
        # it may be this one if it is none of the others
        is_other = (question.instance_id, bare_id(quoted)) in self._others
        return question.message_id is None and not (is_other or self._sent.has(quoted))


def _simplified(text: str) -> str:
    """Return a text in lower case, without invisible characters."""
    for style in EMOJI_STYLES:
        text = text.replace(style, "")
    return without_invisible(text).strip().casefold()
