"""WhatsApp Gateway: link and watch the WhatsApp numbers of a gateway account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.dispatcher import async_dispatcher_connect

from .account import Account
from .const import DOMAIN
from .messages.media_view import async_setup_media_view
from .messages.memory import async_end_messages, async_forget
from .problems import async_delete_issues
from .push.webhook_removal import async_remove_webhook, async_unregister_handler
from .services import async_setup_services

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, ConfigEntryChange
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.typing import ConfigType

    from .account import GatewayConfigEntry

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.IMAGE,
    Platform.NOTIFY,
    Platform.SENSOR,
]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up what needs no account."""
    async_setup_media_view(hass)
    async_setup_services(hass)

    @callback
    def changed(_change: ConfigEntryChange, entry: ConfigEntry) -> None:
        # also one that isn't loaded
        if entry.domain == DOMAIN and entry.disabled_by:
            async_delete_issues(hass, entry.entry_id)
            async_end_messages(hass, entry.entry_id)
            async_unregister_handler(hass, entry)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: GatewayConfigEntry) -> bool:
    """Set up an account."""
    account = Account(hass, entry)
    account.async_listen()
    await account.coordinator.async_config_entry_first_refresh()
    entry.runtime_data = account
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    account.async_start()
    return True


async def async_unload_entry(hass: HomeAssistant, entry: GatewayConfigEntry) -> bool:
    """Unload an account."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: GatewayConfigEntry) -> None:
    """Delete what an account leaves behind."""
    async_delete_issues(hass, entry.entry_id)
    async_forget(hass, entry.entry_id)
    await async_remove_webhook(hass, entry)
