"""Bring an instance from any status to a linked phone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING

from ..providers.models import (
    Action,
    BadResponse,
    Closed,
    CodeRejected,
    GatewayError,
    InstanceStatus,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
)
from .live_code import OVERDUE_INTERVAL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .live_code import LiveCode

# all in seconds
LOOK_INTERVAL = 2.0
GRACE = 5.0
"""How long a session may look stopped after its start, or after a scan."""
PATIENCE = 30.0
"""How long the gateway may be unreachable."""
DEADLINE = 290.0


class Phase(StrEnum):
    """Progress of a pairing. A phase that isn't in `ONGOING` ends it."""

    WAITING = "waiting"
    SCAN = "scan"
    NEXT_CODE = "next_code"
    LINKING = "linking"
    LINKED = "linked"
    EXPIRED = "codes_expired"
    FAILED = "instance_failed"
    GONE = "instance_gone"
    ACCOUNT_GONE = "account_gone"
    UNREACHABLE = "gateway_gone"
    UNEXPECTED = "unexpected_response"
    UNAUTHORIZED = "invalid_auth"
    REJECTED = "rejected"


ONGOING = frozenset({Phase.WAITING, Phase.SCAN, Phase.NEXT_CODE, Phase.LINKING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What to show to the user: in the phase `SCAN` with a picture."""

    phase: Phase
    png: bytes | None = field(default=None, repr=False)
    message: str = ""
    """The gateway's own words, if it rejected something."""


async def pair(live_code: LiveCode) -> AsyncGenerator[Pairing]:
    """Yield what to show whenever it changes, and finally the outcome.

    Starts the session if it doesn't run. Ends after 5 minutes at the latest. Raises
    `Closed` if the account is unloaded meanwhile.
    """
    watch = _Watch(live_code)
    shown = None
    while shown is None or shown.phase in ONGOING:
        if (pairing := await watch.next()) != shown:
            shown = pairing
            yield pairing


class _Watch:
    """State of one pairing; all times are of the monotonic clock."""

    def __init__(self, live_code: LiveCode) -> None:
        self.live_code = live_code
        self.deadline = monotonic() + DEADLINE
        self.phase = Phase.WAITING
        self.first = True
        self.started = False
        self.look_at = 0.0
        self.down_since: float | None = None
        self.trouble_since: float | None = None

    async def next(self) -> Pairing:
        """Look at the instance once more, or hide a code that expires before that."""
        shown_until = self.live_code.ends_at if self.live_code.png else self.deadline
        ends_at = min(self.deadline, shown_until)
        try:
            async with asyncio.timeout(max(0.0, ends_at - monotonic())):
                await self._wait()
                return await self._look()
        except TimeoutError:
            if ends_at == self.deadline:
                return Pairing(phase=self._failure())
            self.look_at = self.live_code.next_look_at
            return self._pairing()

    async def _wait(self) -> None:
        """Wait until the next look; end early if the account is unloaded."""
        while (wait := self.look_at - monotonic()) > 0:
            if self.live_code.provider.closed:
                raise Closed
            await asyncio.sleep(min(wait, LOOK_INTERVAL))

    async def _look(self) -> Pairing:
        asked_at = monotonic()
        self.look_at = asked_at + LOOK_INTERVAL
        try:
            self.phase = await self._advance()
        except Closed:
            raise
        except NotFound:
            return Pairing(phase=Phase.GONE)
        except Unauthorized:
            return Pairing(phase=Phase.UNAUTHORIZED)
        except RateLimited as err:
            self.look_at = monotonic() + err.retry_after
            self.trouble_since = None
        except GatewayError as err:
            if isinstance(err, Rejected) and not isinstance(err, CodeRejected):
                return Pairing(phase=Phase.REJECTED, message=str(err))
            self.trouble_since = self.trouble_since or asked_at
            if monotonic() - self.trouble_since > PATIENCE:
                return _outcome(err)
        else:
            self.trouble_since = None
        return self._pairing()

    async def _advance(self) -> Phase:
        """Look at the instance, start its session if needed, and return the phase."""
        # the code of an earlier round may be left
        status = await self.live_code.look(fresh=self.first)
        self.first = False
        if status is InstanceStatus.CONNECTED:
            return Phase.LINKED
        if status is InstanceStatus.SCAN_QR:
            self.started, self.down_since = True, None
            if self.live_code.png:
                return Phase.SCAN
            self.look_at = monotonic() + OVERDUE_INTERVAL
            return self.phase
        if status is None:
            return self.phase
        if status is InstanceStatus.STARTING:
            self.down_since = None
            self.look_at = monotonic() + OVERDUE_INTERVAL
            return self.phase if self.phase is Phase.WAITING else Phase.LINKING
        # some sessions only start when asked again
        if not self.started or status is InstanceStatus.CREATED:
            live_code = self.live_code
            await live_code.provider.perform(Action.CONNECT, live_code.instance_id)
            self.started = True
        self.down_since = self.down_since or monotonic()
        grace = PATIENCE if status is InstanceStatus.CREATED else GRACE
        down = monotonic() - self.down_since > grace
        return self._failure() if down else self.phase

    def _failure(self) -> Phase:
        """Return `EXPIRED` if a code was shown, otherwise `FAILED`."""
        return Phase.EXPIRED if self.phase is Phase.SCAN else Phase.FAILED

    def _pairing(self) -> Pairing:
        if self.phase is Phase.SCAN:
            png = self.live_code.png
            return Pairing(phase=Phase.SCAN if png else Phase.NEXT_CODE, png=png)
        return Pairing(phase=self.phase)


def _outcome(err: GatewayError) -> Pairing:
    """Return the outcome after an error that lasted too long."""
    if isinstance(err, CodeRejected):
        return Pairing(phase=Phase.REJECTED, message=str(err))
    bad = isinstance(err, BadResponse)
    return Pairing(phase=Phase.UNEXPECTED if bad else Phase.UNREACHABLE)
