"""From JSON to values: tolerant where gateways differ, strict where it matters."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .models import BadResponse, Instance, QrCode

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DIGITS = 15
"""Of a phone number, by E.164."""
MAX_PNG = 1024 * 1024
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FROM_URL_SAFE = str.maketrans("-_", "+/")


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise BadResponse("Not a JSON object")
    return value


def text(data: dict[str, Any], key: str) -> str:
    """Return a text that must be there."""
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise BadResponse(f"No {key}")
    return value


def optional_text(data: dict[str, Any], key: str) -> str | None:
    """Return a text that may be missing, empty or something else."""
    value = data.get(key)
    return value if isinstance(value, str) and value.strip() else None


def phone_number(value: Any) -> str | None:
    """Return a number in international format, also from a WhatsApp address."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    digits = str(value).partition("@")[0].partition(":")[0].strip().removeprefix("+")
    known = digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS
    return f"+{digits}" if known else None


def timestamp(value: Any) -> datetime | None:
    """Return an ISO 8601 time in UTC, which it is where it names no offset."""
    try:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (OverflowError, TypeError, ValueError):
        # the first at both ends of time
        return None


def png(value: Any) -> bytes:
    """Return the picture in a data URI, or in bare base64 of either alphabet."""
    if not isinstance(value, str):
        raise BadResponse("No picture")
    encoded = "".join(value.rpartition(",")[2].split()).translate(_FROM_URL_SAFE)
    # four characters hold three bytes
    if len(encoded) > MAX_PNG * 4 // 3 + 4:
        raise BadResponse("The picture is too large")
    picture = b""
    # no cause is kept: one that is not ASCII has all of the picture in its repr
    with suppress(ValueError):
        picture = b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4))
    if not picture.startswith(PNG_SIGNATURE):
        raise BadResponse("The picture is not a PNG")
    return picture


def qr_code(data: dict[str, Any]) -> QrCode | None:
    """Return the code in an answer, None where there is none right now."""
    raw = optional_text(data, "raw")
    if not raw and not data.get("qr"):
        return None
    return QrCode(
        raw=raw,
        png=None if raw else png(data["qr"]),
        expires_at=timestamp(data.get("expires_at")),
    )


def unique(instances: Iterable[Instance]) -> list[Instance]:
    """Return each instance once."""
    return list({instance.id: instance for instance in instances}.values())
