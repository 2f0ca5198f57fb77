"""The address at which a gateway can call Home Assistant, and what a call brings."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
from aiohttp.web import RequestPayloadError

from homeassistant.components.webhook import async_generate_path
from homeassistant.helpers.network import NoURLAvailableError, get_url

from ..providers.http import MAX_FRAME
from ..providers.models import TOO_LARGE, UNPARSABLE, Skipped

if TYPE_CHECKING:
    from aiohttp.web import Request

    from homeassistant.core import HomeAssistant

MAX_DISCARDED = 4 * MAX_FRAME
"""Number of bytes of a call that are read so that its sender gets an answer."""
PIECE = 1024 * 1024
BROKEN = UNPARSABLE


async def async_read(request: Request) -> bytes | Skipped:
    """Return the body of a call, or why it can't be read; it may have 16 MiB."""
    body, size, content = bytearray(), 0, request.content
    try:
        # what Home Assistant Cloud hands over has no other method
        while size <= MAX_DISCARDED and (chunk := await content.read(PIECE)):
            size += len(chunk)
            if size <= MAX_FRAME:
                body += chunk
            else:
                body.clear()
    except (ClientError, OSError, RequestPayloadError):
        return BROKEN
    return bytes(body) if size <= MAX_FRAME else TOO_LARGE


async def async_address_of(hass: HomeAssistant, webhook_id: str, *, local: bool) -> str:
    """Return the address of a webhook; raises `NoURLAvailableError`."""
    path = async_generate_path(webhook_id)
    if local:
        return f"{get_url(hass, allow_external=False)}{path}"
    cloud = _cloud(hass)
    if cloud and cloud.async_active_subscription(hass):
        try:
            cloudhook: str = await cloud.async_get_or_create_cloudhook(hass, webhook_id)
        except Exception as err:
            # not connected, or one of the errors of a library
            raise NoURLAvailableError from err
        return cloudhook
    url = get_url(hass, allow_internal=False, allow_cloud=False, require_ssl=True)
    return f"{url}{path}"


async def async_delete_cloudhook(hass: HomeAssistant, webhook_id: str) -> None:
    """Delete the address that Home Assistant Cloud may have given to a webhook."""
    if cloud := _cloud(hass):
        # it may have none for this ID, and its errors are those of a library
        with suppress(Exception):
            await cloud.async_delete_cloudhook(hass, webhook_id)


def _cloud(hass: HomeAssistant) -> Any:
    """Return Home Assistant Cloud, None if it isn't used."""
    if "cloud" not in hass.config.components:
        return None
    from homeassistant.components import cloud  # noqa: PLC0415

    return cloud
