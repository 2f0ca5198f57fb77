"""The QR code of an instance that can be scanned now."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from ..providers.models import GatewayError, InstanceStatus
from .code_clock import CodeClock
from .qr import render

if TYPE_CHECKING:
    from ..providers.base import Provider
    from ..providers.models import QrCode

# both in seconds
GAP = 0.6
"""From hiding a code to asking for the next one; the gateway has it by then."""
OVERDUE_INTERVAL = 1.5
"""Between two looks while the next code is overdue."""


class LiveCode:
    """Keep the code of one instance, so that all who show it cause one request.

    All times are of the monotonic clock.
    """

    def __init__(self, provider: Provider, instance_id: str) -> None:
        """Start without a code."""
        self.provider = provider
        self.instance_id = instance_id
        self._clock = CodeClock()
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self.events = 0
        """Number of events that the gateway has reported about the instance."""
        self._refreshing = asyncio.Lock()
        self._code: QrCode | None = None
        self._png: bytes | None = None
        self._refresh_at = -inf
        self._fetched_at = -inf
        self.ends_at = -inf
        """When the code has to be hidden."""

    @property
    def png(self) -> bytes | None:
        """Return the picture of the code, None if there is no code right now."""
        return self._png if monotonic() < self.ends_at else None

    @property
    def next_look_at(self) -> float:
        """Return when to ask for the code again."""
        if self._png is None:
            return self._refresh_at
        # right at its end the gateway may still give the code that was just hidden
        next_code_at = self.ends_at + GAP
        ended = monotonic() >= self.ends_at
        return next_code_at if ended else min(self._refresh_at, next_code_at)

    async def look(self, *, fresh: bool = False) -> InstanceStatus | None:
        """Return the status of the instance, and refresh the code if it is time to.

        With `fresh` it is always time to.

        Raises a `GatewayError`; `BadResponse` also if the code can't be drawn.
        """
        async with self._lock:
            try:
                return await self._look(fresh=fresh)
            except GatewayError:
                self._refresh_at = max(self._refresh_at, monotonic() + OVERDUE_INTERVAL)
                raise

    def wake(self, *, has_code: bool) -> None:
        """Note that something has changed; `has_code` if there is a new code."""
        self.events += 1
        self._woken.set()
        self._woken = asyncio.Event()
        if has_code:
            self._refresh_at = -inf

    async def wait(self, seconds: float) -> None:
        """Wait, but only until the next event."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def refresh(self, max_age: float) -> None:
        """Refresh the code, unless that was done in the last `max_age` seconds."""
        async with self._refreshing:
            recent = self.png and monotonic() - self._fetched_at < max_age
            if monotonic() < self.next_look_at or recent:
                return
            if await self.look() is not InstanceStatus.SCAN_QR:
                # whoever asks may learn of the new status later, and asks again
                self._refresh_at = monotonic() + OVERDUE_INTERVAL

    async def _look(self, *, fresh: bool) -> InstanceStatus | None:
        asked_at = monotonic()
        with_code = fresh or asked_at >= self.next_look_at
        if with_code:
            self._fetched_at = asked_at
        state = await self.provider.link_state(self.instance_id, with_code=with_code)
        if state.status is not InstanceStatus.SCAN_QR:
            self._forget()
            if state.status is not None:
                self._clock.note_absence(asked_at)
        elif with_code:
            await self._take(state.code, asked_at)
        return state.status

    async def _take(self, code: QrCode | None, asked_at: float) -> None:
        """Show this code from now on."""
        ends_at = refresh_at = -inf
        if code:
            ends_at, refresh_at = self._clock.follow(code, asked_at)
        if code is None or ends_at <= monotonic():
            self._forget()
            self._refresh_at = monotonic() + OVERDUE_INTERVAL
            return
        if code != self._code:
            # drawn first: a code that can't be drawn is asked for again at once
            self._png = await asyncio.to_thread(render, code)
        self._code, self.ends_at, self._refresh_at = code, ends_at, refresh_at

    def note_absence(self, asked_at: float) -> None:
        """Note that the instance did not wait for a scan at this time."""
        self._clock.note_absence(asked_at)

    def _forget(self) -> None:
        self._code = self._png = None
        self.ends_at = self._refresh_at = -inf
