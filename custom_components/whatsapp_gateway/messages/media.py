"""Load the file of a message from where the user says it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
import mimetypes
from pathlib import Path, PurePosixPath
import re
from typing import TYPE_CHECKING, Any

from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN
from ..providers.messages import MAX_MEDIA, Media, MessageKind
from ..texts import failed, invalid
from .download import async_check_url, async_download, parse_url

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


SEND_AS_AUTO = "auto"
PICTURE_TIMEOUT = 10.0
"""Seconds to get the picture of an image entity, as long as for one of a camera."""
OTHER_TYPE = "application/octet-stream"
UNKNOWN_TYPES = {OTHER_TYPE, "binary/octet-stream"}
"""Types that web servers give to files that they don't know."""
GENERAL_TYPES = UNKNOWN_TYPES | {"text/plain", "text/xml", "application/zip"}
"""Types of files that have an extension of their own, such as `.yaml` and `.docx`."""
EXTENSION = re.compile(r"\.(?=.*[A-Za-z])[A-Za-z0-9]{1,5}")
TYPES = {".3gp": "video/3gpp", ".amr": "audio/amr", ".oga": "audio/ogg"}
"""Types of files that Python doesn't know on all systems, or takes for sounds."""
USUAL_NAMES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
"""Names of types that nobody else uses, and the usual ones."""
MAX_FILENAME = 120
KINDS = {
    "image/jpeg": MessageKind.IMAGE,
    "image/png": MessageKind.IMAGE,
    "image/webp": MessageKind.IMAGE,
    "video/mp4": MessageKind.VIDEO,
    "video/3gpp": MessageKind.VIDEO,
}
"""What WhatsApp shows in the chat; audio as well, and everything else is a document."""


async def async_load_url(hass: HomeAssistant, text: str, *, download: bool) -> Media:
    """Return a file on the internet, with its content if `download` is set."""
    url = parse_url(text)
    if not download:
        await async_check_url(hass, url)
        return _media(url.name, _type_of(url.name), url=text)
    content, mime_type, filename = await async_download(hass, url)
    name = filename or url.name
    if mime_type in UNKNOWN_TYPES:
        mime_type = _type_of(name)
    name = _with_extension(name, mime_type)
    return _media(name, mime_type, content=content, url=text)


async def async_load_file(hass: HomeAssistant, path: str) -> Media:
    """Return a file in one of the folders that Home Assistant may read."""

    def read() -> bytes:
        if not hass.config.is_allowed_path(path):
            raise invalid("path_not_allowed", path=path)
        return _read(Path(path))

    content = await hass.async_add_executor_job(read)
    return _media(Path(path).name, _type_of(path), content=content)


async def async_load_media_source(hass: HomeAssistant, media_id: str) -> Media:
    """Return what a media source offers: also a picture of a camera as of now."""
    try:
        for domain in ("camera", "image"):
            prefix = f"media-source://{domain}/"
            if media_id.startswith(prefix):
                entity_id = media_id.removeprefix(prefix)
                return await _async_load_picture(hass, domain, entity_id)
        return await _async_resolve(hass, media_id)
    except HomeAssistantError as err:
        if err.translation_domain == DOMAIN:
            raise
        raise failed("media_unavailable", message=str(err)) from err


async def _async_load_picture(
    hass: HomeAssistant, domain: str, entity_id: str
) -> Media:
    """Return the present picture of a camera or an image entity."""
    if domain not in hass.config.components or not hass.states.get(entity_id):
        raise failed("media_unavailable", message=entity_id)
    if domain == "camera":
        from homeassistant.components import camera  # noqa: PLC0415

        picture = await camera.async_get_image(hass, entity_id)
        content, mime_type = picture.content, picture.content_type
    else:
        # image.async_get_image needs Home Assistant 2025.10
        from homeassistant.components.image import DATA_COMPONENT  # noqa: PLC0415

        entity = hass.data[DATA_COMPONENT].get_entity(entity_id)
        try:
            async with asyncio.timeout(PICTURE_TIMEOUT):
                content = (entity and await entity.async_image()) or b""
        except TimeoutError as err:
            raise failed("media_unavailable", message=entity_id) from err
        mime_type = entity.content_type if entity else OTHER_TYPE
    if not content:
        raise failed("media_unavailable", message=entity_id)
    if len(content) > MAX_MEDIA:
        raise failed("media_too_large")
    name = entity_id.partition(".")[2]
    return _media(name, mime_type, content=content)


