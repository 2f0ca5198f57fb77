"""Binary sensor that shows whether an instance is connected to WhatsApp."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)

from .entity import InstanceEntity, async_add_instances
from .providers.models import InstanceStatus

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .account import GatewayConfigEntry

PARALLEL_UPDATES = 0

CONNECTED = BinarySensorEntityDescription(
    key="connected",
    translation_key="connected",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the binary sensors of an account."""
    await async_add_instances(
        entry,
        async_add_entities,
        lambda instance_id: [
            ConnectedSensor(entry.runtime_data, instance_id, CONNECTED)
        ],
    )


class ConnectedSensor(InstanceEntity, BinarySensorEntity):
    """Shows whether an instance is connected."""

    @property
    @override
    def is_on(self) -> bool | None:
        status = self.instance.status
        return None if status is None else status is InstanceStatus.CONNECTED
