"""Follow the events of a gateway, so that changes are seen at once.

A change only makes the poll come early. So an account works as well without events.
Messages are handed to the inbox.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
import logging
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING

from ..providers.messages import IncomingMessage
from ..providers.models import (
    GatewayError,
    RateLimited,
    Unauthorized,
    Unreachable,
)

if TYPE_CHECKING:
    from ..coordinator import GatewayCoordinator

# all in seconds
MIN_DELAY = 5.0
MAX_DELAY = 300.0
"""Between two attempts, if the gateway can't be reached."""
MIN_PAUSE = 1.0
UNSUPPORTED_DELAY = 3600.0
"""Between two attempts, if the gateway refuses them."""

_LOGGER = logging.getLogger(__name__)


class Push:
    """The connection over which a gateway reports its events."""

    def __init__(self, coordinator: GatewayCoordinator) -> None:
        """Connect when `async_run` is called."""
        self._coordinator = coordinator
        self._delay = MIN_DELAY
        self.connected = False
        self.connected_at: float | None = None
        """When it connected last, of the monotonic clock."""
        self.connections = 0
        self.events: Counter[str] = Counter()
        """Number of events by their kind."""

    async def async_run(self) -> None:
        """Follow the events until the account is unloaded."""
        while True:
            try:
                await self._async_follow()
            except RateLimited as err:
                # the rest of a pause may be next to nothing
                wait = max(err.retry_after, MIN_PAUSE)
            except Unreachable:
                wait = self._next_delay()
            except GatewayError as err:
                if isinstance(err, Unauthorized):
                    # only a poll can tell whether it rejects the key everywhere
                    self._coordinator.async_request_poll()
                _LOGGER.debug("%s reports no events: %s", self._coordinator.name, err)
                # a proxy answers oddly while a gateway that reports events restarts
                wait = self._next_delay() if self.connections else UNSUPPORTED_DELAY
            finally:
                self._set_connected(connected=False)
            await asyncio.sleep(wait)

    def _next_delay(self) -> float:
        """Return the seconds until the next attempt, longer each time."""
        delay = uniform(self._delay / 2, self._delay)  # noqa: S311
        self._delay = min(2 * self._delay, MAX_DELAY)
        return delay

    async def _async_follow(self) -> None:
        """Connect once, and hand over what is reported until the connection ends."""
        async with aclosing(self._coordinator.provider.events()) as events:
            async for event in events:
                if not self.connected:
                    self._delay = MIN_DELAY
                    self._set_connected(connected=True)
                if event is None:
                    self.events["other"] += 1
                elif isinstance(event, IncomingMessage):
                    self.events["message"] += 1
                    self._coordinator.inbox.put(event)
                    # what has arrived already is read without a pause
                    await asyncio.sleep(0)
                else:
                    self.events["code" if event.has_code else "status"] += 1
                    self._coordinator.async_handle_event(event)

    def _set_connected(self, *, connected: bool) -> None:
        """Note whether events arrive; what happened before is seen by a poll."""
        if connected is self.connected:
            return
        self.connected = connected
        if connected:
            self.connections += 1
            self.connected_at = monotonic()
        if not self._coordinator.provider.closed:
            text = "reported at once" if connected else "found by polling"
            _LOGGER.info("Changes of %s are %s", self._coordinator.name, text)
            self._coordinator.async_request_poll()
