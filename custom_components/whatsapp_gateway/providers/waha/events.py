"""Events of WAHA. Source: its page "Events"."""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, override

from .. import parsing
from ..capabilities import Events
from ..models import UNPARSABLE, BadResponse, InstanceChanged
from ..streams import websocket_messages
from .received import MESSAGE_EVENTS, parse_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..capabilities import Payload, Report

PATH = "/ws"
STATUS_EVENT = "session.status"


class WahaEvents(Events):
    """The WebSocket of a server."""

    @override
    async def payloads(self) -> AsyncGenerator[Payload]:
        """Follow the status of all sessions; each new QR code repeats it as well.

        The messages of the user are only asked for with `receives`.
        """
        names = (STATUS_EVENT, *(MESSAGE_EVENTS if self.receives else ()))
        query = {"session": "*", "events": ",".join(names)}
        if self._http.api_key:
            # there is no other way to give it
            query["x-api-key"] = self._http.api_key
        async with aclosing(websocket_messages(self._http, PATH, query)) as messages:
            async for message in messages:
                yield message

    @override
    def parse(self, payload: str | bytes) -> Report | None:
        return _parse_event(payload)


def _parse_event(message: str | bytes) -> Report | None:
    """Return what an event means, None if it means nothing to us."""
    with suppress(BadResponse):
        event = parsing.mapping(parsing.loads(message))
        if event.get("event") in MESSAGE_EVENTS:
            return _message(event)
        if event.get("event") == STATUS_EVENT:
            payload = parsing.mapping(event.get("payload"))
            return InstanceChanged(
                instance_id=parsing.text(event, "session"),
                has_code=payload.get("status") == "SCAN_QR_CODE",
            )
    return None


def _message(event: dict[str, Any]) -> Report:
    try:
        return parse_message(event)
    except BadResponse:
        return UNPARSABLE
