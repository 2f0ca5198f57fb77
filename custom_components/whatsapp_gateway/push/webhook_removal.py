"""Forget the webhook of an account, whether the account is loaded or not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from homeassistant.components import webhook
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import callback

from ..client import create_provider, create_session
from ..const import CONF_WEBHOOK
from ..devices import known_instance_ids
from ..providers.models import GatewayError
from .webhook_requests import async_delete_cloudhook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from ..providers.capabilities import Webhooks

# what is stored: the ID in Home Assistant, what each call has to bring, the address
CONF_ID = "id"
CONF_SECRET = "secret"  # noqa: S105
CONF_ADDRESS = "address"
"""Only stored while the webhook is on.

The rest is kept: a gateway that wasn't reached when it was turned off has it still."""
REMOVAL_SECONDS = 10.0
"""Time for the gateway to forget the address; it may be unreachable for good."""


def is_on(entry: ConfigEntry) -> bool:
    """Return whether the user has turned the webhook on."""
    return CONF_ADDRESS in entry.data.get(CONF_WEBHOOK, {})


@callback
def async_unregister_handler(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Answer no calls any more."""
    if is_on(entry):
        webhook.async_unregister(hass, entry.data[CONF_WEBHOOK][CONF_ID])


async def async_move_webhook(
    hass: HomeAssistant, entry: ConfigEntry, data: Mapping[str, Any]
) -> None:
    """Let the present gateway forget the address before the account gets this data.

    The reload that follows registers the address again, with the new data.
    """
    changed = any(entry.data[key] != data[key] for key in (CONF_URL, CONF_API_KEY))
    if changed and is_on(entry):
        await _async_unregister_unloaded(hass, entry)


async def async_remove_webhook(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Let the gateway of an account that is removed forget the address."""
    if is_on(entry):
        async_unregister_handler(hass, entry)
        await _async_unregister_unloaded(hass, entry)
        await async_delete_cloudhook(hass, entry.data[CONF_WEBHOOK][CONF_ID])


async def _async_unregister_unloaded(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Unregister the webhook with a new client: the account's may be closed."""
    session = create_session(hass, entry.data, auto_cleanup=False)
    provider = create_provider(session, entry.data)
    if provider.webhooks is not None:
        settings = entry.data[CONF_WEBHOOK]
        await async_unregister(hass, entry, provider.webhooks, settings)
    session.detach()


async def async_unregister(
    hass: HomeAssistant,
    entry: ConfigEntry,
    webhooks: Webhooks,
    settings: Mapping[str, str],
) -> None:
    """Let the gateway forget the address, if it can be reached."""
    with suppress(GatewayError, TimeoutError):
        async with asyncio.timeout(REMOVAL_SECONDS):
            await webhooks.unregister(
                settings[CONF_ADDRESS], known_instance_ids(hass, entry)
            )
