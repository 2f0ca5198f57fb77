"""Send the messages of an account in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
import logging
from math import inf
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN, ERROR_KEYS
from ..providers.messages import digits_or_id, next_sequence
from ..providers.models import Closed, GatewayError, RateLimited
from ..texts import async_explain_error, failed, translated_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container
    from contextlib import AbstractAsyncContextManager

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant

    from ..providers.base import Provider
    from ..providers.messages import OutgoingMessage, SentMessage
    from .number_check import CheckedNumbers
    from .sent import Sending, SentMessages

    type Build = Callable[[Provider], AbstractAsyncContextManager[OutgoingMessage]]

MAX_WAITING = 50
"""Number of messages of an instance that wait; an automation may run wild."""
MAX_WAIT_SECONDS = 600
"""How long a message may wait for its turn."""
PAUSE_SECONDS = (1.0, 3.0)
"""Shortest and longest pause between messages to different chats."""

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class _Queue:
    """The messages of one instance."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    """Number of messages that are not sent yet."""
    sending: asyncio.Task[object] | None = None
    """The task whose message is on its way."""
    last_chat: str | None = None
    next_at: float = 0.0
    """When a message to another chat may be sent, of the monotonic clock."""

    async def async_pause(self) -> None:
        """Wait until a message to another chat may be sent."""
        await asyncio.sleep(self.next_at - monotonic())

    def begin_pause(self) -> None:
        """Note that WhatsApp has been asked for something about a chat."""
        self.next_at = monotonic() + uniform(*PAUSE_SECONDS)  # noqa: S311


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transport:
    """What a loaded account sends with."""

    provider: Provider
    check_connected: Callable[[str, int], Awaitable[None]]
    """Raises a translated error if an instance can't send a message with this order of
    arrival."""
    check_key: Callable[[], Awaitable[bool]]
    """Returns whether the API key works, and asks for another one if not."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """A message that waits for its turn."""

    instance_id: str
    chat: Callable[[], str]
    build: Build
    started: Callable[[Sending], None]
    to_check: bool
    give_up_at: float
    """Of the monotonic clock, in seconds."""
    end_count: int
    """How often the account had ended when the message came."""
    is_abandoned: bool = False
    """Whether its caller has given up."""
    sequence: int = field(default_factory=next_sequence)


class Outbox:
    """Send the messages of each instance one after the other.

    Messages to different chats are 1 to 3 seconds apart: WhatsApp bans numbers that
    write to many chats in quick succession. The outbox outlives a reload of its
    account: messages wait until the account is loaded again, for ten minutes at most.
    """

    def __init__(
        self, hass: HomeAssistant, sent: SentMessages, numbers: CheckedNumbers
    ) -> None:
        """Send nothing until `async_open` is called."""
        self._hass = hass
        self._sent = sent
        self._numbers = numbers
        self._queues: dict[str, _Queue] = {}
        self._transport: Transport | None = None
        self._changed = asyncio.Event()
        self._is_ended = False
        self._end_count = 0
        """How often the account was deleted or disabled."""

    @callback
    def async_open(self, transport: Transport) -> CALLBACK_TYPE:
        """Send with an account that is loaded, until it is unloaded."""
        self._is_ended = False
        self._set_transport(transport)

        @callback
        def close() -> None:
            self._set_transport(None)

        return close

    @callback
    def async_end(self) -> None:
        """Let all that wait end with an error: the account is deleted or disabled."""
        self._is_ended = True
        self._end_count += 1
        self._set_transport(None)

    def _set_transport(self, transport: Transport | None) -> None:
        self._transport = transport
        self._changed.set()

    async def _async_transport(self, end_count: int) -> Transport:
        """Wait until the account is loaded; raise if it has ended meanwhile."""
        while True:
            if self._is_ended or end_count != self._end_count:
                raise failed("account_unavailable")
            if self._transport is not None:
                return self._transport
            self._changed.clear()
            await self._changed.wait()

    def keep(self, instance_ids: Container[str]) -> None:
        """Forget the queues of all other instances."""
        self._queues = {
            key: queue
            for key, queue in self._queues.items()
            if key in instance_ids or queue.waiting
        }

    def check_room(self, instance_id: str) -> None:
        """Raise a translated error if too many messages of an instance wait."""
        queue = self._queues.get(instance_id)
        if queue and queue.waiting >= MAX_WAITING:
            raise failed("too_many_messages", max_waiting=str(MAX_WAITING))

    async def async_send(
        self,
        instance_id: str,
        chat: Callable[[], str],
        build: Build,
        *,
        to_check: bool = False,
        started: Callable[[Sending], None] = lambda _: None,
        give_up_at: float | None = None,
    ) -> SentMessage:
        """Send a message when its turn comes; return its ID and the chat it went to.

        `chat` returns the chat ID, and `build` provides the message, just before it is
        sent; both may raise a translated error. `started` is called each time its send
        begins. With `to_check` the gateway is asked before to which chat the phone
        number belongs. The message waits for its turn until `give_up_at`, of the
        monotonic clock. A caller that is cancelled takes its message back, unless it is
        on its way already. Raises a translated `HomeAssistantError`.
        """
        self.check_room(instance_id)
        queue = self._queues.setdefault(instance_id, _Queue())
        waiting = _Waiting(
            instance_id=instance_id,
            chat=chat,
            build=build,
            started=started,
            to_check=to_check,
            give_up_at=monotonic() + MAX_WAIT_SECONDS
            if give_up_at is None
            else give_up_at,
            end_count=self._end_count,
        )
        task = self._hass.async_create_background_task(
            self._async_take_turn(queue, waiting), f"{DOMAIN} message"
        )
        try:
            sent = await asyncio.shield(task)
        except asyncio.CancelledError:
            waiting.is_abandoned = True
            if queue.sending is not task:
                task.cancel()
            raise
        if isinstance(sent, HomeAssistantError):
            raise sent
        return sent

    async def _async_take_turn(
        self, queue: _Queue, waiting: _Waiting
    ) -> SentMessage | HomeAssistantError:
        """Send a message; return an error, since nobody may wait for it any more."""
        queue.waiting += 1
        left = waiting.give_up_at - monotonic()
        try:
            async with asyncio.timeout(left) as limit, queue.lock:
                return await self._async_send_once(queue, waiting, limit)
        except TimeoutError:
            return not_sent_in_time()
        except HomeAssistantError as err:
            return err
        finally:
            queue.waiting -= 1

    async def _async_send_once(
        self, queue: _Queue, waiting: _Waiting, limit: asyncio.Timeout
    ) -> SentMessage:
        """Send a message with the present account, also if it is reloaded meanwhile."""
        give_up_at = limit.when()
        while True:
            transport = await self._async_transport(waiting.end_count)
            try:
                return await self._async_attempt(transport, queue, waiting, limit)
            except HomeAssistantError as err:
                # nothing is sent with an account that is no longer loaded
                was_closed = err.translation_key == ERROR_KEYS[Closed]
                if not was_closed or transport is self._transport:
                    raise
                limit.reschedule(give_up_at)

    async def _async_attempt(
        self,
        transport: Transport,
        queue: _Queue,
        waiting: _Waiting,
        limit: asyncio.Timeout,
    ) -> SentMessage:
        try:
            await transport.check_connected(waiting.instance_id, waiting.sequence)
        except HomeAssistantError as err:
            self._check_transport(transport, err)
            raise
        chat_id = waiting.chat()
        if waiting.to_check:
            chat_id = await self._async_check_number(
                transport, queue, waiting.instance_id, chat_id
            )
        if chat_id != queue.last_chat:
            await queue.async_pause()
            self._check_transport(transport)
            if not waiting.to_check:
                # the recipient may have changed during the pause
                chat_id = waiting.chat()
        async with waiting.build(transport.provider) as message:
            # from now on it is on its way
            limit.reschedule(None)
            return await self._async_send_now(
                transport, queue, waiting, chat_id, message
            )

    def _check_transport(
        self, transport: Transport, cause: HomeAssistantError | None = None
    ) -> None:
        """Raise if the account has been unloaded meanwhile."""
        if transport is not self._transport:
            raise failed(ERROR_KEYS[Closed]) from cause

    async def _async_send_now(
        self,
        transport: Transport,
        queue: _Queue,
        waiting: _Waiting,
        chat_id: str,
        message: OutgoingMessage,
    ) -> SentMessage:
        instance_id, provider = waiting.instance_id, transport.provider
        if (messages := provider.messages) is None:
            raise failed("no_messages", provider=provider.name)

        async def send() -> SentMessage:
            if waiting.is_abandoned:
                raise asyncio.CancelledError
            if not waiting.to_check:
                # raises if the recipient was deleted meanwhile
                waiting.chat()
            queue.sending = asyncio.current_task()
            try:
                with self._sent.sending(instance_id, chat_id, message) as sending:
                    waiting.started(sending)
                    answer = await messages.send(instance_id, chat_id, message)
                    sending.message_id = answer.id
                return answer
            finally:
                queue.sending = None

        try:
            async with translated_errors(transport.check_key):
                sent = await _async_patiently(send, waiting.give_up_at)
            if sent.chat_id not in {chat_id, None}:
                _LOGGER.debug("WhatsApp has another chat for the number of a message")
            return replace(sent, chat_id=sent.chat_id or chat_id)
        finally:
            queue.last_chat = chat_id
            queue.begin_pause()

    async def _async_check_number(
        self, transport: Transport, queue: _Queue, instance_id: str, chat_id: str
    ) -> str:
        """Return the chat of a phone number; raise if it has no WhatsApp.

        WhatsApp also bans numbers that look many others up in quick succession.
        """
        if (number_check := transport.provider.number_check) is None:
            return chat_id
        numbers, digits = self._numbers, digits_or_id(chat_id)
        if (known := numbers.answer(instance_id, digits)) is not None:
            person = known.chat_id
        else:
            check = partial(numbers.async_check, number_check, instance_id, digits)
            person = await self._async_ask_for_number(transport, queue, check)
        if person is None:
            raise failed("not_on_whatsapp")
        return person

    async def _async_ask_for_number(
        self,
        transport: Transport,
        queue: _Queue,
        check: Callable[[], Awaitable[str | None]],
    ) -> str | None:
        """Ask the gateway for the chat of a phone number when its turn comes."""
        await queue.async_pause()
        person = None
        try:
            person = await _async_patiently(check, inf)
        except Closed as err:
            raise failed(ERROR_KEYS[Closed]) from err
        except GatewayError as err:
            reason = await async_explain_error(self._hass, err, transport.check_key)
            raise failed("number_not_checked", reason=reason) from err
        finally:
            queue.last_chat = person
            queue.begin_pause()
        return person


def not_sent_in_time() -> HomeAssistantError:
    """Return the error of a message that has waited too long."""
    return failed("not_sent_in_time", minutes=str(MAX_WAIT_SECONDS // 60))


async def _async_patiently[T](ask: Callable[[], Awaitable[T]], give_up_at: float) -> T:
    """Ask the gateway, and once more after the pause that it may demand.

    Nothing was done if it demands one.
    """
    try:
        return await ask()
    except RateLimited as err:
        if monotonic() + err.retry_after > give_up_at:
            raise not_sent_in_time() from err
        await asyncio.sleep(err.retry_after)
    return await ask()
