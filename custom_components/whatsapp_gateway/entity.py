"""Common to all entities of an instance."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import GatewayCoordinator
from .devices import unique_id
from .texts import device_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from homeassistant.helpers.entity import Entity, EntityDescription
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .account import Account, GatewayConfigEntry
    from .providers.models import Instance

DEFAULT_MODEL = "WhatsApp Web"
MAX_AT_ONCE = 1
"""Number of instances whose entities are added without a break."""


class InstanceEntity(CoordinatorEntity[GatewayCoordinator]):
    """An entity of one instance."""

    _attr_has_entity_name = True

    def __init__(
        self,
        account: Account,
        instance_id: str,
        description: EntityDescription,
        context: str | None = None,
    ) -> None:
        """Create an entity; its context tells the coordinator what it needs."""
        super().__init__(account.coordinator, context=context)
        self.account = account
        self.entity_description = description
        self.instance_id = instance_id
        key = unique_id(account.entry, instance_id)
        self._attr_unique_id = f"{key}_{description.key}"
        self._shown: tuple[bool, Instance | None] | None = None

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the device; computed because it is read only once."""
        provider = self.account.provider
        instance_type = self.instance.type
        types = {**provider.instance_types, **provider.other_types}
        return DeviceInfo(
            identifiers={(DOMAIN, unique_id(self.account.entry, self.instance_id))},
            name=device_name(self.instance.name),
            manufacturer=provider.name,
            model=types.get(instance_type or "", DEFAULT_MODEL),
            model_id=instance_type,
            sw_version=self.coordinator.server_version,
            configuration_url=provider.dashboard_url,
            entry_type=DeviceEntryType.SERVICE,
        )

    @property
    def instance(self) -> Instance:
        """Return the instance as of the last poll."""
        return self.coordinator.data[self.instance_id]

    @property
    @override
    def available(self) -> bool:
        return super().available and self.instance_id in self.coordinator.data

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        # polls may arrive before the first state is written
        self._shown = self._to_show

    @property
    def _to_show(self) -> tuple[bool, Instance | None]:
        return self.available, self.coordinator.data.get(self.instance_id)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state, unless nothing about the instance has changed."""
        if self._shown != self._to_show:
            self._shown = self._to_show
            super()._handle_coordinator_update()


async def async_add_instances(
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entities_of: Callable[[str], Iterable[Entity]],
) -> None:
    """Add the entities of every instance, now and whenever one appears."""
    coordinator = entry.runtime_data.coordinator
    known: set[str] = set()

    def new() -> list[str]:
        known.intersection_update(coordinator.data)
        return [key for key in coordinator.data if key not in known]

    @callback
    def add(instance_ids: Iterable[str]) -> None:
        known.update(instance_ids)
        async_add_entities(
            entity for key in instance_ids for entity in entities_of(key)
        )

    # the entities of a thousand instances at once would block the event loop
    while instance_ids := new():
        add(instance_ids[:MAX_AT_ONCE])
        await asyncio.sleep(0)
    entry.async_on_unload(coordinator.async_add_listener(lambda: add(new())))
