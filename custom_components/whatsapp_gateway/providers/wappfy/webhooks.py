"""Webhooks of Wappfy. Source: docs.wappfy.io, its reference and guide of webhooks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, override

from .. import parsing
from ..base import path_of
from ..capabilities import Webhooks
from ..models import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH = "/api/webhooks"
EVENTS = ("instance.connected", "instance.disconnected", "instance.qr")


class WappfyWebhooks(Webhooks):
    """The webhooks of an account, each of which is called for all its instances."""

    @override
    async def register(
        self, url: str, secret: str, instance_ids: Iterable[str]
    ) -> dict[str, bool]:
        """Register one address for all instances.

        Source: docs.wappfy.io/guides/webhooks, "Create a Webhook": `url` is "the HTTPS
        URL that will receive webhook POST requests", and without `instance_id` it
        "receives events from all instances". What a call contains and how it is signed
        is not documented, so a call only means that something has changed.
        """
        found = await self._ids(url)
        if True not in found.values():
            await self._delete(found)
            body = {"url": url, "events": EVENTS}
            answer = await self._http.request("POST", PATH, json=body)
            answer.raise_for_failure()
        return dict.fromkeys(instance_ids, True)

    @override
    async def unregister(self, url: str, instance_ids: Iterable[str]) -> None:
        await self._delete(await self._ids(url))

    async def _ids(self, url: str) -> dict[str, bool]:
        """Return the IDs of the webhooks with this address, and if they are active.

        Source: docs.wappfy.io, "List all webhook endpoints for the current user". The
        list also contains the secrets of other webhooks, so nothing else is kept.
        """
        payload = (await self._http.get(PATH)).json()
        rows = payload.get("items") if isinstance(payload, dict) else payload
        return {
            parsing.text(row, "id"): row.get("is_active") is not False
            for row in parsing.items(rows, parsing.mapping)
            if row.get("url") == url
        }

    async def _delete(self, webhook_ids: Iterable[str]) -> None:
        for webhook_id in webhook_ids:
            with suppress(NotFound):
                path = path_of(PATH, webhook_id)
                await self._http.request("DELETE", path)
