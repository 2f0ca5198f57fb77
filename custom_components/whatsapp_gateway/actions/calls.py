"""Find what the call of an action is about, and check who calls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import voluptuous as vol

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.exceptions import Unauthorized, UnknownUser
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import entity_registry as er

from ..const import DOMAIN
from ..devices import async_find_instance, unique_id
from ..messages.phone_number import example_of
from ..messages.recipients import (
    async_chat_of,
    is_chat_id,
    masked,
    parse_chat,
    recipients_of,
)
from ..texts import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from homeassistant.auth.models import User
    from homeassistant.core import HomeAssistant, ServiceCall

    from ..account import Account, GatewayConfigEntry
    from ..providers.models import Instance

DEVICE_SCHEMA = vol.Schema({vol.Required(ATTR_DEVICE_ID): cv.string})
"""Schema of actions for one instance."""


def account_of(hass: HomeAssistant, entry_id: str) -> Account:
    """Return an account that is loaded."""
    entry = hass.config_entries.async_get_entry(entry_id)
    if not entry or entry.domain != DOMAIN:
        raise invalid("no_account")
    if entry.state is not ConfigEntryState.LOADED:
        raise invalid("not_loaded", name=entry.title)
    return cast("GatewayConfigEntry", entry).runtime_data


def instance_of(hass: HomeAssistant, device_id: str) -> tuple[Account, Instance]:
    """Return the instance that a device stands for, and its account."""
    if found := async_find_instance(hass, device_id):
        entry, instance_id = found
        account = account_of(hass, entry.entry_id)
        if instance := account.coordinator.data.get(instance_id):
            return account, instance
    raise invalid("no_instance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A chat that a message goes to, and the instance that sends it."""

    account: Account
    instance_id: str
    chat_id: str = field(repr=False)
    name: str
    """What errors call the chat, which are logged."""
    entity_id: str | None = None
    subentry_id: str | None = None
    """ID of the recipient, None if the chat was entered."""
    to_check: bool = False
    """Whether the chat was made from a phone number that may have to be checked."""

    def current_chat(self) -> str:
        """Return the chat as it is now; raises a translated error without one."""
        if self.subentry_id is None:
            return self.chat_id
        account = self.account
        return async_chat_of(account.hass, account.entry, self.subentry_id)


def destinations_by_entity(
    hass: HomeAssistant, entity_ids: Iterable[str]
) -> list[Destination]:
    """Return the recipients with these notify entities."""
    return [_recipient(hass, entity_id) for entity_id in dict.fromkeys(entity_ids)]


def _recipient(hass: HomeAssistant, entity_id: str) -> Destination:
    """Return the recipient with this notify entity."""
    entity = er.async_get(hass).async_get(entity_id)
    if entity is None or entity.platform != DOMAIN or entity.config_entry_id is None:
        raise invalid("no_recipient", entity_id=entity_id)
    account = account_of(hass, entity.config_entry_id)
    recipients = {
        unique_id(account.entry, recipient.subentry_id): recipient
        for recipient in recipients_of(account.entry)
    }
    if (recipient := recipients.get(entity.unique_id)) is None:
        raise invalid("no_recipient", entity_id=entity_id)
    return Destination(
        account=account,
        instance_id=recipient.instance_id,
        chat_id=recipient.chat_id,
        name=entity_id,
        entity_id=entity_id,
        subentry_id=recipient.subentry_id,
    )


def destinations_by_address(
    hass: HomeAssistant, device_id: str, addresses: Iterable[str]
) -> list[Destination]:
    """Return the chats with these phone numbers and IDs, each once."""
    account, instance = instance_of(hass, device_id)
    country = hass.config.country
    destinations: dict[str, Destination] = {}
    for number, address in enumerate(addresses, 1):
        name = masked(address)
        try:
            chat = parse_chat(address, country)
        except ValueError as err:
            example = example_of(country)
            raise invalid("invalid_recipient", to=name, example=example) from err
        if name in {one.name for one in destinations.values()}:
            # two numbers may have the same end
            name = f"{name} (#{number})"
        destination = Destination(
            account=account,
            instance_id=instance.id,
            chat_id=chat,
            name=name,
            to_check=not is_chat_id(address),
        )
        destinations.setdefault(chat, destination)
    return list(destinations.values())


async def async_check_admin(call: ServiceCall) -> None:
    """Raise unless an administrator or an automation calls.

    `async_register_admin_service` supports no response in Home Assistant 2025.4.
    """
    await _async_check(call, lambda user: user.is_admin)


async def async_check_control(call: ServiceCall) -> None:
    """Raise unless an automation calls, or a user who may control all entities."""
    await _async_check(
        call, lambda user: user.permissions.access_all_entities(POLICY_CONTROL)
    )


async def _async_check(call: ServiceCall, is_allowed: Callable[[User], bool]) -> None:
    if call.context.user_id is None:
        return
    if (user := await call.hass.auth.async_get_user(call.context.user_id)) is None:
        raise UnknownUser(context=call.context)
    if not is_allowed(user):
        raise Unauthorized(context=call.context)
