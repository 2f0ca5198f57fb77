"""Create the client of an account, store its data, and compare accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yarl import URL

from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import callback
from homeassistant.helpers.aiohttp_client import async_create_clientsession

from .const import (
    CONF_ACCOUNT_ID,
    CONF_GATEWAY,
    CONF_INSTANCE_ID,
    CONF_PAIRING_DIGESTS,
    CONF_PROVIDER,
    DOMAIN,
)
from .devices import async_instance_devices, instance_unique_id
from .providers import PROVIDERS
from .providers.http import session_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import ClientSession

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .providers.base import Provider
    from .providers.models import Instance

CLIENT_KEYS = (
    CONF_PROVIDER,
    CONF_URL,
    CONF_API_KEY,
    CONF_VERIFY_SSL,
    CONF_INSTANCE_ID,
)
"""What the client of an account is made of."""
DEFAULTS = {CONF_VERIFY_SSL: True}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@callback
def async_store(hass: HomeAssistant, entry: ConfigEntry, key: str, value: Any) -> None:
    """Store one value in the data of an account."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, key: value})


def create_session(
    hass: HomeAssistant, data: Mapping[str, Any], *, auto_cleanup: bool = True
) -> ClientSession:
    """Return a session for the account with this data."""
    return async_create_clientsession(
        hass,
        verify_ssl=data.get(CONF_VERIFY_SSL, True),
        auto_cleanup=auto_cleanup,
        **session_options(),
    )


def create_provider(session: ClientSession, data: Mapping[str, Any]) -> Provider:
    """Return the client of the account with this data."""
    provider = PROVIDERS[data[CONF_PROVIDER]](
        session, data[CONF_URL], data[CONF_API_KEY], data.get(CONF_INSTANCE_ID)
    )
    provider.pairing_digests.update(data.get(CONF_PAIRING_DIGESTS, {}))
    return provider


def has_same_client(data: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether the clients of two accounts would send the same requests."""
    data, other = ({**DEFAULTS, **values} for values in (data, other))
    return all(data.get(key) == other.get(key) for key in CLIENT_KEYS)


def has_account(
    hass: HomeAssistant,
    entry: ConfigEntry,
    data: Mapping[str, Any],
    instances: Iterable[Instance],
) -> bool:
    """Return whether an entry is the account with this data and these instances."""
    if not _same_server(entry, data):
        return False
    same_key: bool = entry.data[CONF_API_KEY] == data[CONF_API_KEY]
    return same_key or not _known(hass, entry).isdisjoint(_found(entry, instances))


def unique_gateway(entries: Iterable[ConfigEntry], data: Mapping[str, Any]) -> str:
    """Return the start of the unique IDs of a new account.

    It is the address, unless an account of another server has started with it: that
    one has moved since, or another gateway runs at its address now.
    """
    gateway: str = data[CONF_GATEWAY]
    others = {
        entry.data[CONF_GATEWAY] for entry in entries if not _same_server(entry, data)
    }
    numbered = (f"{gateway}#{number}" for number in range(2, len(others) + 3))
    return next(text for text in (gateway, *numbered) if text not in others)


def is_other_account(
    hass: HomeAssistant,
    entry: ConfigEntry,
    data: Mapping[str, Any],
    instances: Iterable[Instance],
) -> bool:
    """Return whether this data belongs to another account than the entry's.

    An account without instances can't be identified, so it is accepted.
    """
    before, now = (values.get(CONF_ACCOUNT_ID) for values in (entry.data, data))
    if before and now:
        return bool(before != now)
    known, found = _known(hass, entry), _found(entry, instances)
    return bool(known) and bool(found) and known.isdisjoint(found)


def known_instance_ids(hass: HomeAssistant, entry: ConfigEntry) -> set[str]:
    """Return the IDs of the instances that have a device."""
    prefix = instance_unique_id(entry, "")
    return {key.removeprefix(prefix) for _, key in _known(hass, entry)}


def _same_server(entry: ConfigEntry, data: Mapping[str, Any]) -> bool:
    """Return whether an entry belongs to the server with this data."""
    same_address = _normalized(entry.data[CONF_URL]) == _normalized(data[CONF_URL])
    return same_address and entry.data[CONF_PROVIDER] == data[CONF_PROVIDER]


def _normalized(address: str) -> URL:
    """Return an address that is the same for all names of this machine."""
    url = URL(address)
    return url.with_host("localhost") if url.host in LOOPBACK else url


def _known(hass: HomeAssistant, entry: ConfigEntry) -> set[tuple[str, str]]:
    """Return the identifiers of an entry's instances that have a device."""
    devices = async_instance_devices(hass, entry)
    return set().union(*(device.identifiers for device in devices))


def _found(entry: ConfigEntry, instances: Iterable[Instance]) -> set[tuple[str, str]]:
    """Return the identifiers that instances would have in an entry."""
    return {(DOMAIN, instance_unique_id(entry, instance.id)) for instance in instances}
