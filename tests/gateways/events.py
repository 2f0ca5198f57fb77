"""Events that a gateway sends to those who keep a connection open."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from .machine import Session

    type Sender = Callable[[bytes], Awaitable[None]]
    type Filter = Callable[[str, Session], bool]


class Events:
    """Tell who listens what has changed, and what a test wants to be sent."""

    def __init__(self) -> None:
        """Have no listeners."""
        self.on = False
        """Whether the gateway offers events at all; only some tests need them."""
        self.silent = False
        """Whether the connections stay open and nothing is sent."""
        self._senders: dict[Sender, Filter] = {}
        self._moved = asyncio.Event()

    @property
    def listeners(self) -> int:
        """Number of open connections."""
        return len(self._senders)

    def note(self) -> None:
        """Wake the listeners: something may have changed."""
        self._moved.set()
        self._moved = asyncio.Event()

    def stop(self) -> None:
        """End all connections."""
        self.on = False
        self.note()

    async def until_stopped(self) -> None:
        """Wait until all connections end."""
        while self.on:
            await self._moved.wait()

    async def send(self, data: bytes) -> None:
        """Send bytes, or the text of a message, to all listeners as they are."""
        for sender in list(self._senders):
            await sender(data)

    async def publish(self, event: str, session: Session, data: bytes) -> None:
        """Send an event about a session to all listeners who want it."""
        if self.silent:
            return
        for sender, wants in list(self._senders.items()):
            if wants(event, session):
                # a listener who has just left misses it
                with suppress(ConnectionError):
                    await sender(data)

    async def follow(
        self,
        sessions: Callable[[], Iterable[Session]],
        keep_alive: float,
        sender: Sender,
        wants: Filter = lambda _event, _session: True,
    ) -> AsyncIterator[Session | None]:
        """Yield a session whenever its state or its code changes, None after silence.

        `keep_alive` is in seconds. Meanwhile `send` uses this sender, and `publish`
        does for the events that the listener wants, by their names and sessions.
        """
        self._senders[sender] = wants
        try:
            known = _snapshot(sessions())
            while self.on:
                moved = self._moved
                now = _snapshot(sessions())
                news = [one for one in sessions() if now[one.id] != known.get(one.id)]
                known = now
                if not self.silent:
                    for session in news:
                        yield session
                changes = [one.changes_at() for one in sessions()]
                wait = min([*changes, inf]) - time.time()
                try:
                    async with asyncio.timeout(max(0.0, min(wait, keep_alive))):
                        await moved.wait()
                except TimeoutError:
                    if wait >= keep_alive and not self.silent:
                        yield None
        finally:
            self._senders.pop(sender, None)


def _snapshot(sessions: Iterable[Session]) -> dict[str, object]:
    return {one.id: (one.state, one.code and one.code.text) for one in sessions}
