"""What all entities of an instance have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import GatewayCoordinator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from homeassistant.helpers.entity import Entity, EntityDescription
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import GatewayConfigEntry
    from .providers.models import Instance


class InstanceEntity(CoordinatorEntity[GatewayCoordinator]):
    """An entity of one instance."""

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: GatewayCoordinator,
        instance_id: str,
        description: EntityDescription,
    ) -> None:
        """Belong to the instance's device."""
        super().__init__(coordinator, context=instance_id)
        self.entity_description = description
        self.instance_id = instance_id
        self._attr_unique_id = f"{coordinator.unique_id(instance_id)}_{description.key}"
        self._written: object = None

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the instance's device; asked for once, so it is not kept."""
        return DeviceInfo(
            identifiers={(DOMAIN, self.coordinator.unique_id(self.instance_id))},
            name=self.instance.name,
            manufacturer=self.coordinator.provider.name,
            model=self.instance.type,
            entry_type=DeviceEntryType.SERVICE,
        )

    @property
    def instance(self) -> Instance:
        """Return the instance as it was last polled."""
        return self.coordinator.data[self.instance_id]

    @property
    @override
    def available(self) -> bool:
        return super().available and self.instance_id in self.coordinator.data

    @property
    def _shown(self) -> object:
        """Return what the state says of the instance."""
        return self.available

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        # what a poll brings from now on is told, and the state is about to be written
        self._written = self._shown

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state if what it says changed."""
        if self._written != self._shown:
            self._written = self._shown
            super()._handle_coordinator_update()


@callback
def async_add_instances(
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    entities_of: Callable[[str], Iterable[Entity]],
) -> None:
    """Add the entities of every instance, now and whenever one appears."""
    coordinator = entry.runtime_data
    known: set[str] = set()

    @callback
    def add_new() -> None:
        known.intersection_update(coordinator.data)
        new = [one for one in coordinator.data if one not in known]
        known.update(new)
        async_add_entities(entity for one in new for entity in entities_of(one))

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))
