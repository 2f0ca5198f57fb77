"""Event entity for the messages of an instance."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.restore_state import RestoreEntity
from homeassistant.util import dt as dt_util

from .const import Receive
from .entity import InstanceEntity, async_add_instances
from .messages.recipients import async_entity_id_of, recipients_of
from .providers.messages import PHONE_SUFFIX, MessageEvent, digits_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .account import GatewayConfigEntry
    from .messages.recipients import Recipient
    from .providers.messages import IncomingMessage

PARALLEL_UPDATES = 0

MESSAGE = EventEntityDescription(
    key="message",
    translation_key="message",
    event_types=[event.value for event in MessageEvent],
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the event entities of an account, or remove them."""
    account = entry.runtime_data
    if account.inbox.receive is Receive.NO:
        registry = er.async_get(hass)
        for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
            if entity.domain == Platform.EVENT:
                registry.async_remove(entity.entity_id)
        return
    await async_add_instances(
        entry,
        async_add_entities,
        lambda instance_id: [MessageEntity(account, instance_id, MESSAGE)],
    )


class NotStored(RestoreEntity):
    """Keep the last state, with all its attributes, out of the storage.

    `EventEntity` calls these methods, and `RestoreEntity` is skipped. So nobody takes
    the last message for a new one after a restart either.
    """

    @override
    async def async_internal_added_to_hass(self) -> None:
        await super(RestoreEntity, self).async_internal_added_to_hass()

    @override
    async def async_internal_will_remove_from_hass(self) -> None:
        await super(RestoreEntity, self).async_internal_will_remove_from_hass()


class MessageEntity(InstanceEntity, EventEntity, NotStored):
    """The messages of an instance."""

    _unrecorded_attributes = frozenset(
        {
            "chat_id",
            "chat_name",
            "filename",
            "mentioned_me",
            "message_id",
            "mime_type",
            "recipient",
            "reply_to",
            "sender",
            "sender_name",
            "text",
            "timestamp",
        }
    )

    @property
    @override
    def available(self) -> bool:
        # messages also arrive while a poll fails, and a message is no longer new when
        # an entity becomes available again
        return self.instance_id in self.coordinator.data

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        inbox = self.account.inbox
        self.async_on_remove(
            inbox.async_subscribe(self.instance_id, self._async_handle_message)
        )

    @callback
    def _async_handle_message(self, message: IncomingMessage) -> None:
        self._trigger_event(message.event.value, self._attributes_of(message))
        self.async_write_ha_state()

    def _attributes_of(self, message: IncomingMessage) -> dict[str, Any]:
        """Return what the state shows of a message."""
        sender = message.sender_id
        number = sender and digits_of(sender)
        recipient = self._recipient_of(message)
        entry = self.account.entry
        return {
            "text": message.text,
            "kind": message.kind.value,
            "sender": f"+{number}" if number else sender,
            "sender_name": message.sender_name,
            "chat_id": message.chat_id,
            "chat_name": recipient and recipient.name,
            "is_group": message.is_group,
            "recipient": recipient and async_entity_id_of(self.hass, entry, recipient),
            "message_id": message.id,
            "reply_to": message.reply_to,
            "has_media": message.media is not None,
            "mime_type": message.mime_type,
            "filename": message.filename,
            "mentioned_me": self._is_mentioned(message),
            "timestamp": min(message.sent_at, dt_util.utcnow()).isoformat(),
        }

    def _is_mentioned(self, message: IncomingMessage) -> bool:
        """Return whether a message mentions this number."""
        person = partial(self.account.memory.people.person, self.instance_id)
        instance = self.coordinator.data.get(self.instance_id)
        number = (instance and instance.phone_number) or ""
        own = {*message.own_ids, f"{number.removeprefix('+')}{PHONE_SUFFIX}"}
        return not {*map(person, own)}.isdisjoint(map(person, message.mentions))

    def _recipient_of(self, message: IncomingMessage) -> Recipient | None:
        """Return the recipient that the chat of a message is."""
        person = partial(self.account.memory.people.person, self.instance_id)
        return next(
            (
                recipient
                for recipient in recipients_of(self.account.entry)
                if recipient.instance_id == self.instance_id
                and person(recipient.chat_id) == message.chat_id
            ),
            None,
        )
