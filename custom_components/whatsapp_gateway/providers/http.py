"""Send requests to a gateway and turn every failure into a `GatewayError`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from io import BytesIO
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiohttp import (
    ClientError,
    ClientTimeout,
    ClientWSTimeout,
    DummyCookieJar,
    TraceConfig,
    WSServerHandshakeError,
    hdrs,
)
from yarl import URL

from .failures import (
    explanation,
    failed_handshake,
    failure,
    http_date,
    is_page,
    seconds_to_wait,
    unreachable,
)
from .models import (
    BadResponse,
    Closed,
    GatewayError,
    RateLimited,
    Rejected,
    Unauthorized,
)
from .parsing import dumps, loads
from .redact import redact, without_numbers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from aiohttp import (
        ClientResponse,
        ClientSession,
        ClientWebSocketResponse,
        TraceRequestRedirectParams,
    )


READ_TIME_LIMIT = 10.0
"""Seconds to read something, or to connect."""
ACTION_TIME_LIMIT = 30.0
"""Seconds to change something."""
SEND_TIME_LIMIT = 60.0
"""Seconds to send a message, or to download a file."""
PROBE_TIME_LIMIT = 5.0
"""Seconds to find out what kind of server answers."""
SILENCE_LIMIT = 60.0
"""Seconds for which a stream of events may be silent."""
HEARTBEAT = 25.0
"""Seconds between two pings of a WebSocket; it ends if none is answered."""
CLOSE_TIME_LIMIT = 1.0
"""Seconds to close a WebSocket."""
MAX_FRAME = 16 * 1024 * 1024
"""Number of bytes, or characters, of an event; a larger one is skipped."""
MAX_WEBSOCKET_FRAME = 4 * MAX_FRAME
"""Number of bytes of a frame; aiohttp ends the connection because of a larger one."""
EVENT_STREAM = "text/event-stream"
MAX_BODY = 8 * 1024 * 1024
"""Number of bytes of an answer."""
MAX_AT_ONCE = 512 * 1024
"""Number of bytes of a request that are sent in one piece."""
SUCCESSES = range(200, 205)
"""206 and above are partial answers."""

_LOGGER = logging.getLogger(__name__)


async def _refuse_redirect(
    _session: ClientSession, _context: object, params: TraceRequestRedirectParams
) -> None:
    """Raise before a request is sent to the address that a redirect names."""
    params.response.close()
    raise BadResponse("A redirect")


NO_REDIRECTS = TraceConfig()
"""Makes a session refuse redirects, which could lead the API key to another host.

