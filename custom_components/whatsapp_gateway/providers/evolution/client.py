"""Evolution API 2.3 and 2.4. Source: the code of Evolution API 2.3.7 and 2.4.0-rc2."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, override

from .. import parsing
from ..base import Provider, path_of
from ..models import (
    Action,
    BadResponse,
    CodeRejected,
    Feature,
    GatewayError,
    Instance,
    InstanceStatus,
    LinkState,
    NotActivated,
    NotFound,
    QrCode,
    Refusal,
    Refused,
    Rejected,
    Unauthorized,
)
from ..redact import redact
from .history import CLOSE, CONNECTING, LINK_SECONDS, LIST_SECONDS, OPEN, Row
from .messages import EvolutionMessages, error_of
from .pairing_codes import EvolutionPairingCodes
from .sessions import OTHER_TYPES, Sessions, payload_of, unsupported
from .webhooks import EvolutionWebhooks

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_IN_USE_TIME = 10.0
"""Seconds for which the name of a deleted instance may still be in use."""
NAME_IN_USE_INTERVAL = 2.0
"""Seconds between two attempts to use it again."""
SUCCESS = "SUCCESS"
RAW_STATES = {
    InstanceStatus.CREATED: CLOSE,
    InstanceStatus.STARTING: CONNECTING,
    InstanceStatus.SCAN_QR: CONNECTING,
    InstanceStatus.CONNECTED: OPEN,
    InstanceStatus.DISCONNECTED: CLOSE,
}
"""The gateway's word for each status; its own one may change while the status stays."""


