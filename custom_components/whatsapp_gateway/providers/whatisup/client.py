"""WhatIsUp. Source: its document "Instances"."""

from __future__ import annotations

from contextlib import aclosing, suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, override

from .. import parsing
from ..base import Provider, path_of
from ..failures import explanation, not_found
from ..http import loads
from ..message_parsing import sent_message
from ..messages import not_connected
from ..models import (
    Action,
    BadResponse,
    Feature,
    GatewayError,
    Instance,
    InstanceChanged,
    InstanceStatus,
    KeyBound,
    QrCode,
    RateLimited,
)
from ..streams import server_sent_events
from . import messages as whatisup_messages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from ..messages import IncomingMessage, OutgoingMessage, SentMessage

PATH = "/v1/instances"
EVENTS = "/v1/events"
CODE_EVENT = "qr.updated"
STATUS_EVENTS = ("instance.", "channel.")
"""Beginnings of the names of events about an instance itself."""
NO_CODE = "no_qr"
NOT_CONNECTED = "not_connected"
OWN_ERROR = {"error", "request_id"}
"""Keys of every error."""


class WhatIsUp(Provider):
    """An account at WhatIsUp."""

    name = "WhatIsUp"
    default_url = "https://api.whatisup.dev"
    dashboard_url = "https://whatisup.dev"
    probes = (PATH,)
    auth_header = ("Authorization", "Bearer {}")
    errors: ClassVar = {"channel_scoped_key": KeyBound, "rate_limited": RateLimited}
    statuses: ClassVar = {
        "pending": InstanceStatus.CREATED,
        "qr": InstanceStatus.SCAN_QR,
        "connecting": InstanceStatus.STARTING,
        "connected": InstanceStatus.CONNECTED,
        "disconnected": InstanceStatus.DISCONNECTED,
        "failed": InstanceStatus.FAILED,
        # these are not in the document, but are used
        "qr_required": InstanceStatus.SCAN_QR,
        "reconnecting": InstanceStatus.STARTING,
        "logged_out": InstanceStatus.DISCONNECTED,
        "stopped_by_user": InstanceStatus.DISCONNECTED,
        "error": InstanceStatus.FAILED,
        "disabled_by_admin": InstanceStatus.FAILED,
    }
    actions = frozenset({Action.CONNECT})
    all_features = (
        Feature.CREATE
        | Feature.METADATA
        | Feature.LAST_SEEN
        | Feature.EVENTS
        | Feature.MESSAGES
        | Feature.RECEIVING
    )

    @override
    async def _list(self) -> tuple[Instance, ...]:
        answer = await self._http.get(PATH)
        return self._parse_once(
            PATH, answer, lambda payload: parsing.items(payload, self._parse)
        )

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
            last_seen=parsing.timestamp(data.get("last_seen_at")),
            account_id=parsing.optional_text(data, "customer_id"),
        )

    @override
    async def _create(
        self, name: str, instance_type: str | None, metadata: Mapping[str, Any] | None
    ) -> Instance:
        body = {"name": name} | ({"metadata": dict(metadata)} if metadata else {})
        answer = await self._http.request("POST", PATH, json=body)
        return self._parse(answer.json())

    @override
    async def instance(self, instance_id: str) -> Instance:
        return self._parse((await self._http.get(path_of(PATH, instance_id))).json())

    @override
    async def perform(self, action: Action, instance_id: str) -> None:
        """Start the session, which is what asking for the QR code does."""
        await self.qr(instance_id)

    @override
    async def qr(self, instance_id: str) -> QrCode | None:
        """Start the session if none runs, and wait up to about 10 s for a QR code."""
        path = path_of(PATH, instance_id, "/qr")
        try:
            answer = await self._http.request("GET", path)
        except GatewayError as err:
            if err.code == NO_CODE:
                return None
            raise
        if not answer.body:
            return None
        data = parsing.mapping(answer.json())
        lifetime = parsing.lifetime(data.get("expires_at"), answer.date)
        raw = parsing.optional_text(data, "raw")
        return parsing.qr_code(raw, data.get("qr"), lifetime)

    @staticmethod
    @override
    def _is_own_answer(status: int, payload: dict[str, Any]) -> bool:
        return status == HTTPStatus.UNAUTHORIZED and payload.keys() >= OWN_ERROR

    @override
    async def events(
        self,
    ) -> AsyncGenerator[InstanceChanged | IncomingMessage | None]:
        """Follow the events of all instances.

        Source: its page "Events (SSE)". All of them are asked for, because newer
        servers have other names for some. Messages are skipped without `receives`,
        and own messages always: it isn't told if this integration has sent them.
        """
        async with aclosing(server_sent_events(self._http, EVENTS)) as events:
            async for data in events:
                yield _parse_event(data, receives=self.receives) if data else None

    @override
    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        path = path_of(PATH, instance_id)
        build = partial(whatisup_messages.send_call, path, chat_id, message)
        answer = await self._ask_to_send(build)
        return sent_message(answer, whatisup_messages.SENT_IDS)

    @staticmethod
    @override
    def _error_of(status: int, payload: Any) -> GatewayError | None:
        code, message = explanation(payload)
        if code == NOT_CONNECTED:
            return not_connected()
        own = isinstance(payload, dict) and payload.keys() >= OWN_ERROR
        if status == HTTPStatus.NOT_FOUND and own and code and code != NO_CODE:
            return not_found(code, message)
        return None

    @override
    async def delete(self, instance_id: str) -> None:
        """Stop the socket, wipe the auth state and mark the instance deleted."""
        answer = await self._http.request("DELETE", path_of(PATH, instance_id))
        answer.raise_for_failure()


def _parse_event(
    data: bytes, *, receives: bool
) -> InstanceChanged | IncomingMessage | None:
    """Return what an event means, None if it means nothing to us.

    The ID of the instance stands beside the name of the event or in its data.
    """
    with suppress(BadResponse):
        event = parsing.mapping(loads(data))
        details = event.get("data")
        merged = (details if isinstance(details, dict) else {}) | event
        name = parsing.text(event, "event")
        key = "instance_id" if "instance_id" in merged else "channel_id"
        if name == CODE_EVENT or name.startswith(STATUS_EVENTS):
            return InstanceChanged(
                instance_id=parsing.text(merged, key), has_code=name == CODE_EVENT
            )
        if receives and name in whatisup_messages.EVENTS:
            instance_id = parsing.text(merged, key)
            return whatisup_messages.parse_event(merged, name, instance_id)
    return None
