"""WhatsApp Gateway: link and watch the WhatsApp numbers of a gateway account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.const import Platform
from homeassistant.helpers import config_validation as cv

from .const import DOMAIN, Receive
from .coordinator import GatewayCoordinator
from .devices import async_update_other_accounts
from .messages.media_view import MediaView
from .messages.memory import async_forget
from .problems import async_delete_issues, async_delete_issues_of_disabled
from .push.webhook import async_remove_webhook
from .services import async_setup_services

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.typing import ConfigType

    from .coordinator import GatewayConfigEntry

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
    """Register the actions, available without an account."""
    media_view = MediaView(hass)
    hass.http.register_view(media_view)
    async_setup_services(hass, media_view)
    async_delete_issues_of_disabled(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: GatewayConfigEntry) -> bool:
    """Set up an account."""
    coordinator = GatewayCoordinator(hass, entry)
    await coordinator.async_config_entry_first_refresh()
    entry.runtime_data = coordinator
    # ends requests; a dialog that links an instance goes on with the next coordinator
    entry.async_on_unload(coordinator.provider.close)
    entry.async_on_unload(
        lambda: coordinator.async_store_pairing_digests(coordinator.data)
    )
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    if coordinator.inbox.receive is not Receive.NO:
        entry.async_create_background_task(
            hass, coordinator.inbox.async_run(), f"{coordinator.name} messages"
        )
    coordinator.webhook.async_setup()
    if coordinator.push:
        entry.async_create_background_task(
            hass, coordinator.push.async_run(), f"{coordinator.name} events"
        )
    return True


async def async_unload_entry(hass: HomeAssistant, entry: GatewayConfigEntry) -> bool:
    """Unload an account."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: GatewayConfigEntry) -> None:
    """Delete what an account leaves behind."""
    async_delete_issues(hass, entry.entry_id)
    async_forget(hass, entry.entry_id)
    await async_remove_webhook(hass, entry)
    async_update_other_accounts(hass, entry)
