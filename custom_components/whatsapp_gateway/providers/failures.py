"""What a failed request means, as far as all gateways agree."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
import re
from typing import TYPE_CHECKING, Any

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ConnectionTimeoutError,
    hdrs,
)

from . import parsing
from .models import (
    BadResponse,
    GatewayError,
    InvalidCertificate,
    NoConnection,
    NotFound,
    Rejected,
    Unauthorized,
    Unreachable,
)

if TYPE_CHECKING:
    from multidict import MultiMapping

    type Headers = MultiMapping[str]

TRANSIENT = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    *range(500, 1000),
}
"""Statuses worth retrying, even from a proxy."""
MEANINGS: dict[int, type[GatewayError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    # only a gateway's own answer can say that an instance doesn't exist: a proxy also
    # answers 404, while a gateway restarts
    HTTPStatus.NOT_FOUND: BadResponse,
    # not transient: the server will not offer this before its next update
    HTTPStatus.NOT_IMPLEMENTED: Rejected,
}
_ROUTE = re.compile(
    r"(?i:(no |the )?(route|path|endpoint|url)(?![a-z]))"
    r"|.*\b(GET|POST|PUT|PATCH|DELETE)\b\W*/"
)
"""What a framework says of a path that it doesn't know, such as "Cannot GET /x"."""
# all in seconds
DEFAULT_RETRY_AFTER = 30.0
MIN_RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 120.0


def meaning_of(status: int) -> type[GatewayError]:
    """Return the error that an HTTP status means by itself."""
    return MEANINGS.get(status, Unreachable if status in TRANSIENT else Rejected)


def asks_for_login(status: int, headers: Headers) -> bool:
    """Return whether a server asks for a user name and a password, as no API does."""
    challenges = headers.getall(hdrs.WWW_AUTHENTICATE, [])
    return status == HTTPStatus.UNAUTHORIZED and any(
        challenge.lower().startswith(("basic", "digest")) for challenge in challenges
    )


def not_found(code: str, message: str) -> NotFound | None:
    """Return the error of a gateway's own 404, None if it is about a path."""
    is_about_path = any(map(_ROUTE.match, (code, message)))
    return None if is_about_path else NotFound(code=code)


def unreachable(err: Exception) -> Unreachable:
    """Return the error of a request that got no answer."""
    error: type[Unreachable] = Unreachable
    if isinstance(err, ClientConnectorCertificateError):
        error = InvalidCertificate
    elif isinstance(err, ClientConnectorError | ConnectionTimeoutError):
        error = NoConnection
    # the text of an aiohttp error may contain the URL
    return error(type(err).__name__)


def explanation(payload: Any) -> tuple[str | None, str]:
    """Return the error code and the message of a failure."""
    if not isinstance(payload, dict):
        return None, payload if isinstance(payload, str) else ""
    error = payload.get("error")
    parts = [
        part
        for part in (error, payload.get("response"), payload)
        if isinstance(part, dict)
    ]
    codes = (parsing.optional_text(part, "code") for part in parts)
    messages = (_message(part.get("message")) for part in parts)
    fallback = error if isinstance(error, str) else ""
    return next(filter(None, codes), None), next(filter(None, messages), fallback)


def _message(value: Any) -> str:
    """Return a message that may be a list of several."""
    texts = value if isinstance(value, list) else [value]
    return "; ".join(text for text in texts if isinstance(text, str)).strip()


def seconds_to_wait(headers: Headers) -> float:
    """Return the seconds to wait, in whichever form the gateway gives them.

    `X-RateLimit-Reset` is in seconds since 1970, `Retry-After` in seconds or a date.
    A time in the past tells nothing.
    """
    now = http_date(headers.get(hdrs.DATE)) or datetime.now(UTC)
    seconds = 0.0
    retry_after = headers.get(hdrs.RETRY_AFTER, "")
    if moment := http_date(retry_after):
        seconds = (moment - now).total_seconds()
    elif (number := _number(retry_after)) is not None:
        return min(max(number, MIN_RETRY_AFTER), MAX_RETRY_AFTER)
    elif reset := _number(headers.get("X-RateLimit-Reset", "")):
        seconds = reset - now.timestamp()
    if seconds <= 0:
        seconds = DEFAULT_RETRY_AFTER
    return min(max(seconds, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


def _number(text: str) -> float | None:
    """Return a number, None for anything that isn't one."""
    with suppress(ValueError):
        number = float(text)
        # false for NaN
        if abs(number) < float("inf"):
            return number
    return None


def http_date(text: str | None) -> datetime | None:
    """Return an HTTP date."""
    with suppress(TypeError, ValueError, OverflowError):
        moment = parsedate_to_datetime(text or "")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
