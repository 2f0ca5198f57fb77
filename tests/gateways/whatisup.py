"""WhatIsUp as its document "Instances" and its page "Events (SSE)" describe it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
import time
from typing import TYPE_CHECKING, Any, ClassVar, override
from uuid import uuid4, uuid5

from aiohttp import web

from .machine import Session, State
from .picture import data_uri
from .server import iso
from .whatisup_messages import WhatIsUpMessages

if TYPE_CHECKING:
    from collections.abc import Mapping

BURST = 60
STARTING = {State.NEW, State.BOOTING, State.LINKING}
"""States about which no event is documented."""
KEEP_ALIVE = 25.0
"""Seconds between two comments in the stream of events."""
LONGEST_WAIT = 10.0
"""Seconds that the QR call waits for a code."""


class WhatIsUpGateway(WhatIsUpMessages):
    """The gateway, for several customers."""

    provider: ClassVar[str] = "whatisup"
    title: ClassVar[str] = "WhatIsUp"
    key: ClassVar[str] = "zpk_live_demo"
    header: ClassVar[tuple[str, str]] = ("Authorization", "Bearer {}")
    base_path: ClassVar[str] = "/v1/instances"
    actions: ClassVar[Mapping[str, str]] = {"connect": "qr"}
    asked_once: ClassVar[frozenset[str]] = frozenset({"events"})
    features: ClassVar[frozenset[str]] = frozenset(
        {
            "bound_key",
            "code_end",
            "create",
            "delete",
            "error_codes",
            "events",
            "last_seen",
            "message_ids",
            "messages",
            "metadata",
            "phone_in_list",
            "plain_json",
            "rate_limit",
            "receiving",
            "says_failed",
            "says_starting",
        }
    )
    statuses: Mapping[State, str] = {
        State.NEW: "pending",
        State.BOOTING: "connecting",
        State.WAITING: "qr",
        State.LINKING: "connecting",
        State.CONNECTED: "connected",
        State.STOPPED: "disconnected",
        State.FAILED: "failed",
    }

    def __init__(self, *, scale: float = 1.0) -> None:
        """Have no customers yet."""
        super().__init__(scale=scale)
        self.burst = BURST
        self._customers = uuid4()
        self._buckets: dict[str, tuple[float, float]] = {}

    @override
    def routes(self) -> list[web.RouteDef]:
        one = f"{self.base_path}/{{id}}"
        return [
            web.get(self.base_path, self.list, name="list"),
            web.post(self.base_path, self.create, name="create"),
            web.get(one, self.one, name="one"),
            web.get(f"{one}/qr", self.qr, name="qr"),
            web.delete(one, self.delete, name="delete"),
            *self.message_routes(),
            web.get("/v1/events", self.stream, name="events"),
        ]

    @override
    def key_of(self, request: web.Request) -> str | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        return key if scheme == "Bearer" else None

    @override
    def new_id(self) -> str:
        return str(uuid4())

    @override
    def error(self, status: int, code: str, message: str) -> web.Response:
        body = {"error": {"code": code, "message": message}, "request_id": uuid4().hex}
        return web.json_response(body, status=status)

    @override
    def limit(self, key: str) -> tuple[bool, dict[str, str]]:
        now = time.time()
        tokens, filled = self._buckets.get(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - filled) * self.scale)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            return False, {"Retry-After": "1"}
        self._buckets[key] = (tokens - 1, now)
        return True, {}

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send the events of the customer's instances, and comments in between."""
        if not self.events.on:
            return self.error(404, "not_found", "Not found")

        def wants(_event: str, session: Session) -> bool:
            return session in self.mine(request)

        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with suppress(ConnectionError):
            async for session in self.events.follow(
                lambda: self.mine(request), KEEP_ALIVE, response.write, wants
            ):
                if session is None:
                    await response.write(b": keep-alive\n\n")
                elif session.state not in STARTING:
                    await response.write(self.event_of(session))
        return response

    @override
    def event_of(self, session: Session) -> bytes:
        """Return the event that tells how an instance is now."""
        data: dict[str, Any] = {"reason": "logout"}
        name = "instance.disconnected"
        if session.code:
            name, data = "qr.updated", {"qr": data_uri(session.code.text)}
        elif session.state is State.CONNECTED:
            name, data = "instance.connected", {"phone_number": session.phone_number}
        return self.frame(session, name, data)

    def _object(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.id,
            "customer_id": str(uuid5(self._customers, session.owner)),
            "name": session.name,
            "phone_number": session.phone_number,
            "status": self.statuses[session.state],
            "last_seen_at": iso(session.seen, milliseconds=True),
            "metadata": session.metadata,
            "created_at": iso(session.created, milliseconds=True),
            "updated_at": iso(session.updated, milliseconds=True),
        }

    @override
    def session_of(self, request: web.Request) -> Session | None:
        session = super().session_of(request)
        bound = self.bound.get(self.key_of(request) or "")
        return session if session and bound in {None, session.id} else None

    def _bound(self, request: web.Request) -> web.Response | None:
        if self.key_of(request) not in self.bound:
            return None
        message = "This key is bound to a single instance"
        return self.error(403, "channel_scoped_key", message)

    async def list(self, request: web.Request) -> web.Response:
        """List all instances, newest first."""
        if (refused := self._bound(request)) is not None:
            return refused
        objects = [self._object(session) for session in self.mine(request)]
        return web.json_response({"data": objects})

    async def create(self, request: web.Request) -> web.Response:
        """Create an instance; its session is not yet allocated."""
        if (refused := self._bound(request)) is not None:
            return refused
        body = await self.body_of(request)
        metadata = body.get("metadata", {})
        if not str(body.get("name") or "").strip() or not isinstance(metadata, dict):
            return self.error(422, "validation_error", "name is required")
        session = self.add(body["name"], metadata=metadata, owner=request["owner"])
        return web.json_response(self._object(session), status=201)

    async def one(self, request: web.Request) -> web.Response:
        """Return the single instance."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        return web.json_response(self._object(session))

    async def qr(self, request: web.Request) -> web.Response:
        """Start the session if none runs, then wait up to about 10 s for a code."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        if session.state is State.CONNECTED:
            return self.error(404, "no_qr", "The instance is connected")
        if not session.running:
            session.start()
        deadline = time.time() + LONGEST_WAIT / self.scale
        while session.code is None and time.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05 / self.scale)
        if (code := session.code) is None:
            return web.Response()
        return web.json_response(
            {
                "qr": await asyncio.to_thread(data_uri, code.text),
                "raw": code.text,
                "expires_at": iso(code.expires + self.clock_ahead, milliseconds=True),
            }
        )

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an instance softly."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        del self.sessions[session.id]
        return web.Response(status=204)

    @override
    def no_instance(self, request: web.Request) -> web.Response:
        return self.error(404, "not_found", "Instance not found")
