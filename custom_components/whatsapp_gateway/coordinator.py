"""Poll the instances of one account."""

from __future__ import annotations

import asyncio
from datetime import timedelta
import logging
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any, override

from homeassistant.const import CONF_API_KEY
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .const import FAST_POLL_INTERVAL, POLL_INTERVAL, PUSH_POLL_INTERVAL
from .devices import async_show_version, known_instance_ids
from .providers.messages import next_sequence
from .providers.models import (
    GatewayError,
    Instance,
    InstanceStatus,
    RateLimited,
    Unauthorized,
    Unreachable,
)
from .texts import translation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .problems import Problems
    from .providers.base import Provider

TRANSITIONAL = frozenset(
    {InstanceStatus.STARTING, InstanceStatus.SCAN_QR, InstanceStatus.PASSKEY}
)
"""Statuses that change soon, so that polls are frequent."""
FAST_POLL_DURATION_SECONDS = 180.0
REFRESH_COOLDOWN_SECONDS = 1.0
SECOND_LOOK_SECONDS = 3.0
"""Time until the list is read again, because a single list may be wrong."""
PAUSE_TOLERANCE_SECONDS = 300.0
"""How long entities stay available while the gateway asks for a pause."""

_LOGGER = logging.getLogger(__name__)


class GatewayCoordinator(DataUpdateCoordinator[dict[str, Instance]]):
    """The instances of an account by their ID."""

    config_entry: ConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        provider: Provider,
        problems: Problems,
        *,
        is_pushed: Callable[[], bool],
        polled: Callable[[], None],
    ) -> None:
        """Poll a provider, seldom while it reports changes by itself (`is_pushed`).

        `polled` is called after each successful poll, also if nothing has changed.
        """
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=f"{entry.title} instances",
            update_interval=POLL_INTERVAL,
            always_update=False,
            request_refresh_debouncer=Debouncer(
                hass, _LOGGER, cooldown=REFRESH_COOLDOWN_SECONDS, immediate=True
            ),
        )
        self.provider = provider
        self.problems = problems
        self._is_pushed = is_pushed
        self._polled = polled
        self.server_version: str | None = None
        self.sequence = 0
        """When the last poll that has ended began, in the order of messages."""
        self.polled_at = 0.0
        """When the last successful poll began, of the monotonic clock."""
        self._missing_since: dict[str, float] = {}
        """When a list first lacked a known instance that may not be gone."""
        self._deleted: set[str] = set()
        """IDs of the instances that were deleted from here since the last list."""
        self._paused_at: float | None = None
        """When the gateway first asked for a pause, if it has not answered since."""
        self._in_transition = False
        self._status_changed_at = 0.0
        self._poll_lock = asyncio.Lock()
        self._began = 0
        self._version_wanted = True
        self._asked_at = 0.0
        self._poll_requested = False

    @property
    def missing(self) -> set[str]:
        """IDs of the instances that only the last list lacked, so they may exist."""
        return set(self._missing_since)

    def is_connected(self, instance_id: str) -> bool:
        """Return whether an instance could send messages at the last poll."""
        instance = self.data.get(instance_id)
        return instance is not None and instance.status is InstanceStatus.CONNECTED

    def note_deleted(self, instance_id: str) -> None:
        """Note that an instance was deleted: one list that lacks it is enough."""
        self._deleted.add(instance_id)

    async def async_check_key(self) -> bool:
        """Poll because a request was refused; return whether the API key works.

        The poll asks for another API key if it is refused as well.
        """
        if self.provider.closed:
            return False
        await self.async_refresh()
        return self.last_update_success and self._paused_at is None

    @property
    def _has_current_key(self) -> bool:
        """Whether the requests of this coordinator use the API key of the entry."""
        entry = self.hass.config_entries.async_get_entry(self.config_entry.entry_id)
        return entry is not None and entry.data[CONF_API_KEY] == self.provider.api_key

    async def async_is_gone(self, instance_id: str) -> bool:
        """Poll, and return whether two lists lack an instance."""
        for wait in (0.0, SECOND_LOOK_SECONDS):
            await asyncio.sleep(wait)
            asked_at = monotonic()
            await self.async_refresh()
            listed = instance_id in self.data and instance_id not in self.missing
            if listed or self.polled_at < asked_at:
                return False
        return True

    @callback
    def async_request_poll(self) -> None:
        """Poll as soon as possible, but at most once a second."""
        if not self._poll_requested:
            self._poll_requested = True
            self.config_entry.async_create_background_task(
                self.hass, self._async_poll_soon(), f"{self.name} refresh"
            )

    async def _async_poll_soon(self) -> None:
        await asyncio.sleep(self._asked_at + REFRESH_COOLDOWN_SECONDS - monotonic())
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

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        self.sequence = self._began
        paused = self._paused_at is not None
        if self.last_update_success and not (paused or self.provider.closed):
            self._polled()

    @override
    async def _async_update_data(self) -> dict[str, Instance]:
        self._began = next_sequence()
        try:
            return await self._async_poll()
        except Unauthorized as err:
            failed = ConfigEntryAuthFailed if self._has_current_key else UpdateFailed
            raise failed(**translation_of(err)) from err
        except RateLimited as err:
            # UpdateFailed(retry_after=) needs Home Assistant 2025.12; polls start on a
            # full second, which may be too early
            self.update_interval = timedelta(seconds=ceil(err.retry_after) + 1)
            if self._paused_at is None:
                self._paused_at = monotonic()
            short = monotonic() - self._paused_at < PAUSE_TOLERANCE_SECONDS
            if self.data is not None and self.last_update_success and short:
                return self.data
            raise UpdateFailed(**translation_of(err)) from err
        except GatewayError as err:
            self.update_interval = POLL_INTERVAL
            raise UpdateFailed(**translation_of(err)) from err

    async def _async_poll(self) -> dict[str, Instance]:
        self._asked_at = asked_at = monotonic()
        # what changes from now on may not be in the answer
        self._poll_requested = False
        # an entity that shows a phone number has its instance as context
        self.provider.wants_phone_numbers = set(map(str, self.async_contexts()))
        instances = {
            instance.id: instance for instance in await self.provider.instances()
        }
        if self.provider.closed:
            # unloaded meanwhile
            return self.data
        instances = self._with_missing(instances)
        if instances != self.data:
            self._note_statuses(instances)
        self.problems.async_update(instances, self.missing)
        self.polled_at = asked_at
        self._paused_at = None
        self.update_interval = self._next_interval()
        self._async_ask_version()
        return instances

    def _next_interval(self) -> timedelta:
        """Return the time until the next poll."""
        changed_for = monotonic() - self._status_changed_at
        moves = self._in_transition and changed_for < FAST_POLL_DURATION_SECONDS
        if self.missing or moves:
            return FAST_POLL_INTERVAL
        # nothing is reported when time alone changes what is shown
        waits = self.provider.delays_status or self.problems.pending
        return PUSH_POLL_INTERVAL if self._is_pushed() and not waits else POLL_INTERVAL

    @callback
    def _async_ask_version(self) -> None:
        """Ask for the version of the server after a start and after an outage."""
        # a server that was down may have been updated
        if self._version_wanted or not self.last_update_success:
            self._version_wanted = False
            self.config_entry.async_create_background_task(
                self.hass, self._async_update_version(), f"{self.name} server version"
            )

    async def _async_update_version(self) -> None:
        try:
            version = await self.provider.server_version()
        except (RateLimited, Unreachable):
            # asked again at the next poll
            self._version_wanted = True
        except GatewayError as err:
            # the server refuses this, at least until it is updated
            _LOGGER.debug("%s tells no version: %s", self.name, err)
        else:
            if version != self.server_version and not self.provider.closed:
                self.server_version = version
                await async_show_version(self.hass, self.config_entry, version)

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
            self.problems.async_expect_disconnected(instance_id, None)
        lacking -= self._deleted
        self._deleted = set()
        now = monotonic()
        since = {key: self._missing_since.get(key, now) for key in lacking}
        self._missing_since = {
            key: first
            for key, first in since.items()
            if now - first < SECOND_LOOK_SECONDS
        }
        return instances | {key: before[key] for key in self.missing & before.keys()}

    def _note_statuses(self, instances: dict[str, Instance]) -> None:
        """Note when a status last changed."""
        statuses = {key: instance.status for key, instance in instances.items()}
        before = {key: instance.status for key, instance in (self.data or {}).items()}
        if statuses != before:
            self._status_changed_at = monotonic()
            self._in_transition = not TRANSITIONAL.isdisjoint(statuses.values())
