"""The action that saves a received file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import voluptuous as vol

from homeassistant.const import ATTR_DEVICE_ID, CONF_PATH
from homeassistant.core import SupportsResponse, callback
from homeassistant.helpers import config_validation as cv

from ..const import DOMAIN
from ..messages.inbox import MAX_FILES
from ..providers.models import Feature
from ..texts import failed, invalid
from .calls import DEVICE_SCHEMA, async_check_admin, instance_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse

ATTR_MESSAGE_ID = "message_id"

DOWNLOAD_SCHEMA = DEVICE_SCHEMA.extend(
    {
        vol.Required(ATTR_MESSAGE_ID): cv.string,
        vol.Required(CONF_PATH): cv.path,
    }
)


@callback
def async_setup_media_services(hass: HomeAssistant) -> None:
    """Register the action."""
    hass.services.async_register(
        DOMAIN,
        "download_media",
        _async_download_media,
        DOWNLOAD_SCHEMA,
        SupportsResponse.OPTIONAL,
    )


async def _async_download_media(call: ServiceCall) -> ServiceResponse:
    """Save the file of a received message, and return where it is."""
    # it writes what somebody else has sent, also into folders of the web server
    await async_check_admin(call)
    hass, path = call.hass, Path(call.data[CONF_PATH])
    coordinator, instance = instance_of(hass, call.data[ATTR_DEVICE_ID])
    provider = coordinator.provider
    if Feature.DOWNLOADS not in provider.features:
        raise invalid("no_downloads", provider=provider.name)
    message = coordinator.inbox.file(instance.id, call.data[ATTR_MESSAGE_ID])
    if message is None:
        raise invalid("unknown_message", max_files=str(MAX_FILES))
    # before anything is asked, so that a mistake costs nothing
    if not await hass.async_add_executor_job(_is_allowed, hass, path):
        raise invalid("folder_not_allowed", path=str(path))
    with coordinator.translated_errors():
        content = await provider.download(message)
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
