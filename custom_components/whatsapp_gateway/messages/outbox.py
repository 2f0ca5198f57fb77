"""Send the messages of an account in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
import logging
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING

from homeassistant.exceptions import HomeAssistantError

from ..providers.messages import digits_or_id, next_sequence
from ..providers.models import GatewayError, RateLimited
from ..texts import async_explain_error, failed, translated_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container

    from homeassistant.core import HomeAssistant

    from ..providers.base import Provider
    from ..providers.messages import OutgoingMessage, SentMessage
    from .memory import Memory
    from .sent import Sending

MAX_WAITING = 50
"""Number of messages of an instance that wait; an automation may run wild."""
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


class Outbox:
    """Send the messages of each instance one after the other.

    Messages to different chats are 1 to 3 seconds apart: WhatsApp bans numbers that
    write to many chats in quick succession.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        name: str,
        provider: Provider,
        memory: Memory,
        *,
        check_connected: Callable[[str, int], Awaitable[None]],
        check_key: Callable[[], Awaitable[bool]],
    ) -> None:
        """Send through the gateway of an account.

        `check_connected` raises a translated error if an instance can't send a message
        with this order of arrival, `check_key` returns whether the API key works.
        """
        self._hass = hass
        self._name = name
        self._provider = provider
        self._memory = memory
        self._check_connected = check_connected
        self._check_key = check_key
        self._queues: dict[str, _Queue] = {}

    def keep(self, instance_ids: Container[str]) -> None:
        """Forget the queues of all other instances."""
        self._queues = {
            key: queue
            for key, queue in self._queues.items()
            if key in instance_ids or queue.waiting
        }

    async def async_send(
        self,
        instance_id: str,
        chat_id: str,
        message: Callable[[], OutgoingMessage],
        *,
        to_check: bool = False,
        started: Callable[[Sending], None] = lambda _: None,
    ) -> SentMessage:
        """Send a message when its turn comes; return its ID and the chat it went to.

        The message is asked for just before it is sent, and `started` is called each
        time its send begins. With `to_check` the gateway is
        asked before to which chat the phone number belongs. A caller that is cancelled
        takes its message back, unless it is on its way already. Raises a translated
        `HomeAssistantError`.
        """
        queue = self._queues.setdefault(instance_id, _Queue())
        if queue.waiting >= MAX_WAITING:
            raise failed("too_many_messages", max_waiting=str(MAX_WAITING))
        task = self._hass.async_create_background_task(
            self._async_take_turn(
                queue, instance_id, chat_id, message, started, to_check=to_check
            ),
            f"{self._name} message",
        )
        try:
            sent = await asyncio.shield(task)
        except asyncio.CancelledError:
            if queue.sending is not task:
                task.cancel()
            raise
        if isinstance(sent, HomeAssistantError):
            raise sent
        return sent

    async def _async_take_turn(
        self,
        queue: _Queue,
        instance_id: str,
        chat_id: str,
        message: Callable[[], OutgoingMessage],
        started: Callable[[Sending], None],
        *,
        to_check: bool,
    ) -> SentMessage | HomeAssistantError:
        """Send a message; return an error, since nobody may wait for it any more."""
        queue.waiting += 1
        sequence = next_sequence()
        try:
            async with queue.lock:
                await self._check_connected(instance_id, sequence)
                if to_check:
                    chat_id = await self._async_check_number(
                        queue, instance_id, chat_id
                    )
                if chat_id != queue.last_chat:
                    await queue.async_pause()
                return await self._async_send_now(
                    queue, instance_id, chat_id, message, started
                )
        except HomeAssistantError as err:
            return err
        finally:
            queue.waiting -= 1

    async def _async_send_now(
        self,
        queue: _Queue,
        instance_id: str,
        chat_id: str,
        build: Callable[[], OutgoingMessage],
        started: Callable[[Sending], None],
    ) -> SentMessage:
        sent_messages = self._memory.sent
        if (messages := self._provider.messages) is None:
            raise failed("no_messages", provider=self._provider.name)

        async def send() -> SentMessage:
            message = build()
            queue.sending = asyncio.current_task()
            try:
                with sent_messages.sending(instance_id, chat_id, message) as sending:
                    started(sending)
                    answer = await messages.send(instance_id, chat_id, message)
                    sending.message_id = answer.id
                return answer
            finally:
                queue.sending = None

        try:
            async with translated_errors(self._check_key):
                sent = await _async_patiently(send)
            if sent.chat_id not in {chat_id, None}:
                _LOGGER.debug("WhatsApp has another chat for the number of a message")
            return replace(sent, chat_id=sent.chat_id or chat_id)
        finally:
            queue.last_chat = chat_id
            queue.begin_pause()

    async def _async_check_number(
        self, queue: _Queue, instance_id: str, chat_id: str
    ) -> str:
        """Return the chat of a phone number; raise if it has no WhatsApp.

        WhatsApp also bans numbers that look many others up in quick succession.
        """
        if (number_check := self._provider.number_check) is None:
            return chat_id
        numbers, digits = self._memory.checked_numbers, digits_or_id(chat_id)
        if (known := numbers.answer(instance_id, digits)) is not None:
            person = known.chat_id
        else:
            check = partial(numbers.async_check, number_check, instance_id, digits)
            person = await self._async_ask_for_number(queue, check)
        if person is None:
            raise failed("not_on_whatsapp")
        return person

    async def _async_ask_for_number(
        self, queue: _Queue, check: Callable[[], Awaitable[str | None]]
    ) -> str | None:
        """Ask the gateway for the chat of a phone number when its turn comes."""
        await queue.async_pause()
        person = None
        try:
            person = await _async_patiently(check)
        except GatewayError as err:
            reason = await async_explain_error(self._hass, err, self._check_key)
            raise failed("number_not_checked", reason=reason) from err
        finally:
            if person is None:
                queue.begin_pause()
        return person


async def _async_patiently[T](ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the gateway, and once more after the pause that it may demand.

    Nothing was done if it demands one.
    """
    try:
        return await ask()
    except RateLimited as err:
        await asyncio.sleep(err.retry_after)
    return await ask()
