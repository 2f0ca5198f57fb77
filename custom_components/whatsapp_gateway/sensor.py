"""Sensors for the status, phone number and last seen time of an instance."""

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
from .providers.models import Feature, InstanceStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
    from homeassistant.helpers.typing import StateType

    from .account import GatewayConfigEntry
    from .providers.base import Provider
    from .providers.models import Instance

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class InstanceSensorDescription(SensorEntityDescription):
    """Description of a sensor."""

    shows_phone_number: bool = False
    """Whether the gateway may have to be asked for the value."""
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
        shows_phone_number=True,
        value_fn=lambda instance: instance.phone_number,
    ),
    InstanceSensorDescription(
        key="last_seen",
        translation_key="last_seen",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        exists_fn=lambda provider: Feature.LAST_SEEN in provider.features,
        value_fn=lambda instance: instance.last_seen,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors of an account."""
    account = entry.runtime_data
    await async_add_instances(
        entry,
        async_add_entities,
        lambda instance_id: (
            InstanceSensor(
                account,
                instance_id,
                description,
                context=instance_id if description.shows_phone_number else None,
            )
            for description in SENSORS
            if description.exists_fn(account.provider)
        ),
    )


class InstanceSensor(InstanceEntity, SensorEntity):
    """A sensor of an instance."""

    entity_description: InstanceSensorDescription

    @property
    @override
    def native_value(self) -> StateType | datetime:
        return self.entity_description.value_fn(self.instance)
