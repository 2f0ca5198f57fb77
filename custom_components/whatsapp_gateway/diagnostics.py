"""Diagnostics: what helps to find a fault, and nothing that could be a secret."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from .const import CONF_INSTANCE_ID

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry

    from .coordinator import GatewayConfigEntry, GatewayCoordinator
    from .providers.models import Instance


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: GatewayConfigEntry
) -> dict[str, Any]:
    """Return what is known of an account."""
    coordinator = entry.runtime_data
    return _account(coordinator) | {
        "instances": [
            _instance(coordinator, instance) for instance in coordinator.data.values()
        ]
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: GatewayConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return what is known of an instance, and of its account."""
    coordinator = entry.runtime_data
    instance = coordinator.data.get(coordinator.instance_id(device.identifiers) or "")
    return _account(coordinator) | {
        "instance": _instance(coordinator, instance) if instance else None
    }


def _account(coordinator: GatewayCoordinator) -> dict[str, Any]:
    provider, error = coordinator.provider, coordinator.last_exception
    cause = error and (error.__cause__ or error)
    return {
        "provider": provider.name,
        "default_url": coordinator.config_entry.data["url"] == provider.default_url,
        "key_bound_to_instance": CONF_INSTANCE_ID in coordinator.config_entry.data,
        "last_poll_succeeded": coordinator.last_update_success,
        "seconds_since_poll": round(monotonic() - coordinator.polled_at),
        "poll_interval": str(coordinator.update_interval),
        "last_error": type(cause).__name__ if cause else None,
        "instance_count": len(coordinator.data),
        "being_linked": coordinator.being_linked.total(),
    }


def _instance(coordinator: GatewayCoordinator, instance: Instance) -> dict[str, Any]:
    _, since = coordinator.troubled_since.get(instance.id, (None, None))
    return {
        "status": instance.status,
        "raw_status": instance.raw_status,
        "type": instance.type,
        "linkable": instance.linkable,
        "phone_number_known": instance.phone_number is not None,
        "last_seen": instance.last_seen,
        "seconds_in_trouble": since and round(monotonic() - since),
    }
