"""Calls of a gateway to the addresses that it has been given."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession

if TYPE_CHECKING:
    from .server import Gateway

LOOK = 30.0
"""Seconds between two looks, if nothing has happened."""
FIRST_PAUSE = 5.0
"""Seconds before a call is repeated; each pause is twice as long as the last."""
MAX_PAUSE = 300.0
"""Seconds of the longest pause."""
REFUSALS = {400, 401, 403, 404, 422}
"""HTTP statuses after which a call is not repeated."""


@dataclass
class Endpoint:
    """An address, and what it is called for."""

    id: str
    url: str
    owner: str
    events: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    active: bool = True
    by_event: bool = False
    """Whether the name of the event becomes a part of the address."""
    with_media: bool = False
    """Whether an event about a message brings its file."""


class Webhooks:
    """Call the addresses that want to be told of a change.

    A call that gets no answer is repeated as often as the gateway does.
    """

    def __init__(self, gateway: Gateway) -> None:
        """Have no addresses."""
        self.endpoints: dict[str, Endpoint] = {}
        self.proxies: dict[str, str] = {}
        """What the beginning of a public address leads to."""
        self.silent = False
        """Whether no call gets through."""
        self.statuses: list[int] = []
        """HTTP status of each answer."""
        self._gateway = gateway
        self._task: asyncio.Task[None] | None = None
        self._repeats: set[asyncio.Task[None]] = set()

    @property
    def active(self) -> list[Endpoint]:
        """The addresses that are called."""
        return [one for one in self.endpoints.values() if one.active]

    def set(self, endpoint: Endpoint) -> None:
        """Add or replace an address."""
        self.endpoints[endpoint.id] = endpoint
        if self._task is None:
            self._gateway.events.on = True
            self._task = asyncio.create_task(self._run())

    def real(self, url: str) -> str:
        """Return where a public address leads to."""
        for public, real in self.proxies.items():
            if url.startswith(public):
                return real + url.removeprefix(public)
        return url

    def stop(self) -> None:
        """Repeat nothing any more."""
        for repeats in self._repeats:
            repeats.cancel()

    async def _run(self) -> None:
        sessions = self._gateway.sessions.values
        async for session in self._gateway.events.follow(sessions, LOOK, _nothing):
            if session is None:
                continue
            for endpoint in list(self.active):
                for event, body in self._gateway.reports(endpoint, session):
                    await self.tell(endpoint, event, body)

    async def tell(self, endpoint: Endpoint, event: str, body: Any) -> None:
        """Call one address, unless no call gets through."""
        url = self.real(endpoint.url)
        if endpoint.by_event:
            url += f"/{event.replace('.', '-')}"
        if self.silent or await self._call(url, endpoint.headers, body):
            return
        repeats = asyncio.create_task(self._repeat(url, endpoint.headers, body))
        self._repeats.add(repeats)
        repeats.add_done_callback(self._repeats.discard)

    async def _repeat(self, url: str, headers: dict[str, str], body: Any) -> None:
        for number in range(self._gateway.webhook_repeats):
            await asyncio.sleep(min(FIRST_PAUSE * 2**number, MAX_PAUSE))
            if await self._call(url, headers, body):
                return

    async def _call(self, url: str, headers: dict[str, str], body: Any) -> bool:
        """Call an address once; return whether that was the last time."""
        status = 0
        with suppress(ClientError, TimeoutError):
            async with (
                ClientSession() as client,
                client.post(url, json=body, headers=headers) as answer,
            ):
                status = answer.status
        self.statuses.append(status)
        return status in REFUSALS or 200 <= status < 300


async def _nothing(_data: bytes) -> None:
    """Send nothing: the connections are not open."""
