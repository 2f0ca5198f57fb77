"""The devices of an account: its instances and its recipients."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr

from .const import CONF_GATEWAY, DOMAIN
from .texts import device_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry


def unique_id(entry: ConfigEntry, own_id: str) -> str:
    """Return the unique ID of an instance, or of a recipient by its subentry's ID.

    It starts with the address at first setup, so that it survives adding the account
    again, a changed address and a changed API key.
    """
    return f"{entry.data[CONF_GATEWAY]}_{own_id}"


@callback
def async_instance_devices(
    hass: HomeAssistant, entry: ConfigEntry
) -> list[DeviceEntry]:
    """Return the devices of an account that are instances, not recipients."""
    recipients = {(DOMAIN, unique_id(entry, key)) for key in entry.subentries}
    return [
        device
        for device in dr.async_entries_for_config_entry(
            dr.async_get(hass), entry.entry_id
        )
        if device.identifiers.isdisjoint(recipients)
    ]


def instance_id_of(entry: ConfigEntry, device: DeviceEntry) -> str | None:
    """Return the ID of the instance that a device of an account stands for.

    For a recipient it is the ID of no instance.
    """
    prefix = unique_id(entry, "")
    ids = (key for domain, key in device.identifiers if domain == DOMAIN)
    found = (key.removeprefix(prefix) for key in ids if key.startswith(prefix))
    return next(found, None)


def known_instance_ids(hass: HomeAssistant, entry: ConfigEntry) -> set[str]:
    """Return the IDs of the instances that have a device."""
    devices = async_instance_devices(hass, entry)
    ids = (instance_id_of(entry, device) for device in devices)
    return {instance_id for instance_id in ids if instance_id is not None}


@callback
def async_find_instance(
    hass: HomeAssistant, device_id: str
) -> tuple[ConfigEntry, str] | None:
    """Return the account of a device, and the ID of the instance it stands for."""
    registry = dr.async_get(hass)
    device = registry.async_get(device_id)
    for entry in hass.config_entries.async_entries(DOMAIN):
        if device in dr.async_entries_for_config_entry(registry, entry.entry_id):
            instance_id = instance_id_of(entry, device)
            return None if instance_id is None else (entry, instance_id)
    return None


@callback
def async_update_devices(
    hass: HomeAssistant, entry: ConfigEntry, names: Mapping[str, str | None]
) -> None:
    """Rename the devices of instances, and remove those of instances that are gone.

    The instances are given by their IDs and names; None if the name isn't known.
    """
    identifiers = {
        (DOMAIN, unique_id(entry, instance_id)): name
        for instance_id, name in names.items()
    }
    registry = dr.async_get(hass)
    for device in async_instance_devices(hass, entry):
        for identifier in device.identifiers & identifiers.keys():
            if (name := identifiers[identifier]) is not None:
                registry.async_update_device(device.id, name=device_name(name))
        if device.identifiers.isdisjoint(identifiers):
            registry.async_remove_device(device.id)


async def async_show_version(
    hass: HomeAssistant, entry: ConfigEntry, version: str | None
) -> None:
    """Show the version of the server at the devices of instances."""
    registry = dr.async_get(hass)
    for device in async_instance_devices(hass, entry):
        # it may have been removed meanwhile
        with suppress(KeyError):
            registry.async_update_device(device.id, sw_version=version)
        # a thousand devices at once would block the event loop
        await asyncio.sleep(0)


@callback
def async_device_of(
    hass: HomeAssistant, entry: ConfigEntry, own_id: str
) -> DeviceEntry | None:
    """Return the device of an instance or a recipient, None if it has none."""
    return next(iter(_devices_of(hass, entry, own_id)), None)


@callback
def async_rename_device(
    hass: HomeAssistant, entry: ConfigEntry, own_id: str, name: str
) -> None:
    """Give the device of an instance or a recipient a new name."""
    for device in _devices_of(hass, entry, own_id):
        dr.async_get(hass).async_update_device(device.id, name=device_name(name))


def _devices_of(
    hass: HomeAssistant, entry: ConfigEntry, own_id: str
) -> list[DeviceEntry]:
    identifier = (DOMAIN, unique_id(entry, own_id))
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return [device for device in devices if identifier in device.identifiers]
