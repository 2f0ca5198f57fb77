"""Poll one account and keep its devices in sync."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
import logging
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .account import create_provider, create_session
from .const import (
    CONF_ACCOUNT_ID,
    CONF_GATEWAY,
    CONF_LINKED,
    DOMAIN,
    ERROR_KEYS,
    FAST_POLL_INTERVAL,
    POLL_INTERVAL,
)
from .issues import Troubles
from .pairing.live_code import LiveCode
from .providers.models import (
    Action,
    GatewayError,
    Instance,
    InstanceStatus,
    RateLimited,
    Unauthorized,
)
from .texts import device_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry

MOVING = frozenset({InstanceStatus.STARTING, InstanceStatus.SCAN_QR})
DELIBERATE = frozenset({Action.DISCONNECT, Action.LOGOUT})
"""Actions after which an instance is meant to be disconnected."""
# all in seconds
FAST_POLL_DURATION = 180.0
REFRESH_COOLDOWN = 1.0
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
        self.provider = create_provider(create_session(hass), entry.data)
        self.being_linked: Counter[str] = Counter()
        """Number of dialogs that link an instance: there is no repair meanwhile."""
        self.linked = set(entry.data.get(CONF_LINKED, ()))
        self.troubles = Troubles(hass, entry.entry_id)
        self.polled_at = 0.0
        self._disconnecting: set[str] = set()
        self._live_codes: dict[str, LiveCode] = {}
        self._moved_at = 0.0
        self._poll_lock = asyncio.Lock()
        self._fetching_details = False

    def unique_id(self, instance_id: str) -> str:
        """Return the unique ID of an instance.

        It starts with the address at first setup, so that it survives adding the
        account again, a changed address and a changed API key.
        """
        return f"{self.config_entry.data[CONF_GATEWAY]}_{instance_id}"

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
        self._disconnecting.discard(instance_id)
        if action in DELIBERATE:
            self.async_expect_disconnected(instance_id)
        await self.async_request_refresh()

    @callback
    def async_expect_disconnected(self, instance_id: str) -> None:
        """Raise no repair for an instance that is disconnected on purpose."""
        known = self.data.get(instance_id)
        if known and known.status is InstanceStatus.CONNECTED:
            self._disconnecting.add(instance_id)
        self._async_store_linked(self.linked - {instance_id})
        self.troubles.async_update(self.data, self.linked)

    @override
    async def _async_update_data(self) -> dict[str, Instance]:
        try:
            # an older answer must not replace a newer one
            async with self._poll_lock:
                return await self._async_poll()
        except Unauthorized as err:
            failed = ConfigEntryAuthFailed if self._has_current_key else UpdateFailed
            raise failed(**_translated(err)) from err
        except RateLimited as err:
            # UpdateFailed(retry_after=) needs Home Assistant 2025.12; polls start on a
            # full second, which may be too early
            self.update_interval = timedelta(seconds=ceil(err.retry_after) + 1)
            recent = monotonic() - self.polled_at < PAUSE_TOLERANCE
            if self.data is not None and recent:
                return self.data
            raise UpdateFailed(**_translated(err)) from err
        except GatewayError as err:
            self.update_interval = POLL_INTERVAL
            raise UpdateFailed(**_translated(err)) from err

    async def _async_poll(self) -> dict[str, Instance]:
        asked_at = monotonic()
        instances = {one.id: one for one in await self.provider.instances()}
        if self.provider.closed:
            # unloaded meanwhile
            return self.data
        if instances == self.data:
            instances = self.data
        else:
            self._note_movement(instances)
            self._async_remember_account(instances)
            self._async_remember_linked(instances)
            self._async_update_devices(instances)
            self.troubles.async_update(instances, self.linked)
        self.polled_at = asked_at
        moving = any(instance.status in MOVING for instance in instances.values())
        fast = moving and monotonic() - self._moved_at < FAST_POLL_DURATION
        self.update_interval = FAST_POLL_INTERVAL if fast else POLL_INTERVAL
        self.troubles.async_raise(instances, self.being_linked)
        self.async_fetch_details()
        return instances

    @callback
    def async_fetch_details(self) -> None:
        """Fetch what entities need and the list lacks, without delaying the poll."""
        if any(self.async_contexts()) and not self._fetching_details:
            self._fetching_details = True
            self.config_entry.async_create_background_task(
                self.hass, self._async_fetch_details(), f"{self.name} details"
            )

    async def _async_fetch_details(self) -> None:
        # gives the poll time to publish its list
        await asyncio.sleep(0)
        try:
            # entities that need more than the list have their instance as context
            wanted = {str(instance_id) for instance_id in self.async_contexts()}
            found = await self.provider.details(
                self.data[one] for one in wanted & self.data.keys()
            )
        except GatewayError:
            return
        finally:
            self._fetching_details = False
        details = {
            one.id: one
            for one in found
            if one.id in self.data
            and one.status is self.data[one.id].status
            and not self.provider.closed
        }
        if details:
            self.data = {**self.data, **details}
            self.async_update_listeners()

    @callback
    def _async_remember_account(self, instances: dict[str, Instance]) -> None:
        """Store the account's own ID: a new API key has to belong to the same one."""
        account_id = next((one.account_id for one in instances.values()), None)
        if account_id and account_id != self.config_entry.data.get(CONF_ACCOUNT_ID):
            self._async_store(CONF_ACCOUNT_ID, account_id)

    @callback
    def _async_remember_linked(self, instances: dict[str, Instance]) -> None:
        """Store which instances are linked, also for after a restart."""
        connected = {
            one.id
            for one in instances.values()
            if one.status is InstanceStatus.CONNECTED
        }
        # an instance that is being disconnected may still be reported as connected
        self._disconnecting &= connected
        self._async_store_linked(
            (self.linked & instances.keys()) | (connected - self._disconnecting)
        )

    @callback
    def _async_store_linked(self, linked: set[str]) -> None:
        if linked != self.linked:
            self.linked = linked
            self._async_store(CONF_LINKED, sorted(linked))

    @callback
    def _async_store(self, key: str, value: Any) -> None:
        data = {**self.config_entry.data, key: value}
        self.hass.config_entries.async_update_entry(self.config_entry, data=data)

    def _note_movement(self, instances: dict[str, Instance]) -> None:
        """Note when a status last changed, and update the QR codes."""
        statuses = {one.id: one.status for one in instances.values()}
        before = {one.id: one.status for one in (self.data or {}).values()}
        if statuses != before:
            self._moved_at = monotonic()
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
        names = {one.id: one.name for one in instances.values()}
        before = {one.id: one.name for one in (self.data or {}).values()}
        if self.data is not None and names == before:
            return
        identifiers = {
            (DOMAIN, self.unique_id(one)): device_name(name)
            for one, name in names.items()
        }
        registry = dr.async_get(self.hass)
        devices = dr.async_entries_for_config_entry(
            registry, self.config_entry.entry_id
        )
        for device in devices:
            for identifier in device.identifiers & identifiers.keys():
                registry.async_update_device(device.id, name=identifiers[identifier])
        gone = [
            device.id
            for device in devices
            if device.identifiers.isdisjoint(identifiers) and self._owns(device)
        ]
        for device_id in gone:
            registry.async_remove_device(device_id)
        if gone:
            async_update_other_accounts(self.hass, self.config_entry)

    def _owns(self, device: DeviceEntry) -> bool:
        """Whether no other account has taken over the entities of a device."""
        entities = er.async_entries_for_device(
            er.async_get(self.hass), device.id, include_disabled_entities=True
        )
        own = self.config_entry.entry_id
        return all(
            entity.config_entry_id == own
            for entity in entities
            if entity.platform == DOMAIN
        )


@callback
def async_update_other_accounts(hass: HomeAssistant, entry: GatewayConfigEntry) -> None:
    """Let other accounts add the instances that this account no longer has."""
    for other in hass.config_entries.async_loaded_entries(DOMAIN):
        if other is not entry:
            other.runtime_data.async_update_listeners()


def _translated(err: GatewayError) -> dict[str, Any]:
    """Return the translation of an error as arguments of Home Assistant's errors."""
    return {
        "translation_domain": DOMAIN,
        "translation_key": ERROR_KEYS[type(err)],
        "translation_placeholders": {"message": str(err)},
    }
