"""Notify entities: the recipients of an account."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, override

from homeassistant.components.notify import NotifyEntity, NotifyEntityFeature
from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntryChange
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import GatewayCoordinator
from .devices import async_rename_device, unique_id
from .messages.recipients import async_chat_of, recipients_of
from .providers.messages import GROUP, OutgoingMessage
from .texts import device_name

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .account import Account, GatewayConfigEntry
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
                async_rename_device(hass, entry, subentry_id, recipient.name)
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


class RecipientEntity(CoordinatorEntity[GatewayCoordinator], NotifyEntity):
    """A person or a group that messages go to."""

    _attr_has_entity_name = True
    _attr_name = None
    _attr_supported_features = NotifyEntityFeature.TITLE

    def __init__(self, account: Account, recipient: Recipient) -> None:
        """Create the entity of a recipient."""
        super().__init__(account.coordinator)
        self.recipient = recipient
        self._entry = account.entry
        self._outbox = account.outbox
        self._attr_unique_id = unique_id(account.entry, recipient.subentry_id)
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, self._attr_unique_id)},
            name=device_name(recipient.name),
            manufacturer=account.provider.name,
            model="Group" if recipient.chat_id.endswith(GROUP) else "Contact",
            entry_type=DeviceEntryType.SERVICE,
        )

    @property
    @override
    def available(self) -> bool:
        # Home Assistant drops messages to an unavailable entity, and a gateway whose
        # list fails may well send them
        return self.coordinator.is_connected(self.recipient.instance_id)

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Send a text to the recipient."""
        text = f"*{title}*\n{message}" if title else message
        outgoing = OutgoingMessage(text=text)
        await self._outbox.async_send(
            self.recipient.instance_id,
            partial(async_chat_of, self.hass, self._entry, self.recipient.subentry_id),
            lambda _: nullcontext(outgoing),
        )
