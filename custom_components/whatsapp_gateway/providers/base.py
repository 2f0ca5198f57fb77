"""The interface of every provider, and the one place that speaks HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from http import HTTPStatus
import logging
from time import monotonic, time
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout, hdrs
import orjson
from yarl import URL

from . import parsing
from .models import (
    Action,
    BadResponse,
    GatewayError,
    Instance,
    InstanceStatus,
    KeyBound,
    NotFound,
    QrCode,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from aiohttp import ClientResponse
    from multidict import CIMultiDictProxy

READ_TIME_LIMIT = 10.0
ACTION_TIME_LIMIT = 30.0
MAX_BODY = 8 * 1024 * 1024
MAX_MESSAGE = 200
DEFAULT_RETRY_AFTER = 30.0
MAX_RETRY_AFTER = 120.0

_LOGGER = logging.getLogger(__name__)


class Provider(ABC):
    """One account at one gateway.

    Every call raises a `GatewayError`, and nothing else, when it does not succeed.
    Time limits are 10 s for reading an instance or the list, 30 s for all else.
    """

    name: ClassVar[str]
    default_url: ClassVar[str]
    auth_header: ClassVar[tuple[str, str]]
    """The name of the header, and its value with `{}` for the API key."""
    statuses: ClassVar[Mapping[str, InstanceStatus]]
    actions: ClassVar[frozenset[Action]]
    instance_types: ClassVar[tuple[str, ...]] = ()
    """What a new instance can be, the usual one first."""
    types_without_qr: ClassVar[frozenset[str]] = frozenset()
    list_has_phone_number: ClassVar[bool] = True
    reports_last_seen: ClassVar[bool] = False
    takes_metadata: ClassVar[bool] = False

    def __init__(
        self,
        session: ClientSession,
        url: str,
        api_key: str,
        instance_id: str | None = None,
    ) -> None:
        """Use a session that somebody else owns.

        With `instance_id` the account is that one instance, as it is for a key that
        is bound to it.
        """
        self._session = session
        self._url = url.rstrip("/")
        self._api_key = api_key
        self.instance_id = instance_id
        self._resume_at = 0.0
        self._unanswered: set[str] = set()
        self._unknown_statuses: set[str] = set()

    async def instances(self) -> list[Instance]:
        """Return every instance of the account, each id once, or raise."""
        if self.instance_id is None:
            return parsing.unique(await self._list())
        try:
            return [await self.instance(self.instance_id)]
        except NotFound:
            return []

    @abstractmethod
    async def _list(self) -> list[Instance]:
        """Return all that the list call gives, or raise."""

    @abstractmethod
    async def create(
        self,
        name: str,
        *,
        instance_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Instance:
        """Create an instance; what the gateway's document does not have is not sent."""

    @abstractmethod
    async def instance(self, instance_id: str) -> Instance:
        """Return one instance as it is now."""

    @abstractmethod
    async def perform(self, action: Action, instance_id: str) -> None:
        """Carry out one of `actions`; succeeds where it is so already."""

    @abstractmethod
    async def qr(self, instance_id: str) -> QrCode | None:
        """Return the code to scan now, None while there is none.

        Call it only for somebody who wants to link: it may start the session.
        """

    @abstractmethod
    async def delete(self, instance_id: str) -> None:
        """Delete an instance for good."""

    async def create_once(
        self,
        name: str,
        *,
        known: Container[str],
        instance_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Instance:
        """Create an instance; where no answer comes, look whether it was created.

        `known` are the ids of the instances there were before.
        """
        if name in self._unanswered and (found := await self._find(name, known)):
            return found
        try:
            return await self.create(
                name, instance_type=instance_type, metadata=metadata
            )
        except (Unreachable, BadResponse):
            self._unanswered.add(name)
            if found := await self._find(name, known):
                return found
            raise

    async def _find(self, name: str, known: Container[str]) -> Instance | None:
        """Return a new instance of this name."""
        found = (one for one in await self.instances() if one.id not in known)
        return next((one for one in found if one.name == name), None)

    async def _get(self, path: str) -> Any:
        """Return what an answer about the list or an instance holds."""
        body = await self._request("GET", path, time_limit=READ_TIME_LIMIT)
        return self._payload(body)

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
        _LOGGER.debug("%s %s %s: %s", self.name, method, path, response.status)
        if response.headers.get("X-RateLimit-Remaining") == "0":
            self._resume_at = monotonic() + _retry_after(response.headers)
        if 200 <= response.status < 300:  # noqa: PLR2004
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
        if status == HTTPStatus.REQUEST_TIMEOUT or status >= 500:  # noqa: PLR2004
            return Unreachable(f"HTTP {status}", code=code)
        if status < 400:  # noqa: PLR2004
            # a redirect: the key must not travel
            return BadResponse(f"HTTP {status}")
        error = KeyBound if code == "channel_scoped_key" else Rejected
        return error(message or f"HTTP {status}", code=code)

    def _explanation(self, body: bytes) -> tuple[str | None, str]:
        """Return the error code and the message of a refusal, without the key."""
        error: Any = None
        with suppress(ValueError, AttributeError):
            payload = orjson.loads(body)
            error = payload.get("error") or payload
        if not isinstance(error, dict):
            error = {"message": error}
        message = " ".join((parsing.optional_text(error, "message") or "").split())
        return (
            parsing.optional_text(error, "code"),
            message.replace(self._api_key, "…")[:MAX_MESSAGE],
        )

    def _payload(self, body: bytes) -> Any:
        """Return what an answer holds, out of the envelope that some have."""
        try:
            payload = orjson.loads(body)
        except ValueError as err:
            raise BadResponse("Not JSON") from err
        if isinstance(payload, dict):
            if payload.get("success") is False:
                code, message = self._explanation(body)
                raise Rejected(message, code=code)
            payload = payload.get("data", payload)
        return payload

    def _instance(self, payload: Any) -> Instance:
        """Read an instance, whose fields both documents name alike."""
        data = parsing.mapping(payload)
        instance_id = parsing.text(data, "id")
        raw_status = parsing.text(data, "status")
        instance_type = parsing.optional_text(data, "type")
        return Instance(
            id=instance_id,
            name=parsing.optional_text(data, "name") or instance_id,
            status=self._status(raw_status),
            raw_status=raw_status,
            type=instance_type,
            linkable=instance_type not in self.types_without_qr,
            phone_number=parsing.phone_number(data.get("phone_number")),
            last_seen=parsing.timestamp(data.get("last_seen_at")),
            account_id=parsing.optional_text(data, "customer_id"),
        )

    def _instances(self, items: Any) -> list[Instance]:
        """Read a list of instances."""
        if not isinstance(items, list):
            raise BadResponse("Not a list of instances")
        return [self._instance(item) for item in items]

    def _status(self, word: str) -> InstanceStatus | None:
        """Translate the gateway's word; one that nobody knows is logged once."""
        status = self.statuses.get(word)
        if status is None and word not in self._unknown_statuses:
            self._unknown_statuses.add(word)
            _LOGGER.warning("%s reports an unknown status: %.40s", self.name, word)
        return status


def path_of(collection: str, instance_id: str, suffix: str = "") -> str:
    """Return the path of an instance; its id may hold anything but a relative path."""
    if not instance_id.strip("."):
        raise BadResponse("No id")
    return f"{collection}/{quote(instance_id, safe='')}{suffix}"


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
    return min(max(1.0, seconds), MAX_RETRY_AFTER)
