"""WhatIsUp. Source: its document "Instances"."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, override

from .. import parsing
from ..base import Provider, path_of
from ..failures import explanation, not_found
from ..messages import not_connected
from ..models import (
    Action,
    Feature,
    GatewayError,
    Instance,
    InstanceStatus,
    KeyBound,
    QrCode,
    RateLimited,
)
from .events import WhatIsUpEvents
from .messages import PATH, WhatIsUpMessages

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        Feature.CREATE | Feature.METADATA | Feature.LAST_SEEN | Feature.RECEIVING
    )
    has_messages = True

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.messages: WhatIsUpMessages = WhatIsUpMessages(self._http)
        self.events: WhatIsUpEvents = WhatIsUpEvents(self._http)

    @override
    async def _list(self) -> tuple[Instance, ...]:
        answer = await self._http.get(PATH)
        return parsing.items(answer.json(), self._parse)

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
