"""Recognize what was sent through an account when the gateway reports it.

Gateways report messages of the linked number, and some of them can't tell whether the
phone or their API has sent one. An automation that answers what was sent with the phone
would never end if it were started by its own answers.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from ..providers.message_parsing import MAX_TEXT, bare_id, remember
from ..providers.messages import FILES, MessageEvent, MessageKind, next_sequence
from ..providers.models import GatewayError, MaybeSent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..providers.messages import IncomingMessage, OutgoingMessage
    from .people import People

MAX_SENT = 1_000
"""Number of IDs that are remembered, of all instances of an account."""
MAX_HOLD_SECONDS = 5.0
"""How long an own message waits for the answer to a send, which tells the ID."""
ECHO_SECONDS = 10.0
"""How long a message without a known ID may be reported after its send has ended."""
SENT_FILES = FILES - {MessageKind.STICKER}
"""Kinds of files that are sent."""


@dataclass(slots=True, kw_only=True, eq=False)
class Sending:
    """A message on its way, or one that was sent and has no known ID."""

    instance_id: str
    chat_id: str
    content: int
    """Digest of what is sent and its kind, to recognize it without an ID."""
    sequence: int = field(default_factory=next_sequence)
    """Order of arrival: earlier messages have a lower value."""
    message_id: str | None = None
    """To be set as soon as it is known, by the answer or the report of the gateway."""
    is_refused: bool = False
    """Whether the message surely isn't sent."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    expires_at: float = inf

    async def async_wait(self) -> None:
        """Wait until the send has ended, or for a few seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_HOLD_SECONDS):
                await self.ended.wait()

    def is_reported_by(self, message: IncomingMessage) -> bool:
        """Return whether a message may be this one: all but the ID is the same."""
        return (
            self.sequence < message.sequence
            and monotonic() < self.expires_at
            and (self.instance_id, self.chat_id)
            == (message.instance_id, message.chat_id)
            and self.content == _content_received(message)
        )


class SentMessages:
    """The last messages that were sent through an account."""

    def __init__(self, people: People) -> None:
        """Create an empty record. It stores digests, never texts."""
        self._people = people
        self._ids: dict[str, str] = {}
        """IDs as the gateway has answered them, by the part that WhatsApp knows."""
        self._sendings: list[Sending] = []

    @contextmanager
    def sending(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> Iterator[Sending]:
        """Note that a message is on its way, and how its send ends."""
        now = monotonic()
        self._sendings = [one for one in self._sendings if now < one.expires_at]
        sending = Sending(
            instance_id=instance_id, chat_id=chat_id, content=_content_sent(message)
        )
        self._sendings.append(sending)
        is_over = False
        try:
            yield sending
            if is_over := sending.message_id is not None:
                self._note(str(sending.message_id))
        except GatewayError as err:
            is_over = sending.is_refused = not isinstance(err, MaybeSent)
            raise
        finally:
            if is_over:
                self._forget(sending)
            sending.expires_at = monotonic() + ECHO_SECONDS
            sending.ended.set()

    def _note(self, message_id: str) -> None:
        remember(self._ids, bare_id(message_id), message_id, MAX_SENT)

    def _forget(self, sending: Sending) -> None:
        # it may have been recognized meanwhile
        with suppress(ValueError):
            self._sendings.remove(sending)

    @property
    def on_their_way(self) -> list[Sending]:
        """The messages that are being sent."""
        self._update_chats()
        return [one for one in self._sendings if not one.ended.is_set()]

    def _update_chats(self) -> None:
        """Replace LIDs whose numbers are known by now."""
        for sending in self._sendings:
            sending.chat_id = self._people.person(sending.instance_id, sending.chat_id)

    def has(self, message_id: str) -> bool:
        """Return whether a message with this ID was sent."""
        return bare_id(message_id) in self._ids

    def answered_id(self, message_id: str) -> str:
        """Return the ID with which the gateway has answered the send of a message.

        An answer may quote the message by another form of it. The ID of every other
        message is returned as it is.
        """
        return self._ids.get(bare_id(message_id), message_id)

    def recognize(self, message: IncomingMessage) -> bool:
        """Return whether an own message was sent through this account.

        Only if the ID of one that was sent isn't known, its chat and content decide,
        once for each.
        """
        if self.has(message.id):
            return True
        self._update_chats()
        for sending in self._sendings:
            if sending.is_reported_by(message):
                sending.message_id = message.id
                self._forget(sending)
                self._note(message.id)
                return True
        return False


def _content_sent(message: OutgoingMessage) -> int:
    """Return a digest of a message as the gateway will report it."""
    if message.reaction is not None:
        return hash((message.reaction, bare_id(message.reply_to or "")))
    kind, text = str(MessageKind.TEXT), message.text
    if message.media is not None:
        kind = "file"
    elif message.poll is not None:
        kind, text = MessageKind.POLL, message.poll.question
    elif message.location is not None:
        kind, text = MessageKind.LOCATION, message.location.name
    return hash((kind, text.strip()[:MAX_TEXT]))


def _content_received(message: IncomingMessage) -> int:
    if message.event is MessageEvent.REACTION:
        return hash((message.text, bare_id(message.reply_to or "")))
    # gateways don't agree on the kinds of files
    kind = "file" if message.kind in SENT_FILES else message.kind
    return hash((kind, message.text.strip()))
