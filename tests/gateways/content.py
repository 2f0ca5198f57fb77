"""The content of a message in the terms of WhatsApp's own protocol.

Gateways that are built on the same libraries hand it on as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .messages import Message

ENCRYPTED = "https://mmg.whatsapp.net/v/t62.7118-24/encrypted.enc"
"""Where the file of a message is, but nobody can read it there."""
LATITUDE, LONGITUDE = 52.52, 13.405
"""Where a location is that comes without one."""
MEDIA_TYPES = {
    "image": "imageMessage",
    "video": "videoMessage",
    "audio": "audioMessage",
    "voice": "audioMessage",
    "document": "documentMessage",
    "sticker": "stickerMessage",
}
"""Name of the content of a message with a file, by the kind of the message."""


def content_of(message: Message) -> dict[str, Any]:
    """Return an object with one key: the type of the content."""
    return _of_kind(message) if message.content is None else message.content


def _of_kind(message: Message) -> dict[str, Any]:
    if message.kind in MEDIA_TYPES:
        return {MEDIA_TYPES[message.kind]: _media(message)}
    match message.kind:
        case "text":
            return {"conversation": message.text}
        case "location":
            return {"locationMessage": location_of(message)}
        case "contact":
            return {
                "contactMessage": {
                    "displayName": message.text,
                    "vcard": vcard_of(message),
                }
            }
        case "poll":
            options = [{"optionName": option} for option in message.options]
            poll = {
                "name": message.text,
                "options": options,
                "selectableOptionsCount": 0 if message.multiple else 1,
            }
            return {"pollCreationMessageV3": poll}
    return {"eventMessage": {"name": message.text}}


def _media(message: Message) -> dict[str, Any]:
    media: dict[str, Any] = {
        "url": ENCRYPTED,
        "mimetype": message.mime_type,
        "fileLength": str(len(message.media or b"")),
    }
    if message.kind in {"audio", "voice"}:
        media["ptt"] = message.kind == "voice"
    elif message.text:
        media["caption"] = message.text
    if message.filename:
        media["fileName"] = message.filename
    return media


def location_of(message: Message) -> dict[str, Any]:
    """Return a place on the map."""
    latitude, longitude = message.latitude, message.longitude
    return {
        "degreesLatitude": LATITUDE if latitude is None else latitude,
        "degreesLongitude": LONGITUDE if longitude is None else longitude,
        "name": message.text,
    }


def vcard_of(message: Message) -> str:
    """Return a business card."""
    return f"BEGIN:VCARD\nVERSION:3.0\nFN:{message.text}\nEND:VCARD"
