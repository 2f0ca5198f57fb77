"""The devices of an account's instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from .const import CONF_GATEWAY, DOMAIN
from .messages.recipients import recipient_unique_id, recipients_of
from .texts import device_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry

    from .coordinator import GatewayConfigEntry


def instance_unique_id(entry: ConfigEntry, instance_id: str) -> str:
    """Return the unique ID of an instance.

    It starts with the address at first setup, so that it survives adding the account
    again, a changed address and a changed API key.
    """
    return f"{entry.data[CONF_GATEWAY]}_{instance_id}"


@callback
def async_instance_devices(
    hass: HomeAssistant, entry: ConfigEntry
) -> list[DeviceEntry]:
    """Return the devices of an account that are instances, not recipients."""
    others = {
        (DOMAIN, recipient_unique_id(entry, recipient.subentry_id))
        for recipient in recipients_of(entry)
    }
    return [
        device
        for device in dr.async_entries_for_config_entry(
            dr.async_get(hass), entry.entry_id
        )
        if device.identifiers.isdisjoint(others)
    ]


@callback
def async_update_devices(
    hass: HomeAssistant, entry: GatewayConfigEntry, names: Mapping[str, str | None]
) -> None:
    """Rename the devices of instances, and remove those of instances that are gone.

    The instances are given by their IDs and names; None if the name isn't known.
    """
    identifiers = {
        (DOMAIN, instance_unique_id(entry, instance_id)): name
        for instance_id, name in names.items()
    }
    registry = dr.async_get(hass)
    devices = async_instance_devices(hass, entry)
    for device in devices:
        for identifier in device.identifiers & identifiers.keys():
            if (name := identifiers[identifier]) is not None:
                registry.async_update_device(device.id, name=device_name(name))
    gone = [
        device.id
        for device in devices
        if device.identifiers.isdisjoint(identifiers) and _owns(hass, entry, device)
    ]
    for device_id in gone:
        registry.async_remove_device(device_id)
    if gone:
        async_update_other_accounts(hass, entry)


def _owns(hass: HomeAssistant, entry: ConfigEntry, device: DeviceEntry) -> bool:
    """Return whether no other account has taken over the entities of a device."""
    entities = er.async_entries_for_device(
        er.async_get(hass), device.id, include_disabled_entities=True
    )
    return all(
        entity.config_entry_id == entry.entry_id
        for entity in entities
        if entity.platform == DOMAIN
    )


@callback
def async_update_other_accounts(hass: HomeAssistant, entry: GatewayConfigEntry) -> None:
    """Let other accounts add the instances that this account no longer has."""
    for other in hass.config_entries.async_loaded_entries(DOMAIN):
        if other is not entry:
            other.runtime_data.async_update_listeners()
