"""The QR codes that can be scanned now, each shared by all who show it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from ..providers.models import Closed, GatewayError, InstanceStatus
from .drawing import render

if TYPE_CHECKING:
    from collections.abc import Container

    from ..providers.base import Provider
    from ..providers.models import InstanceChanged, QrCode

LOOK_SECONDS = 2.0
"""Time between two looks at an instance and its code."""
EVENT_SECONDS = 0.2
"""Time from an event to the next look: many events must not cause many requests."""
UNCONFIRMED_SECONDS = 10.0
"""How long a code of unknown lifetime is shown after the gateway last returned it."""


class QrCodes:
    """The QR codes of an account."""

    def __init__(self, provider: Provider) -> None:
        """Ask this provider for the codes."""
        self._provider = provider
        self._feeds: dict[tuple[str, bool], QrCodeFeed] = {}

    def of(self, instance_id: str, *, with_code: bool = True) -> QrCodeFeed:
        """Return the code of an instance; without a code only its status."""
        new = QrCodeFeed(self._provider, instance_id, with_code=with_code)
        return self._feeds.setdefault((instance_id, with_code), new)

    def wake(self, event: InstanceChanged) -> None:
        """Look again soon at what an event is about."""
        for (instance_id, _), feed in self._feeds.items():
            if event.instance_id in {instance_id, None}:
                feed.wake(has_code=event.has_code)

    def keep(self, instance_ids: Container[str]) -> None:
        """Forget the codes of all other instances."""
        self._feeds = {
            key: feed for key, feed in self._feeds.items() if key[0] in instance_ids
        }


class QrCodeFeed:
    """The QR code of one instance, and the status that was reported with it.

    All times are of the monotonic clock.
    """

    def __init__(
        self, provider: Provider, instance_id: str, *, with_code: bool = True
    ) -> None:
        """Ask for the code as well, or for the status alone."""
        self.provider = provider
        self.instance_id = instance_id
        self._with_code = with_code
        self.look_at = -inf
        """When the next look is due."""
        self.ends_at = -inf
        """When the code has to be hidden."""
        self._code_at = -inf
        """When the next code is due; in the past if the end of this one isn't known."""
        self._code: QrCode | None = None
        self._png: bytes | None = None
        self._status: InstanceStatus | None = None
        self._error: GatewayError | None = None
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()

    @property
    def png(self) -> bytes | None:
        """Return the picture of the code, None if there is no code right now."""
        return self._png if monotonic() < self.ends_at else None

    @property
    def changes_at(self) -> float:
        """Return when there may be another picture."""
        changes_at = max(self.look_at, self._code_at)
        return min(changes_at, self.ends_at) if self.png else changes_at

    def wake(self, *, has_code: bool) -> None:
        """Look again soon; `has_code` if the gateway has a new code."""
        self.look_at = min(self.look_at, monotonic() + EVENT_SECONDS)
        if has_code:
            self._code_at = -inf
        self._woken.set()
        self._woken = asyncio.Event()

    async def wait(self) -> None:
        """Wait until the next look; raise `Closed` if the account is unloaded."""
        while (left := self.look_at - monotonic()) > 0:
            if self.provider.closed:
                raise Closed
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await self._woken.wait()

    async def look(self) -> InstanceStatus | None:
        """Return the status of the instance, and renew both if that is due.

        Raises a `GatewayError`; `BadResponse` also if the code can't be drawn.
        """
        async with self._lock:
            if monotonic() >= self.look_at:
                self._error = None
                try:
                    self._status = await self._ask()
                except GatewayError as err:
                    self._error = err
                    if self._code_at == -inf:
                        # nothing tells whether the code has ended meanwhile
                        limit = monotonic() + LOOK_SECONDS
                        self.ends_at = min(self.ends_at, limit)
            if self._error:
                raise self._error
            return self._status

    async def _ask(self) -> InstanceStatus | None:
        asked_at = monotonic()
        self.look_at = asked_at + LOOK_SECONDS
        with_code = self._with_code and asked_at >= self._code_at
        state = await self.provider.link_state(self.instance_id, with_code=with_code)
        waits = state.status is InstanceStatus.SCAN_QR
        if waits and state.code:
            await self._show(state.code)
        elif with_code or not waits:
            self._code = self._png = None
            self.ends_at = self._code_at = -inf
        if asked_at < self._code_at:
            self.look_at = min(self.look_at, self._code_at)
        return state.status

    async def _show(self, code: QrCode) -> None:
        answered_at = monotonic()
        is_new = code != self._code
        if is_new:
            self._png = await asyncio.to_thread(render, code)
            self._code = code
        if code.lifetime is None:
            self.ends_at = answered_at + UNCONFIRMED_SECONDS
            return
        if is_new:
            # estimates of one end differ, and a hidden code must not come back
            self.ends_at = answered_at + code.lifetime
        self._code_at = self.ends_at
