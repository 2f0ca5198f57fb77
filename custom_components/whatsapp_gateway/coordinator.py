"""Poll an account, and keep its devices as the gateway has its instances."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
import logging
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import CALLBACK_TYPE, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .const import (
    CONF_ACCOUNT_ID,
    CONF_GATEWAY,
    CONF_INSTANCE_ID,
    CONF_PROVIDER,
    DOMAIN,
    ERROR_KEYS,
    FAST_POLL_INTERVAL,
    POLL_INTERVAL,
)
from .issues import async_note_trouble, async_raise_issues
from .phone_numbers import PhoneNumbers
from .providers import PROVIDERS
from .providers.models import (
    GatewayError,
    Instance,
    InstanceStatus,
    RateLimited,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from homeassistant.core import HomeAssistant

MOVING = frozenset({InstanceStatus.STARTING, InstanceStatus.SCAN_QR})
# all in seconds
FAST_POLL_DURATION = 180.0
REFRESH_COOLDOWN = 1.0
PAUSE_TOLERANCE = 300.0
"""How long a pause that the gateway asks for makes nothing unavailable."""

_LOGGER = logging.getLogger(__name__)

type GatewayConfigEntry = ConfigEntry[GatewayCoordinator]


class GatewayCoordinator(DataUpdateCoordinator[dict[str, Instance]]):
    """The instances of an account by their id."""

    config_entry: GatewayConfigEntry

    def __init__(self, hass: HomeAssistant, entry: GatewayConfigEntry) -> None:
        """Poll with the entry's address and key."""
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
        self.provider = PROVIDERS[entry.data[CONF_PROVIDER]](
            async_get_clientsession(hass),
            entry.data[CONF_URL],
            entry.data[CONF_API_KEY],
            entry.data.get(CONF_INSTANCE_ID),
        )
        self.being_linked: Counter[str] = Counter()
        self.troubled_since: dict[str, tuple[InstanceStatus, float]] = {}
        self.phone_numbers = PhoneNumbers(self.provider)
        self.polled_at = 0.0
        self._moving = False
        self._moved_at = 0.0
        self._listeners_of: dict[str, list[CALLBACK_TYPE]] = {}
        self._told: dict[str, Instance] = {}
        self._one_at_a_time = asyncio.Lock()

    def unique_id(self, instance_id: str) -> str:
        """Return what tells an instance from those of all other gateways."""
        return f"{self.config_entry.data[CONF_GATEWAY]}_{instance_id}"

    def instance_id(self, identifiers: set[tuple[str, str]]) -> str | None:
        """Return the id of the instance that a device is."""
        return next(
            (one for one in self.data if (DOMAIN, self.unique_id(one)) in identifiers),
            None,
        )

    @callback
    @override
    def async_add_listener(
        self, update_callback: CALLBACK_TYPE, context: str | None = None
    ) -> Callable[[], None]:
        """Listen to the instance whose id is the context, without one to all."""
        if context is None:
            return super().async_add_listener(update_callback)
        self._listeners_of.setdefault(context, []).append(update_callback)
        return partial(self._async_remove_listener, context, update_callback)

    @callback
    def _async_remove_listener(
        self, instance_id: str, update_callback: CALLBACK_TYPE
    ) -> None:
        listeners = self._listeners_of[instance_id]
        listeners.remove(update_callback)
        if not listeners:
            del self._listeners_of[instance_id]

    @callback
    @override
    def async_update_listeners(self) -> None:
        """Tell who listens to all, and who to an instance that changed."""
        super().async_update_listeners()
        now = self.data if self.last_update_success else {}
        before, self._told = self._told, now
        for instance_id, listeners in list(self._listeners_of.items()):
            if now.get(instance_id) is not before.get(instance_id):
                for update_callback in list(listeners):
                    try:
                        update_callback()
                    except Exception:
                        # the others are told all the same
                        self.logger.exception("An entity could not be updated")

    @contextmanager
    def linking(self, instance_id: str) -> Iterator[None]:
        """Note that somebody is about to link an instance."""
        self.being_linked[instance_id] += 1
        try:
            yield
        finally:
            # keeps no zeros
            self.being_linked -= Counter([instance_id])

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Tell a person what went wrong; ask for a new key where that helps."""
        try:
            yield
        except GatewayError as err:
            if isinstance(err, Unauthorized):
                self.config_entry.async_start_reauth(self.hass)
            raise HomeAssistantError(**_translated(err)) from err

    @override
    async def _async_update_data(self) -> dict[str, Instance]:
        try:
            # an older answer must not come after a newer one
            async with self._one_at_a_time:
                return await self._async_poll()
        except Unauthorized as err:
            raise ConfigEntryAuthFailed(**_translated(err)) from err
        except RateLimited as err:
            # the next poll is planned to the full second, which may be too early
            self.update_interval = timedelta(seconds=ceil(err.retry_after) + 1)
            if self.data and monotonic() - self.polled_at < PAUSE_TOLERANCE:
                return self.data
            raise UpdateFailed(**_translated(err)) from err
        except GatewayError as err:
            self.update_interval = POLL_INTERVAL
            raise UpdateFailed(**_translated(err)) from err

    async def _async_poll(self) -> dict[str, Instance]:
        asked_at = monotonic()
        instances = {one.id: one for one in await self.provider.instances()}
        await self.phone_numbers.add_to(instances)
        if self._shutdown_requested:
            # what still arrives changes nothing
            return self.data
        self.polled_at = asked_at
        if instances == self.data:
            instances = self.data
        else:
            for instance_id, known in (self.data or {}).items():
                if instances.get(instance_id) == known:
                    instances[instance_id] = known
            self._note_movement(instances)
            self._update_devices(instances)
            self._remember_account(instances)
            async_note_trouble(self, instances)
        fast = self._moving and monotonic() - self._moved_at < FAST_POLL_DURATION
        self.update_interval = FAST_POLL_INTERVAL if fast else POLL_INTERVAL
        async_raise_issues(self, instances)
        return instances

    @callback
    def _remember_account(self, instances: dict[str, Instance]) -> None:
        """Keep the account's own identifier: a new key has to open the same one."""
        data = self.config_entry.data
        account_id = next((one.account_id for one in instances.values()), None)
        if account_id and account_id != data.get(CONF_ACCOUNT_ID):
            self.hass.config_entries.async_update_entry(
                self.config_entry, data={**data, CONF_ACCOUNT_ID: account_id}
            )

    def _note_movement(self, instances: dict[str, Instance]) -> None:
        """Note what makes the poll faster, for some time after the last change."""
        statuses = {one.id: one.status for one in instances.values()}
        if statuses != {one.id: one.status for one in (self.data or {}).values()}:
            self._moved_at = monotonic()
        self._moving = not MOVING.isdisjoint(statuses.values())

    @callback
    def _update_devices(self, instances: dict[str, Instance]) -> None:
        """Remove the devices of instances that are gone, and rename the others."""
        names = {one.id: one.name for one in instances.values()}
        if self.data is not None and names == {
            one.id: one.name for one in self.data.values()
        }:
            return
        named = {
            (DOMAIN, self.unique_id(instance_id)): name
            for instance_id, name in names.items()
        }
        registry = dr.async_get(self.hass)
        for device in dr.async_entries_for_config_entry(
            registry, self.config_entry.entry_id
        ):
            if identifier := next(iter(device.identifiers & named.keys()), None):
                registry.async_update_device(device.id, name=named[identifier])
            else:
                registry.async_remove_device(device.id)


def _translated(err: GatewayError) -> dict[str, Any]:
    """Return what Home Assistant's errors say about ours."""
    return {
        "translation_domain": DOMAIN,
        "translation_key": ERROR_KEYS[type(err)],
        "translation_placeholders": {"message": str(err)},
    }
