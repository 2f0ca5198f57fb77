"""What all calls of WAHA have in common: versions, keys, errors and waits."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from http import HTTPStatus
import secrets
import time
from typing import TYPE_CHECKING, Any, ClassVar, override

from aiohttp import web

from .machine import Session, State
from .server import Gateway, iso
from .waha_session import WahaSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .server import Handler

POLL = 0.5
"""Seconds between two looks at the status."""

# versions as three integers, so that they compare
CURRENT_WAITS = (2025, 9, 0)
SESSION_KEYS = (2026, 1, 4)
SCOPES = (2026, 4, 3)
MANY_SESSIONS = (2026, 6, 1)

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
DEFAULT = "default"

ADMIN = "admin"
NEEDED = {
    "one": "read",
    "me": "read",
    "chats": "read",
    "groups": "read",
    "check_number": "read",
    "lid": "read",
    "number_lid": "read",
    "send_text": "send",
    "send_image": "send",
    "send_file": "send",
    "send_video": "send",
    "send_voice": "send",
    "send_location": "send",
    "send_poll": "send",
    "send_reaction": "send",
    "qr": "control",
    "pairing_code": "control",
    "passkey_challenge": "control",
    "passkey": "control",
    "passkey_confirmation": "control",
    "passkey_confirm": "control",
    "connect": "control",
    "disconnect": "control",
    "restart": "control",
    "logout": "control",
    "update": "setting",
    "delete": "delete",
    "create": ADMIN,
    "health": ADMIN,
}
"""What a session key needs for a route; it may use all other routes."""
DEFAULT_ACTIONS = frozenset({"read", "send", "control", "setting", "app"})
"""What a session key without a list of actions may do."""


class BusyError(Exception):
    """Another call about the session takes too long."""


class WahaServer(Gateway):
    """A server whose attributes choose its version, engine and odd modes."""

    session_type: ClassVar[type[Session]] = WahaSession
    statuses: Mapping[State, str] = {
        State.NEW: "STOPPED",
        State.BOOTING: "STARTING",
        State.WAITING: "SCAN_QR_CODE",
        State.LINKING: "STARTING",
        State.CONNECTED: "WORKING",
        State.STOPPED: "STOPPED",
        State.FAILED: "FAILED",
    }

    def __init__(self, *, scale: float = 1.0) -> None:
        """Be a current free server."""
        super().__init__(scale=scale)
        self.version = "2026.7.1"
        self.tier = "CORE"
        self.engine = "GOWS"
        self.no_auth = False
        """Whether any key, or none, opens the server."""
        self.ping_needs_key = False
        self.session_keys: dict[str, tuple[str, frozenset[str] | None]] = {}
        """Keys for one session: its name, and what they may do (None: the default)."""
        self.healthy = True
        self.engine_delay = 0.0
        """Seconds that details of a session take: up to 3 s on a busy server."""
        self.durations: dict[str, float] = {}
        """Additional seconds that a call holds the lock of its session, by route."""
        self._started = time.time()

    @property
    def build(self) -> tuple[int, ...]:
        """The version as integers."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def single(self) -> bool:
        """Whether the server has one session only, named `default`."""
        return self.tier == "CORE" and self.build < MANY_SESSIONS

    def downgrade(self, version: str = "2026.2.1") -> WahaSession:
        """Become an old free server, and return its only session."""
        self.version = version
        return self.add(DEFAULT)

    def server_routes(self) -> list[web.RouteDef]:
        """Return the routes about the server itself."""
        return [
            web.get("/ping", self.ping, name="ping"),
            web.get("/health", self.health, name="health"),
            web.get("/api/server/version", self.server_version, name="version"),
            web.get("/api/version", self.server_version, name="old_version"),
            web.get("/api/server/status", self.server_status, name="server_status"),
        ]

    @override
    def add(self, name: str, state: State = State.NEW, **values: Any) -> WahaSession:
        session = super().add(name, state, **{"id": name, **values})
        assert isinstance(session, WahaSession)
        return session

    def find_session(self, name: str) -> WahaSession:
        """Return a session by its name."""
        session = self.sessions[name]
        assert isinstance(session, WahaSession)
        return session

    @override
    def session_of(self, request: web.Request) -> WahaSession | None:
        session = super().session_of(request)
        assert session is None or isinstance(session, WahaSession)
        return session

    def status_of(self, session: WahaSession) -> str:
        """Return the status word of a session."""
        word = self.statuses[session.state]
        return session.passkey or word

    @override
    def key_of(self, request: web.Request) -> str | None:
        key = request.headers.get("X-Api-Key")
        if key is None and self.build >= SCOPES:
            return request.query.get("x-api-key")
        return key

    @override
    def new_id(self) -> str:
        return "session_" + "".join(secrets.choice(CROCKFORD) for _ in range(26))

    @override
    def limit(self, key: str) -> tuple[bool, dict[str, str]]:
        return True, {}

    @override
    def error(self, status: int, code: str, message: Any) -> web.Response:
        phrase = HTTPStatus(status).phrase
        body = {"message": message, "error": phrase, "statusCode": status}
        if status in {401, 403}:
            body = {"message": phrase, "statusCode": status}
        return web.json_response(body, status=status)

    @override
    async def _answer(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Check the key, then what it may do, then the name, then answer."""
        route = request.match_info.route.name or ""
        owner = self._owner(request, route)
        if owner is None:
            return self.error(401, "unauthorized", "")
        request["owner"] = owner
        name = await self._name_of(request, route)
        if not self._allowed(request, route, name):
            return self.error(403, "forbidden", "")
        if name is not None and (refused := self._refuse_name(name)) is not None:
            return refused
        request["name"] = name
        try:
            return await handler(request)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            message = f"Cannot {request.method} {request.path}"
            return self.error(404, "not_found", message)
        except BusyError as error:
            return await self._crash(request, str(error))

    async def _name_of(self, request: web.Request, route: str) -> str | None:
        """Return the name of the asked session, wherever the route has it."""
        if route == "check_number":
            return request.query.get("session", "")
        if NEEDED.get(route) == "send":
            return str((await self.body_of(request)).get("session") or "")
        return request.match_info.get("id")

    def _owner(self, request: web.Request, route: str) -> str | None:
        # the WebSocket refuses a key only after the upgrade
        open_to_all = route == "events" or (route == "ping" and not self.ping_needs_key)
        if self.no_auth or open_to_all:
            return "me"
        key = self.key_of(request) or ""
        if key in self.session_keys:
            return "me" if self.build >= SESSION_KEYS else None
        return self.owners.get(key)

    def _session_key(self, request: web.Request) -> tuple[str, frozenset[str]] | None:
        key = self.session_keys.get(self.key_of(request) or "")
        if key is None or self.no_auth:
            return None
        session, actions = key
        if self.build < SCOPES:
            actions = None
        return session, DEFAULT_ACTIONS if actions is None else actions

    def _allowed(self, request: web.Request, route: str, name: str | None) -> bool:
        key, needed = self._session_key(request), NEEDED.get(route)
        if key is None or needed is None:
            return True
        session, actions = key
        return needed in actions and name == session

    def _refuse_name(self, name: str) -> web.Response | None:
        if not name.strip():
            return self.error(400, "bad_request", "Session name is required")
        if not self.single or name == DEFAULT:
            return None
        message = (
            f"WAHA Core support only 'default' session. You tried to access '{name}' "
            f"session (base64: {b64encode(name.encode()).decode()}). If you want to "
            "run more than one WhatsApp account - please get Plus version. Check this "
            "out: https://waha.devlike.pro/"
        )
        return self.error(422, "unprocessable", message)

    async def _crash(self, request: web.Request, message: str) -> web.Response:
        """Return an unexpected error, which repeats the request."""
        body = {
            "statusCode": 500,
            "timestamp": iso(time.time(), milliseconds=True),
            "exception": {"message": message, "name": "Error", "stack": message},
            "request": {
                "path": request.path,
                "method": request.method,
                "body": await self.body_of(request),
                "query": dict(request.query),
            },
            "version": self._version(),
        }
        return web.json_response(body, status=500)

    @override
    def no_instance(self, request: web.Request) -> web.Response:
        return self.error(404, "not_found", "Session not found")

    def _not_started(self, name: str) -> web.Response:
        message = (
            f"We didn't find a session with name '{name}'.\nPlease start it first by "
            f"using POST /api/sessions/{name}/start request"
        )
        return self.error(404, "not_found", message)

    async def ping(self, _request: web.Request) -> web.Response:
        """Answer without a key."""
        return web.json_response({"message": "pong"})

    async def health(self, _request: web.Request) -> web.Response:
        """Report the health of the server, which old free servers do not."""
        if self.single:
            message = (
                "The feature is available only in Plus version. "
                "Check this out: https://waha.devlike.pro/"
            )
            return self.error(422, "unprocessable", message)
        status = "ok" if self.healthy else "error"
        return web.json_response(
            {"status": status, "info": {}, "error": {}, "details": {}},
            status=200 if self.healthy else 503,
        )

    def _version(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "engine": self.engine,
            "tier": self.tier,
            "browser": "/usr/bin/chromium" if self.engine == "WEBJS" else None,
            "platform": "linux/x64",
            "worker": {"id": None},
        }

    async def server_version(self, _request: web.Request) -> web.Response:
        """Return the version of the server."""
        return web.json_response(self._version())

    async def server_status(self, _request: web.Request) -> web.Response:
        """Return how long the server has been running."""
        now = time.time()
        return web.json_response(
            {
                "startTimestamp": int(self._started * 1000),
                "uptime": int((now - self._started) * 1000),
                "worker": {"id": "waha"},
            }
        )

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.scale)

    def _unexpected_status(self, session: WahaSession, expected: str) -> web.Response:
        error = (
            "Session status is not as expected. Try again later or restart the session"
        )
        body = {
            "error": error,
            "session": session.id,
            "status": self.status_of(session),
            "expected": [expected],
        }
        return web.json_response(body, status=422)

    async def _wait(self, seconds: float, condition: Callable[[], bool]) -> None:
        end = time.time() + seconds / self.scale
        while not condition() and time.time() < end:
            await self._sleep(POLL)
