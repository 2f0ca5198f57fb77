"""From an instance to a linked instance, code by code, without Home Assistant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING

from .code_clock import GAP, OVERDUE_INTERVAL, CodeClock
from .providers.models import (
    Action,
    BadResponse,
    GatewayError,
    InstanceStatus,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
)
from .qr import blank, render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .providers.base import Provider
    from .providers.models import QrCode

# all in seconds
POLL_INTERVAL = 2.0
GRACE = 5.0
"""How long a session may look stopped after its start, or after a scan."""
PATIENCE = 30.0
"""How long the gateway may be gone."""
DEADLINE = 290.0


class Phase(StrEnum):
    """Where a pairing is; all but the first three end it."""

    WAITING = "waiting"
    SCAN = "scan"
    LINKING = "linking"
    LINKED = "linked"
    ROUND_OVER = "round_over"
    FAILED = "instance_failed"
    GONE = "instance_gone"
    UNREACHABLE = "gateway_gone"
    NOT_UNDERSTOOD = "not_a_gateway"
    UNAUTHORIZED = "invalid_auth"
    REJECTED = "rejected"


ONGOING = frozenset({Phase.WAITING, Phase.SCAN, Phase.LINKING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What to show to the person: in the phase `SCAN` with a picture."""

    phase: Phase
    png: bytes | None = field(default=None, repr=False)
    message: str = ""
    """The gateway's own words, where it rejected something."""


class _CodeRefused(GatewayError):
    """The gateway has the instance and gives no code for it."""


def _outcome(err: GatewayError) -> Pairing:
    """Tell what has gone wrong for too long."""
    if isinstance(err, _CodeRefused):
        return Pairing(phase=Phase.REJECTED, message=str(err))
    bad = isinstance(err, BadResponse)
    return Pairing(phase=Phase.NOT_UNDERSTOOD if bad else Phase.UNREACHABLE)


async def pair(provider: Provider, instance_id: str) -> AsyncGenerator[Pairing]:
    """Yield what to show whenever it changes, the outcome last.

    Starts the session where it does not run. Ends by itself after 5 minutes.
    """
    watch = _Watch(provider, instance_id, await asyncio.to_thread(blank))
    shown = None
    while shown is None or shown.phase in ONGOING:
        if (pairing := await watch.next()) != shown:
            shown = pairing
            yield pairing


class _Watch:
    """The state of one pairing; times are of the monotonic clock."""

    def __init__(self, provider: Provider, instance_id: str, blank: bytes) -> None:
        self.provider = provider
        self.instance_id = instance_id
        self.blank = blank
        self.deadline = monotonic() + DEADLINE
        self.phase = Phase.WAITING
        self.code: QrCode | None = None
        self.png: bytes | None = None
        self.started = False
        self.look_at = self.refresh_at = self.code_ends = 0.0
        self.clock = CodeClock()
        self.down_since: float | None = None
        self.trouble_since: float | None = None

    async def next(self) -> Pairing:
        """Look at the instance once more, unless the code on screen ends first."""
        ends = min(self.deadline, self.code_ends) if self.code else self.deadline
        try:
            async with asyncio.timeout(max(0.0, ends - monotonic())):
                await asyncio.sleep(self.look_at - monotonic())
                return await self._look()
        except TimeoutError:
            self._forget_code()
            if ends == self.deadline:
                return Pairing(phase=self._failure())
            self.look_at = ends + GAP
            return self._pairing()

    async def _look(self) -> Pairing:
        self.look_at = monotonic() + POLL_INTERVAL
        try:
            self.phase = await self._phase()
        except NotFound:
            return Pairing(phase=Phase.GONE)
        except Unauthorized:
            return Pairing(phase=Phase.UNAUTHORIZED)
        except Rejected as err:
            return Pairing(phase=Phase.REJECTED, message=str(err))
        except RateLimited as err:
            self.look_at = monotonic() + err.retry_after
            self.trouble_since = None
        except GatewayError as err:
            self.trouble_since = self.trouble_since or monotonic()
            if monotonic() - self.trouble_since > PATIENCE:
                return _outcome(err)
        else:
            self.trouble_since = None
        return self._pairing()

    async def _phase(self) -> Phase:
        """Bring the instance closer to a scan, and tell how far it is."""
        asked_at = monotonic()
        status = (await self.provider.instance(self.instance_id)).status
        if status is InstanceStatus.CONNECTED:
            return Phase.LINKED
        if status is InstanceStatus.SCAN_QR:
            self.started, self.down_since = True, None
            if monotonic() >= self.refresh_at:
                await self._fetch_code()
            return Phase.SCAN if self.code else self.phase
        self._forget_code()
        if status is None:
            return self.phase
        self.clock.note_absence(asked_at)
        if status is InstanceStatus.STARTING:
            self.down_since = None
            self.look_at = monotonic() + OVERDUE_INTERVAL
            return self.phase if self.phase is Phase.WAITING else Phase.LINKING
        # some start only when asked again
        if not self.started or status is InstanceStatus.CREATED:
            await self.provider.perform(Action.CONNECT, self.instance_id)
            self.started = True
        self.down_since = self.down_since or monotonic()
        grace = PATIENCE if status is InstanceStatus.CREATED else GRACE
        down = monotonic() - self.down_since > grace
        return self._failure() if down else self.phase

    async def _fetch_code(self) -> None:
        asked_at = monotonic()
        try:
            code = await self.provider.qr(self.instance_id)
        except (NotFound, Rejected) as err:
            # the status tells what is wrong with the instance
            raise _CodeRefused(str(err)) from err
        ends = 0.0
        if code:
            ends, self.refresh_at = self.clock.follow(code, asked_at)
        if code is None or ends <= monotonic():
            self._forget_code()
            self.look_at = monotonic() + OVERDUE_INTERVAL
            return
        if code != self.code:
            self.png = await asyncio.to_thread(render, code)
        self.code, self.code_ends = code, ends

    def _forget_code(self) -> None:
        self.code = self.png = None
        self.refresh_at = 0.0

    def _failure(self) -> Phase:
        """Tell codes that ran out from an instance that does not get that far."""
        return Phase.ROUND_OVER if self.phase is Phase.SCAN else Phase.FAILED

    def _pairing(self) -> Pairing:
        png = self.png or self.blank
        return Pairing(phase=self.phase, png=png if self.phase is Phase.SCAN else None)
