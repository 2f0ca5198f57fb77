"""An invented gateway: the template for a new one, as a server and as a provider.

The tests only know it with EXAMPLE=1 in the environment. The provider of a real gateway
belongs into a folder of its own in `custom_components/whatsapp_gateway/providers`.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
import secrets
from typing import TYPE_CHECKING, Any, ClassVar, override

from aiohttp import web

from custom_components.whatsapp_gateway.providers import PROVIDERS, parsing
from custom_components.whatsapp_gateway.providers.base import Provider, path_of
from custom_components.whatsapp_gateway.providers.models import (
    Action,
    Feature,
    Instance,
    InstanceStatus,
    NotFound,
    QrCode,
)

from .machine import Session, State
from .picture import data_uri
from .server import Gateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from custom_components.whatsapp_gateway.providers.models import GatewayError

PATH = "/v2/numbers"


class Example(Provider):
    """An account at the invented gateway."""

    name = "Example"
    default_url = "https://api.example.com"
    dashboard_url = "https://example.com"
    probes = (PATH,)
    auth_header = ("X-Token", "{}")
    statuses: ClassVar = {
        "fresh": InstanceStatus.CREATED,
        "warming_up": InstanceStatus.STARTING,
        "awaiting_scan": InstanceStatus.SCAN_QR,
        "online": InstanceStatus.CONNECTED,
        "offline": InstanceStatus.DISCONNECTED,
        "broken": InstanceStatus.FAILED,
    }
    actions = frozenset(Action)
    all_features = Feature.CREATE

    @override
    async def _list(self) -> tuple[Instance, ...]:
        return parsing.items((await self._http.get(PATH)).json(), self._parse)

    def _parse(self, payload: Any) -> Instance:
        data = parsing.mapping(payload)
        instance_id = parsing.text(data, "id")
        status, raw_status = self._status(parsing.text(data, "status"))
        return Instance(
            id=instance_id,
            name=parsing.optional_text(data, "name") or instance_id,
            status=status,
            raw_status=raw_status,
            phone_number=parsing.phone_number(data.get("phone_number")),
        )

    @override
    async def _create(
        self, name: str, instance_type: str | None, metadata: Mapping[str, Any] | None
    ) -> Instance:
        answer = await self._http.request("POST", PATH, json={"name": name})
        return self._parse(answer.json())

    @override
    async def instance(self, instance_id: str) -> Instance:
        return self._parse((await self._http.get(path_of(PATH, instance_id))).json())

    @override
    async def perform(self, action: Action, instance_id: str) -> None:
        path = path_of(PATH, instance_id, f"/{action}")
        (await self._http.request("POST", path)).raise_for_failure()

    @override
    async def qr(self, instance_id: str) -> QrCode | None:
        answer = await self._http.request("GET", path_of(PATH, instance_id, "/qr"))
        return parsing.qr_code(None, parsing.mapping(answer.json()).get("qr"), None)

    @staticmethod
    @override
    def _error_of(status: int, payload: Any) -> GatewayError | None:
        own = isinstance(payload, dict) and payload.get("code") == "not_found"
        return NotFound() if status == HTTPStatus.NOT_FOUND and own else None

    @staticmethod
    @override
    def _is_own_answer(status: int, payload: dict[str, Any]) -> bool:
        return status == HTTPStatus.UNAUTHORIZED and payload.keys() == {
            "code",
            "message",
        }

    @override
    async def delete(self, instance_id: str) -> None:
        answer = await self._http.request("DELETE", path_of(PATH, instance_id))
        answer.raise_for_failure()


class ExampleGateway(Gateway):
    """The server of the invented gateway, which limits nobody."""

    provider: ClassVar[str] = "example"
    title: ClassVar[str] = "Example"
    key: ClassVar[str] = "example_token_demo"
    header: ClassVar[tuple[str, str]] = ("X-Token", "{}")
    base_path: ClassVar[str] = PATH
    actions: ClassVar[Mapping[str, str]] = {
        str(action): str(action) for action in Action
    }
    features: ClassVar[frozenset[str]] = frozenset(
        {
            "create",
            "delete",
            "error_codes",
            "phone_in_list",
            "plain_json",
            "says_failed",
            "says_starting",
            "stop",
        }
    )
    statuses: Mapping[State, str] = {
        State.NEW: "fresh",
        State.BOOTING: "warming_up",
        State.WAITING: "awaiting_scan",
        State.LINKING: "warming_up",
        State.CONNECTED: "online",
        State.STOPPED: "offline",
        State.FAILED: "broken",
    }

    @override
    def routes(self) -> list[web.RouteDef]:
        one = f"{PATH}/{{id}}"
        return [
            web.get(PATH, self.list, name="list"),
            web.post(PATH, self.create, name="create"),
            web.get(one, self.one, name="one"),
            web.get(f"{one}/qr", self.qr, name="qr"),
            web.delete(one, self.delete, name="delete"),
            *(
                web.post(f"{one}/{action}", getattr(self, action), name=action)
                for action in self.actions
            ),
        ]

    @override
    def key_of(self, request: web.Request) -> str | None:
        return request.headers.get("X-Token")

    @override
    def new_id(self) -> str:
        return f"number-{secrets.token_hex(6)}"

    @override
    def error(self, status: int, code: str, message: str) -> web.Response:
        return web.json_response({"code": code, "message": message}, status=status)

    @override
    def limit(self, key: str) -> tuple[bool, dict[str, str]]:
        return True, {}

    @override
    def no_instance(self, request: web.Request) -> web.Response:
        return self.error(404, "not_found", "No such number")

    @override
    def session_of(self, request: web.Request) -> Session:
        if (session := super().session_of(request)) is None:
            answer = self.no_instance(request)
            raise web.HTTPNotFound(text=answer.text, content_type="application/json")
        return session

    def _object(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.id,
            "name": session.name,
            "status": self.statuses[session.state],
            "phone_number": session.phone_number,
        }

    async def list(self, request: web.Request) -> web.Response:
        """List all instances, newest first."""
        return web.json_response([self._object(one) for one in self.mine(request)])

    async def create(self, request: web.Request) -> web.Response:
        """Create an instance, which is not started yet."""
        name = (await self.body_of(request)).get("name")
        if not isinstance(name, str) or not name.strip():
            return self.error(422, "invalid", "A name is required")
        session = self.add(name, owner=request["owner"])
        return web.json_response(self._object(session), status=201)

    async def one(self, request: web.Request) -> web.Response:
        """Return one instance."""
        return web.json_response(self._object(self.session_of(request)))

    async def qr(self, request: web.Request) -> web.Response:
        """Return a picture of the code that can be scanned now, null without one."""
        code = self.session_of(request).code
        picture = await asyncio.to_thread(data_uri, code.text) if code else None
        return web.json_response({"qr": picture})

    async def connect(self, request: web.Request) -> web.Response:
        """Start the session, unless it runs."""
        if not (session := self.session_of(request)).running:
            session.start()
        return web.Response(status=204)

    async def disconnect(self, request: web.Request) -> web.Response:
        """Stop the session; the link stays."""
        self.session_of(request).stop()
        return web.Response(status=204)

    async def restart(self, request: web.Request) -> web.Response:
        """Start the session anew; the link stays."""
        self.session_of(request).start()
        return web.Response(status=204)

    async def logout(self, request: web.Request) -> web.Response:
        """Unlink the phone."""
        self.session_of(request).unlink()
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an instance for good."""
        del self.sessions[self.session_of(request).id]
        return web.Response(status=204)


PROVIDERS[ExampleGateway.provider] = Example
