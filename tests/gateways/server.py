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

from .events import Events
from .fault import Fault, damaged, instead
from .machine import CODE_LIVES, Session, State
from .messages import Messages
from .webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from ssl import SSLContext

    from .webhooks import Endpoint

    type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FEATURES = frozenset(
    {
        "bound_key",  # API keys that only open one instance
        "chats",  # groups, or groups and people, are listed with their names
        "code_end",  # a QR code comes with its end
        "create",
        "delete",
        "downloads",  # the files of received messages can be downloaded
        "error_codes",  # an error has a code of the gateway's own
        "events",  # changes are reported while a connection is open
        "fixed_lives",  # the gateway, not WhatsApp, decides how long QR codes live
        "key_optional",  # a server may have no API key
        "keys_without_create",  # a valid API key may be refused to create, with 401
        "last_seen",
        "lid_lookup",  # the number behind a LID can be asked for
        "lids",  # senders may be reported by their LIDs, and the numbers can be found
        "live_states",  # a poll also asks for the state of each instance
        "locations",  # a place on the map can be sent
        "media_content",  # a file is sent as it is; else its public address is sent
        "mentions",  # a message can mention people in a group
        "message_ids",  # what sends a message answers with its ID
        "messages",  # messages can be sent
        "metadata",
        "many_pairing_codes",  # a new pairing code comes with every QR code
        "names_are_ids",  # the name of an instance is its ID, and never changes
        "number_check",  # the gateway tells whether a phone number has WhatsApp
        "old_versions",  # servers of an old version exist that are not supported
        "pairing_code",
        "own_messages",  # messages that were sent with the phone are reported as well
        "passkey",  # the gateway tells that WhatsApp demands a passkey
        "people_in_chats",  # the chats that are listed include people
        "phone_in_list",  # the list of instances has their phone numbers
        # an instance is an object with `id`, `name`, `status` and `phone_number`, in a
        # list or below `data`; a code is below `qr`
        "plain_json",
        "polls",  # questions with answers to choose from can be sent
        "one_webhook",  # an instance has one webhook, which other software may use
        "public_webhook",  # an address that is called has to start with https:
        "rate_limit",  # too many requests are refused
        "reactions",  # emojis can be sent as reactions to messages
        "receiving",  # messages are reported, by the same way as changes
        "replies",  # a message can answer another one
        "says_failed",  # an instance that has failed is told from one that is stopped
        "says_starting",  # one that starts is told from one that waits to be linked
        "sent_chats",  # what sends a message answers with its chat
        "self_hosted",  # people run it themselves: there is no default address
        # an instance that its phone has unlinked, or whose pairing code nobody entered,
        # fails after each start until it is logged out
        "stale_links",
        "stop",  # an instance can be disconnected and stays linked
        "whatsapp_form",  # messages are reported in WhatsApp's own form
        "webhook_secret",  # a call brings a header that was agreed on
        "webhooks",  # changes are reported by calls to an address
        "types",  # a new instance has a type
        "types_in_list",  # the list of instances has their types
    }
)

MAX_BODY = 64 * 1024 * 1024
"""Number of bytes of a request."""


@dataclass(frozen=True)
class Asked:
    """A request that reached the gateway."""

    route: str
    method: str
    path: str
    headers: Mapping[str, str]


