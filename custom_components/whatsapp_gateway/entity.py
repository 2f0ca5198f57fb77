"""Common to all entities of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import GatewayCoordinator
from .texts import device_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from homeassistant.helpers.entity import Entity, EntityDescription
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import GatewayConfigEntry
    from .providers.models import Instance

DEFAULT_MODEL = "WhatsApp Web"


class InstanceEntity(CoordinatorEntity[GatewayCoordinator]):
    """An entity of one instance."""

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: GatewayCoordinator,
        instance_id: str,
        description: EntityDescription,
        context: str | None = None,
    ) -> None:
        """Create an entity; the context is the instance ID if it needs details."""
        super().__init__(coordinator, context=context)
        self.entity_description = description
        self.instance_id = instance_id
        self._attr_unique_id = f"{coordinator.unique_id(instance_id)}_{description.key}"
        self._previous: object = None

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the device; computed because it is read only once."""
        provider = self.coordinator.provider
        instance_type = self.instance.type
        types = {**provider.instance_types, **provider.other_types}
        return DeviceInfo(
            identifiers={(DOMAIN, self.coordinator.unique_id(self.instance_id))},
            name=device_name(self.instance.name),
            manufacturer=provider.name,
            model=types.get(instance_type or "", DEFAULT_MODEL),
            model_id=instance_type,
            sw_version=self.coordinator.details.server_version,
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

    @property
    def _shown(self) -> object:
        """Return what the state shows of the instance."""
        return self.available

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        # polls may arrive before the first state is written
        self._previous = self._shown

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state if what it shows has changed."""
        if self._previous != self._shown:
            self._previous = self._shown
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
        new = [
            instance_id
            for instance_id in coordinator.data
            if instance_id not in known
            and not _belongs_to_another(coordinator, instance_id)
        ]
        known.update(new)
        async_add_entities(
            entity for instance_id in new for entity in entities_of(instance_id)
        )

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))


def _belongs_to_another(coordinator: GatewayCoordinator, instance_id: str) -> bool:
    """Return whether another account still has the entities of an instance."""
    hass: HomeAssistant = coordinator.hass
    registry = er.async_get(hass)
    entity_id = registry.async_get_entity_id(
        "sensor", DOMAIN, f"{coordinator.unique_id(instance_id)}_status"
    )
    if entity_id is None or (entity := registry.async_get(entity_id)) is None:
        return False
    own = coordinator.config_entry
    return any(
        entity.config_entry_id == entry.entry_id
        for entry in hass.config_entries.async_loaded_entries(DOMAIN)
        if entry is not own
    )
