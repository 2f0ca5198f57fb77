"""Send requests to a gateway and turn every failure into a `GatewayError`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientTimeout, hdrs
import orjson
from yarl import URL

from . import parsing
from .models import (
    BadResponse,
    Closed,
    GatewayError,
    NotActivated,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreachable,
)
from .redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import ClientResponse, ClientSession
    from multidict import CIMultiDictProxy

# both in seconds
READ_TIME_LIMIT = 10.0
ACTION_TIME_LIMIT = 30.0
MAX_BODY = 8 * 1024 * 1024  # bytes
TRANSIENT = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    *range(500, 1000),
}
"""Statuses worth retrying, even from a proxy."""
SUCCESSES = range(200, 205)
"""206 and above are partial answers."""
MEANINGS: dict[int, type[GatewayError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.NOT_FOUND: NotFound,
}
# all in seconds
DEFAULT_RETRY_AFTER = 30.0
MIN_RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 120.0
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer."""

    body: bytes = field(repr=False)
    date: datetime | None = None
    """The gateway's own time of the answer, to the second."""
    api_key: str = field(default="", repr=False)
    """Never shown, even if the gateway repeats it in a message."""

    def json(self) -> Any:
        """Return the JSON in the body, without its envelope.

        Raises `BadResponse` if it isn't JSON, `Rejected` if it reports a failure.
        """
        payload = _loads(self.body)
        self._raise_for_failure(payload)
        return payload.get("data", payload) if isinstance(payload, dict) else payload

    def raise_for_failure(self) -> None:
        """Raise `Rejected` if the body reports a failure; it may be anything else."""
        with suppress(BadResponse):
            self._raise_for_failure(_loads(self.body))

    def _raise_for_failure(self, payload: Any) -> None:
        """Raise `Rejected` for an answer such as `{"success": false}`."""
        if isinstance(payload, dict) and payload.get("success", True) is not True:
            code, message = explanation(payload)
            raise Rejected(redact(message, self.api_key) or "success: false", code=code)


class HttpClient:
    """Send requests with the API key of one account.

    The session belongs to the caller. It must not decompress answers (a small
    compressed body can unpack to hundreds of megabytes) and not keep cookies.
    """

    def __init__(  # noqa: PLR0917
        self,
        session: ClientSession,
        url: str,
        headers: Mapping[str, str],
        api_key: str,
        name: str,
        errors: Mapping[str, type[GatewayError]],
        error_of: Callable[[int, Any], GatewayError | None] = lambda *_: None,
    ) -> None:
        """Send these headers; `errors` maps the gateway's error codes to classes.

        `error_of` returns the error that an HTTP status and a body mean, if that needs
        more than a code.
        """
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {**headers, hdrs.ACCEPT_ENCODING: "identity"}
        self._api_key = api_key
        self._name = name
        self._errors = errors
        self._error_of = error_of
        self._resume_at = 0.0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether requests are no longer sent."""
        return self._closed

    def close(self) -> None:
        """Send no more requests."""
        self._closed = True

    async def get(self, path: str, *, time_limit: float = READ_TIME_LIMIT) -> Answer:
        """Read something; `time_limit` is in seconds."""
        return await self.request("GET", path, time_limit=time_limit)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        time_limit: float = ACTION_TIME_LIMIT,
        conflict_ok: bool = False,
    ) -> Answer:
        """Send a request and return a successful answer; `time_limit` is in seconds.

        Raises a `GatewayError`, and nothing else, for any other answer.
        """
        if self._closed:
            raise Closed
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            # can't be sent in a header
            raise Unauthorized
        if (wait := self._resume_at - monotonic()) > 0:
            raise RateLimited(wait)
        try:
            async with self._session.request(
                method,
                URL(f"{self._url}{path}", encoded=True),
                json=json,
                headers=self._headers,
                allow_redirects=False,
                timeout=ClientTimeout(total=time_limit),
            ) as response:
                body = await _read(response)
        except (ClientError, TimeoutError, OSError, ValueError) as err:
            # the text of an aiohttp error may contain the URL
            raise Unreachable(type(err).__name__) from err
        except TypeError as err:
            raise Rejected("This can't be sent as JSON") from err
        _LOGGER.debug(
            "%s %s %s: %s", self._name, method, path.partition("?")[0], response.status
        )
        if response.headers.get("X-RateLimit-Remaining") == "0":
            self._resume_at = monotonic() + _retry_after(response.headers)
        if body.lstrip().startswith(b"<") and response.status not in TRANSIENT:
            # a proxy's page says nothing about API keys or instances
            raise BadResponse("A web page")
        if response.status in SUCCESSES:
            date = _date(response.headers.get(hdrs.DATE))
            return Answer(body=body, date=date, api_key=self._api_key)
        if conflict_ok and response.status == HTTPStatus.CONFLICT:
            return Answer(body=b"")
        raise self._error(response, body)

    def _error(self, response: ClientResponse, body: bytes) -> GatewayError:
        """Return the error that a failed request means to the caller."""
        payload: Any = None
        with suppress(BadResponse):
            payload = _loads(body)
        status = response.status
        code, message = explanation(payload)
        error = self._errors.get(code or "")
        message = redact(message, self._api_key) or f"HTTP {status}"
        if status == HTTPStatus.TOO_MANY_REQUESTS or error is RateLimited:
            retry_after = _retry_after(response.headers)
            self._resume_at = monotonic() + retry_after
            return RateLimited(retry_after, code=code)
        if status < HTTPStatus.BAD_REQUEST:
            # a redirect is not followed, so that the API key doesn't leave the host
            return BadResponse(f"HTTP {status}")
        if (special := self._error_of(status, payload)) is not None:
            return special
        if error is None:
            unreachable = Unreachable if status in TRANSIENT else Rejected
            error = MEANINGS.get(status, unreachable)
        if error is NotActivated and isinstance(payload, dict):
            # only the address tells what to do, and it would be redacted as a whole
            message = parsing.web_address(payload.get("register_url")) or message
        return error(message, code=code)


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body.removeprefix(BYTE_ORDER_MARK))
    except ValueError:
        # not chained: the error holds the body
        raise BadResponse("Not JSON") from None


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


async def _read(response: ClientResponse) -> bytes:
    """Read a body of limited size."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadResponse("The answer is too large")
    return bytes(body)


def _retry_after(headers: CIMultiDictProxy[str]) -> float:
    """Return the seconds to wait, in whichever form the gateway gives them.

    `X-RateLimit-Reset` is in seconds since 1970, `Retry-After` in seconds or a date.
    A time in the past tells nothing.
    """
    now = _date(headers.get(hdrs.DATE)) or datetime.now(UTC)
    seconds = 0.0
    retry_after = headers.get(hdrs.RETRY_AFTER, "")
    if moment := _date(retry_after):
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


def _date(text: str | None) -> datetime | None:
    """Return an HTTP date."""
    with suppress(TypeError, ValueError, OverflowError):
        moment = parsedate_to_datetime(text or "")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
