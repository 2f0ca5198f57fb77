"""Simulated time: it stands still while anything is done, and then jumps."""

from __future__ import annotations

import asyncio
from datetime import timedelta
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory

IDLE = 0.0002
"""Real seconds after which nothing is on its way over loopback any more.

Loopback delivers within the call that sends, but for a busy machine.
"""
PAUSE = 0.001
"""Real seconds between two looks while a thread works."""
TICK = timedelta(microseconds=1)


class Clock:
    """Frozen time that jumps to the next timer of the loop whenever the loop is idle.

    It is idle when it has nothing to do, no thread works for it, and nothing is on its
    way to it. So what takes time are waits, each as long as it says, and nothing else.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, freezer: FrozenDateTimeFactory
    ) -> None:
        """Take over a loop whose clock is frozen, until it ends."""
        # debug mode takes a jump for a slow callback
        loop.set_debug(enabled=False)
        inside: Any = loop
        self.time = loop.time
        self.freezer = freezer
        self._at_work = 0
        self._select = inside._selector.select
        self._run_in_executor = inside.run_in_executor
        inside._selector.select = self._wait
        inside.run_in_executor = self._work
        # else a timer that is due just now, while time stands still, never is
        inside._clock_resolution = TICK.total_seconds()

    async def run(self, seconds: float, step: float = 0.0) -> None:
        """Let time pass; with `step` so much at once, however many timers are due."""
        end = self.time() + seconds
        while step and (left := end - self.time()) > 0:
            self.freezer.tick(timedelta(seconds=min(step, left)) + TICK)
            await self.settle()
        await asyncio.sleep(end - self.time())

    async def settle(self) -> None:
        """Let all happen that needs no time."""
        await asyncio.sleep(TICK.total_seconds())

    def _wait(self, timeout: float | None) -> Any:
        """Do what a selector's `select` does."""
        if timeout is None or timeout <= 0:
            return self._select(timeout)
        while self._at_work:
            if ready := self._select(PAUSE):
                return ready
        if not (ready := self._select(0)):
            # a selector only waits whole milliseconds
            time.sleep(IDLE)
            ready = self._select(0)
        if not ready:
            # a timer must not be early by what a timedelta rounds
            self.freezer.tick(timedelta(seconds=timeout) + TICK)
        return ready

    def _work(self, *args: Any) -> asyncio.Future[Any]:
        """Do what a loop's `run_in_executor` does."""
        self._at_work += 1
        future: asyncio.Future[Any] = self._run_in_executor(*args)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: asyncio.Future[Any]) -> None:
        self._at_work -= 1
