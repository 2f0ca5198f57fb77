"""What every simulated gateway does: keys, limits, a log, faults on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar, override

from aiohttp import web

from .fault import Fault, damaged, instead
from .machine import Session, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from ssl import SSLContext

    type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FEATURES = frozenset(
    {
        "bound_key",  # API keys that only open one instance
        "code_end",  # a QR code comes with its end
        "create",
        "delete",
        "last_seen",
        "metadata",
        "pairing_code",
        "phone_in_list",  # the list of instances has their phone numbers
        # an instance is an object with `id`, `name`, `status` and `phone_number`, in a
        # list or below `data`; a code is below `qr`
        "plain_json",
        "rate_limit",  # too many requests are refused
        "stop",  # an instance can be disconnected and stays linked
        "types",  # a new instance has a type
    }
)


@dataclass(frozen=True)
class Asked:
    """A request that reached the gateway."""

    route: str
    method: str
    path: str
    headers: Mapping[str, str]


class Gateway(ABC):
    """A gateway with the accounts of several customers."""

    kinds: ClassVar[dict[str, type[Gateway]]] = {}
    """Every simulated gateway by the key of its provider."""
    provider: ClassVar[str]
    """Key of the provider in the integration."""
    title: ClassVar[str]
    """Name that a person knows the gateway by."""
    key: ClassVar[str]
    """The API key of the customer that tests and the demo are."""
    header: ClassVar[tuple[str, str]]
    """Name of the header for the API key, and its value as a format."""
    base_path: ClassVar[str]
    """Path of the list of instances."""
    actions: ClassVar[Mapping[str, str]]
    """Name of the route that the button of each action asks."""
    features: ClassVar[frozenset[str]]
    """What the gateway can do, of `FEATURES`."""
    type_without_qr: ClassVar[str]
    """Type of an instance that has no QR code; needs `types`."""
    statuses: Mapping[State, str]
    """The gateway's own word for each state."""
    session_type: ClassVar[type[Session]] = Session
    """Class of the instances, where a gateway keeps more about them."""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "provider" in vars(cls):
            cls.kinds[cls.provider] = cls

    def __init__(self, *, scale: float = 1.0) -> None:
        """Run `scale` times as fast as the clock."""
        self.scale = scale
        self.owners = {self.key: "me", f"{self.key}_other": "somebody else"}
        self.sessions: dict[str, Session] = {}
        self.bound: dict[str, str] = {}
        """API keys that only open one instance, and its ID; needs `bound_key`."""
        self.asked: list[Asked] = []
        self.faults: dict[str, Fault] = {}
        self.then: dict[str, Callable[[web.RequestHandler], None]] = {}
        """What happens once, when a route is answered the next time on a connection."""
        self._failed: dict[str, int] = {}
        self._let_go = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.clock_ahead = 0.0
        """Seconds by which the gateway's clock is ahead of all others."""

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the document, each with its name."""

    @classmethod
    def has(cls, *features: str) -> bool:
        """Tell whether the gateway has all these features."""
        assert {*features} <= FEATURES
        return cls.features >= {*features}

    @classmethod
    def headers(cls, key: str | None = None) -> dict[str, str]:
        """Return the headers of a request with a key, by default that of the tests."""
        name, value = cls.header
        return {name: value.format(key or cls.key)}

    def create_body(self, name: str) -> dict[str, Any]:
        """Return the body of a request that creates an instance."""
        return {"name": name}

    @abstractmethod
    def key_of(self, request: web.Request) -> str | None:
        """Return the key that a request brings."""

    @abstractmethod
    def error(self, status: int, code: str, message: str) -> web.Response:
        """Return an error in this gateway's form."""

    @abstractmethod
    def limit(self, key: str) -> tuple[bool, dict[str, str]]:
        """Count a request; tell whether it is allowed, and the headers that say so."""

    def add(self, name: str, state: State = State.NEW, **values: Any) -> Session:
        """Create an instance behind the back of Home Assistant."""
        values = {"id": self.new_id(), "owner": "me", "scale": self.scale, **values}
        session = self.session_type(name=name, **values)
        if state is not State.NEW:
            session.state = state
        self.sessions[session.id] = session
        return session

    @abstractmethod
    def new_id(self) -> str:
        """Return an id that this gateway would give."""

    def fail(self, route: str, **fault: Any) -> None:
        """Let a route fail: one of `names`, or `*` for all."""
        self.faults[route] = Fault(**fault)
        self._failed.pop(route, None)

    def heal(self) -> None:
        """Take all faults away, and let go what hangs."""
        self.faults.clear()
        self.then.clear()
        self._let_go.set()
        self._let_go = asyncio.Event()

    def hang_up(self, spared: web.RequestHandler | None = None) -> None:
        """Close all connections but one, so that the next request needs a new one."""
        assert self._runner is not None
        assert self._runner.server is not None
        for connection in self._runner.server.connections:
            if connection is not spared:
                connection.force_close()

    def count(self, route: str) -> int:
        """Tell how often a route was asked for."""
        return sum(asked.route == route for asked in self.asked)

    async def body_of(self, request: web.Request) -> dict[str, Any]:
        """Return the object that a request brings, an empty one for anything else."""
        try:
            body = await request.json()
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def session_of(self, request: web.Request) -> Session | None:
        """Return the asked instance, if it belongs to who asks."""
        session = self.sessions.get(request.match_info["id"])
        return session if session and session.owner == request["owner"] else None

    def mine(self, request: web.Request) -> list[Session]:
        """Return the instances of who asks, newest first."""
        mine = [s for s in self.sessions.values() if s.owner == request["owner"]]
        return sorted(mine, key=lambda s: s.created, reverse=True)

    @asynccontextmanager
    async def running(
        self, port: int = 0, ssl: SSLContext | None = None
    ) -> AsyncIterator[Gateway]:
        """Serve on loopback."""
        app = web.Application(middlewares=[self._middleware])
        app.add_routes(self.routes())
        self._runner = runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=ssl)
        await site.start()
        self.url = re.sub(r":0$", f":{runner.addresses[0][1]}", site.name)
        try:
            yield self
        finally:
            self._let_go.set()
            await runner.cleanup()

    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        route = request.match_info.route.name or ""
        asked = Asked(route, request.method, request.raw_path, request.headers)
        self.asked.append(asked)
        fault = self._next_fault(route)
        await asyncio.sleep(fault.delay)
        if fault.code and fault.status:
            response = self.error(fault.status, fault.code, fault.message)
            response.headers.update(fault.headers)
            return response
        if (answer := await instead(fault, request, self._let_go)) is not None:
            return answer
        answer = await self._answer(request, handler)
        await asyncio.sleep(fault.late)
        if fault.truncate or fault.halve:
            answer = await damaged(fault, request, answer)
        if act := self.then.pop(route, None):
            answer.force_close()
            act(request.protocol)
        return answer

    async def _answer(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        key = self.key_of(request)
        if key not in self.owners:
            return self.error(401, "unauthorized", "Invalid API key")
        request["owner"] = self.owners[key]
        allowed, headers = self.limit(key)
        if allowed:
            response = await handler(request)
        else:
            response = self.error(429, "rate_limited", "Too many requests")
        response.headers.update(headers)
        now = time.time() + self.clock_ahead
        response.headers["Date"] = formatdate(now, usegmt=True)
        return response

    def _next_fault(self, route: str) -> Fault:
        for name in (route, "*"):
            fault = self.faults.get(name)
            failed = self._failed.get(name, 0)
            if fault is not None and (fault.times is None or failed < fault.times):
                self._failed[name] = failed + 1
                return fault
        return Fault()


def iso(moment: float | None, *, milliseconds: bool = False) -> str | None:
    """Write a time as the documents do."""
    if moment is None:
        return None
    fraction = f".{int(moment * 1000) % 1000:03}" if milliseconds else ""
    return time.strftime(f"%Y-%m-%dT%H:%M:%S{fraction}Z", time.gmtime(moment))
