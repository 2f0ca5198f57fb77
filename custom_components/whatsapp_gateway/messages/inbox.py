"""Hand the messages of an account to its event entities, each once and in order.

What a message contains is never logged, and never counted by person or chat.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import replace
from itertools import chain
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from ..const import CONF_RECEIVE, Receive
from ..providers.message_parsing import remember
from ..providers.messages import LID
from ..providers.models import Feature
from .memory import async_sent_by_others
from .people import MAX_WAIT_SECONDS, LidLookups
from .recipients import recipients_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import CALLBACK_TYPE, HomeAssistant

    from ..providers.base import Provider
    from ..providers.messages import IncomingMessage
    from ..providers.models import Skipped
    from .memory import Memory
    from .sent import Sending, SentMessages

    type Listener = Callable[[IncomingMessage], None]
    type Lane = deque[tuple[float, IncomingMessage]]

MAX_QUEUED = 10_000
MAX_FILES = 256
"""Number of messages whose files can be downloaded."""
MAX_REASONS = 50
"""Number of different reasons that are counted."""
MAX_CLOCK_DIFFERENCE_SECONDS = 330.0
"""A report with an older time was held up on its way."""
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
        lookup = provider.lid_lookup
        self._lookups = LidLookups(lookup, memory.people) if lookup else None
        self._queue: deque[IncomingMessage] = deque()
        self._arrived = asyncio.Event()
        self._lanes: dict[tuple[str, str], Lane] = {}
        """Messages that wait for the number of somebody, by instance and chat, each
        with the time of the monotonic clock until which it waits."""
        self._own: list[IncomingMessage] = []
        """Own messages that may be those that are being sent."""
        self._files: dict[tuple[str, str], IncomingMessage] = {}
        self._listeners: dict[str, Listener] = {}
        self._held = 0
        """Number of messages that wait for the number of somebody."""
        self._warnings: set[str] = set()
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
        return len(self._queue) + len(self._own) + self._held

    @callback
    def async_subscribe(self, instance_id: str, listener: Listener) -> CALLBACK_TYPE:
        """Hand the messages of an instance to a listener until unsubscribed."""
        self._listeners[instance_id] = listener

        @callback
        def unsubscribe() -> None:
            del self._listeners[instance_id]

        return unsubscribe

    @callback
    def async_open(self) -> CALLBACK_TYPE:
        """Take the messages that waited when the account was unloaded.

        Returns what keeps those that wait for the next time, at the end.
        """
        waiting, self._memory.waiting = self._memory.waiting, []
        for message in waiting:
            self.put(message)

        @callback
        def close() -> None:
            lanes = chain.from_iterable(self._lanes.values())
            waiting = [*self._queue, *(message for _, message in lanes), *self._own]
            self._memory.waiting = sorted(waiting, key=lambda one: one.arrived_at)

        return close

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
        self._learn(message)
        message = self._with_known_ids(message)
        if self.receive is Receive.NO:
            # the gateway may report messages for a moment after this is turned off
            self.dropped["off"] += 1
        elif self._is_old(message):
            self.dropped["old"] += 1
        elif self._memory.seen.has(message):
            self.dropped["duplicate"] += 1
        elif self.queued >= MAX_QUEUED:
            self.dropped["too_many"] += 1
            self._warn_once("Messages of %s arrive too fast, some are dropped")
        elif message.from_me and (sending := self._on_its_way(message)):
            self._in_background(self._async_hold(message, sending))
        else:
            self._enqueue(message)

    def _learn(self, message: IncomingMessage) -> None:
        """Remember whose LIDs a message tells."""
        own = message.own_ids
        pairs = [
            (lid, number)
            for lid, number in message.same_people
            # some gateways write the own number beside the LID of somebody else
            if number not in own or lid in own
        ]
        self._memory.people.learn(message.instance_id, pairs)

    def _with_known_ids(self, message: IncomingMessage) -> IncomingMessage:
        """Return a message with the IDs by which people and messages are known."""
        person, instance_id = self._memory.people.person, message.instance_id
        answered_id = self._memory.sent.answered_id
        return replace(
            message,
            reply_to=message.reply_to and answered_id(message.reply_to),
            chat_id=person(instance_id, message.chat_id),
            sender_id=message.sender_id and person(instance_id, message.sender_id),
        )

    def _is_old(self, message: IncomingMessage) -> bool:
        """Return whether a message was sent long ago.

        The clock of Home Assistant may be ahead; that of the gateway tells.
        """
        ahead = self._provider.clock_ahead
        if message.reported_at is not None:
            difference = (message.reported_at - message.arrived_at).total_seconds()
            if abs(difference) <= MAX_CLOCK_DIFFERENCE_SECONDS:
                ahead = difference
        age = (dt_util.utcnow() - message.sent_at).total_seconds()
        # a gateway whose clock is ahead makes no message older
        return age + min(ahead, 0) > MAX_AGE_SECONDS

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

    def _in_background(self, wait: Coroutine[Any, Any, None]) -> None:
        name = f"{self._entry.title} message"
        self._entry.async_create_background_task(self._hass, wait, name)

    async def _async_hold(self, message: IncomingMessage, sending: Sending) -> None:
        """Hold an own message back: it may be the one that is being sent."""
        self._own.append(message)
        try:
            await sending.async_wait()
        finally:
            self._own.remove(message)
        self._enqueue(message)

    def _enqueue(self, message: IncomingMessage) -> None:
        """Let a message wait for its turn, behind those of its chat that wait."""
        if (lane := self._lane_of(message)) is not None:
            self._held += 1
            lane.append((monotonic() + MAX_WAIT_SECONDS, message))
        elif self._lids_to_ask(message):
            key = message.instance_id, message.chat_id
            self._held += 1
            give_up_at = monotonic() + MAX_WAIT_SECONDS
            self._lanes[key] = deque([(give_up_at, message)])
            self._in_background(self._async_run_lane(key))
        else:
            self._put_in_queue(message)

    def _lane_of(self, message: IncomingMessage) -> Lane | None:
        """Return the messages of the same chat that wait, None if there are none."""
        lids = (lid for lid, one in message.same_people if one == message.chat_id)
        keys = ((message.instance_id, chat) for chat in (message.chat_id, *lids))
        return next((self._lanes[key] for key in keys if key in self._lanes), None)

    def _lids_to_ask(self, message: IncomingMessage) -> list[str]:
        """Return the LIDs of a message whose numbers matter to somebody."""
        instance_id = message.instance_id
        waits = self._memory.questions.waits(instance_id)
        listens = waits or instance_id in self._listeners
        if self._lookups is None or not listens:
            return []
        chats = self._chats(instance_id)
        is_wanted = chats is None or message.chat_id in chats
        # a person may be a recipient, but no group
        may_be_wanted = bool(chats) and message.chat_id.endswith(LID)
        return self._lookups.lids_to_ask(message) if is_wanted or may_be_wanted else []

    async def _async_run_lane(self, key: tuple[str, str]) -> None:
        """Ask for the numbers that the messages of a chat need, in order."""
        lane = self._lanes[key]
        try:
            while lane:
                give_up_at, message = lane[0]
                if self._lookups and (lids := self._lids_to_ask(message)):
                    await self._lookups.async_ask(key[0], lids, give_up_at)
                lane.popleft()
                self._held -= 1
                self._put_in_queue(message)
        finally:
            self._held -= len(lane)
            del self._lanes[key]

    def _put_in_queue(self, message: IncomingMessage) -> None:
        self._queue.append(message)
        self._arrived.set()

    def _warn_once(self, text: str, *values: object) -> None:
        if text not in self._warnings:
            self._warnings.add(text)
            _LOGGER.warning(text, self._entry.title, *values)

    async def async_run(self) -> None:
        """Hand the messages over until the account is unloaded."""
        while True:
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
            message = self._queue.popleft()
            was_shown = False
            try:
                was_shown = self._hand_over(message)
            except Exception as err:  # noqa: BLE001
                # one odd message must not end all others; the text may be its content
                self.dropped["unexpected_error"] += 1
                name = type(err).__name__
                self._warn_once("A message of %s can't be handed over: %s", name)
            # a burst of messages that nobody wants must not block either
            await asyncio.sleep(SPACING_SECONDS if was_shown else 0)

    def _hand_over(self, message: IncomingMessage) -> bool:
        """Hand a message over; return whether an entity shows it."""
        message = self._with_known_ids(message)
        if reason := self._reason_to_drop(message):
            self.dropped[reason] += 1
            return False
        if message.from_me and self._is_sent(message):
            self._memory.seen.note(message)
            self.dropped["sent_by_us"] += 1
            return False
        self._memory.questions.offer(message)
        if (listener := self._listeners.get(message.instance_id)) is None:
            # the entity is disabled, or not added yet
            self.dropped["no_entity"] += 1
            return False
        self._memory.seen.note(message)
        self.events[message.event] += 1
        if message.is_file:
            key = message.instance_id, message.id
            remember(self._files, key, message, MAX_FILES)
        listener(message)
        return True

    def _reason_to_drop(self, message: IncomingMessage) -> str | None:
        """Return why a message isn't shown, None if it is."""
        chats = self._chats(message.instance_id)
        if chats is not None and message.chat_id not in chats:
            return "other_chat"
        if self._is_old(message):
            return "old"
        return "duplicate" if self._memory.seen.has(message) else None

    def _is_sent(self, message: IncomingMessage) -> bool:
        """Return whether an own message was sent by Home Assistant."""
        by_others = (sent.has(message.id) for sent in self._sent_by_others)
        return self._memory.sent.recognize(message) or any(by_others)

    def _chats(self, instance_id: str) -> set[str] | None:
        """Return the IDs of the chats whose messages are wanted, None for all."""
        if self.receive is Receive.EVERYONE:
            return None
        return {
            self._memory.people.person(instance_id, recipient.chat_id)
            for recipient in recipients_of(self._entry)
            if recipient.instance_id == instance_id
        }
