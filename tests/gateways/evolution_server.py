"""What all calls of the Evolution API have in common: guards, errors, information."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
import time
from typing import TYPE_CHECKING, Any, ClassVar, override
from uuid import uuid4

from aiohttp import web

from .evolution_instance import EvolutionInstance
from .machine import Session, State
from .server import Gateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .server import Handler

MODERN = (2, 4)
OPEN_ROUTES = {"version", "license"}
"""Routes that need neither a key nor a licence."""
REMOVAL = 2.0
"""Seconds for which a deleted instance is still listed and its name still in use."""


class EvolutionServer(Gateway):
    """A server whose attributes choose its version and odd modes."""

    session_type: ClassVar[type[Session]] = EvolutionInstance
    statuses: Mapping[State, str] = {
        State.NEW: "close",
        State.BOOTING: "connecting",
        State.WAITING: "connecting",
        State.LINKING: "connecting",
        State.CONNECTED: "open",
        State.STOPPED: "close",
        State.FAILED: "close",
    }

    def __init__(self, *, scale: float = 1.0, version: str = "2.3.7") -> None:
        """Be a server that is activated."""
        super().__init__(scale=scale)
        self.version = version
        self.licensed = True
        """Whether a server from 2.4 on is activated."""
        self.saves_instances = True
        """Whether the token of an instance may list it."""
        self.ignores_filter = False
        """Whether the list takes no notice of a name, as some builds do."""
        self.breaks_logout = False
        """Whether no scan completes after a logout, as in 2.4.0-rc2."""
        self.said: str | None = None
        """Status of all instances, instead of what they have."""
        self.offline = False
        """Whether the server has no internet: new instances never get a code."""
        self.needs_origin: str | None = None
        """The only origin that is let in, where the server restricts it."""
        self.being_deleted: dict[str, tuple[EvolutionInstance, float]] = {}
        """Deleted instances by name, and when they are gone (seconds since 1970)."""
        self._server_id = str(uuid4())

    @property
    def version(self) -> str:
        """The version of the server; a change upgrades it with its instances."""
        return self._version

    @version.setter
    def version(self, version: str) -> None:
        self._version = version
        for instance in self.sessions.values():
            assert isinstance(instance, EvolutionInstance)
            instance.modern = self.modern

    @property
    def modern(self) -> bool:
        """Whether the server is 2.4 or newer."""
        major, minor = self.version.split(".")[:2]
        return (int(major), int(minor)) >= MODERN

    def server_routes(self) -> list[web.RouteDef]:
        """Return the routes about the server itself."""
        return [
            web.get("/", self.information, name="version"),
            web.get("/license/status", self.license, name="license"),
        ]

    # instances

    @override
    def say(self, word: str | None) -> None:
        self.said = word

    @override
    def add(
        self, name: str, state: State = State.NEW, **values: Any
    ) -> EvolutionInstance:
        own = {"id": name, "modern": self.modern, "offline": self.offline}
        instance = super().add(name, state, **{**own, **values})
        assert isinstance(instance, EvolutionInstance)
        instance.settle()
        self.being_deleted.pop(instance.id, None)
        return instance

    @override
    def new_id(self) -> str:
        return str(uuid4())

    def find(self, name: str) -> EvolutionInstance | None:
        """Return an instance by its name, also one that is being deleted."""
        instance = self.sessions.get(name)
        assert instance is None or isinstance(instance, EvolutionInstance)
        return instance or self._still_there().get(name)

    def _still_there(self) -> dict[str, EvolutionInstance]:
        now = time.time()
        return {
            name: one for name, (one, gone) in self.being_deleted.items() if now < gone
        }

    def listed(self, owner: str) -> list[EvolutionInstance]:
        """Return the instances of a customer, those being deleted included."""
        every = [*self.sessions.values(), *self._still_there().values()]
        return [
            instance
            for instance in every
            if isinstance(instance, EvolutionInstance) and instance.owner == owner
        ]

    # guards and errors

    @override
    def key_of(self, request: web.Request) -> str | None:
        return request.headers.get("apikey")

    @override
    def limit(self, key: str) -> tuple[bool, dict[str, str]]:
        return True, {}

    @override
    def error(self, status: int, code: str, message: Any) -> web.Response:
        error = HTTPStatus(status).phrase
        body = {"status": status, "error": error, "response": {"message": message}}
        return web.json_response(body, status=status)

    def unauthorized(self) -> web.Response:
        """Refuse a missing or wrong key."""
        return self.error(401, "unauthorized", "Unauthorized")

    @override
    async def _answer(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Check the licence, then the name, then the key, then answer."""
        route = request.match_info.route.name or ""
        refused = self._guard_server(request, route)
        if refused is None and route not in OPEN_ROUTES:
            refused = await self._guard_name(request, route)
            if refused is None and not self._guard_key(request, route):
                refused = self.unauthorized()
        return await handler(request) if refused is None else refused

    def _guard_server(self, request: web.Request, route: str) -> web.Response | None:
        if self.needs_origin not in {None, request.headers.get("Origin")}:
            return self.error(500, "internal", "Not allowed by CORS")
        if self.modern and not self.licensed and route not in OPEN_ROUTES:
            return self._unlicensed(request)
        if request.match_info.http_exception is not None:
            return self._no_route(request)
        return None

    def _no_route(self, request: web.Request) -> web.Response:
        message = f"Cannot {request.method} {request.path}"
        return self.error(404, "not_found", [message])

    @override
    def no_instance(self, request: web.Request) -> web.Response:
        message = f'The "{request.match_info.get("id")}" instance does not exist'
        return self.error(404, "not_found", [message])

    async def _guard_name(
        self, request: web.Request, route: str
    ) -> web.Response | None:
        name = request.match_info.get("id")
        if name is not None:
            instance = self.find(name)
            owner = self.owners.get(self.key_of(request) or "")
            # the instances of another customer are on another server
            hidden = owner is not None and instance and instance.owner != owner
            if instance is None or hidden:
                return self.no_instance(request)
            request["instance"] = instance
        if route == "create":
            name = self.new_name(await self.body_of(request))
            if not name or self.find(name):
                message = f'This name "{name or "undefined"}" is already in use.'
                return self.error(403, "forbidden", [message])
        return None

    def new_name(self, body: dict[str, Any]) -> str:
        """Return the name of an instance to be created."""
        name = str(body.get("instanceName") or "")
        return name.strip() if self.modern else name

    def _guard_key(self, request: web.Request, route: str) -> bool:
        key = self.key_of(request) or ""
        if key in self.owners:
            request["owner"] = self.owners[key]
            return True
        if route == "list" and self.saves_instances:
            request["token"] = key
            return bool(key)
        instance = request.get("instance")
        return instance is not None and key == instance.token

    def _unlicensed(self, request: web.Request) -> web.Response:
        body = {
            "error": "service not activated",
            "code": "LICENSE_REQUIRED",
            "register_url": f"http://{request.host}/manager/login",
            "instance_id": self._server_id,
            "docs_url": "https://docs.evolutionfoundation.com.br/licensing",
            "message": "Activate this server in its manager.",
        }
        return web.json_response(body, status=503)

    # the server

    async def information(self, request: web.Request) -> web.Response:
        """Return the version of the server."""
        return web.json_response(
            {
                "status": 200,
                "message": "Welcome to the Evolution API, it is working!",
                "version": self.version,
                "clientName": "evolution_exchange",
                "manager": f"http://{request.host}/manager",
                "documentation": "https://doc.evolution-api.com",
                "whatsappWebVersion": "2.3000.1023204200",
            }
        )

    async def license(self, request: web.Request) -> web.Response:
        """Return whether the server is activated."""
        if not self.modern:
            return self._no_route(request)
        status = "active" if self.licensed else "inactive"
        body = {"status": status, "instance_id": self._server_id}
        return web.json_response(body)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.scale)
