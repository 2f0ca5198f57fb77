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

from ..providers.capabilities import unexpected
from ..providers.messages import IncomingMessage
from ..providers.models import (
    TOO_LARGE,
    GatewayError,
    InstanceChanged,
    RateLimited,
    Skipped,
    TooLarge,
    Unauthorized,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..providers.base import Provider
    from ..providers.capabilities import Events, Report

MIN_DELAY_SECONDS = 5.0
MAX_DELAY_SECONDS = 300.0
"""Shortest and longest time between two attempts if the gateway can't be reached or
refuses them: a proxy answers oddly while a gateway starts."""
MIN_PAUSE_SECONDS = 1.0
STABLE_SECONDS = 60.0
"""How long a connection lasts until it counts as working."""

_LOGGER = logging.getLogger(__name__)


class Stream:
    """The connection over which a gateway reports its events."""

    def __init__(
        self,
        provider: Provider,
        events: Events,
        name: str,
        handle: Callable[[Report], None],
    ) -> None:
        """Hand each event to `handle`; `name` is that of the account in the log."""
        self._provider = provider
        self._events = events
        self._name = name
        self._handle = handle
        self._delay = MIN_DELAY_SECONDS
        self._refused = False
        """Whether the gateway has refused since it last reported something."""
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
            except TooLarge:
                self._handle(TOO_LARGE)
                wait = MIN_PAUSE_SECONDS
            except RateLimited as err:
                # the rest of a pause may be next to nothing
                wait = max(err.retry_after, MIN_PAUSE_SECONDS)
            except Unreachable:
                wait = self._next_delay()
            except GatewayError as err:
                if isinstance(err, Unauthorized):
                    # only a poll can tell whether it rejects the key everywhere
                    self._handle(InstanceChanged())
                if not self._refused:
                    self._refused = True
                    _LOGGER.debug("%s reports no events: %s", self._name, err)
                wait = self._next_delay()
            except Exception as err:  # noqa: BLE001
                self._handle(unexpected(err))
                wait = self._next_delay()
            finally:
                self._set_connected(connected=False)
            await asyncio.sleep(wait)

    @property
    def is_stable(self) -> bool:
        """Whether the connection has lasted for a while."""
        if not self.connected or self.connected_at is None:
            return False
        return monotonic() - self.connected_at >= STABLE_SECONDS

    def _next_delay(self) -> float:
        """Return the seconds until the next attempt, longer each time."""
        if self.is_stable:
            self._delay = MIN_DELAY_SECONDS
        delay = uniform(self._delay / 2, self._delay)  # noqa: S311
        self._delay = min(2 * self._delay, MAX_DELAY_SECONDS)
        return delay

    async def _async_follow(self) -> None:
        """Connect once, and hand over what is reported until the connection ends."""
        async with aclosing(self._events.follow()) as events:
            async for event in events:
                if not self.connected:
                    self._refused = False
                    self._set_connected(connected=True)
                if event is None:
                    self.events["other"] += 1
                    continue
                self._handle(event)
                if isinstance(event, IncomingMessage):
                    self.events["message"] += 1
                    # what has arrived already is read without a pause
                    await asyncio.sleep(0)
                elif isinstance(event, Skipped):
                    self.events["other"] += 1
                else:
                    self.events["code" if event.has_code else "status"] += 1

    def _set_connected(self, *, connected: bool) -> None:
        """Note whether events arrive; what happened before is seen by a poll."""
        if connected is self.connected:
            return
        self.connected = connected
        if connected:
            self.connections += 1
            self.connected_at = monotonic()
        if not self._provider.closed:
            text = "reported at once" if connected else "found by polling"
            _LOGGER.info("Changes of %s are %s", self._name, text)
            self._handle(InstanceChanged())
