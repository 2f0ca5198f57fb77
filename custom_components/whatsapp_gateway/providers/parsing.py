"""Read and write JSON: tolerant of what gateways do differently."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from datetime import UTC, datetime
import json
from typing import TYPE_CHECKING, Any

import orjson
from yarl import URL

from .models import BadResponse, QrCode, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_DIGITS = 15
"""Number of digits of a phone number, by E.164."""
MAX_PNG = 1024 * 1024
"""Number of bytes of a picture."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_ADDRESS = 200
"""Number of characters of an address that is shown."""
MAX_LIFETIME = 60.0
"""Seconds that a code lives at most."""
CLOCK_TOLERANCE = 5.0
"""Seconds by which the clocks of the gateway and of this machine may differ."""
_FROM_URL_SAFE = str.maketrans("-_", "+/")


def loads(body: bytes | str) -> Any:
    """Parse JSON; raises `BadResponse`."""
    if isinstance(body, bytes):
        body = body.removeprefix(BYTE_ORDER_MARK)
    with suppress(ValueError):
        return orjson.loads(body)
    with suppress(ValueError, RecursionError):
        # a text that was cut may end with half an emoji, which orjson refuses
        text = json.dumps(json.loads(body), ensure_ascii=False)
        return orjson.loads(text.encode(errors="replace"))
    # not chained: the errors hold the body
    raise BadResponse("Not JSON")


def dumps(body: Mapping[str, Any]) -> bytes:
    """Serialize JSON; raises `Rejected`."""
    try:
        # the keys of data from an automation belong to a subclass of str
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # not chained: the error may contain the message
        raise Rejected("This can't be sent as JSON") from None


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise BadResponse("Not a JSON object")
    return value


def items[T](value: Any, parse: Callable[[Any], T]) -> tuple[T, ...]:
    """Return the parsed items of a JSON array."""
    if not isinstance(value, list):
        raise BadResponse("Not a list")
    return tuple(parse(item) for item in value)


def rows(value: Any) -> tuple[Any, ...]:
    """Return the items of a JSON array as they are."""
    return items(value, lambda item: item)


def text(data: dict[str, Any], key: str) -> str:
    """Return a text that must be present."""
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise BadResponse(f"No {key}")
    return value


def flag(data: dict[str, Any], key: str) -> bool:
    """Return a truth value that must be present."""
    value = data.get(key)
    if not isinstance(value, bool):
        raise BadResponse(f"No {key}")
    return value


def optional_text(data: dict[str, Any], key: str) -> str | None:
    """Return a text that may be missing, empty or of another type."""
    value = data.get(key)
    return value if isinstance(value, str) and value.strip() else None


def phone_number(value: Any) -> str | None:
    """Return a number in international format, also from a WhatsApp address."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    digits = str(value).partition("@")[0].partition(":")[0].strip().removeprefix("+")
    known = digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS
    return f"+{digits}" if known else None


def web_address(value: Any) -> str | None:
    """Return the address of a web page, without anything in it that may be secret."""
    # yarl raises an IndexError for some addresses with brackets
    with suppress(IndexError, TypeError, ValueError):
        url = URL(value)
        if url.scheme in {"http", "https"} and url.host:
            address = str(url.origin().with_path(url.path))
            return address if len(address) <= MAX_ADDRESS else None
    return None


def timestamp(value: Any) -> datetime | None:
    """Return an ISO 8601 time in UTC; without an offset it is taken as UTC."""
    try:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (OverflowError, TypeError, ValueError):
        # OverflowError at both ends of time
        return None


def lifetime(expires_at: Any, now: datetime | None) -> float | None:
    """Return the seconds until a code expires, by the gateway's own clock.

    No code lives longer than a minute: a larger difference means wrong clocks.
    """
    moment = timestamp(expires_at)
    if moment is None:
        return None
    left = (moment - (now or datetime.now(UTC))).total_seconds()
    plausible = -CLOCK_TOLERANCE < left < MAX_LIFETIME + CLOCK_TOLERANCE
    return left if plausible else None


def base64(value: str, max_bytes: int) -> bytes:
    """Return the bytes in a data URI, or in base64 of either alphabet, also in lines.

    Raises `BadResponse`.
    """
    encoded = "".join(value.rpartition(",")[2].split()).translate(_FROM_URL_SAFE)
    encoded = encoded.rstrip("=")
    # four characters hold three bytes
    if len(encoded) * 3 // 4 > max_bytes:
        raise BadResponse("The file is too large")
    with suppress(ValueError):
        return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    # not chained: the other error may contain the file
    raise BadResponse("Not base64")


def png(value: Any) -> bytes:
    """Return the picture in a data URI, or in plain base64 of either alphabet."""
    if not isinstance(value, str):
        raise BadResponse("No picture")
    picture = base64(value, MAX_PNG)
    if not picture.startswith(PNG_SIGNATURE):
        raise BadResponse("The picture is not a PNG")
    return picture


def qr_code(raw: str | None, picture: Any, lifetime: float | None) -> QrCode | None:
    """Return a QR code, None if the gateway has none right now."""
    if not raw and not picture:
        return None
    return QrCode(raw=raw, png=None if raw else png(picture), lifetime=lifetime)
