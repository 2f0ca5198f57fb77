"""Simulated time: the clock and the event loop go on together, at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from freezegun import api

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from freezegun.api import FrozenDateTimeFactory

    from homeassistant.core import HomeAssistant

# the first in simulated seconds, the second in real ones: 20 times as fast
STEP = 0.1
REAL_STEP = 0.005


class Clock:
    """Frozen time by which the loop's timers run: they come due as it is put forward.

    What the loop spends on work really is simulated time as well, but tiny.
    """

    def __init__(self, hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
        """Take the loop's clock over."""
        self.hass = hass
        self.freezer = freezer
        self.loop = hass.loop
        self._ahead = hass.loop.time() - api.real_monotonic()
        self._frozen_at = hass.loop.time()
        self.patience = 10.0
        """Real seconds after which work under way is left to its time limit."""
        # for good: the loop's timers are set by it, and the loop ends with the test
        vars(hass.loop)["time"] = self.time
        # which takes each step for a slow callback
        hass.loop.set_debug(False)

    def time(self) -> float:
        """Return the loop's time."""
        return api.real_monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        self._ahead += seconds
        now = self.time()
        self.freezer.tick(timedelta(seconds=now - self._frozen_at))
        self._frozen_at = now

    def timers(self) -> list[asyncio.TimerHandle]:
        """Return the timers that are set."""
        scheduled: list[asyncio.TimerHandle] = vars(self.loop)["_scheduled"]
        return [timer for timer in scheduled if not timer.cancelled()]

    async def settle(self) -> None:
        """Let all happen that is due."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self.patience):
                await self.hass.async_block_till_done(wait_background_tasks=True)
        except TimeoutError:
            pass

    async def run(self, seconds: float, step: float = 0.0) -> None:
        """Let time pass in steps, else from timer to timer."""
        end = self.time() + seconds
        # else what is under way would run out of time
        await self.settle()
        while (left := end - self.time()) > 0:
            due = min((timer.when() for timer in self.timers()), default=end)
            self.advance(min(left, max(step, due - self.time(), 0.001)))
            await self.settle()

    async def during[T](self, doing: Coroutine[Any, Any, T], step: float = STEP) -> T:
        """Let time run while something is done."""
        task = self.loop.create_task(doing)
        while not task.done():
            await asyncio.wait({task}, timeout=REAL_STEP)
            self.advance(step)
        return await task
