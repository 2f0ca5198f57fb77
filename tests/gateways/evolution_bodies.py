"""What the Evolution API takes as the body of a message to be sent."""

from __future__ import annotations

from base64 import b64decode
import binascii
from ipaddress import ip_address
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .messages import GROUP, LID, PERSON

if TYPE_CHECKING:
    from collections.abc import Callable

MEDIA_TYPES = {"image", "video", "document", "audio"}
GROUP_LENGTH = 18
"""Number of digits from which on a number is taken for that of a group."""
POLL_VALUES = range(2, 11)
POLL_COUNTS = range(11)


class BadBodyError(Exception):
    """The server does not take the body."""


def chat_of(number: str) -> str:
    """Return the chat that a number or an ID means to the server."""
    if number.endswith((PERSON, GROUP, LID)):
        return number
    digits = re.sub(r"[+\s()-]", "", number.partition("@")[0])
    return digits + (GROUP if len(digits) >= GROUP_LENGTH else PERSON)


def is_url(text: str) -> bool:
    """Tell whether a text is an address with a dotted name or an IP address."""
    parts = urlsplit(text)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        dotted = re.fullmatch(r"[\w-]+(\.[\w-]+)*\.[a-z]{2,}", host)
        return parts.scheme in {"http", "https"} and dotted is not None
    return parts.scheme in {"http", "https"}


def decoded(text: str) -> bytes | None:
    """Return what a text in base64 contains, None if it is not base64."""
    try:
        return b64decode(text, validate=True) if text else None
    except binascii.Error:
        return None


def text_values(body: dict[str, Any]) -> dict[str, Any]:
    """Read the body of a text."""
    _require(body, "number", "text")
    if not str(body["text"]).strip():
        raise BadBodyError("Text is required")
    return {"text": _string(body, "text")}


def media_values(body: dict[str, Any]) -> dict[str, Any]:
    """Read the body of a file."""
    _require(body, "number", "mediatype", "media")
    if body["mediatype"] not in MEDIA_TYPES:
        raise BadBodyError("mediatype is not one of enum values")
    media = _string(body, "media")
    content = None if is_url(media) else decoded(media)
    named = body["mediatype"] != "document" or body.get("fileName")
    if content is not None and not named:
        raise BadBodyError("For base64 the file name must be informed.")
    if content is None and not is_url(media):
        raise BadBodyError("Owned media must be a url or base64")
    return {
        "kind": body["mediatype"],
        "text": body.get("caption") or "",
        "mime_type": body.get("mimetype"),
        "filename": body.get("fileName"),
        "media": media if content is None else content,
    }


def audio_values(body: dict[str, Any]) -> dict[str, Any]:
    """Read the body of a voice message."""
    _require(body, "number", "audio")
    audio = _string(body, "audio")
    content = None if is_url(audio) else decoded(audio)
    if content is None and not is_url(audio):
        raise BadBodyError(
            "Owned media must be a url, base64, or valid file with buffer"
        )
    return {"mime_type": "audio/ogg", "media": audio if content is None else content}


def location_values(body: dict[str, Any]) -> dict[str, Any]:
    """Read the body of a location."""
    _require(body, "number", "latitude", "longitude", "name", "address")
    for name in ("latitude", "longitude"):
        if not isinstance(body[name], int | float):
            raise BadBodyError(f"{name} is not of a type(s) number")
    place = {name: body[name] for name in ("latitude", "longitude")}
    return {"text": _string(body, "name"), **place}


def poll_values(body: dict[str, Any]) -> dict[str, Any]:
    """Read the body of a poll."""
    _require(body, "number", "name", "selectableCount", "values")
    count, values = body["selectableCount"], body["values"]
    if count not in POLL_COUNTS:
        raise BadBodyError("selectableCount must be less than or equal to 10")
    if not isinstance(values, list) or len(values) not in POLL_VALUES:
        raise BadBodyError("values does not meet minimum length of 2")
    if len({*values}) < len(values):
        raise BadBodyError("values contains duplicate item")
    options = {"options": tuple(values), "multiple": count != 1}
    return {"text": _string(body, "name"), **options}


def reaction_values(body: dict[str, Any]) -> dict[str, Any]:
    """Read the body of a reaction."""
    _require(body, "key", "reaction")
    for name in ("id", "remoteJid", "fromMe"):
        if name not in body["key"]:
            raise BadBodyError(f'key requires property "{name}"')
    emoji = _string(body, "reaction")
    if re.search(r"[\w\s]", emoji):
        raise BadBodyError("Reaction must be a single emoji or empty string")
    return {"text": emoji, "reply_to": body["key"]["id"]}


READERS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "send_text": ("text", text_values),
    "send_media": ("media", media_values),
    "send_audio": ("voice", audio_values),
    "send_location": ("location", location_values),
    "send_poll": ("poll", poll_values),
    "send_reaction": ("reaction", reaction_values),
}
"""What each route sends, and what reads its body."""


def values_of(route: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a message, and what it refers to."""
    kind, read = READERS[route]
    quoted, mentioned = body.get("quoted") or {}, body.get("mentioned") or []
    if quoted and not (quoted.get("key") or {}).get("id"):
        raise BadBodyError('quoted.key requires property "id"')
    if not isinstance(mentioned, list) or not all(
        re.match(r"\d", str(one)) for one in mentioned
    ):
        raise BadBodyError('"mentioned" must be an array of numeric strings')
    return {
        "kind": kind,
        "reply_to": quoted["key"]["id"] if quoted else None,
        "mentions": tuple(one.partition("@")[0] for one in mentioned),
        **read(body),
    }


def _require(body: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in body:
            raise BadBodyError(f'instance requires property "{name}"')


def _string(body: dict[str, Any], name: str) -> str:
    if not isinstance(text := body[name], str):
        raise BadBodyError(f"{name} is not of a type(s) string")
    return text
