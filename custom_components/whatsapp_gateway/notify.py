"""Notify entities: the recipients of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from homeassistant.components.notify import NotifyEntity, NotifyEntityFeature
from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntryChange
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import GatewayCoordinator
from .messages.recipients import recipient_unique_id, recipients_of
from .providers.messages import GROUP, OutgoingMessage
from .texts import device_name

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import GatewayConfigEntry
    from .messages.recipients import Recipient

# the outbox sends the messages of each instance in order
PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the entity of every recipient, now and whenever one is added."""
    known: dict[str, Recipient] = {}

    @callback
    def async_update() -> None:
        recipients = {one.subentry_id: one for one in recipients_of(entry)}
        for subentry_id, recipient in recipients.items():
            before = known.get(subentry_id)
            if before is None:
                async_add_entities(
                    [RecipientEntity(entry.runtime_data, recipient)],
                    config_subentry_id=subentry_id,
                )
            elif before.name != recipient.name:
                _async_rename_device(hass, entry, recipient)
        # Home Assistant removes the entities and devices of removed subentries
        known.clear()
        known.update(recipients)

    @callback
    def async_entry_changed(change: ConfigEntryChange, changed: ConfigEntry) -> None:
        if changed is entry and change is ConfigEntryChange.UPDATED:
            async_update()

    async_update()
    # an update listener would reload the account, which ends the connection for events
    entry.async_on_unload(
        async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, async_entry_changed)
    )


@callback
def _async_rename_device(
    hass: HomeAssistant, entry: ConfigEntry, recipient: Recipient
) -> None:
    """Give the device of a recipient its new name."""
    registry = dr.async_get(hass)
    identifier = (DOMAIN, recipient_unique_id(entry, recipient.subentry_id))
    for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
        if identifier in device.identifiers:
            registry.async_update_device(device.id, name=device_name(recipient.name))


class RecipientEntity(CoordinatorEntity[GatewayCoordinator], NotifyEntity):
    """A person or a group that messages go to."""

    _attr_has_entity_name = True
    _attr_name = None
    _attr_supported_features = NotifyEntityFeature.TITLE

    def __init__(self, coordinator: GatewayCoordinator, recipient: Recipient) -> None:
        """Create the entity of a recipient."""
        super().__init__(coordinator)
        self.recipient = recipient
        unique_id = recipient_unique_id(coordinator.config_entry, recipient.subentry_id)
        self._attr_unique_id = unique_id
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, unique_id)},
            name=device_name(recipient.name),
            manufacturer=coordinator.provider.name,
            model="Group" if recipient.chat_id.endswith(GROUP) else "Contact",
            entry_type=DeviceEntryType.SERVICE,
        )
        self._was_available: bool | None = None

    @property
    @override
    def available(self) -> bool:
        # Home Assistant drops messages to an unavailable entity, and a gateway whose
        # list fails may well send them
        return self.coordinator.is_connected(self.recipient.instance_id)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state if it has changed."""
        if self._was_available is not self.available:
            self._was_available = self.available
            super()._handle_coordinator_update()

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Send a text to the recipient."""
        text = f"*{title}*\n{message}" if title else message
        await self.coordinator.outbox.async_send(
            self.recipient.instance_id,
            self.recipient.chat_id,
            lambda: OutgoingMessage(text=text),
        )
