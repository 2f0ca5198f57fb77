"""Events of WhatIsUp. Source: its pages "Events (SSE)" and "Event payloads"."""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, override

from .. import parsing
from ..capabilities import Events
from ..models import UNPARSABLE, BadResponse, InstanceChanged
from ..streams import server_sent_events
from .messages import MESSAGE_EVENTS, parse_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..capabilities import Payload, Report

PATH = "/v1/events"
CODE_EVENT = "qr.updated"
STATUS_EVENTS = ("instance.", "channel.")
"""Beginnings of the names of events about an instance itself."""


class WhatIsUpEvents(Events):
    """The stream of events of an account."""

    @override
    async def payloads(self) -> AsyncGenerator[Payload]:
        """Follow the events of all instances.

        All of them are asked for, because newer servers have other names for some.
        Messages are skipped without `receives`,
        and own messages always: it isn't told if this integration has sent them.
        """
        async with aclosing(server_sent_events(self._http, PATH)) as events:
            async for data in events:
                yield data

    @override
    def parse(self, payload: bytes | str) -> Report | None:
        return _parse_event(payload, receives=self.receives)


def _parse_event(data: bytes | str, *, receives: bool) -> Report | None:
    """Return what an event means, None if it means nothing to us.

    The ID of the instance stands beside the name of the event or in its data.
    """
    with suppress(BadResponse):
        event = parsing.mapping(parsing.loads(data))
        details = event.get("data")
        merged = (details if isinstance(details, dict) else {}) | event
        name = parsing.text(event, "event")
        key = "instance_id" if "instance_id" in merged else "channel_id"
        if name == CODE_EVENT or name.startswith(STATUS_EVENTS):
            return InstanceChanged(
                instance_id=parsing.text(merged, key), has_code=name == CODE_EVENT
            )
        if receives and name in MESSAGE_EVENTS:
            return _message(merged, name, key)
    return None


def _message(event: dict[str, Any], name: str, key: str) -> Report:
    try:
        return parse_message(event, name, parsing.text(event, key))
    except BadResponse:
        return UNPARSABLE
