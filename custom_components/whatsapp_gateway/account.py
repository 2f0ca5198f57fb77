"""Whether two keys open the same account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.helpers import device_registry as dr

from .const import CONF_ACCOUNT_ID, CONF_GATEWAY, CONF_PROVIDER, DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .providers.models import Instance


def has_account(
    hass: HomeAssistant,
    entry: ConfigEntry,
    data: Mapping[str, Any],
    instances: Iterable[Instance],
) -> bool:
    """Tell whether an entry has the account of this data and these instances."""
    if any(entry.data[key] != data[key] for key in (CONF_PROVIDER, CONF_URL)):
        return False
    same_key: bool = entry.data[CONF_API_KEY] == data[CONF_API_KEY]
    return same_key or not _known(hass, entry).isdisjoint(_found(entry, instances))


def is_other_account(
    hass: HomeAssistant,
    entry: ConfigEntry,
    data: Mapping[str, Any],
    instances: Iterable[Instance],
) -> bool:
    """Tell whether this data opens another account than the entry's."""
    before, now = (one.get(CONF_ACCOUNT_ID) for one in (entry.data, data))
    if before and now:
        return bool(before != now)
    known = _known(hass, entry)
    return bool(known) and known.isdisjoint(_found(entry, instances))


def _known(hass: HomeAssistant, entry: ConfigEntry) -> set[tuple[str, str]]:
    """Return what the devices of an entry are identified by."""
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    return set().union(*(device.identifiers for device in devices))


def _found(entry: ConfigEntry, instances: Iterable[Instance]) -> set[tuple[str, str]]:
    """Return what instances would be identified by in an entry."""
    gateway = entry.data[CONF_GATEWAY]
    return {(DOMAIN, f"{gateway}_{one.id}") for one in instances}
