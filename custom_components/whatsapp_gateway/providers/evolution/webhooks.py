"""Webhooks of the Evolution API. Source: the code of 2.3.7 and 2.4.0-rc2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from .. import parsing
from ..base import path_of
from ..capabilities import Webhooks
from ..models import (
    BadResponse,
    GatewayError,
    InstanceChanged,
    NotFound,
    Rejected,
    Unreachable,
)
from .sessions import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..capabilities import Report
    from ..http import HttpClient
    from .messages import EvolutionMessages

MESSAGE_EVENT = "messages.upsert"
WEBHOOK_EVENT = "MESSAGES_UPSERT"
"""The same event, as the settings of a webhook name it."""
CODE_EVENT = "qrcode.updated"
WEBHOOK_EVENTS = (
    "CONNECTION_UPDATE",
    "LOGOUT_INSTANCE",
    "QRCODE_UPDATED",
    "STATUS_INSTANCE",
)
"""Events about an instance itself, as the settings of a webhook name them."""
ABOUT_ONE_INSTANCE = (BadResponse, NotFound, Rejected, Unreachable)
"""Errors that may say nothing about other instances.

The server answers 500 for an instance that it has not loaded.
"""


class EvolutionWebhooks(Webhooks):
    """The webhooks of a server: one for each instance."""

    is_local = True
    header = "X-Webhook-Secret"

    @override
    def __init__(self, http: HttpClient, messages: EvolutionMessages) -> None:
        super().__init__(http)
        self._messages = messages

    @override
    async def register(
        self, url: str, secret: str, instance_ids: Iterable[str]
    ) -> dict[str, bool]:
        """Set the webhook of each instance, which only has one."""
        settings = {
            "enabled": True,
            "url": url,
            "headers": {self.header: secret},
            "byEvents": False,
            "base64": False,
            "events": [*WEBHOOK_EVENTS, *[WEBHOOK_EVENT] * self.receives],
        }
        registered = {}
        failure: GatewayError | None = None
        for name in instance_ids:
            try:
                row = await self._webhook(name)
                own = _address(row) in {None, url}
                if own and not _has(row, settings):
                    await self._set_webhook(name, settings)
            except NotFound:
                # deleted meanwhile
                own = True
            except ABOUT_ONE_INSTANCE as err:
                if failure is not None and not _is_answered(err):
                    # the server may be gone
                    break
                failure = err
                continue
            registered[name] = own
        if failure and not registered:
            raise failure
        return registered

    @override
    async def unregister(self, url: str, instance_ids: Iterable[str]) -> None:
        """Disable the webhooks, which can't be deleted and need an address."""
        settings = {"enabled": False, "url": url, "headers": {}, "events": []}
        for name in instance_ids:
            try:
                if _address(await self._webhook(name)) == url:
                    await self._set_webhook(name, settings)
            except ABOUT_ONE_INSTANCE as err:
                if not _is_answered(err):
                    raise

    async def _webhook(self, name: str) -> dict[str, Any]:
        """Return the webhook of an instance; its headers may be secrets of others."""
        payload = (await self._http.get(path_of("/webhook/find", name))).json()
        return {} if payload is None else parsing.mapping(payload)

    async def _set_webhook(self, name: str, settings: Mapping[str, Any]) -> None:
        path = path_of("/webhook/set", name)
        check(await self._http.request("POST", path, json={"webhook": settings}))

    @override
    def parse(self, payload: bytes | str) -> Report | None:
        event = parsing.mapping(parsing.loads(payload))
        if event.get("event") == MESSAGE_EVENT:
            return self._messages.parse_event(event) if self.receives else None
        has_code = event.get("event") == CODE_EVENT
        name = parsing.optional_text(event, "instance")
        return InstanceChanged(instance_id=name, has_code=has_code)


def _address(row: dict[str, Any]) -> str | None:
    """Return the address that an instance calls, None if it calls nobody."""
    return parsing.optional_text(row, "url") if row.get("enabled") is True else None


def _has(row: dict[str, Any], settings: Mapping[str, Any]) -> bool:
    """Return whether a webhook is enabled and has these settings."""
    headers, events = row.get("headers"), row.get("events")
    return (
        _address(row) == settings["url"]
        and isinstance(headers, dict)
        and headers.items() >= settings["headers"].items()
        and isinstance(events, list)
        and sorted(map(str, events)) == sorted(settings["events"])
        and row.get("webhookByEvents") is not True
        and row.get("webhookBase64") is not True
    )


def _is_answered(err: GatewayError) -> bool:
    """Return whether the server has answered with an error."""
    return not isinstance(err, Unreachable) or err.status is not None
