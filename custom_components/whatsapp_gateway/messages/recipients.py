"""Read the recipients of an account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er

from ..const import CONF_CHAT_ID, CONF_INSTANCE_ID, DOMAIN
from ..devices import unique_id
from ..providers.messages import PHONE_SUFFIX, chat_id
from ..texts import failed
from .phone_number import parse_phone_number, plain_text

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, ConfigSubentry
    from homeassistant.core import HomeAssistant

SUBENTRY_RECIPIENT: Final = "recipient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A person or a group that messages go to: one subentry of an account."""

    subentry_id: str
    instance_id: str
    """The instance that sends the messages."""
    chat_id: str = field(repr=False)
    name: str = field(repr=False)


def recipients_of(entry: ConfigEntry) -> list[Recipient]:
    """Return the recipients of an account."""
    return [
        recipient_of(subentry)
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_RECIPIENT
    ]


def recipient_of(subentry: ConfigSubentry) -> Recipient:
    """Return the recipient that a subentry describes."""
    return Recipient(
        subentry_id=subentry.subentry_id,
        instance_id=subentry.data[CONF_INSTANCE_ID],
        chat_id=subentry.data[CONF_CHAT_ID],
        name=subentry.title,
    )


@callback
def async_chat_of(hass: HomeAssistant, entry: ConfigEntry, subentry_id: str) -> str:
    """Return the chat of a recipient as it is now.

    Raises a translated error if the recipient has been deleted or disabled.
    """
    subentry = entry.subentries.get(subentry_id)
    recipient = recipient_of(subentry) if subentry else None
    entity_id = recipient and async_entity_id_of(hass, entry, recipient)
    entity = entity_id and er.async_get(hass).async_get(entity_id)
    if recipient is None or not entity or entity.disabled:
        raise failed("recipient_gone")
    return recipient.chat_id


def subentry_unique_id(instance_id: str, chat_id: str) -> str:
    """Return the unique ID of a recipient's subentry."""
    return f"{instance_id}_{chat_id}"


def parse_chat(address: str, country: str | None) -> str:
    """Return the chat ID of a phone number or of a chat ID in any form.

    `country` is that of the home. Raises `ValueError` if it isn't clear.
    """
    if is_chat_id(address):
        return chat_id(plain_text(address))
    if digits := parse_phone_number(address, country):
        return digits + PHONE_SUFFIX
    raise ValueError


def is_chat_id(address: str) -> bool:
    """Return whether somebody has entered a chat ID, and no phone number."""
    return "@" in address


def masked(address: str) -> str:
    """Return the end of a phone number or chat ID, for errors: they are logged."""
    name, at, domain = address.strip().partition("@")
    return f"…{name[-4:]}{at}{domain}"


@callback
def async_entity_id_of(
    hass: HomeAssistant, entry: ConfigEntry, recipient: Recipient
) -> str | None:
    """Return the ID of the notify entity of a recipient, None if it has none."""
    return er.async_get(hass).async_get_entity_id(
        Platform.NOTIFY, DOMAIN, unique_id(entry, recipient.subentry_id)
    )