A WebSocket has no other way to do so.
"""
NO_REDIRECTS.on_request_redirect.append(_refuse_redirect)


def session_options() -> dict[str, Any]:
    """Return the arguments that a session for an `HttpClient` is created with.

    It keeps no cookies, follows no redirects, and doesn't decompress answers: a small
    compressed body can unpack to hundreds of megabytes.
    """
    return {
        "auto_decompress": False,
        "cookie_jar": DummyCookieJar(),
        "trace_configs": [NO_REDIRECTS],
    }


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
        payload = loads(self.body)
        self._raise_for_failure(payload)
        return payload.get("data", payload) if isinstance(payload, dict) else payload

    def raise_for_failure(self) -> None:
        """Raise `Rejected` if the body reports a failure; it may be anything else."""
        with suppress(BadResponse):
            self._raise_for_failure(loads(self.body))

    def _raise_for_failure(self, payload: Any) -> None:
        """Raise `Rejected` for an answer such as `{"success": false}`."""
        if isinstance(payload, dict) and payload.get("success", True) is not True:
            code, message = explanation(payload)
            raise Rejected(redact(message, self.api_key) or "success: false", code=code)


class HttpClient:
    """Send requests with the API key of one account.

    The session belongs to the caller, who creates it with `session_options`.
    """

    def __init__(
        self,
        session: ClientSession,
        url: str,
        *,
        headers: Mapping[str, str],
        api_key: str,
        name: str,
        errors: Mapping[str, type[GatewayError]],
        error_of: Callable[[int, Any], GatewayError | None],
    ) -> None:
        """Send these headers; `errors` maps the gateway's error codes to classes.

        `error_of` returns the error that an HTTP status and a body mean, if that needs
        more than a code. Without a message it gets the gateway's own. Raises
        `ValueError` for a session that follows redirects.
        """
        if NO_REDIRECTS not in session.trace_configs:
            raise ValueError("The session has to be created with session_options")
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {**headers, hdrs.ACCEPT_ENCODING: "identity"}
        self.api_key = api_key
        self._name = name
        self._errors = errors
        self._error_of = error_of
        self.clock_ahead = 0.0
        """Seconds by which the server's clock was ahead in its last answer."""
        self._resume_at = 0.0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether requests are no longer sent."""
        return self._closed

    def close(self) -> None:
        """Send no more requests."""
        self._closed = True

    def open_session(self) -> ClientSession:
        """Return the session, which sends no API key by itself; raises `Closed`."""
        if self._closed or self._session.closed:
            raise Closed
        return self._session

    async def get(self, path: str, *, time_limit: float = READ_TIME_LIMIT) -> Answer:
        """Read something; `time_limit` is in seconds."""
        return await self.request("GET", path, time_limit=time_limit)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        time_limit: float = ACTION_TIME_LIMIT,
        max_body: int = MAX_BODY,
        page_ok: bool = False,
        conflict_ok: bool = False,
    ) -> Answer:
        """Send a request and return a successful answer; `time_limit` is in seconds.

        `content` is JSON that is already serialized, `max_body` the largest answer in
        bytes. With `page_ok` the answer may be a web page. Raises a `GatewayError`, and
        nothing else, for any other answer.
        """
        timeout = ClientTimeout(total=time_limit, sock_connect=READ_TIME_LIMIT)
        content = content if json is None else dumps(json)
        async with self._send(method, path, timeout, content) as response:
            body = await read_body(response, max_body)
        if response.headers.get("X-RateLimit-Remaining") == "0":
            self._wait(seconds_to_wait(response.headers))
        html = is_page(body)
        if response.status in SUCCESSES and (page_ok or not html):
            date = http_date(response.headers.get(hdrs.DATE))
            now = datetime.now(UTC)
            self.clock_ahead = (date - now).total_seconds() if date else 0.0
            return Answer(body=body, date=date, api_key=self.api_key)
        if conflict_ok and response.status == HTTPStatus.CONFLICT and not html:
            return Answer(body=b"")
        raise self._error(response, body)

    def _error(self, response: ClientResponse, body: bytes) -> GatewayError:
        """Return the error that a failed request means to the caller."""
        error = failure(
            response.status,
            response.headers,
            body,
            api_key=self.api_key,
            errors=self._errors,
            error_of=self._error_of,
        )
        error.status = response.status
        return self._note_pause(error)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncGenerator[ClientResponse]:
        """Open a stream of server-sent events, which may be silent for 60 s.

        Raises a `GatewayError`, and nothing else, also for what is done with it.
        """
        timeout = ClientTimeout(sock_connect=READ_TIME_LIMIT, sock_read=SILENCE_LIMIT)
        async with self._send("GET", path, timeout) as response:
            successful = response.status in SUCCESSES
            if not successful or response.content_type != EVENT_STREAM:
                # only events may take as long as they like
                async with asyncio.timeout(READ_TIME_LIMIT):
                    body = await read_body(response)
                raise self._error(response, body)
            yield response

    @asynccontextmanager
    async def websocket(
        self, path: str, query: Mapping[str, str]
    ) -> AsyncGenerator[ClientWebSocketResponse]:
        """Open a WebSocket; the query may hold the API key.

        Raises a `GatewayError`, and nothing else, also for what is done with it. The
        errors of aiohttp are not chained, because they contain the address.
        """
        self._check_ready()
        url = URL(f"{self._url}{path}", encoded=True).with_query(query)
        try:
            async with asyncio.timeout(READ_TIME_LIMIT):
                websocket = await self._session.ws_connect(
                    url,
                    heartbeat=HEARTBEAT,
                    autoping=False,
                    max_msg_size=MAX_WEBSOCKET_FRAME,
                    timeout=ClientWSTimeout(ws_close=CLOSE_TIME_LIMIT),
                )
            _LOGGER.debug("%s WebSocket %s: open", self._name, path)
            async with websocket:
                yield websocket
        except WSServerHandshakeError as err:
            raise self._note_pause(failed_handshake(err)) from None
        except (ClientError, TimeoutError, OSError, ValueError) as err:
            raise unreachable(err) from None

    def _wait(self, seconds: float) -> None:
        """Send no requests for a while; a longer pause goes on."""
        self._resume_at = max(self._resume_at, monotonic() + seconds)

    def _check_ready(self) -> None:
        """Raise if no request can be sent now."""
        self.open_session()
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            # can't be sent in a header
            raise Unauthorized
        if (wait := self._resume_at - monotonic()) > 0:
            raise RateLimited(wait)

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        timeout: ClientTimeout,  # noqa: ASYNC109
        content: bytes | None = None,
    ) -> AsyncGenerator[ClientResponse]:
        """Send a request; the errors of aiohttp become a `GatewayError`.

        They are not chained, because they may contain the address.
        """
        self._check_ready()
        headers = self._headers
        if content is not None:
            headers = headers | {hdrs.CONTENT_TYPE: "application/json"}
        try:
            async with self._session.request(
                method,
                URL(f"{self._url}{path}", encoded=True),
                data=_in_pieces(content),
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                yield response
        except (ClientError, TimeoutError, OSError, ValueError) as err:
            raise unreachable(err) from None
        shown = without_numbers(path.partition("?")[0])
        _LOGGER.debug("%s %s %s: %s", self._name, method, shown, response.status)

    def _note_pause(self, error: GatewayError) -> GatewayError:
        """Send no requests until the gateway allows them again."""
        if isinstance(error, RateLimited):
            self._wait(error.retry_after)
        return error


def _in_pieces(content: bytes | None) -> bytes | BytesIO | None:
    """Return what is sent; a large body is sent in pieces, which can't be repeated."""
    if content is None or len(content) <= MAX_AT_ONCE:
        return content
    return BytesIO(content)


async def read_body(response: ClientResponse, limit: int = MAX_BODY) -> bytes:
    """Read a body of limited size, in bytes."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise BadResponse("The answer is too large")
    return bytes(body)
