"""Poll one account and keep its devices in sync."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import timedelta
import logging
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .client import (
    async_store,
    create_provider,
    create_session,
    known_instance_ids,
)
from .const import (
    CONF_ACCOUNT_ID,
    CONF_PAIRING_DIGESTS,
    DOMAIN,
    ERROR_KEYS,
    FAST_POLL_INTERVAL,
    POLL_INTERVAL,
    PUSH_POLL_INTERVAL,
    Receive,
)
from .details import Details
from .devices import async_update_devices, instance_unique_id
from .messages.inbox import Inbox
from .messages.memory import async_memory_of
from .messages.outbox import Outbox
from .pairing.live_code import LiveCode
from .problems import LinkedInstances, Problems
from .providers.models import (
    Action,
    Feature,
    GatewayError,
    Instance,
    InstanceChanged,
    InstanceStatus,
    NotFound,
    RateLimited,
    Unauthorized,
)
from .push.stream import Push
from .push.webhook import Webhook
from .texts import failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry

TRANSITIONAL = frozenset(
    {InstanceStatus.STARTING, InstanceStatus.SCAN_QR, InstanceStatus.PASSKEY}
)
"""Statuses that change soon, so that polls are frequent."""
DELIBERATE = frozenset({Action.DISCONNECT, Action.LOGOUT})
"""Actions after which an instance is meant to be disconnected."""
# all in seconds
FAST_POLL_DURATION = 180.0
REFRESH_COOLDOWN = 1.0
DELETION_TIME = 15.0
"""Seconds that a gateway may take to delete an instance."""
SECOND_LOOK = 3.0
"""Seconds to wait before the list is read again, because a single list may be wrong."""
PAUSE_TOLERANCE = 300.0
"""How long entities stay available while the gateway asks for a pause."""

_LOGGER = logging.getLogger(__name__)

type GatewayConfigEntry = ConfigEntry[GatewayCoordinator]


class GatewayCoordinator(DataUpdateCoordinator[dict[str, Instance]]):
    """The instances of an account by their ID."""

    config_entry: GatewayConfigEntry

    def __init__(self, hass: HomeAssistant, entry: GatewayConfigEntry) -> None:
        """Poll with the address and API key of the entry."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=f"{entry.title} instances",
            update_interval=POLL_INTERVAL,
            always_update=False,
            request_refresh_debouncer=Debouncer(
                hass, _LOGGER, cooldown=REFRESH_COOLDOWN, immediate=True
            ),
        )
        self.provider = create_provider(create_session(hass, entry.data), entry.data)
        self.being_linked: Counter[str] = Counter()
        """Number of dialogs that link an instance: there is no repair meanwhile."""
        self.linked = LinkedInstances(hass, entry)
        self.problems = Problems(hass, entry.entry_id)
        self._missing_since: dict[str, float] = {}
        """When a list first lacked a known instance that may not be gone."""
        self._deleted: set[str] = set()
        """IDs of the instances that were deleted from here since the last list."""
        self._device_names: dict[str, str | None] | None = None
        self.polled_at = 0.0
        self._paused_at: float | None = None
        """When the gateway first asked for a pause, if it has not answered since."""
        self._live_codes: dict[str, LiveCode] = {}
        self._in_transition = False
        self._status_changed_at = 0.0
        self._poll_lock = asyncio.Lock()
        has_events = Feature.EVENTS in self.provider.features
        self.push = Push(self) if has_events else None
        self.webhook = Webhook(self)
        self.details = Details(self)
        self.memory = async_memory_of(hass, entry.entry_id)
        self.inbox = Inbox(self)
        self.provider.receives = self.inbox.receive is not Receive.NO
        self.outbox = Outbox(self)
        self._asked_at = 0.0
        self._poll_requested = False

    def unique_id(self, instance_id: str) -> str:
        """Return the unique ID of an instance."""
        return instance_unique_id(self.config_entry, instance_id)

    def instance_of(self, device: DeviceEntry) -> Instance | None:
        """Return the instance that a device stands for."""
        return next(
            (
                instance
                for instance in self.data.values()
                if (DOMAIN, self.unique_id(instance.id)) in device.identifiers
            ),
            None,
        )

    @property
    def missing(self) -> set[str]:
        """IDs of the instances that only the last list lacked, so they may exist."""
        return set(self._missing_since)

    @property
    def can_report_messages(self) -> bool:
        """Whether the gateway has a way to report messages."""
        return self.push is not None or self.webhook.is_on

    def is_connected(self, instance_id: str) -> bool:
        """Return whether an instance could send messages at the last poll."""
        instance = self.data.get(instance_id)
        return instance is not None and instance.status is InstanceStatus.CONNECTED

    def live_code(self, instance_id: str) -> LiveCode:
        """Return the QR code of an instance, shared by dialogs and dashboards."""
        new = LiveCode(self.provider, instance_id)
        return self._live_codes.setdefault(instance_id, new)

    @contextmanager
    def linking(self, instance_id: str) -> Iterator[None]:
        """Note that a dialog links an instance."""
        self.being_linked[instance_id] += 1
        try:
            yield
        finally:
            # subtracting a Counter also removes keys that reach zero
            self.being_linked -= Counter([instance_id])

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise gateway errors translated; start reauth if the API key is rejected."""
        try:
            yield
        except GatewayError as err:
            if isinstance(err, Unauthorized):
                self.async_start_reauth()
            raise HomeAssistantError(**_translated(err)) from err

    @callback
    def async_start_reauth(self) -> None:
        """Ask for another API key, unless the account has another one already."""
        if self._has_current_key:
            self.config_entry.async_start_reauth(self.hass)

    @property
    def _has_current_key(self) -> bool:
        """Whether the requests of this coordinator use the API key of the entry."""
        entry = self.hass.config_entries.async_get_entry(self.config_entry.entry_id)
        return entry is not None and entry.data[CONF_API_KEY] == self.provider.api_key

    async def async_perform(self, action: Action, instance_id: str) -> None:
        """Perform an action on an instance and show its new status."""
        with self.translated_errors():
            await self.provider.perform(action, instance_id)
        if self.provider.closed:
            # the account was removed or reloaded meanwhile
            return
        self.linked.trust_list(instance_id)
        if action in DELIBERATE:
            self.async_expect_disconnected(instance_id)
        await self.async_request_refresh()

    async def async_delete(self, instance: Instance) -> None:
        """Delete an instance, also one that is deleted already.

        Raises unless the gateway no longer lists it after that.
        """
        with self.translated_errors(), suppress(NotFound):
            await self.provider.delete(instance.id)
            self._deleted.add(instance.id)
        # some gateways delete in the background
        give_up_at = monotonic() + DELETION_TIME
        await self.async_refresh()
        while instance.id in self.data:
            if monotonic() > give_up_at:
                raise failed("not_deleted", name=instance.name)
            await asyncio.sleep(SECOND_LOOK)
            await self.async_refresh()
        self.async_expect_disconnected(instance.id)

    async def async_is_gone(self, instance_id: str) -> bool:
        """Poll, and return whether two lists lack an instance."""
        for wait in (0.0, SECOND_LOOK):
            await asyncio.sleep(wait)
            asked_at = monotonic()
            await self.async_refresh()
            listed = instance_id in self.data and instance_id not in self.missing
            if listed or self.polled_at < asked_at:
                return False
        return True

    async def async_reason_missing(self, instance_id: str) -> str:
        """Return why a dialog about an instance that isn't listed has to end."""
        gone = await self.async_is_gone(instance_id)
        return "instance_gone" if gone else "account_unavailable"

    @callback
    def async_expect_disconnected(self, instance_id: str) -> None:
        """Raise no repair for an instance that is disconnected on purpose."""
        self.linked.async_expect_disconnected(instance_id, self.data.get(instance_id))
        self.problems.async_update(self.data, self.linked.ids, self.missing)

    @callback
    def async_handle_event(self, event: InstanceChanged) -> None:
        """Poll early, and wake the dialogs that link this instance."""
        for instance_id, live_code in self._live_codes.items():
            if event.instance_id in {instance_id, None}:
                live_code.wake(has_code=event.has_code)
        self.async_request_poll()

    @callback
    def async_request_poll(self) -> None:
        """Poll as soon as possible, but at most once a second."""
        if not self._poll_requested:
            self._poll_requested = True
            self.config_entry.async_create_background_task(
                self.hass, self._async_poll_soon(), f"{self.name} refresh"
            )

    async def _async_poll_soon(self) -> None:
        await asyncio.sleep(self._asked_at + REFRESH_COOLDOWN - monotonic())
        await self.async_refresh()

    @override
    async def _async_refresh(self, *args: Any, **kwargs: Any) -> None:
        """Poll once at a time.

        An older answer must not replace a newer one. And the base class compares the
        new data with that from before the poll, which another poll may have replaced.
        """
        async with self._poll_lock:
            successful = self.last_update_success
            try:
                await super()._async_refresh(*args, **kwargs)
            except asyncio.CancelledError:
                # for Home Assistant 2026.10 a poll has failed if its caller gives up
                self.last_update_success = successful
                raise

    @override
    async def _async_update_data(self) -> dict[str, Instance]:
        try:
            return await self._async_poll()
        except Unauthorized as err:
            failed = ConfigEntryAuthFailed if self._has_current_key else UpdateFailed
            raise failed(**_translated(err)) from err
        except RateLimited as err:
            # UpdateFailed(retry_after=) needs Home Assistant 2025.12; polls start on a
            # full second, which may be too early
            self.update_interval = timedelta(seconds=ceil(err.retry_after) + 1)
            if self._paused_at is None:
                self._paused_at = monotonic()
            short = monotonic() - self._paused_at < PAUSE_TOLERANCE
            if self.data is not None and self.last_update_success and short:
                return self.data
            raise UpdateFailed(**_translated(err)) from err
        except GatewayError as err:
            self.update_interval = POLL_INTERVAL
            raise UpdateFailed(**_translated(err)) from err

    async def _async_poll(self) -> dict[str, Instance]:
        self._asked_at = asked_at = monotonic()
        # what changes from now on may not be in the answer
        self._poll_requested = False
        instances = {
            instance.id: instance for instance in await self.provider.instances()
        }
        if self.provider.closed:
            # unloaded meanwhile
            return self.data
        missing_before = self.missing
        instances = self._with_missing(instances)
        unchanged = instances == self.data and self.missing == missing_before
        if unchanged and not self.linked.unsettled:
            instances = self.data
        else:
            self._note_statuses(instances)
            self._async_remember_account(instances)
            self.linked.async_update(instances)
            self._async_update_devices(instances)
            self.problems.async_update(instances, self.linked.ids, self.missing)
        self.async_store_pairing_digests(instances)
        self.polled_at = asked_at
        self._paused_at = None
        pushed = self.push is not None and self.push.connected
        # nothing is reported when time alone changes what is shown
        waits = self.provider.settling or self.problems.pending
        calm = pushed and not waits
        self.update_interval = PUSH_POLL_INTERVAL if calm else POLL_INTERVAL
        changed_for = monotonic() - self._status_changed_at
        if self._in_transition and changed_for < FAST_POLL_DURATION:
            self.update_interval = FAST_POLL_INTERVAL
        if self.missing:
            self.update_interval = FAST_POLL_INTERVAL
        self.problems.async_raise(instances, self.being_linked)
        self.webhook.async_update(self.data or {}, instances)
        self.details.async_fetch()
        return instances

    def _with_missing(self, instances: dict[str, Instance]) -> dict[str, Instance]:
        """Return the instances of a list and those that it is the first one to lack.

        One list may be wrong. An instance is gone if two lists in a row lack it, which
        are some seconds apart, or if one lacks it after it was deleted from here.
        """
        before = self.data or {}
        # after a restart only the devices are known
        known = (
            before.keys()
            if self.data is not None
            else known_instance_ids(self.hass, self.config_entry)
        )
        lacking = (known | self.missing) - instances.keys()
        for instance_id in lacking & self._deleted:
            self.linked.async_expect_disconnected(instance_id, None)
        lacking -= self._deleted
        self._deleted = set()
        now = monotonic()
        since = {key: self._missing_since.get(key, now) for key in lacking}
        self._missing_since = {
            key: first for key, first in since.items() if now - first < SECOND_LOOK
        }
        return instances | {key: before[key] for key in self.missing & before.keys()}

    @callback
    def _async_remember_account(self, instances: dict[str, Instance]) -> None:
        """Store the account's own ID: a new API key has to belong to the same one."""
        account_id = next(
            (instance.account_id for instance in instances.values()), None
        )
        if account_id and account_id != self.config_entry.data.get(CONF_ACCOUNT_ID):
            async_store(self.hass, self.config_entry, CONF_ACCOUNT_ID, account_id)

    @callback
    def async_store_pairing_digests(self, instances: dict[str, Instance]) -> None:
        """Store which pairing codes are used up after the next start."""
        digests = self.provider.pairing_digests
        for instance_id in digests.keys() - instances.keys() - self.missing:
            del digests[instance_id]
        if digests != self.config_entry.data.get(CONF_PAIRING_DIGESTS, {}):
            value = dict(digests)
            async_store(self.hass, self.config_entry, CONF_PAIRING_DIGESTS, value)

    def _note_statuses(self, instances: dict[str, Instance]) -> None:
        """Note when a status last changed, and update the QR codes."""
        statuses = {instance.id: instance.status for instance in instances.values()}
        before = {
            instance.id: instance.status for instance in (self.data or {}).values()
        }
        if statuses != before:
            self._status_changed_at = monotonic()
            self._in_transition = not TRANSITIONAL.isdisjoint(statuses.values())
        for instance_id in list(self._live_codes):
            waits = statuses.get(instance_id) is InstanceStatus.SCAN_QR
            if not waits and not self.being_linked[instance_id]:
                del self._live_codes[instance_id]
        for instance_id in before.keys() - self._live_codes.keys():
            waited = before[instance_id] is InstanceStatus.SCAN_QR
            if not waited and statuses.get(instance_id) is InstanceStatus.SCAN_QR:
                # the time without a code limits when the first one can expire
                self.live_code(instance_id).note_absence(self.polled_at)

    @callback
    def _async_update_devices(self, instances: dict[str, Instance]) -> None:
        """Remove the devices of instances that are gone, and rename the others."""
        names: dict[str, str | None] = dict.fromkeys(self.missing)
        names |= {instance.id: instance.name for instance in instances.values()}
        if names != self._device_names:
            self._device_names = names
            async_update_devices(self.hass, self.config_entry, names)


def _translated(err: GatewayError) -> dict[str, Any]:
    """Return the translation of an error as arguments of Home Assistant's errors."""
    return {
        "translation_domain": DOMAIN,
        "translation_key": ERROR_KEYS[type(err)],
        "translation_placeholders": {"message": str(err)},
    }
