"""Evolution API 2.3.7 and 2.4: instances with a name, an ID and a token.

Its socket.io is not simulated.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar, override

from aiohttp import web

from .evolution_instance import CODE_LIFE, CODE_LIMIT, NEXT_SOCKET, EvolutionInstance
from .evolution_messages import EvolutionMessages
from .evolution_server import REMOVAL
from .machine import State
from .picture import data_uri
from .server import iso
from .webhooks import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .machine import Session

CONNECT_WAIT = 2.0
"""Seconds that the server waits for a code after it has started an instance."""
CREATE_WAIT = 5.0
"""Seconds that it waits for the code of a new instance."""
INTEGRATIONS = {"WHATSAPP-BAILEYS", "WHATSAPP-BUSINESS", "EVOLUTION"}
SETTINGS = {
    "rejectCall": False,
    "msgCall": "",
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": False,
    "wavoipToken": "",
}
WEBHOOK_EVENTS = {
    "CONNECTION_UPDATE",
    "LOGOUT_INSTANCE",
    "MESSAGES_UPSERT",
    "QRCODE_UPDATED",
    "SEND_MESSAGE",
    "STATUS_INSTANCE",
}
"""Some of those that can be chosen."""
ANSWER_CHANNELS = ("webhook", "websocket", "rabbitmq", "nats", "sqs")
ROW_CHANNELS = ("Chatwoot", "Proxy", "Rabbitmq", "Nats", "Sqs", "Websocket")


class EvolutionGateway(EvolutionMessages):
    """The server and its instances."""

    provider: ClassVar[str] = "evolution"
    title: ClassVar[str] = "Evolution API"
    key: ClassVar[str] = "evolution_global_demo_key"
    header: ClassVar[tuple[str, str]] = ("apikey", "{}")
    base_path: ClassVar[str] = "/instance/fetchInstances"
    actions: ClassVar[Mapping[str, str]] = {
        "connect": "connect",
        "restart": "restart",
        "logout": "logout",
    }
    qr_route: ClassVar[str] = "connect"
    pairing_code_route: ClassVar[str] = "connect"
    code_lives: ClassVar[tuple[float, ...]] = (CODE_LIFE,) * CODE_LIMIT
    returns_expired: ClassVar[float] = NEXT_SOCKET
    webhook_repeats: ClassVar[int] = 9
    features: ClassVar[frozenset[str]] = frozenset(
        {
            "chats",
            "create",
            "delete",
            "downloads",
            "fixed_lives",
            "keys_without_create",
            "lids",
            "whatsapp_form",
            "live_states",
            "locations",
            "many_pairing_codes",
            "media_content",
            "mentions",
            "message_ids",
            "messages",
            "names_are_ids",
            "number_check",
            "own_messages",
            "old_versions",
            "one_webhook",
            "pairing_code",
            "people_in_chats",
            "phone_in_list",
            "polls",
            "reactions",
            "receiving",
            "replies",
            "self_hosted",
            "sent_chats",
            "types_in_list",
            "webhook_secret",
            "webhooks",
        }
    )
    old_version: ClassVar[str] = "1.8.2"
    asked_once: ClassVar[frozenset[str]] = frozenset({"version"})
    listed_by: ClassVar[tuple[str, ...]] = ("name",)
    # whether a code waits is not told
    alike: ClassVar[Mapping[State, State]] = {
        State.BOOTING: State.WAITING,
        State.STOPPED: State.NEW,
        State.FAILED: State.NEW,
    }

    @staticmethod
    def create_body(name: str) -> dict[str, Any]:
        """Return the body that creates an instance."""
        return {"instanceName": name, "integration": "WHATSAPP-BAILEYS"}

    @override
    def routes(self) -> list[web.RouteDef]:
        return [
            *self.server_routes(),
            *self.message_routes(),
            web.get(self.base_path, self.instances, name="list"),
            web.post("/instance/create", self.create, name="create"),
            web.get("/instance/connectionState/{id}", self.one, name="one"),
            web.get("/instance/connect/{id}", self.connect, name="connect"),
            web.post("/instance/restart/{id}", self.restart, name="restart"),
            web.delete("/instance/logout/{id}", self.logout, name="logout"),
            web.delete("/instance/delete/{id}", self.delete, name="delete"),
            web.get("/webhook/find/{id}", self.find_webhook, name="webhook_find"),
            web.post("/webhook/set/{id}", self.set_webhook, name="webhook_set"),
        ]

    # the list

    async def instances(self, request: web.Request) -> web.Response:
        """List rows of the database: all, those of a token, or those of a filter."""
        token = request.get("token")
        if token is None:
            rows = self.listed(request["owner"])
        else:
            customers = {*self.owners.values()}
            every = [row for owner in customers for row in self.listed(owner)]
            rows = [row for row in every if row.token == token]
        found = self._filtered(request, rows)
        if token is not None and not found:
            return self.unauthorized()
        if not found and (asked := self._filter(request)):
            message = f'Instance "{asked[1]}" not found'
            return self.error(404, "not_found", [message])
        return web.json_response([self._row(row) for row in found])

    def _filter(self, request: web.Request) -> tuple[str, str] | None:
        for name in ("instanceName", "instanceId", "number"):
            if value := request.query.get(name):
                return name, value
        return None

    def _filtered(
        self, request: web.Request, rows: list[EvolutionInstance]
    ) -> list[EvolutionInstance]:
        if (asked := self._filter(request)) is None:
            return rows
        name, value = asked
        if name == "instanceName":
            if self.ignores_filter:
                return rows
            return [row for row in rows if row.id == value and row.loaded]
        attribute = {"instanceId": "uuid", "number": "given_number"}[name]
        return [row for row in rows if getattr(row, attribute) == value]

    def _row(self, instance: EvolutionInstance) -> dict[str, Any]:
        row, reason = instance.to_dict(), instance.reason
        if self.said is not None:
            row["connectionStatus"] = self.said
        payload = '{"error":{"output":{"statusCode":%s}}}'
        created = iso(instance.created, milliseconds=True)
        return {
            **row,
            "clientName": "evolution_exchange",
            "disconnectionReasonCode": reason,
            "disconnectionObject": None if reason is None else payload % reason,
            "disconnectionAt": iso(instance.gave_up_at, milliseconds=True),
            "createdAt": created,
            "updatedAt": iso(instance.updated, milliseconds=True),
            **dict.fromkeys(ROW_CHANNELS),
            "Setting": {
                "id": f"setting_{instance.uuid}",
                **SETTINGS,
                "createdAt": created,
                "updatedAt": created,
                "instanceId": instance.uuid,
            },
            "_count": {"Message": 120, "Contact": 33, "Chat": 12},
        }

    # calls about one instance

    async def create(self, request: web.Request) -> web.Response:
        """Create an instance; with `qrcode` also start it and wait for a code."""
        if "owner" not in request:
            return self.unauthorized()
        body = await self.body_of(request)
        number = body.get("number")
        if (refused := self._refuse_body(body)) is not None:
            return refused
        own = {"token": body["token"]} if body.get("token") else {}
        instance = self.add(
            self.new_name(body),
            owner=request["owner"],
            type=body["integration"],
            given_number=number,
            pairing_number=number,
            **own,
        )
        if body.get("qrcode"):
            instance.start()
        answer = self._created(instance)
        if body.get("qrcode"):
            await self._sleep(CREATE_WAIT)
            answer["qrcode"] = await self._code(instance)
        return web.json_response(answer, status=201)

    def _refuse_body(self, body: dict[str, Any]) -> web.Response | None:
        message = ""
        if body.get("integration") not in INTEGRATIONS:
            message = "Invalid integration"
        elif not isinstance(body.get("qrcode", False), bool):
            message = "qrcode is not of a type(s) boolean"
        elif not re.match(r"\d", str(body.get("number") or "0")):
            message = 'number does not match pattern "^\\d+[\\.@\\w-]+"'
        for channel in ("webhook", "websocket"):
            settings = body.get(channel)
            if settings and not isinstance(settings.get("events"), list):
                message = f"{channel}.events is not of a type(s) array"
        return self.error(400, "bad_request", [message]) if message else None

    def _created(self, instance: EvolutionInstance) -> dict[str, Any]:
        return {
            "instance": {
                "instanceName": instance.id,
                "instanceId": instance.uuid,
                "integration": instance.type,
                "webhookWaBusiness": None,
                "accessTokenWaBusiness": "",
                "status": instance.live,
            },
            "hash": instance.token,
            **{name: {} for name in ANSWER_CHANNELS},
            "settings": SETTINGS,
        }

    async def one(self, request: web.Request) -> web.Response:
        """Return the live state; without it if the instance is not in memory."""
        instance = request["instance"]
        return web.json_response({"instance": self._state(instance)})

    def _state(self, instance: EvolutionInstance) -> dict[str, Any]:
        live = self.said or instance.live
        state = {"state": live} if instance.loaded else {}
        return {"instanceName": instance.id} | state

    async def connect(self, request: web.Request) -> web.Response:
        """Start a closed instance and wait; return the code in memory."""
        instance = request["instance"]
        if not instance.loaded:
            return self._hidden_error()
        live = instance.live
        if live == "close":
            if number := request.query.get("number"):
                instance.pairing_number = number
            if not instance.running:
                instance.start()
            await self._sleep(CONNECT_WAIT)
        return await self._connected(instance, live)

    async def _connected(self, instance: EvolutionInstance, live: str) -> web.Response:
        """Return what `connect` answers for a state."""
        if live == "open":
            return web.json_response({"instance": self._state(instance)})
        return web.json_response(await self._code(instance))

    async def _code(self, instance: EvolutionInstance) -> dict[str, Any]:
        code, pairing, count = instance.in_memory()
        if code is None:
            return {"count": 0}
        asked = instance.pairing_number is not None
        known = {} if asked and pairing is None else {"pairingCode": pairing}
        picture = await asyncio.to_thread(data_uri, code.text)
        return known | {"code": code.text, "base64": picture, "count": count}

    def _hidden_error(self) -> web.Response:
        return web.json_response({"error": True, "message": "[object Object]"})

    async def restart(self, request: web.Request) -> web.Response:
        """Close the socket and connect again; a closed instance stays closed."""
        instance = request["instance"]
        live = instance.live
        if not instance.loaded or live == "close":
            return self._hidden_error()
        answer = await self._connected(instance, live)
        instance.start()
        return answer

    async def logout(self, request: web.Request) -> web.Response:
        """Unlink the phone; the answer comes before it has finished."""
        instance = request["instance"]
        message = "Instance logged out"
        if instance.live != "close":
            instance.log_out()
            instance.ignores_scans = self.breaks_logout
        elif self.modern:
            message = "Instance was already disconnected"
        else:
            message = f'The "{instance.id}" instance is not connected'
            return self.error(400, "bad_request", [message])
        return self._success(message)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an instance; for a while its name stays in use and in the list."""
        instance = request["instance"]
        if self.sessions.pop(instance.id, None) is not None:
            self.being_deleted[instance.id] = (
                instance,
                time.time() + REMOVAL / self.scale,
            )
            instance.log_out()
        return self._success("Instance deleted")

    def _success(self, message: str) -> web.Response:
        body = {"status": "SUCCESS", "error": False, "response": {"message": message}}
        return web.json_response(body)

    # webhooks

    async def find_webhook(self, request: web.Request) -> web.Response:
        """Return the only webhook of an instance, `null` if there is none."""
        one = self.webhooks.endpoints.get(request["instance"].uuid)
        return web.json_response(one and self._webhook_row(one))

    def _webhook_row(self, one: Endpoint) -> dict[str, Any]:
        return {
            "id": f"webhook_{one.id}",
            "url": one.url,
            "headers": one.headers,
            "enabled": one.active,
            "events": one.events,
            "webhookByEvents": one.by_event,
            "webhookBase64": one.with_media,
            "createdAt": iso(time.time(), milliseconds=True),
            "updatedAt": iso(time.time(), milliseconds=True),
            "instanceId": one.id,
        }

    async def set_webhook(self, request: web.Request) -> web.Response:
        """Replace the webhook of an instance, whoever has set it before."""
        instance = request["instance"]
        settings = (await self.body_of(request)).get("webhook") or {}
        url, enabled, events = (settings.get(k) for k in ("url", "enabled", "events"))
        if not isinstance(url, str) or not isinstance(enabled, bool):
            message = 'webhook requires property "url"'
            return self.error(400, "bad_request", [message])
        if not re.match("https?://", url):
            return self.error(400, "bad_request", ['Invalid "url" property'])
        if enabled and not isinstance(events, list):
            return self.error(500, "internal_error", "events is not iterable")
        if not {*(events or [])} <= WEBHOOK_EVENTS:
            message = "events is not one of enum values"
            return self.error(400, "bad_request", [message])
        if not instance.loaded:
            # it looks for the ID of an instance in memory
            message = "Cannot read properties of undefined (reading 'instanceId')"
            return self.error(500, "internal_error", message)
        before = self.webhooks.endpoints.get(instance.uuid)
        kept = before.headers if before else {}
        headers = settings.get("headers")
        one = Endpoint(
            id=instance.uuid,
            url=url,
            owner=instance.owner,
            events=(events or [*WEBHOOK_EVENTS]) if enabled else [],
            headers=kept if headers is None else headers,
            active=enabled,
            by_event=settings.get("byEvents", False),
            with_media=settings.get("base64", False),
        )
        self.webhooks.set(one)
        return web.json_response(self._webhook_row(one), status=201)

    @override
    def reports(
        self, endpoint: Endpoint, session: Session
    ) -> Iterable[tuple[str, dict[str, Any]]]:
        assert isinstance(session, EvolutionInstance)
        if session.uuid != endpoint.id:
            return
        events: dict[str, dict[str, Any]] = {}
        state, reason = session.live, 200
        if state == "close":
            if session.state not in {State.STOPPED, State.FAILED}:
                # it connects again by itself
                return
            reason = session.reason or 401
            events["status.instance"] = {"instance": session.id, "status": "closed"}
            events["logout.instance"] = {}
        if code := session.code:
            qr = {"instance": session.id, "pairingCode": None, "code": code.text}
            picture = data_uri(code.text)
            events["qrcode.updated"] = {"qrcode": qr | {"base64": picture}}
        events["connection.update"] = {
            "instance": session.id,
            "state": state,
            "statusReason": reason,
        }
        for event, data in events.items():
            if event.replace(".", "_").upper() in endpoint.events:
                yield event, self.envelope(endpoint, session, event, data)
