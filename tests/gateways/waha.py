"""WAHA: a server with sessions, and one engine for all of them.

Of the events those about the status and about messages are simulated. Webhooks are not.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
import json
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, ClassVar, override

from aiohttp import web

from .machine import State
from .waha_messages import WahaMessages
from .waha_server import CURRENT_WAITS, DEFAULT, BusyError
from .waha_session import WahaSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .machine import Session

LOCK_WAIT = 5.0
"""Seconds that a call waits for another call about the same session."""
LOCK_HELD = 30.0
"""Seconds that a call may take."""
PING = 60.0
"""Seconds between two pings of the WebSocket."""
STATUS = "session.status"
"""The event about the status of a session."""
CLOSED = {web.WSMsgType.CLOSE, web.WSMsgType.CLOSING, web.WSMsgType.CLOSED}
UNPAIR = 1.0
"""Seconds that a running session needs to log out."""
UNPAIR_FAILED = 4.0
"""Seconds from the logout of a failed session to its next start."""
STOP = {"GOWS": 0.01, "NOWEB": 1.0, "WEBJS": 3.0, "WPP": 3.0}
"""Seconds that a running session needs to stop, by engine."""
OLD_STOP = 3.0

NAME = re.compile(r"[a-zA-Z0-9_-]*")
NAME_LENGTH = 54
BAD_NAME = (
    "Session name can only contain alphanumeric characters, hyphens, and underscores "
    "(a-z, A-Z, 0-9, -, _) or be empty"
)


class WahaGateway(WahaMessages):
    """The server and its sessions."""

    provider: ClassVar[str] = "waha"
    title: ClassVar[str] = "WAHA"
    key: ClassVar[str] = "waha_admin_demo_key"
    header: ClassVar[tuple[str, str]] = ("X-Api-Key", "{}")
    base_path: ClassVar[str] = "/api/sessions"
    actions: ClassVar[Mapping[str, str]] = {
        "connect": "connect",
        "disconnect": "disconnect",
        "restart": "restart",
        "logout": "logout",
    }
    features: ClassVar[frozenset[str]] = frozenset(
        {
            "chats",
            "create",
            "delete",
            "downloads",
            "events",
            "key_optional",
            "lid_lookup",
            "lids",
            "whatsapp_form",
            "locations",
            "media_content",
            "mentions",
            "message_ids",
            "messages",
            "metadata",
            "names_are_ids",
            "number_check",
            "own_messages",
            "pairing_code",
            "passkey",
            "people_in_chats",
            "phone_in_list",
            "polls",
            "reactions",
            "receiving",
            "replies",
            "says_failed",
            "says_starting",
            "self_hosted",
            "sent_chats",
            "stale_links",
            "stop",
        }
    )
    asked_once: ClassVar[frozenset[str]] = frozenset({"health", "version"})
    listed_by: ClassVar[tuple[str, ...]] = ("name", "status")
    alike: ClassVar[Mapping[State, State]] = {State.NEW: State.STOPPED}
    unlinked: ClassVar[State] = State.FAILED
    failure_delay: ClassVar[float] = 15.0

    @staticmethod
    def create_body(name: str) -> dict[str, Any]:
        """Return the body that creates a session."""
        return {"name": name}

    @override
    def routes(self) -> list[web.RouteDef]:
        one = "/api/sessions/{id}"
        return [
            *self.server_routes(),
            web.get("/api/sessions", self.list, name="list"),
            web.post("/api/sessions", self.create, name="create"),
            web.get(one, self.one, name="one"),
            web.put(one, self.update, name="update"),
            web.delete(one, self.delete, name="delete"),
            web.get(f"{one}/me", self.me, name="me"),
            web.post(f"{one}/start", self.start, name="connect"),
            web.post(f"{one}/stop", self.stop, name="disconnect"),
            web.post(f"{one}/restart", self.restart, name="restart"),
            web.post(f"{one}/logout", self.logout, name="logout"),
            *self.pairing_routes(),
            *self.chat_routes(),
            *self.message_routes(),
            web.get("/ws", self.websocket, name="events"),
        ]

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """Send the status of all sessions that the key may read."""
        if not self.events.on:
            return self.error(404, "not_found", "Cannot GET /ws")
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        key = request.query.get("x-api-key", "")
        own, actions = self.session_keys.get(key, (None, None))
        known = key in self.owners or own is not None or self.no_auth
        if not known or (actions is not None and "read" not in actions):
            reason = b"Forbidden" if known else b"Unauthorized"
            await websocket.close(code=1008, message=reason)
            return websocket
        sending = asyncio.create_task(self._send_events(websocket, request, own))
        try:
            # the server only reads to answer pings
            while not self.events.silent:
                if (await websocket.receive()).type in CLOSED:
                    return websocket
            await self.events.until_stopped()
        finally:
            sending.cancel()
        return websocket

    async def _send_events(
        self, websocket: web.WebSocketResponse, request: web.Request, own: str | None
    ) -> None:
        names = ",".join(request.query.getall("events", ["*"])).split(",")
        asked = request.query.get("session", "*")

        def wants(event: str, session: Session) -> bool:
            return (
                own in {None, session.id}
                and asked in {"*", session.id}
                and ("*" in names or event in names)
            )

        async def send(data: bytes) -> None:
            await websocket.send_str(data.decode())

        with suppress(ConnectionError):
            async for session in self.events.follow(
                self.sessions.values, PING, send, wants
            ):
                if session is None:
                    await websocket.ping()
                elif wants(STATUS, session):
                    await send(self.event_of(session))

    @override
    def event_of(self, session: Session) -> bytes:
        """Return the event that tells how a session is now."""
        assert isinstance(session, WahaSession)
        status, now = self.status_of(session), int(time.time() * 1000)
        payload = {
            "name": session.id,
            "status": status,
            "data": None,
            "statuses": [{"status": status, "timestamp": now}],
        }
        return self.envelope(session, STATUS, payload)

    @override
    async def replay(self, session: Session, event: dict[str, Any]) -> None:
        """Send an event over the connections that are open."""
        frame = event | {"session": session.id}
        await self.events.send(json.dumps(frame).encode())

    @override
    def envelope(self, session: WahaSession, event: str, payload: Any) -> bytes:
        envelope = {
            "id": f"evt_{secrets.token_hex(13)}",
            "timestamp": int((time.time() + self.clock_ahead) * 1000),
            "event": event,
            "session": session.id,
            "metadata": session.metadata or None,
            "me": self._account(session),
            "engine": self.engine,
            "environment": self._version(),
            "payload": payload,
        }
        return json.dumps(envelope).encode()

    def _short(self, session: WahaSession) -> dict[str, Any]:
        status = self.status_of(session)
        config = session.config
        if session.metadata:
            config = {"metadata": session.metadata} | (config or {})
        seen = session.seen
        short = {
            "name": session.id,
            "status": status,
            "config": config,
            "me": self._account(session),
            "presence": "online" if status == "WORKING" else None,
            "timestamps": {"activity": None if seen is None else int(seen * 1000)},
        }
        return short | ({"assignedWorker": "waha"} if session.running else {})

    def _account(self, session: WahaSession) -> dict[str, Any] | None:
        if session.account is None or (self.single and not session.running):
            return None
        if session.push_name == "~":
            return {"id": f"{session.account}@c.us", "lid": "", "pushName": "~"}
        return {
            "id": f"{session.account}@c.us",
            "lid": "123123123@lid",
            "jid": f"{session.account}:7@s.whatsapp.net",
            "pushName": session.push_name,
        }

    def _engine(self, session: WahaSession) -> dict[str, Any]:
        if not session.running:
            return {"engine": None} if self.single else {}
        if self.engine == "GOWS":
            return {
                "engine": "GOWS",
                "grpc": {"client": "READY", "stream": "READY"},
                "gows": {"found": True, "connected": session.state is State.CONNECTED},
            }
        state = "CONNECTED" if session.state is State.CONNECTED else None
        return {"engine": self.engine, "WWebVersion": "2.3000.0", "state": state}

    def _full(self, session: WahaSession, status: int = 200) -> web.Response:
        body = self._short(session) | {"engine": self._engine(session)}
        return web.json_response(body, status=status)

    async def list(self, request: web.Request) -> web.Response:
        """List the sessions: those that run, or all."""
        every = request.query.get("all", "false")
        if every not in {"true", "True", "1", "false", "False", "0"}:
            return self.error(400, "bad_request", ["all must be a boolean value"])
        own = self._session_key(request)
        return web.json_response(
            [
                self._short(session)
                for session in self.mine(request)
                if isinstance(session, WahaSession)
                and (own is None or own[0] == session.id)
                and (session.running or every in {"true", "True", "1"})
            ]
        )

    async def one(self, request: web.Request) -> web.Response:
        """Return a session and the state of its engine."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        await self._sleep(self.engine_delay)
        return self._full(session)

    async def me(self, request: web.Request) -> web.Response:
        """Return the account of a running session; an empty body before the login."""
        session = self.session_of(request)
        if session is None or not session.running:
            return self._not_started(request.match_info["id"])
        account = self._account(session)
        return web.Response() if account is None else web.json_response(account)

    async def create(self, request: web.Request) -> web.Response:
        """Create a session, and start it unless told otherwise."""
        body = await self.body_of(request)
        name = body.get("name") or (DEFAULT if self.single else self.new_id())
        if not isinstance(name, str) or not NAME.fullmatch(name):
            return self.error(400, "bad_request", [BAD_NAME])
        if len(name) > NAME_LENGTH:
            message = f"name must be shorter than or equal to {NAME_LENGTH} characters"
            return self.error(400, "bad_request", [message])
        if (refused := self._refuse_name(name)) is not None:
            return refused
        if name in self.sessions:
            message = f"Session '{name}' already exists. Use PUT to update it."
            return self.error(422, "unprocessable", message)
        session = self.add(name, owner=request["owner"])
        self._configure(session, body)
        async with self._locked("create", session):
            if body.get("start", True):
                session.start()
        return self._full(session, 201)

    def _configure(self, session: WahaSession, body: dict[str, Any]) -> None:
        config = body.get("config")
        session.config = dict(config) if isinstance(config, dict) else None
        session.metadata = (session.config or {}).pop("metadata", None) or {}

    async def update(self, request: web.Request) -> web.Response:
        """Replace the whole configuration, and restart a running session."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        async with self._locked("update", session):
            self._configure(session, {"config": {}} | await self.body_of(request))
            if session.running:
                await self._stop(session)
                session.start()
        return self._full(session)

    async def start(self, request: web.Request) -> web.Response:
        """Start a session; do nothing if it runs, also if it has failed."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        async with self._locked("connect", session):
            if not session.running:
                session.start()
            elif self.single:
                message = f"Session '{session.id}' is already started."
                return self.error(422, "unprocessable", message)
        return self._full(session, 201)

    async def stop(self, request: web.Request) -> web.Response:
        """Stop a session; current servers do not mind an unknown one."""
        if (session := self.session_of(request)) is None:
            old = self.build < CURRENT_WAITS
            return self.no_instance(request) if old else web.Response(status=201)
        async with self._locked("disconnect", session):
            await self._stop(session)
        return self._full(session, 201)

    async def restart(self, request: web.Request) -> web.Response:
        """Stop a session and start it again; the link stays."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        async with self._locked("restart", session):
            await self._stop(session)
            session.start()
        return self._full(session, 201)

    async def logout(self, request: web.Request) -> web.Response:
        """Unlink the phone, and start a session that was running again."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        async with self._locked("logout", session):
            running = await self._log_out(session)
            if running:
                session.start()
        return self._full(session, 201)

    async def delete(self, request: web.Request) -> web.Response:
        """Log a session out and delete it; do not mind an unknown one."""
        if (session := self.session_of(request)) is not None:
            async with self._locked("delete", session):
                await self._log_out(session)
                self.sessions.pop(session.id, None)
        return web.Response()

    async def _stop(self, session: WahaSession) -> None:
        if session.running:
            await self._sleep(OLD_STOP if self.single else STOP[self.engine])
            session.stop()

    async def _log_out(self, session: WahaSession) -> bool:
        """Forget the link; return whether the session was running."""
        running = session.running
        if session.state is State.FAILED:
            session.stop()
            await self._sleep(UNPAIR_FAILED)
        elif running:
            await self._sleep(UNPAIR)
            await self._stop(session)
        session.log_out()
        return running

    @asynccontextmanager
    async def _locked(self, route: str, session: WahaSession) -> AsyncIterator[None]:
        """Let one call at a time change a session, for a limited time."""
        try:
            async with asyncio.timeout(LOCK_WAIT / self.scale):
                await session.lock.acquire()
        except TimeoutError:
            message = f"async-lock timed out in queue {session.id}"
            raise BusyError(message) from None
        try:
            async with asyncio.timeout(LOCK_HELD / self.scale):
                await self._sleep(self.durations.get(route, 0.0))
                yield
        except TimeoutError:
            message = f"Maximum execution time is exceeded {session.id}"
            raise BusyError(message) from None
        finally:
            session.lock.release()
