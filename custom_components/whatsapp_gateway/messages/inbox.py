"""Hand the messages of an account to its event entities, each once and in order.

What a message contains is never logged, and never counted by person or chat.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from itertools import chain
import logging
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from ..const import CONF_RECEIVE, Receive
from ..providers.message_parsing import remember
from ..providers.messages import LID
from ..providers.models import Feature
from .memory import async_sent_by_others
from .recipients import recipients_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import CALLBACK_TYPE, HomeAssistant

    from ..providers.base import Provider
    from ..providers.messages import IncomingMessage, MessageEvent
    from ..providers.models import Skipped
    from .memory import Memory
    from .sent import Sending, SentMessages

    type Listener = Callable[[IncomingMessage], None]

MAX_QUEUED = 10_000
MAX_REMEMBERED = 1_000
"""Number of messages of which another copy is recognized."""
MAX_FILES = 256
"""Number of messages whose files can be downloaded."""
MAX_REASONS = 50
"""Number of different reasons that are counted."""
MAX_AGE_SECONDS = 300.0
"""Older messages are dropped: a gateway that has just linked reports past ones."""
SPACING_SECONDS = 0.002
"""Time between two messages: before 2026.8, Home Assistant takes two in the same
millisecond for one."""

_LOGGER = logging.getLogger(__name__)


class Inbox:
    """The messages of an account on their way to the event entities."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        provider: Provider,
        memory: Memory,
    ) -> None:
        """Hand nothing over until `async_run` is called."""
        self._hass = hass
        self._entry = entry
        self._provider = provider
        self._memory = memory
        self._queue: deque[IncomingMessage] = deque()
        self._arrived = asyncio.Event()
        self._remembered: dict[tuple[str, str, MessageEvent], None] = {}
        self._files: dict[tuple[str, str], IncomingMessage] = {}
        self._listeners: dict[str, Listener] = {}
        self._held = 0
        """Number of own messages that wait for the answer to a send."""
        self._warned = False
        self.events: Counter[str] = Counter()
        """Number of messages that were handed over, by their event."""
        self.dropped: Counter[str] = Counter()
        """Number of messages that were not handed over, by the reason."""
        self.skipped: Counter[str] = Counter()
        """Number of other reports that were not for the user, by the reason."""

    @property
    def _sent_by_others(self) -> list[SentMessages]:
        return async_sent_by_others(self._hass, self._memory)

    @property
    def receive(self) -> Receive:
        """Whose messages the user wants to receive."""
        if Feature.RECEIVING not in self._provider.features:
            return Receive.NO
        return Receive(self._entry.options.get(CONF_RECEIVE, Receive.NO))

    @property
    def queued(self) -> int:
        """Number of messages that wait."""
        return len(self._queue) + self._held

    @callback
    def async_subscribe(self, instance_id: str, listener: Listener) -> CALLBACK_TYPE:
        """Hand the messages of an instance to a listener until unsubscribed."""
        self._listeners[instance_id] = listener

        @callback
        def unsubscribe() -> None:
            del self._listeners[instance_id]

        return unsubscribe

    def file(self, instance_id: str, message_id: str) -> IncomingMessage | None:
        """Return a message whose file can be downloaded."""
        return self._files.get((instance_id, message_id))

    @callback
    def count_skipped(self, skipped: Skipped) -> None:
        """Count something that is nothing for the user, by its reason."""
        reason = skipped.reason
        if reason not in self.skipped and len(self.skipped) >= MAX_REASONS:
            reason = "other"
        self.skipped[reason] += 1

    @callback
    def put(self, message: IncomingMessage) -> None:
        """Take a message that the gateway reports."""
        key = message.instance_id, message.id, message.event
        if self.receive is Receive.NO:
            # the gateway may report messages for a moment after this is turned off
            self.dropped["off"] += 1
        elif (dt_util.utcnow() - message.sent_at).total_seconds() > MAX_AGE_SECONDS:
            self.dropped["old"] += 1
        elif key in self._remembered:
            self.dropped["duplicate"] += 1
        elif self.queued >= MAX_QUEUED:
            self.dropped["too_many"] += 1
            self._warn()
        else:
            remember(self._remembered, key, None, MAX_REMEMBERED)
            if message.from_me and (sending := self._on_its_way(message)):
                self._entry.async_create_background_task(
                    self._hass,
                    self._async_hold(message, sending),
                    f"{self._entry.title} own message",
                )
            else:
                self._enqueue(message)

    def _on_its_way(self, message: IncomingMessage) -> Sending | None:
        """Return a message that is being sent and may be this one."""
        own = (
            one
            for one in self._memory.sent.on_their_way
            if one.instance_id == message.instance_id
        )
        others = (
            one
            for sent in self._sent_by_others
            for one in sent.on_their_way
            if one.chat_id == message.chat_id
        )
        return next(chain(own, others), None)

    def _enqueue(self, message: IncomingMessage) -> None:
        self._queue.append(message)
        self._arrived.set()

    async def _async_hold(self, message: IncomingMessage, sending: Sending) -> None:
        """Hold an own message back: it may be the one that is being sent."""
        self._held += 1
        try:
            await sending.async_wait()
        finally:
            self._held -= 1
        self._enqueue(message)

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            name = self._entry.title
            _LOGGER.warning("Messages of %s arrive too fast, some are dropped", name)

    async def async_run(self) -> None:
        """Hand the messages over until the account is unloaded."""
        while True:
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
            message = await self._async_filter(self._queue.popleft())
            if message is None:
                # a burst of messages that nobody wants must not block either
                await asyncio.sleep(0)
            else:
                self._hand_over(message)
                await asyncio.sleep(SPACING_SECONDS)

    async def _async_filter(self, message: IncomingMessage) -> IncomingMessage | None:
        """Return a message with phone numbers if the user wants to receive it."""
        chats = self._chats(message.instance_id)
        wanted = chats is None or message.chat_id in chats
        messages = self._provider.messages
        if messages and (wanted or message.chat_id.endswith(LID)):
            message = await messages.resolve_lids(message)
        if message.from_me and self._is_sent(message):
            self.dropped["sent_by_us"] += 1
            return None
        if wanted or (chats and message.chat_id in chats):
            return message
        self.dropped["other_chat"] += 1
        return None

    def _is_sent(self, message: IncomingMessage) -> bool:
        """Return whether an own message was sent by Home Assistant."""
        by_others = (sent.has(message.id) for sent in self._sent_by_others)
        return self._memory.sent.recognize(message) or any(by_others)

    def _chats(self, instance_id: str) -> set[str] | None:
        """Return the IDs of the chats whose messages are wanted, None for all."""
        if self.receive is Receive.EVERYONE:
            return None
        return {
            recipient.chat_id
            for recipient in recipients_of(self._entry)
            if recipient.instance_id == instance_id
        }

    def _hand_over(self, message: IncomingMessage) -> None:
        self._memory.questions.offer(message)
        if (listener := self._listeners.get(message.instance_id)) is None:
            # the entity is disabled, or not added yet
            self.dropped["no_entity"] += 1
            return
        self.events[message.event] += 1
        if message.media is not None:
            key = message.instance_id, message.id
            remember(self._files, key, message, MAX_FILES)
        listener(message)
