"""Recipients of an account, and what is sent to them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers import device_registry as dr

from custom_components.whatsapp_gateway.const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.gateways.machine import Session

FAMILY = "120363025246125486@g.us"
NEIGHBOURS = "120363025246125487@g.us"
BEN = "12025550123@s.whatsapp.net"


def add_recipient(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    session: Session,
    chat_id: str = FAMILY,
    name: str = "Family",
) -> str:
    """Add a recipient without a dialog; return the ID of its subentry."""
    subentry = ConfigSubentry(
        data=MappingProxyType({"instance_id": session.id, "chat_id": chat_id}),
        subentry_type="recipient",
        title=name,
        unique_id=f"{session.id}_{chat_id}",
    )
    hass.config_entries.async_add_subentry(entry, subentry)
    return subentry.subentry_id


def device_named(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> DeviceEntry:
    """Return the device of this name."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return next(device for device in devices if device.name == name)


async def notify(hass: HomeAssistant, entity_id: str, **data: Any) -> None:
    """Send a text as all notify entities do."""
    await hass.services.async_call(
        "notify", "send_message", {"entity_id": entity_id, **data}, blocking=True
    )


async def send(hass: HomeAssistant, **data: Any) -> list[dict[str, Any]]:
    """Send a message; return what the action answers."""
    response: Any = await hass.services.async_call(
        DOMAIN, "send_message", data, blocking=True, return_response=True
    )
    messages: list[dict[str, Any]] = response["messages"]
    return messages
