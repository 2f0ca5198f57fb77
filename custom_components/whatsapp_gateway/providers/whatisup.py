"""WhatIsUp, by its document "Instances"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, override

from . import parsing
from .base import Provider, path_of
from .models import Action, GatewayError, Instance, InstanceStatus, QrCode

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/v1/instances"


class WhatIsUp(Provider):
    """A customer of WhatIsUp."""

    name = "WhatIsUp"
    default_url = "https://api.whatisup.dev"
    auth_header = ("Authorization", "Bearer {}")
    statuses: ClassVar = {
        "pending": InstanceStatus.CREATED,
        "qr": InstanceStatus.SCAN_QR,
        "connecting": InstanceStatus.STARTING,
        "connected": InstanceStatus.CONNECTED,
        "disconnected": InstanceStatus.DISCONNECTED,
        "failed": InstanceStatus.FAILED,
        # not in the document, but seen
        "qr_required": InstanceStatus.SCAN_QR,
        "reconnecting": InstanceStatus.STARTING,
        "logged_out": InstanceStatus.DISCONNECTED,
        "stopped_by_user": InstanceStatus.DISCONNECTED,
        "error": InstanceStatus.FAILED,
        "disabled_by_admin": InstanceStatus.FAILED,
    }
    actions = frozenset({Action.CONNECT})
    reports_last_seen = True
    takes_metadata = True

    @override
    async def _list(self) -> tuple[Instance, ...]:
        return await self._get_list(PATH, self._instances)

    @override
    async def create(
        self,
        name: str,
        *,
        instance_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Instance:
        body = {"name": name} | ({"metadata": dict(metadata)} if metadata else {})
        return self._instance(
            self._payload(await self._request("POST", PATH, json=body))
        )

    @override
    async def instance(self, instance_id: str) -> Instance:
        return self._instance(await self._get(path_of(PATH, instance_id)))

    @override
    async def _perform(self, action: Action, instance_id: str) -> None:
        """Start the session, which is what asking for the QR code does."""
        await self.qr(instance_id)

    @override
    async def qr(self, instance_id: str) -> QrCode | None:
        """Start the session if none runs, and wait up to about 10 s for a code."""
        try:
            body = await self._request("GET", path_of(PATH, instance_id, "/qr"))
        except GatewayError as err:
            if err.code == "no_qr":
                return None
            raise
        return parsing.qr_code(parsing.mapping(self._payload(body))) if body else None

    @override
    async def delete(self, instance_id: str) -> None:
        """Stop the socket, wipe the auth state and mark the instance deleted."""
        await self._request("DELETE", path_of(PATH, instance_id))