class Evolution(Provider):
    """A server with the Evolution API, or one instance of it with its own token."""

    name = "Evolution API"
    example_url = "http://192.168.1.10:8080"
    web_pages = frozenset({"manager"})
    max_name_length = 64
    max_poll_options = 10
    probes = ("/",)
    auth_header = ("apikey", "{}")
    errors: ClassVar = {"LICENSE_REQUIRED": NotActivated}
    statuses: ClassVar = {
        OPEN: InstanceStatus.CONNECTED,
        # whether a code waits is derived
        CONNECTING: InstanceStatus.STARTING,
        CLOSE: InstanceStatus.DISCONNECTED,
        "refused": InstanceStatus.DISCONNECTED,
        "created": InstanceStatus.CREATED,
    }
    # there is no call that stops a session and keeps its link
    actions = frozenset({Action.CONNECT, Action.RESTART, Action.LOGOUT})
    all_features = (
        Feature.CREATE
        | Feature.MEDIA_CONTENT
        | Feature.REPLIES
        | Feature.MENTIONS
        | Feature.POLLS
        | Feature.LOCATIONS
        | Feature.REACTIONS
        | Feature.RECEIVING
    )
    instance_types: ClassVar = {"WHATSAPP-BAILEYS": "WhatsApp Web"}
    other_types = OTHER_TYPES
    types_without_qr = frozenset(OTHER_TYPES)
    has_messages = has_pairing_codes = True

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dashboard_url = f"{self.url.rstrip('/')}/manager"
        self._sessions = Sessions(self._http, self.pairing_digests)
        self.messages: EvolutionMessages = EvolutionMessages(self._http)
        self.chats = self.number_check = self.downloads = self.messages
        self.webhooks: EvolutionWebhooks = EvolutionWebhooks(self._http, self.messages)
        self.pairing_codes: EvolutionPairingCodes = EvolutionPairingCodes(
            self._http, self._sessions
        )
        self._deleted: set[str] = set()
        """Names of the instances that were deleted, which may still be in use."""

    # instances

    @override
    async def _list(self) -> tuple[Instance, ...]:
        """List the rows of the database, each with its live state if possible."""
        rows = await self._sessions.list_rows()
        self._one_instance_key = bool(rows) and all(row.own_key for row in rows)
        states = await self._sessions.live_states(rows)
        return tuple(
            self._instance(row, states.get(row.name), LIST_SECONDS) for row in rows
        )

    def _instance(self, row: Row, live: str | None, patience: float) -> Instance:
        """Return an instance; `live` is None if its live state isn't known."""
        history = self._sessions.history(row)
        state = live if live is not None else history.raw_state or row.raw_state
        history.raw_state = live or history.raw_state
        # without a state the server is starting, and will reconnect what wasn't closed
        status: InstanceStatus | None = InstanceStatus.STARTING
        if state or row.raw_state == CLOSE:
            meaning, state = self._status(state or CLOSE)
            status = history.status(row, meaning, patience)
        connected = status is InstanceStatus.CONNECTED
        return Instance(
            id=row.name,
            name=row.name,
            status=status,
            raw_status=RAW_STATES.get(status, state) if status else state,
            type=row.type,
            linkable=row.linkable,
            phone_number=row.owner if connected else None,
        )

    @override
    async def instance(self, instance_id: str) -> Instance:
        state = await self._sessions.live_state(instance_id)
        row = await self._sessions.fetch_row(instance_id)
        return self._instance(row, state, LINK_SECONDS)

    @override
    async def _create(
        self, name: str, instance_type: str | None, metadata: Mapping[str, Any] | None
    ) -> Instance:
        """Create an instance without starting it, which would take 5 s."""
        body = {
            "instanceName": name,
            "integration": instance_type or next(iter(self.instance_types)),
            "qrcode": False,
        }
        give_up_at = monotonic() + NAME_IN_USE_TIME
        while True:
            try:
                answer = await self._http.request("POST", "/instance/create", json=body)
            except Unauthorized as err:
                # the token of an instance can list it; a wrong key can't list anything
                await self._sessions.fetch_rows()
                raise Refused(Refusal.KEY_NOT_ALLOWED) from err
            except Rejected:
                is_late = monotonic() + NAME_IN_USE_INTERVAL > give_up_at
                if is_late or name not in self._deleted:
                    raise
                await asyncio.sleep(NAME_IN_USE_INTERVAL)
            else:
                self._deleted.discard(name)
                return self._parse_created(payload_of(answer))

    def _parse_created(self, payload: dict[str, Any]) -> Instance:
        data = parsing.mapping(payload.get("instance"))
        name = parsing.text(data, "instanceName")
        row = self._sessions.parse_row(
            {
                "id": data.get("instanceId"),
                "name": name,
                "connectionStatus": data.get("status"),
                "integration": data.get("integration"),
            }
        )
        self._sessions.rows[name] = row
        return self._instance(row, row.raw_state, LIST_SECONDS)

    @override
    async def delete(self, instance_id: str) -> None:
        """Delete an instance; the gateway still lists it for a while."""
        path = path_of("/instance/delete", instance_id)
        answer = payload_of(await self._http.request("DELETE", path))
        if answer.get("status") != SUCCESS:
            raise BadResponse("No confirmation")
        self._deleted.add(instance_id)

    # sessions

    @override
    async def perform(self, action: Action, instance_id: str) -> None:
        perform = {
            Action.CONNECT: self._sessions.connect,
            Action.RESTART: self._sessions.restart,
            Action.LOGOUT: self._sessions.log_out_and_wait,
        }
        await perform[action](instance_id)

    @override
    async def link_state(self, instance_id: str, *, with_code: bool) -> LinkState:
        state = await self._sessions.live_state(instance_id)
        if state == OPEN:
            if row := self._sessions.rows.get(instance_id):
                self._sessions.history(row).note_open(row)
            return LinkState(status=InstanceStatus.CONNECTED)
        row = await self._sessions.fetch_row(instance_id)
        status = self._instance(row, state, LINK_SECONDS).status
        # a session that isn't connecting would be started
        if state != CONNECTING or not with_code or not row.linkable:
            return LinkState(status=status)
        try:
            code = await self._code_in_memory(row)
        except (NotFound, Rejected) as err:
            raise CodeRejected(str(err)) from err
        return LinkState(
            status=InstanceStatus.SCAN_QR if code else InstanceStatus.STARTING,
            code=code,
        )

    @override
    async def qr(self, instance_id: str) -> QrCode | None:
        row = await self._sessions.fetch_row(instance_id)
        self._sessions.history(row).note_start(row)
        return await self._code_in_memory(row)

    async def _code_in_memory(self, row: Row) -> QrCode | None:
        """Return the code in the gateway's memory, if it can be scanned now."""
        payload = await self._sessions.fetch_code(row.name)
        raw = parsing.optional_text(payload, "code")
        code = parsing.qr_code(raw, payload.get("base64"), None)
        if "count" not in payload:
            # nothing is known of the code in memory of an instance that is connected
            parsing.mapping(payload.get("instance"))
            return None
        live = self._sessions.history(row).note_code(row, code, payload.get("count"))
        return code if live else None

    # the server

    @override
    async def server_version(self) -> str | None:
        """Return the version; the server may look up another one on the internet."""
        payload = parsing.mapping((await self._http.get("/")).json())
        version = parsing.optional_text(payload, "version")
        if version and version.startswith("1."):
            raise unsupported(version)
        return redact(version, self.api_key) if version else None

    @staticmethod
    @override
    def _error_of(status: int, payload: Any) -> GatewayError | None:
        return error_of(status, payload)

    @staticmethod
    @override
    def _is_own_answer(status: int, payload: dict[str, Any]) -> bool:
        return payload.keys() >= {"message", "version", "whatsappWebVersion"}
