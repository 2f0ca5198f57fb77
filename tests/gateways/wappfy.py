"""Wappfy as its document "Managing Instances" describes it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
import secrets
import time
from typing import TYPE_CHECKING, Any, ClassVar, override

from aiohttp import web

from .machine import Session, State
from .picture import data_uri
from .server import iso
from .wappfy_messages import WappfyMessages
from .webhooks import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REQUESTS_PER_MINUTE = 100
WEBHOOKS = "/api/webhooks"
WEBHOOK_FIELDS = {
    "url",
    "events",
    "instance_id",
    "secret",
    "retry_count",
    "timeout_ms",
}
REPORTS = {
    State.CONNECTED: "instance.connected",
    State.STOPPED: "instance.disconnected",
    State.FAILED: "instance.disconnected",
    State.WAITING: "instance.qr",
}
"""The events about an instance; there are nine more about messages and people."""


class WappfyGateway(WappfyMessages):
    """The gateway, for several customers."""

    provider: ClassVar[str] = "wappfy"
    title: ClassVar[str] = "Wappfy"
    key: ClassVar[str] = "wappfy_sk_demo"
    header: ClassVar[tuple[str, str]] = ("X-Api-Key", "{}")
    base_path: ClassVar[str] = "/api/instances"
    type_without_qr = "cloud_api"
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
            "error_codes",
            "locations",
            "mentions",
            "messages",
            "number_check",
            "plain_json",
            "polls",
            "public_webhook",
            "rate_limit",
            "reactions",
            "replies",
            "says_failed",
            "says_starting",
            "stop",
            "types",
            "types_in_list",
            "webhooks",
        }
    )
    statuses: Mapping[State, str] = {
        State.NEW: "created",
        State.BOOTING: "starting",
        State.WAITING: "scan_qr",
        State.LINKING: "starting",
        State.CONNECTED: "connected",
        State.STOPPED: "disconnected",
        State.FAILED: "failed",
    }

    def __init__(self, *, scale: float = 1.0, page_size: int | None = None) -> None:
        """Hand the list out in pages where a size is given."""
        super().__init__(scale=scale)
        self.page_size = page_size
        self.tells_pages = True
        self.odd_totals: dict[str, Any] | None = None
        self.plan_limit = 1000
        self.requests_per_minute = REQUESTS_PER_MINUTE
        self._windows: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))

    @override
    def routes(self) -> list[web.RouteDef]:
        one = f"{self.base_path}/{{id}}"
        return [
            web.get(self.base_path, self.list, name="list"),
            web.post(self.base_path, self.create, name="create"),
            web.get(f"{one}/status", self.status, name="one"),
            web.post(f"{one}/connect", self.connect, name="connect"),
            web.get(f"{one}/qr", self.qr, name="qr"),
            web.post(f"{one}/disconnect", self.disconnect, name="disconnect"),
            web.post(f"{one}/restart", self.restart, name="restart"),
            web.post(f"{one}/logout", self.logout, name="logout"),
            web.delete(one, self.delete, name="delete"),
            *self.message_routes(),
            web.get(WEBHOOKS, self.list_webhooks, name="webhook_find"),
            web.post(WEBHOOKS, self.create_webhook, name="webhook_set"),
            web.delete(
                f"{WEBHOOKS}/{{webhook}}", self.delete_webhook, name="webhook_delete"
            ),
        ]

    @override
    def create_body(self, name: str) -> dict[str, Any]:
        return {"name": name, "type": "waha"}

    @override
    def fields(self, name: str) -> dict[str, Any]:
        return self.create_body(name)

    @override
    def key_of(self, request: web.Request) -> str | None:
        return request.headers.get("X-Api-Key")

    @override
    def new_id(self) -> str:
        return f"inst_{secrets.token_hex(6)}"

    @override
    def error(self, status: int, code: str, message: str) -> web.Response:
        error = {"code": code.upper(), "message": message, "details": None}
        return web.json_response(
            {"success": False, "error": error, "meta": {}}, status=status
        )

    @override
    def limit(self, key: str) -> tuple[bool, dict[str, str]]:
        now, window = time.time(), 60 / self.scale
        start, used = self._windows[key]
        if now >= start + window:
            start, used = now, 0
        self._windows[key] = (start, used + 1)
        limit = self.requests_per_minute
        return used < limit, {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - used - 1)),
            "X-RateLimit-Reset": str(int(start + window) + 1),
        }

    def _short(self, session: Session) -> dict[str, Any]:
        return {"id": session.id, "status": self.statuses[session.state]}

    def _listed(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.id,
            "name": session.name,
            "type": session.type,
            "status": self.statuses[session.state],
        }

    async def list(self, request: web.Request) -> web.Response:
        """List all instances."""
        listed = [self._listed(session) for session in self.mine(request)]
        if self.page_size is None:
            return web.json_response({"data": listed})
        try:
            page = int(request.query.get("page", "1"))
            limit = max(1, int(request.query.get("limit", self.page_size)))
        except ValueError:
            return self.error(422, "validation_error", "page and limit are numbers")
        data: dict[str, Any] = {
            "items": listed[(page - 1) * limit : page * limit],
            "total": len(listed),
            "page": page,
            "limit": limit,
        }
        if self.tells_pages:
            data["totalPages"] = -(-len(listed) // limit)
        if self.odd_totals is not None:
            data = {"items": data["items"], "limit": limit} | self.odd_totals
        return web.json_response({"success": True, "data": data, "meta": {}})

    @override
    def add(self, name: str, state: State = State.NEW, **values: Any) -> Session:
        return super().add(name, state, **{"type": "waha", **values})

    async def create(self, request: web.Request) -> web.Response:
        """Create an instance."""
        body = await self.body_of(request)
        if not str(body.get("name") or "").strip():
            return self.error(422, "validation_error", "name is required")
        if body.get("type") not in ("waha", "cloud_api"):
            return self.error(422, "validation_error", "type must be waha or cloud_api")
        if len(self.mine(request)) >= self.plan_limit:
            message = "Your plan does not allow another instance"
            return self.error(409, "plan_limit_reached", message)
        session = self.add(body["name"], type=body["type"], owner=request["owner"])
        # needs no scan
        session.linked = session.type == "cloud_api"
        data = self._listed(session) | {"created_at": iso(session.created)}
        return web.json_response({"data": data}, status=201)

    async def status(self, request: web.Request) -> web.Response:
        """Check the status of an instance."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        data = self._short(session) | {"phone_number": session.phone_number}
        return web.json_response({"data": data})

    async def connect(self, request: web.Request) -> web.Response:
        """Start the session."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        if session.running:
            return self.error(409, "conflict", "Instance is already started")
        session.start()
        return web.json_response({"data": self._short(session)})

    async def qr(self, request: web.Request) -> web.Response:
        """Return the picture of the code that is valid now."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        if session.code is None:
            # not stated in the document
            return self.error(409, "conflict", "Instance does not wait for a scan")
        uri = await asyncio.to_thread(data_uri, session.code.text)
        return web.json_response({"data": {"qr": uri}})

    async def disconnect(self, request: web.Request) -> web.Response:
        """Stop the session."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        if not session.running:
            return self.error(409, "conflict", "Instance is already disconnected")
        session.stop()
        return web.Response()

    async def restart(self, request: web.Request) -> web.Response:
        """Start the session anew; the link stays."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        session.start()
        return web.Response()

    async def logout(self, request: web.Request) -> web.Response:
        """Unlink the phone."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        session.unlink()
        return web.Response()

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an instance for good."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        del self.sessions[session.id]
        return web.Response()

    async def list_webhooks(self, request: web.Request) -> web.Response:
        """List all addresses, with their secrets."""
        return web.json_response(
            [
                {
                    "id": one.id,
                    "user_id": one.owner,
                    "url": one.url,
                    "events": one.events,
                    "retry_count": 3,
                    "timeout_ms": 10000,
                    "is_active": one.active,
                    "created_at": iso(time.time()),
                    "updated_at": iso(time.time()),
                    "secret": f"{self.key}_webhook",
                    "headers": {},
                }
                for one in self.webhooks.endpoints.values()
                if one.owner == request["owner"]
            ]
        )

    async def create_webhook(self, request: web.Request) -> web.Response:
        """Add an address for all instances."""
        body = await self.body_of(request)
        url, events = str(body.get("url")), body.get("events") or []
        if not url.startswith("https://") or not {*events} & {*REPORTS.values()}:
            return self.error(422, "validation_error", "url and events are required")
        if unknown := body.keys() - WEBHOOK_FIELDS:
            return self.error(422, "validation_error", f"unknown: {unknown}")
        one = Endpoint(f"wh_{secrets.token_hex(6)}", url, request["owner"], events)
        self.webhooks.set(one)
        data = {"id": one.id, "url": url, "events": events, "is_active": True}
        return web.json_response({"data": data}, status=201)

    async def delete_webhook(self, request: web.Request) -> web.Response:
        """Delete an address; what is answered is not documented."""
        one = self.webhooks.endpoints.get(request.match_info["webhook"])
        if one is None or one.owner != request["owner"]:
            return self.no_instance(request)
        del self.webhooks.endpoints[one.id]
        return web.Response(status=204)

    @override
    def reports(
        self, endpoint: Endpoint, session: Session
    ) -> Iterable[tuple[str, dict[str, Any]]]:
        """Return the event; its form is not documented, so this one is invented."""
        event = REPORTS.get(session.state)
        if event in endpoint.events and session.owner == endpoint.owner:
            yield event, {"event": event, "data": {"instance_id": session.id}}

    @override
    def no_instance(self, request: web.Request) -> web.Response:
        return self.error(404, "not_found", "Instance not found")
