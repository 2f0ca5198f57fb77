"""Create the client of an account, and compare accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import DummyCookieJar
from yarl import URL

from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_create_clientsession

from .const import (
    CONF_ACCOUNT_ID,
    CONF_GATEWAY,
    CONF_INSTANCE_ID,
    CONF_PROVIDER,
    DOMAIN,
)
from .providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import ClientSession

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .providers.base import Provider
    from .providers.models import Instance

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def create_session(hass: HomeAssistant, *, auto_cleanup: bool = True) -> ClientSession:
    """Return a session for one account.

    Accounts share no cookies, and no small compressed answer is unpacked to hundreds
    of megabytes.
    """
    return async_create_clientsession(
        hass,
        auto_cleanup=auto_cleanup,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
    )


def create_provider(session: ClientSession, data: Mapping[str, Any]) -> Provider:
    """Return the client of the account with this data."""
    return PROVIDERS[data[CONF_PROVIDER]](
        session, data[CONF_URL], data[CONF_API_KEY], data.get(CONF_INSTANCE_ID)
    )


def has_account(
    hass: HomeAssistant,
    entry: ConfigEntry,
    data: Mapping[str, Any],
    instances: Iterable[Instance],
) -> bool:
    """Return whether an entry is the account with this data and these instances."""
    if entry.data[CONF_PROVIDER] != data[CONF_PROVIDER]:
        return False
    if _normalized(entry.data[CONF_URL]) != _normalized(data[CONF_URL]):
        return False
    same_key: bool = entry.data[CONF_API_KEY] == data[CONF_API_KEY]
    return same_key or not _known(hass, entry).isdisjoint(_found(entry, instances))


def is_other_account(
    hass: HomeAssistant,
    entry: ConfigEntry,
    data: Mapping[str, Any],
    instances: Iterable[Instance],
) -> bool:
    """Return whether this data belongs to another account than the entry's.

    An account without instances can't be identified, so it is accepted.
    """
    before, now = (one.get(CONF_ACCOUNT_ID) for one in (entry.data, data))
    if before and now:
        return bool(before != now)
    known, found = _known(hass, entry), _found(entry, instances)
    return bool(known) and bool(found) and known.isdisjoint(found)


def _normalized(address: str) -> URL:
    """Return an address that is the same for all names of this machine."""
    url = URL(address)
    return url.with_host("localhost") if url.host in LOOPBACK else url


def _known(hass: HomeAssistant, entry: ConfigEntry) -> set[tuple[str, str]]:
    """Return the identifiers of an entry's devices."""
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    return set().union(*(device.identifiers for device in devices))


def _found(entry: ConfigEntry, instances: Iterable[Instance]) -> set[tuple[str, str]]:
    """Return the identifiers that instances would have in an entry."""
    gateway = entry.data[CONF_GATEWAY]
    return {(DOMAIN, f"{gateway}_{instance.id}") for instance in instances}
