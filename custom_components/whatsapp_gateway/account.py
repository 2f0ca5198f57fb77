"""The parts of one account, and how they are connected."""

from __future__ import annotations

import asyncio
from contextlib import suppress
import logging
from time import monotonic
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import callback

from .client import async_store, create_provider, create_session
from .const import CONF_ACCOUNT_ID, CONF_PAIRING_DIGESTS, Receive
from .coordinator import SECOND_LOOK_SECONDS, GatewayCoordinator
from .devices import async_update_devices
from .messages.inbox import Inbox
from .messages.memory import async_memory_of
from .messages.outbox import Transport
from .pairing.qr_code import QrCodes
from .problems import DISCONNECTING_ACTIONS, Problems
from .providers.capabilities import unexpected
from .providers.messages import IncomingMessage
from .providers.models import Action, Instance, InstanceStatus, NotFound, Skipped
from .push.silence import Reason, Silence
from .push.stream import Stream
from .push.webhook import Webhook
from .texts import (
    async_explain_error,
    escape_markdown,
    failed,
    translated_errors,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from homeassistant.core import HomeAssistant

    from .providers.capabilities import Report
    from .providers.models import GatewayError

DELETION_SECONDS = 15.0
"""Time that a gateway may take to delete an instance."""

_LOGGER = logging.getLogger(__name__)

type GatewayConfigEntry = ConfigEntry[Account]


class Account:
    """An account that is set up: the only object that knows all of its parts."""

    def __init__(self, hass: HomeAssistant, entry: GatewayConfigEntry) -> None:
        """Create the parts; `async_start` lets them work."""
        self.hass = hass
        self.entry = entry
        self.provider = create_provider(create_session(hass, entry.data), entry.data)
        self.problems = Problems(hass, entry)
        self.coordinator = GatewayCoordinator(
            hass,
            entry,
            self.provider,
            self.problems,
            is_pushed=self._is_pushed,
            polled=self._async_polled,
        )
        self.qr_codes = QrCodes(self.provider)
        self.memory = async_memory_of(hass, entry.entry_id)
        self.inbox = Inbox(hass, entry, self.provider, self.memory)
        events, webhooks = self.provider.events, self.provider.webhooks
        for reports in filter(None, (events, webhooks)):
            reports.receives = self.inbox.receive is not Receive.NO
        self.outbox = self.memory.outbox
        self.stream = (
            Stream(self.provider, events, entry.title, self._async_handle)
            if events
            else None
        )
        self.webhook = (
            Webhook(hass, entry, self.provider, webhooks, self._async_handle)
            if webhooks
            else None
        )
        self.silence = Silence(hass, entry, self.provider.name)
        self._failed = False
        """Whether an unexpected error has been logged."""
        # ends requests; a dialog that links an instance goes on with the next account
        entry.async_on_unload(self.provider.close)
        self._followed: tuple[dict[str, Instance], set[str]] | None = None
        """The instances of the last poll, and those that only it lacked."""
        self._device_names: dict[str, str | None] = {}

    @callback
    def async_listen(self) -> None:
        """Ask the gateway to repeat its calls until the account is started."""
        if self.inbox.receive is Receive.NO:
            # there may be an issue of an earlier run
            self.silence.async_update(None, "")
        if self.webhook:
            self.webhook.async_listen()

    @callback
    def async_start(self) -> None:
        """Follow polls, events and messages until the account is unloaded."""
        entry = self.entry
        entry.async_on_unload(self._async_store_digests)
        transport = Transport(
            provider=self.provider,
            check_connected=self.async_check_connected,
            check_key=self.coordinator.async_check_key,
        )
        entry.async_on_unload(self.outbox.async_open(transport))
        entry.async_on_unload(
            self.coordinator.async_add_listener(self._async_tell_silence)
        )
        if self.webhook:
            entry.async_on_unload(self.webhook.async_stop)
            self.webhook.async_start(self.coordinator.data)
        entry.async_on_unload(self.inbox.async_open())
        if self.inbox.receive is not Receive.NO:
            entry.async_create_background_task(
                self.hass, self.inbox.async_run(), f"{entry.title} messages"
            )
        if self.stream:
            entry.async_create_background_task(
                self.hass, self.stream.async_run(), f"{entry.title} events"
            )

    def _is_pushed(self) -> bool:
        """Return whether the gateway reports changes by itself just now."""
        return self.stream is not None and self.stream.connected

    @callback
    def _async_polled(self) -> None:
        """Follow what a poll has found."""
        instances, missing = self.coordinator.data, self.coordinator.missing
        self._async_store_digests()
        if self.webhook:
            self.webhook.async_update(instances)
        self._async_tell_silence()
        if (instances, missing) == self._followed:
            return
        self._followed = instances, missing
        names: dict[str, str | None] = dict.fromkeys(missing)
        names |= {instance.id: instance.name for instance in instances.values()}
        if names != self._device_names:
            self._device_names = names
            async_update_devices(self.hass, self.entry, names)
        waiting = {
            instance_id
            for instance_id, instance in instances.items()
            if instance.status is InstanceStatus.SCAN_QR
        }
        self.qr_codes.keep(waiting | self.problems.being_linked.keys())
        self.outbox.keep(instances)
        account_ids = {instance.account_id for instance in instances.values()} - {None}
        if account_ids and self.entry.data.get(CONF_ACCOUNT_ID) not in account_ids:
            # a new API key has to belong to the same account
            async_store(self.hass, self.entry, CONF_ACCOUNT_ID, account_ids.pop())

    @callback
    def _async_store_digests(self) -> None:
        """Store which pairing codes are used up after the next start."""
        digests, coordinator = self.provider.pairing_digests, self.coordinator
        for key in digests.keys() - coordinator.data.keys() - coordinator.missing:
            del digests[key]
        if digests != self.entry.data.get(CONF_PAIRING_DIGESTS, {}):
            async_store(self.hass, self.entry, CONF_PAIRING_DIGESTS, dict(digests))

    @callback
    def _async_tell_silence(self) -> None:
        """Raise an issue if messages that are wanted can't arrive, or delete it."""
        if not self.coordinator.last_update_success:
            self.silence.async_note_outage()
            return
        reason, concerned = None, set[str]()
        if self.inbox.receive is not Receive.NO:
            if self.webhook:
                reason, concerned = self.webhook.silence
            elif self.stream and not self.stream.is_stable:
                reason = Reason.STREAM
        instances = self.coordinator.data.values()
        names = sorted(one.name for one in instances if one.id in concerned)
        self.silence.async_update(reason, escape_markdown(", ".join(names)))

    @callback
    def _async_handle(self, event: Report) -> None:
        """Take what the gateway reports; no error ends what brings the events."""
        try:
            self._async_take(event)
        except Exception as err:  # noqa: BLE001
            self._async_take(unexpected(err))

    @callback
    def _async_take(self, event: Report) -> None:
        """Take what the gateway reports: a message, or a reason to poll."""
        if isinstance(event, IncomingMessage):
            self.inbox.put(event)
        elif isinstance(event, Skipped):
            self.inbox.count_skipped(event)
            if event.error and not self._failed:
                self._failed = True
                # without the text of the error, which may contain the message
                _LOGGER.error(
                    "Something that %s reported caused an unexpected error: %s",
                    self.entry.title,
                    event.error,
                )
        else:
            self.qr_codes.wake(event)
            self.coordinator.async_request_poll()

    @property
    def can_report_messages(self) -> bool:
        """Whether the gateway has a way to report messages."""
        called = self.webhook is not None and self.webhook.is_on
        return self.stream is not None or called

    def translated_errors(self) -> AbstractAsyncContextManager[None]:
        """Raise gateway errors translated; check the API key if it was rejected."""
        return translated_errors(self.coordinator.async_check_key)

    async def async_explain(self, err: GatewayError) -> str:
        """Return the text of a gateway error; check the API key if it was rejected."""
        return await async_explain_error(
            self.hass, err, self.coordinator.async_check_key
        )

    async def async_reason_missing(self, instance_id: str) -> str:
        """Return why a dialog about an instance that isn't listed has to end."""
        gone = await self.coordinator.async_is_gone(instance_id)
        return "instance_gone" if gone else "account_unavailable"

    async def async_check_connected(self, instance_id: str, sequence: int) -> None:
        """Raise a translated error if an instance can't send a message.

        The last poll may be older than the message, whose order of arrival is
        `sequence`. But there is only one for all messages that wait.
        """
        coordinator = self.coordinator
        if coordinator.is_connected(instance_id):
            return
        if coordinator.sequence < sequence:
            await coordinator.async_refresh()
        if coordinator.is_connected(instance_id):
            return
        if (instance := coordinator.data.get(instance_id)) is None:
            raise failed("not_found")
        raise failed("not_connected", name=instance.name)

    async def async_perform(self, action: Action, instance_id: str) -> None:
        """Perform an action on an instance and show its new status."""
        async with self.translated_errors():
            await self.provider.perform(action, instance_id)
        if self.provider.closed:
            # the account was removed or reloaded meanwhile
            return
        self.problems.end_disconnecting(instance_id)
        if action in DISCONNECTING_ACTIONS:
            self.async_expect_disconnected(instance_id)
        await self.coordinator.async_request_refresh()

    async def async_delete(self, instance: Instance) -> None:
        """Delete an instance, also one that is deleted already.

        Raises unless the gateway no longer lists it after that.
        """
        coordinator = self.coordinator
        async with self.translated_errors():
            with suppress(NotFound):
                await self.provider.delete(instance.id)
                coordinator.note_deleted(instance.id)
        # some gateways delete in the background
        give_up_at = monotonic() + DELETION_SECONDS
        await coordinator.async_refresh()
        while instance.id in coordinator.data:
            if monotonic() > give_up_at:
                raise failed("not_deleted", name=instance.name)
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            await coordinator.async_refresh()
        self.async_expect_disconnected(instance.id)

    @callback
    def async_expect_disconnected(self, instance_id: str) -> None:
        """Raise no repair for an instance that is disconnected on purpose."""
        self.problems.async_expect_disconnected(
            instance_id, self.coordinator.data.get(instance_id)
        )