class Gateway(Messages, ABC):
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
    qr_route: ClassVar[str] = "qr"
    """Name of the route that returns the QR code, and is only asked for that."""
    pairing_code_route: ClassVar[str] = "pairing_code"
    """Name of the route that returns the pairing code; needs `pairing_code`."""
    route_groups: ClassVar[Mapping[str, str]] = {}
    """A common name of several routes, by the names of these routes."""
    asked_once: ClassVar[frozenset[str]] = frozenset()
    """Names of the routes that are asked once when an account is set up."""
    listed_by: ClassVar[tuple[str, ...]] = ("id", "status")
    """Texts that each instance in the list has, the ID first."""
    alike: ClassVar[Mapping[State, State]] = {}
    """States of an instance without a phone that look just like another one."""
    unlinked: ClassVar[State] = State.STOPPED
    """State of an instance that the phone has unlinked."""
    features: ClassVar[frozenset[str]]
    """What the gateway can do, of `FEATURES`."""
    type_without_qr: ClassVar[str]
    """Type of an instance that has no QR code; needs `types`."""
    old_version: ClassVar[str]
    """A version that is not supported; needs `old_versions`."""
    version: str
    """Version of the server; needs `self_hosted`."""
    statuses: Mapping[State, str]
    """The gateway's own word for each state."""
    failure_delay: ClassVar[float] = 0.0
    """Seconds that a failure has to last, because the gateway reports short ones."""
    webhook_repeats: ClassVar[int] = 0
    """Number of times that a call without an answer is repeated; needs `webhooks`."""
    code_lives: ClassVar[tuple[float, ...]] = CODE_LIVES
    """Seconds that each QR code of a round is valid."""
    returns_expired: ClassVar[float] = 0.0
    """Seconds for which a QR code may still be returned after it has expired."""
    session_type: ClassVar[type[Session]] = Session
    """Class of the instances, where a gateway keeps more about them."""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "provider" in vars(cls):
            cls.kinds[cls.provider] = cls

    def __init__(self, *, scale: float = 1.0) -> None:
        """Run `scale` times as fast as the clock."""
        super().__init__()
        self.scale = scale
        self.owners = {self.key: "me", f"{self.key}_other": "somebody else"}
        self.sessions: dict[str, Session] = {}
        self.bound: dict[str, str] = {}
        """API keys that only open one instance, and its ID; needs `bound_key`."""
        self.asked: list[Asked] = []
        self.faults: dict[str, Fault] = {}
        self.then: dict[str, Callable[[web.RequestHandler], None]] = {}
        """What happens once, when a route is answered the next time on a connection."""
        self.events = Events()
        self.webhooks = Webhooks(self)
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

    @classmethod
    def looks_like(cls, state: State) -> State:
        """Return the state that an instance without a phone seems to be in."""
        return cls.alike.get(state, state)

    def say(self, word: str | None) -> None:
        """Report this status of every instance; with None what they have."""
        usual = type(self).statuses
        self.statuses = usual if word is None else dict.fromkeys(State, word)

    def create_body(self, name: str) -> dict[str, Any]:
        """Return the body of a request that creates an instance."""
        return {"name": name}

    def fields(self, name: str) -> dict[str, Any]:
        """Return what a person enters to create an instance."""
        return {"name": name}

    @abstractmethod
    def key_of(self, request: web.Request) -> str | None:
        """Return the key that a request brings."""

    @abstractmethod
    def error(self, status: int, code: str, message: str) -> web.Response:
        """Return an error in this gateway's form."""

    @abstractmethod
    def no_instance(self, request: web.Request) -> web.Response:
        """Return what this gateway answers about an instance that doesn't exist."""

    def event_of(self, session: Session) -> bytes:
        """Return the event that tells how an instance is now; needs `events`."""
        raise NotImplementedError

    @abstractmethod
    def limit(self, key: str) -> tuple[bool, dict[str, str]]:
        """Count a request; tell whether it is allowed, and the headers that say so."""

    def reports(
        self, endpoint: Endpoint, session: Session
    ) -> Iterable[tuple[str, dict[str, Any]]]:
        """Return the events about a change of an instance that an address gets."""
        raise NotImplementedError

    def add(self, name: str, state: State = State.NEW, **values: Any) -> Session:
        """Create an instance behind the back of Home Assistant."""
        values = {
            "id": self.new_id(),
            "owner": "me",
            "scale": self.scale,
            "on_move": self.events.note,
            **values,
        }
        session = self.session_type(name=name, **values)
        if state is not State.NEW:
            session.state = state
        self.sessions[session.id] = session
        self.events.note()
        return session

    @abstractmethod
    def new_id(self) -> str:
        """Return an id that this gateway would give."""

    def fail(self, route: str, **fault: Any) -> None:
        """Let a route fail, or a group of them; `*` means all."""
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
        """Tell how often a route was asked for, or a group of them."""
        return sum(route in self._names(asked.route) for asked in self.asked)

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
        self, port: int = 0, ssl: SSLContext | None = None, prefix: str = ""
    ) -> AsyncIterator[Gateway]:
        """Serve on loopback, with `prefix` below this path."""
        app = web.Application(middlewares=[self._middleware], client_max_size=MAX_BODY)
        app.add_routes(self.routes())
        if prefix:
            gateway, app = app, web.Application(client_max_size=MAX_BODY)
            app.add_subapp(prefix, gateway)
        self._runner = runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=ssl)
        await site.start()
        self.url = re.sub(r":0$", f":{runner.addresses[0][1]}", site.name) + prefix
        try:
            yield self
        finally:
            self._let_go.set()
            self.events.stop()
            self.webhooks.stop()
            await runner.cleanup()

    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        route = request.match_info.route.name or ""
        asked = Asked(route, request.method, request.raw_path, request.headers)
        self.asked.append(asked)
        # aiohttp keeps a connection for 10 s if a body has not arrived completely
        await request.read()
        fault = self._next_fault(route)
        await asyncio.sleep(fault.delay)
        if fault.missing:
            return self.no_instance(request)
        if fault.code and fault.status:
            response = self.error(fault.status, fault.code, fault.message)
            response.headers.update(fault.headers)
            return response
        if (answer := await instead(fault, request, self._let_go)) is not None:
            return answer
        answer = await self._answer(request, handler)
        if not answer.prepared:
            now = time.time() + self.clock_ahead
            answer.headers["Date"] = formatdate(now, usegmt=True)
        await asyncio.sleep(fault.late)
        if (fault.truncate or fault.halve) and isinstance(answer, web.Response):
            answer = await damaged(fault, request, answer)
        if act := self._next_act(route):
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
        return response

    def _next_act(self, route: str) -> Callable[[web.RequestHandler], None] | None:
        acts = (self.then.pop(name, None) for name in self._names(route))
        return next(filter(None, acts), None)

    def _names(self, route: str) -> tuple[str, ...]:
        return route, self.route_groups.get(route, route)

    def _next_fault(self, route: str) -> Fault:
        for name in (*self._names(route), "*"):
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
