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

from ..providers.messages import digits_or_id
from ..providers.models import GatewayError, RateLimited
from ..texts import async_explain_error, failed
from .number_check import async_find_person, checked_number

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..coordinator import GatewayCoordinator
    from ..providers.messages import OutgoingMessage, SentMessage
    from .sent import Sending

MAX_WAITING = 50
"""Number of messages of an instance that wait; an automation may run wild."""
PAUSE = (1.0, 3.0)
"""Shortest and longest pause between messages to different chats, in seconds."""

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
    messages: int = 0
    """Number of messages so far."""
    polled_for: int = 0
    """Number of messages for which a poll has found no connection."""

    async def async_pause(self) -> None:
        """Wait until a message to another chat may be sent."""
        await asyncio.sleep(self.next_at - monotonic())

    def begin_pause(self) -> None:
        """Note that WhatsApp has been asked for something about a chat."""
        self.next_at = monotonic() + uniform(*PAUSE)  # noqa: S311


class Outbox:
    """Send the messages of each instance one after the other.

    Messages to different chats are 1 to 3 seconds apart: WhatsApp bans numbers that
    write to many chats in quick succession.
    """

    def __init__(self, coordinator: GatewayCoordinator) -> None:
        """Send through the gateway of an account."""
        self._coordinator = coordinator
        self._queues: dict[str, _Queue] = {}

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
        self._forget()
        queue = self._queues.setdefault(instance_id, _Queue())
        if queue.waiting >= MAX_WAITING:
            raise failed("too_many_messages", max_waiting=str(MAX_WAITING))
        task = self._coordinator.hass.async_create_background_task(
            self._async_take_turn(
                queue, instance_id, chat_id, message, started, to_check=to_check
            ),
            f"{self._coordinator.name} message",
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

    def _forget(self) -> None:
        """Forget the queues of instances that are gone."""
        self._queues = {
            instance_id: queue
            for instance_id, queue in self._queues.items()
            if instance_id in self._coordinator.data or queue.lock.locked()
        }

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
        number = queue.messages = queue.messages + 1
        try:
            async with queue.lock:
                await self._async_check_connected(queue, instance_id, number)
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
        provider, memory = self._coordinator.provider, self._coordinator.memory

        async def send() -> SentMessage:
            message = build()
            queue.sending = asyncio.current_task()
            try:
                with memory.sent.sending(instance_id, chat_id, message) as sending:
                    started(sending)
                    answer = await provider.send(instance_id, chat_id, message)
                    sending.message_id = answer.id
                return answer
            finally:
                queue.sending = None

        try:
            with self._coordinator.translated_errors():
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
        coordinator, digits = self._coordinator, digits_or_id(chat_id)
        if (known := checked_number(coordinator, instance_id, digits)) is not None:
            if known.chat_id is None:
                raise failed("not_on_whatsapp")
            return known.chat_id
        await queue.async_pause()
        find = partial(async_find_person, coordinator, instance_id, digits)
        person = None
        try:
            person = await _async_patiently(find)
        except GatewayError as err:
            reason = await async_explain_error(coordinator, err)
            raise failed("number_not_checked", reason=reason) from err
        finally:
            if person is None:
                queue.begin_pause()
        if person is None:
            raise failed("not_on_whatsapp")
        return person

    async def _async_check_connected(
        self, queue: _Queue, instance_id: str, number: int
    ) -> None:
        """Raise if the instance can't send.

        The last poll may be some time ago. But there is only one for all messages that
        wait.
        """
        coordinator = self._coordinator
        if coordinator.provider.closed:
            raise failed("account_unavailable")
        if coordinator.is_connected(instance_id):
            return
        if number > queue.polled_for:
            messages = queue.messages
            await coordinator.async_refresh()
            if coordinator.is_connected(instance_id):
                return
            queue.polled_for = messages
        if (instance := coordinator.data.get(instance_id)) is None:
            raise failed("not_found")
        raise failed("not_connected", name=instance.name)


async def _async_patiently[T](ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the gateway, and once more after the pause that it may demand.

    Nothing was done if it demands one.
    """
    try:
        return await ask()
    except RateLimited as err:
        await asyncio.sleep(err.retry_after)
    return await ask()
