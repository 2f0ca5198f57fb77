"""WhatIsUp. Source: its document "Instances"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, override

from . import parsing
from .base import Provider, path_of
from .models import (
    Action,
    Feature,
    GatewayError,
    Instance,
    InstanceStatus,
    KeyBound,
    QrCode,
    RateLimited,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/v1/instances"


class WhatIsUp(Provider):
    """An account at WhatIsUp."""

    name = "WhatIsUp"
    default_url = "https://api.whatisup.dev"
    dashboard_url = "https://whatisup.dev"
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
    all_features = Feature.CREATE | Feature.METADATA | Feature.LAST_SEEN

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
            if err.code == "no_qr":
                return None
            raise
        if not answer.body:
            return None
        data = parsing.mapping(answer.json())
        lifetime = parsing.lifetime(data.get("expires_at"), answer.date)
        raw = parsing.optional_text(data, "raw")
        return parsing.qr_code(raw, data.get("qr"), lifetime)

    @override
    async def delete(self, instance_id: str) -> None:
        """Stop the socket, wipe the auth state and mark the instance deleted."""
        answer = await self._http.request("DELETE", path_of(PATH, instance_id))
        answer.raise_for_failure()
