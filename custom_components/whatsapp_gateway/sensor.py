"""Sensors: status, phone number and last seen of an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
)
from homeassistant.const import EntityCategory

from .entity import InstanceEntity, async_add_instances
from .providers.models import InstanceStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
    from homeassistant.helpers.typing import StateType

    from .coordinator import GatewayConfigEntry
    from .providers.base import Provider
    from .providers.models import Instance

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class InstanceSensorDescription(SensorEntityDescription):
    """A value of an instance."""

    on_demand: bool = False
    """Whether the gateway may have to be asked for it extra."""
    exists_fn: Callable[[Provider], bool] = lambda _: True
    value_fn: Callable[[Instance], StateType | datetime]


SENSORS = (
    InstanceSensorDescription(
        key="status",
        translation_key="status",
        device_class=SensorDeviceClass.ENUM,
        options=list(InstanceStatus),
        value_fn=lambda instance: instance.status,
    ),
    InstanceSensorDescription(
        key="phone_number",
        translation_key="phone_number",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        on_demand=True,
        value_fn=lambda instance: instance.phone_number,
    ),
    InstanceSensorDescription(
        key="last_seen",
        translation_key="last_seen",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        exists_fn=lambda provider: provider.reports_last_seen,
        value_fn=lambda instance: instance.last_seen,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors of an account."""
    coordinator = entry.runtime_data
    async_add_instances(
        entry,
        async_add_entities,
        lambda instance_id: (
            InstanceSensor(coordinator, instance_id, description)
            for description in SENSORS
            if description.exists_fn(coordinator.provider)
        ),
    )


class InstanceSensor(InstanceEntity, SensorEntity):
    """A sensor of an instance."""

    entity_description: InstanceSensorDescription

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        if self.entity_description.on_demand:
            wanted = self.coordinator.phone_numbers.wanted
            wanted.add(self.instance_id)
            self.async_on_remove(lambda: wanted.discard(self.instance_id))
            if self.native_value is None:
                # not awaited: the poll may find that this very instance is gone
                self.coordinator.config_entry.async_create_background_task(
                    self.hass,
                    self.coordinator.async_request_refresh(),
                    f"{self.entity_id} refresh",
                )

    @property
    @override
    def _shown(self) -> object:
        return super()._shown and (self.native_value,)

    @property
    @override
    def native_value(self) -> StateType | datetime:
        return self.entity_description.value_fn(self.instance)
