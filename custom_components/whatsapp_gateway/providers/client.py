"""The one place that speaks HTTP."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
import logging
from time import monotonic, time
from typing import TYPE_CHECKING, Any, ClassVar, cast

from aiohttp import ClientError, ClientTimeout, hdrs
import orjson
from yarl import URL

from . import parsing
from .masking import masked
from .models import (
    BadResponse,
    GatewayError,
    KeyBound,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import ClientResponse, ClientSession
    from multidict import CIMultiDictProxy

# the first two in seconds
READ_TIME_LIMIT = 10.0
ACTION_TIME_LIMIT = 30.0
MAX_BODY = 8 * 1024 * 1024
PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    *range(500, 1000),
}
"""What passes by itself, whoever says it."""
SUCCESSES = range(200, 205)
"""Those beyond tell that an answer is not all there."""
DEFAULT_RETRY_AFTER = 30.0
MIN_RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 120.0

_LOGGER = logging.getLogger(__name__)


class Client:
    """Ask a gateway, and tell what its answer means."""

    name: ClassVar[str]
    auth_header: ClassVar[tuple[str, str]]
    """The name of the header, and its value with `{}` for the API key."""

    def __init__(self, session: ClientSession, url: str, api_key: str) -> None:
        """Use a session that somebody else owns."""
        self._session = session
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._resume_at = 0.0
        self._read: dict[str, tuple[bytes, Any]] = {}

    async def _get(self, path: str) -> Any:
        """Return what an answer about an instance holds."""
        body = await self._request("GET", path, time_limit=READ_TIME_LIMIT)
        return self._payload(body)

    async def _get_list[T](self, path: str, read: Callable[[Any], T]) -> T:
        """Return what a list means; one that is the same as before is not read anew."""
        body = await self._request("GET", path, time_limit=READ_TIME_LIMIT)
        known, meaning = self._read.get(path, (None, None))
        if body == known:
            return cast("T", meaning)
        meaning = read(self._payload(body))
        self._read[path] = body, meaning
        return meaning

    async def _request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        time_limit: float | None = None,
        conflict_ok: bool = False,
    ) -> bytes:
        """Return the body of a successful answer; `time_limit` is in seconds."""
        time_limit = time_limit or ACTION_TIME_LIMIT
        if (wait := self._resume_at - monotonic()) > 0:
            raise RateLimited(wait)
        header, value = self.auth_header
        try:
            async with self._session.request(
                method,
                URL(f"{self._url}{path}", encoded=True),
                json=json,
                headers={header: value.format(self._api_key)},
                allow_redirects=False,
                timeout=ClientTimeout(total=time_limit),
            ) as response:
                body = await _read(response)
        except (ClientError, TimeoutError, OSError) as err:
            raise Unreachable(type(err).__name__) from err
        except ValueError as err:
            # what cannot stand in a header
            raise Unauthorized from err
        except TypeError as err:
            raise Rejected("This can't be sent as JSON") from err
        # without the numbers of a page, which the gateway gave
        route = path.partition("?")[0]
        _LOGGER.debug("%s %s %s: %s", self.name, method, route, response.status)
        if response.headers.get("X-RateLimit-Remaining") == "0":
            self._resume_at = monotonic() + _retry_after(response.headers)
        if body.lstrip().startswith(b"<") and response.status not in PASSING:
            # a proxy answers, who knows neither keys nor instances
            raise BadResponse("A web page")
        if response.status in SUCCESSES:
            return body
        if conflict_ok and response.status == HTTPStatus.CONFLICT:
            return b""
        raise self._error(response, body)

    def _error(self, response: ClientResponse, body: bytes) -> GatewayError:
        """Tell what a refusal means to the caller."""
        code, message = self._explanation(body)
        status = response.status
        if status == HTTPStatus.TOO_MANY_REQUESTS or code == "rate_limited":
            retry_after = _retry_after(response.headers)
            self._resume_at = monotonic() + retry_after
            return RateLimited(retry_after, code=code)
        if status == HTTPStatus.UNAUTHORIZED:
            return Unauthorized(message, code=code)
        if status == HTTPStatus.NOT_FOUND:
            return NotFound(message, code=code)
        if status in PASSING:
            return Unreachable(f"HTTP {status}", code=code)
        if status < 400:  # noqa: PLR2004
            # a redirect: the key must not travel
            return BadResponse(f"HTTP {status}")
        error = KeyBound if code == "channel_scoped_key" else Rejected
        return error(message or f"HTTP {status}", code=code)

    def _explanation(self, body: bytes) -> tuple[str | None, str]:
        """Return the error code and the message of a refusal, without secrets."""
        error: Any = None
        with suppress(ValueError, AttributeError):
            payload = orjson.loads(body)
            error = payload.get("error") or payload
        if not isinstance(error, dict):
            error = {"message": error}
        message = parsing.optional_text(error, "message") or ""
        return parsing.optional_text(error, "code"), masked(message, self._api_key)

    def _payload(self, body: bytes) -> Any:
        """Return what an answer holds, out of the envelope that some have."""
        try:
            payload = orjson.loads(body)
        except ValueError as err:
            raise BadResponse("Not JSON") from err
        if isinstance(payload, dict):
            if payload.get("success", True) is not True:
                code, message = self._explanation(body)
                raise Rejected(message, code=code)
            payload = payload.get("data", payload)
        return payload


async def _read(response: ClientResponse) -> bytes:
    """Read a body of a sane size."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadResponse("The answer is too large")
    return bytes(body)


def _retry_after(headers: CIMultiDictProxy[str]) -> float:
    """Return the seconds to wait, whichever way the gateway says it."""
    seconds = DEFAULT_RETRY_AFTER
    with suppress(KeyError, ValueError):
        seconds = float(headers["X-RateLimit-Reset"]) - time()
    with suppress(KeyError, ValueError):
        seconds = float(headers[hdrs.RETRY_AFTER])
    return min(max(MIN_RETRY_AFTER, seconds), MAX_RETRY_AFTER)