async def _async_resolve(hass: HomeAssistant, media_id: str) -> Media:
    """Return the file that a media source has under this ID."""
    if "media_source" not in hass.config.components:
        raise failed("media_unavailable", message=media_id)
    from homeassistant.components.media_player import (  # noqa: PLC0415
        async_process_play_media_url,
    )
    from homeassistant.components.media_source import (  # noqa: PLC0415
        async_resolve_media,
    )

    found = await async_resolve_media(hass, media_id, None)
    # Home Assistant before 2025.8 only has an address
    path: Path | None = getattr(found, "path", None)
    if path is not None:
        content = await hass.async_add_executor_job(_read, path)
        return _media(path.name, found.mime_type, content=content)
    url = parse_url(async_process_play_media_url(hass, found.url))
    # a certificate isn't valid for Home Assistant's own address in the local network
    own = found.url.startswith("/")
    content, _, filename = await async_download(
        hass, url, trusted=True, verify_ssl=not own
    )
    name = _with_extension(filename or url.name, found.mime_type)
    return _media(name, found.mime_type, content=content)


def send_as(media: Media, kind: str, filename: str | None) -> Media:
    """Return a file as the user wants it to be sent."""
    if filename:
        guessed = _type_of(filename)
        mime_type = guessed if media.mime_type == OTHER_TYPE else media.mime_type
        media = replace(
            _media(filename, mime_type), content=media.content, url=media.url
        )
    if kind == SEND_AS_AUTO:
        return media
    if kind == MessageKind.VOICE and media.kind is not MessageKind.AUDIO:
        raise invalid("not_audio")
    return replace(media, kind=MessageKind(kind))


def _read(path: Path) -> bytes:
    """Return the content of a file that is neither empty nor too large."""
    try:
        if not path.is_file():
            raise failed("file_not_found", path=str(path))
        if path.stat().st_size > MAX_MEDIA:
            raise failed("media_too_large")
        content = path.read_bytes()
    except OSError as err:
        raise failed("file_not_found", path=str(path)) from err
    if not content:
        raise failed("file_empty")
    return content


def _media(name: str, mime_type: str, **where: Any) -> Media:
    """Return a file of a kind that WhatsApp shows, with a name that fits its type."""
    mime_type = USUAL_NAMES.get(mime_type, mime_type)
    kind = KINDS.get(mime_type, MessageKind.DOCUMENT)
    if mime_type.startswith("audio/"):
        kind = MessageKind.AUDIO
    name = PurePosixPath(name.replace("\\", "/")).name
    name = "".join(sign for sign in name if sign.isprintable())[-MAX_FILENAME:]
    if "." not in name:
        name = f"{name or 'file'}{mimetypes.guess_extension(mime_type) or ''}"
    return Media(kind=kind, mime_type=mime_type, filename=name, **where)


def _with_extension(name: str, mime_type: str) -> str:
    """Return the name of a downloaded file with an extension that fits its type."""
    mime_type = USUAL_NAMES.get(mime_type, mime_type)
    extension = mimetypes.guess_extension(mime_type, strict=False)
    current = PurePosixPath(name).suffix
    if not current or extension is None or mime_type in GENERAL_TYPES:
        return name
    if current.lower() in mimetypes.guess_all_extensions(mime_type, strict=False):
        return name
    # what has only digits is a date or a version
    is_extension = bool(EXTENSION.fullmatch(current))
    return (name.removesuffix(current) if is_extension else name) + extension


def _type_of(name: str) -> str:
    """Return the type of a file by the ending of its name."""
    ending = PurePosixPath(name).suffix.lower()
    return TYPES.get(ending) or mimetypes.guess_type(name)[0] or OTHER_TYPE
