"""The actions about one instance: create and delete it, list its chats and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import voluptuous as vol

from homeassistant.const import ATTR_DEVICE_ID, ATTR_NAME, CONF_PATH, CONF_TYPE
from homeassistant.helpers import config_validation as cv

from ..devices import async_device_of
from ..messages.inbox import MAX_FILES
from ..providers.models import Feature
from ..texts import failed, invalid
from .calls import (
    DEVICE_SCHEMA,
    account_of,
    async_check_admin,
    async_check_control,
    instance_of,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse

ATTR_CONFIG_ENTRY_ID = "config_entry_id"
ATTR_MESSAGE_ID = "message_id"
ATTR_METADATA = "metadata"

CREATE_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Required(ATTR_NAME): vol.All(cv.string, vol.Strip, vol.Length(min=1)),
        vol.Optional(CONF_TYPE): cv.string,
        vol.Optional(ATTR_METADATA): dict,
    }
)
DOWNLOAD_SCHEMA = DEVICE_SCHEMA.extend(
    {
        vol.Required(ATTR_MESSAGE_ID): cv.string,
        vol.Required(CONF_PATH): cv.path,
    }
)


async def async_create_instance(call: ServiceCall) -> ServiceResponse:
    """Create an instance in an account, and return it."""
    await async_check_admin(call)
    account = account_of(call.hass, call.data[ATTR_CONFIG_ENTRY_ID])
    provider = account.provider
    instance_type, metadata = call.data.get(CONF_TYPE), call.data.get(ATTR_METADATA)
    if Feature.CREATE not in provider.features:
        raise invalid("key_bound")
    if instance_type and instance_type not in provider.instance_types:
        raise invalid("unknown_type", type=instance_type, provider=provider.name)
    if metadata and Feature.METADATA not in provider.features:
        raise invalid("no_metadata", provider=provider.name)
    if not provider.accepts_name(name := call.data[ATTR_NAME]):
        raise invalid("invalid_name", max_length=str(provider.max_name_length))
    async with account.translated_errors():
        instance = await provider.create(
            name, instance_type=instance_type, metadata=metadata
        )
    await account.coordinator.async_refresh()
    device = async_device_of(call.hass, account.entry, instance.id)
    return {
        "id": instance.id,
        "name": instance.name,
        "status": instance.status,
        "device_id": device.id if device else None,
    }


async def async_delete_instance(call: ServiceCall) -> None:
    """Delete an instance; also succeeds if it is deleted already."""
    await async_check_admin(call)
    account, instance = instance_of(call.hass, call.data[ATTR_DEVICE_ID])
    await account.async_delete(instance)


async def async_list_chats(call: ServiceCall) -> ServiceResponse:
    """Return the groups and contacts of an instance, sorted by name."""
    await async_check_control(call)
    account, instance = instance_of(call.hass, call.data[ATTR_DEVICE_ID])
    provider = account.provider
    if provider.chats is None:
        raise invalid("no_chats", provider=provider.name)
    async with account.translated_errors():
        chats = await provider.chats.list_chats(instance.id)
    chats.sort(key=lambda chat: ((chat.name or "").casefold(), chat.id))
    return {
        "chats": [
            {
                "id": chat.id,
                "name": chat.name,
                "type": "group" if chat.is_group else "contact",
            }
            for chat in chats
        ]
    }


async def async_download_media(call: ServiceCall) -> ServiceResponse:
    """Save the file of a received message, and return where it is."""
    # it writes what somebody else has sent, also into folders of the web server
    await async_check_admin(call)
    hass, path = call.hass, Path(call.data[CONF_PATH])
    account, instance = instance_of(hass, call.data[ATTR_DEVICE_ID])
    provider = account.provider
    if (downloads := provider.downloads) is None:
        raise invalid("no_downloads", provider=provider.name)
    message = account.inbox.file(instance.id, call.data[ATTR_MESSAGE_ID])
    if message is None:
        raise invalid("unknown_message", max_files=str(MAX_FILES))
    # before anything is asked, so that a mistake costs nothing
    if not await hass.async_add_executor_job(_is_allowed, hass, path):
        raise invalid("folder_not_allowed", path=str(path))
    async with account.translated_errors():
        content = await downloads.download(message)
    try:
        await hass.async_add_executor_job(_write, path, content)
    except OSError as err:
        raise failed("path_not_writable", path=str(path)) from err
    return {CONF_PATH: str(path)}


def _is_allowed(hass: HomeAssistant, path: Path) -> bool:
    """Return whether Home Assistant may write a file."""
    if not path.is_absolute() or "\0" in str(path):
        return False
    return hass.config.is_allowed_path(str(path))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
