"""Create the client of an account, and store its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import callback
from homeassistant.helpers.aiohttp_client import async_create_clientsession

from .const import CONF_INSTANCE_ID, CONF_PAIRING_DIGESTS, CONF_PROVIDER
from .providers import PROVIDERS
from .providers.http import session_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientSession

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .providers.base import Provider


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
