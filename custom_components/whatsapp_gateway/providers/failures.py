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
from multidict import CIMultiDict

from . import parsing
from .models import (
    BadResponse,
    GatewayError,
    InvalidCertificate,
    LoginRequired,
    NoConnection,
    NotActivated,
    NotFound,
    RateLimited,
    Refusal,
    Refused,
    Rejected,
    Unauthorized,
    Unreachable,
)
from .redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import WSServerHandshakeError
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
DEFAULT_RETRY_AFTER = 30.0
"""Seconds to wait if the gateway doesn't tell how long."""
MIN_RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 120.0
"""Seconds to wait at least and at most, whatever the gateway tells."""
HTML = "text/html"
MAX_BLANKS = 1024
"""Number of bytes that may stand before the start of a web page."""


def failure(
    status: int,
    headers: Headers,
    body: bytes,
    *,
    api_key: str,
    errors: Mapping[str, type[GatewayError]],
    error_of: Callable[[int, Any], GatewayError | None],
) -> GatewayError:
    """Return the error that the answer to a failed request means.

    `errors` maps the gateway's own error codes to classes, and `error_of` returns the
    error that a status and a body mean if that needs more than a code.
    """
    if (by_proxy := _by_proxy(status, headers, body)) is not None:
        return by_proxy
    payload: Any = None
    with suppress(BadResponse):
        payload = parsing.loads(body)
    code, message = explanation(payload)
    error = errors.get(code or "")
    message = redact(message, api_key) or f"HTTP {status}"
    if status == HTTPStatus.TOO_MANY_REQUESTS or error is RateLimited:
        return RateLimited(seconds_to_wait(headers), code=code)
    if status < HTTPStatus.BAD_REQUEST:
        # a redirect is not followed, so that the API key doesn't leave the host
        return BadResponse(f"HTTP {status}")
    if (special := error_of(status, payload)) is not None:
        special.args = (str(special) or message,)
        return special
    if error is None:
        error = _meaning_of(status)
    if error is NotActivated and isinstance(payload, dict):
        # only the address tells what to do, and it would be redacted as a whole
        message = parsing.web_address(payload.get("register_url")) or message
    return error(message, code=code)


def _by_proxy(status: int, headers: Headers, body: bytes) -> GatewayError | None:
    """Return the error of an answer that may come from a proxy, None for others."""
    if _asks_for_login(status, headers):
        return LoginRequired("A login")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Refused(Refusal.TOO_LARGE)
    if status not in TRANSIENT and is_page(body):
        # a proxy's page says nothing about API keys or instances
        return BadResponse("A web page")
    return None


def failed_handshake(err: WSServerHandshakeError) -> GatewayError:
    """Return the error that a refused WebSocket means."""
    headers: Headers = err.headers or CIMultiDict()
    if err.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(seconds_to_wait(headers))
    if _asks_for_login(err.status, headers):
        return LoginRequired("A login")
    html = HTML in headers.get(hdrs.CONTENT_TYPE, "")
    if err.status not in TRANSIENT and html:
        return BadResponse("A web page")
    return _meaning_of(err.status)(f"HTTP {err.status}")


def is_page(body: bytes) -> bool:
    """Return whether a body is a web page."""
    return body[:MAX_BLANKS].lstrip().startswith(b"<")


def _meaning_of(status: int) -> type[GatewayError]:
    """Return the error that an HTTP status means by itself."""
    return MEANINGS.get(status, Unreachable if status in TRANSIENT else Rejected)


def _asks_for_login(status: int, headers: Headers) -> bool:
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
    error, output = payload.get("error"), payload.get("output")
    wrapped = output.get("payload") if isinstance(output, dict) else None
    members = error, payload.get("response"), payload.get("exception"), wrapped, payload
    parts = [part for part in members if isinstance(part, dict)]
    codes = (parsing.optional_text(part, "code") for part in parts)
    messages = (_message(part.get("message")) for part in parts)
    fallback = error if isinstance(error, str) else ""
    return next(filter(None, codes), None), next(filter(None, messages), fallback)


def _message(value: Any) -> str:
    """Return a message that may be a list of several, or of lists."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_message, value)))
    return value.strip() if isinstance(value, str) else ""


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
