"""Stop automatic replies that would go on forever.

Two numbers that answer each other automatically would never end, and WhatsApp bans
numbers that write so much.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING

from homeassistant.exceptions import HomeAssistantError

from ..providers.message_parsing import remember
from ..providers.messages import GROUP
from ..texts import is_maybe_sent
from .outbox import not_sent_in_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..providers.messages import OutgoingMessage
    from .sent import Sending

MAX_REPLIES = 5
"""Number of automatic replies to a chat in `INTERVAL_SECONDS`."""
INTERVAL_SECONDS = 60.0
SAME_REPLY_SECONDS = 3600.0
"""How long the last reply to a chat isn't repeated."""
MAX_CHATS = 1_000
"""Number of chats whose replies are remembered, of all accounts."""


class SkipReason(StrEnum):
    """Why an automatic reply isn't sent."""

    TOO_MANY_REPLIES = "too_many_replies"
    SAME_REPLY = "same_reply"


@dataclass(slots=True)
class _Chat:
    """The automatic replies to one chat."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    sent_at: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_REPLIES))
    last: int | None = None
    """Digest of the last reply."""
    last_at: float = 0.0

    def note(self, content: int) -> None:
        """Note that a reply with this digest is sent."""
        self.last, self.last_at = content, monotonic()
        self.sent_at.append(self.last_at)

    def reason_to_skip(self, content: int) -> SkipReason | None:
        """Return why a reply with this digest must not be sent now."""
        now = monotonic()
        if content == self.last and now - self.last_at < SAME_REPLY_SECONDS:
            return SkipReason.SAME_REPLY
        is_full = len(self.sent_at) == MAX_REPLIES
        if is_full and now - self.sent_at[0] < INTERVAL_SECONDS:
            return SkipReason.TOO_MANY_REPLIES
        return None


class AutomaticReplies:
    """The last automatic replies of all accounts."""

    def __init__(self) -> None:
        """Create an empty record. It stores digests, never texts."""
        self._chats: dict[tuple[str, str, str], _Chat] = {}

    async def async_send[T](
        self,
        sender: tuple[str, str],
        chat_id: str,
        digest: Callable[[], Awaitable[int]],
        send: Callable[[Callable[[Sending], None]], Awaitable[T | HomeAssistantError]],
        give_up_at: float,
    ) -> T | HomeAssistantError | SkipReason:
        """Send a reply, or return why it isn't sent.

        Replies to the same chat are sent one after the other: each is decided on when
        it is known what happened to those before. One that may have been sent counts.
        `sender` is the ID of the account and that of the instance; all of them share
        the replies to a group. `digest` returns what tells the reply from others, and
        may raise a translated error. `send` calls what it gets when the send begins.
        The reply waits for those before it until `give_up_at`, of the monotonic clock.
        """
        key = ("", "", chat_id) if chat_id.endswith(GROUP) else (*sender, chat_id)
        chat = self._chats.get(key) or _Chat()
        remember(self._chats, key, chat, MAX_CHATS)
        try:
            async with asyncio.timeout(give_up_at - monotonic()):
                await chat.lock.acquire()
        except TimeoutError:
            return not_sent_in_time()
        try:
            return await _async_decide(chat, digest, send)
        except HomeAssistantError as err:
            return err
        finally:
            chat.lock.release()


async def _async_decide[T](
    chat: _Chat,
    digest: Callable[[], Awaitable[int]],
    send: Callable[[Callable[[Sending], None]], Awaitable[T | HomeAssistantError]],
) -> T | HomeAssistantError | SkipReason:
    """Send a reply, unless it must not be sent now."""
    content = await digest()
    if reason := chat.reason_to_skip(content):
        return reason
    sendings: list[Sending] = []
    try:
        result = await send(sendings.append)
    except asyncio.CancelledError:
        # a caller that gives up doesn't stop a message that is on its way
        if sendings and not sendings[-1].is_refused:
            chat.note(content)
        raise
    if not isinstance(result, HomeAssistantError) or is_maybe_sent(result):
        chat.note(content)
    return result


def digest_of(message: OutgoingMessage) -> int:
    """Return a digest of a reply; what it quotes doesn't matter."""
    return hash(replace(message, text=message.text.strip(), reply_to=None))
