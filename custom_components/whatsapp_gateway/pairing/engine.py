"""Bring an instance from any status to a linked phone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, override

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
    Unreachable,
)
from .live_code import OVERDUE_INTERVAL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .live_code import LiveCode

# all in seconds
LOOK_INTERVAL = 2.0
GRACE = 5.0
"""How long a session may look stopped after its start, or after a scan."""
FAILED_AGAIN = 15.0
"""How long a session has to be seen as failed after its restart to be logged out."""
FAILED_INTERVAL = 0.5
"""Between two looks meanwhile: some sessions start for 0.4 s only, and fail again."""
EVENT_INTERVAL = 0.2
"""Between an event and the look at what has changed."""
PATIENCE = 30.0
"""How long the gateway may be unreachable."""
CREATED_GRACE = 30.0
"""How long a session may look as if it had never been started, after its start."""
DEADLINE = 290.0
CODE_PATIENCE = 20.0
"""How long an instance may wait without a pairing code; twice that with its start."""
CODE_RETRY = 5.0
"""Between two requests for a pairing code, if the first one failed."""


class Phase(StrEnum):
    """Progress of a pairing. A phase that isn't in `ONGOING` ends it."""

    WAITING = "waiting"
    SCAN = "scan"
    NEXT_CODE = "next_code"
    ENTER_CODE = "enter_code"
    PASSKEY = "passkey"
    LINKING = "linking"
    LINKED = "linked"
    EXPIRED = "codes_expired"
    NO_CODE = "no_pairing_code"
    NO_PASSKEY = "passkey_required"
    FAILED = "instance_failed"
    NEEDS_LOGOUT = "needs_logout"
    """It failed again after it was restarted; only a logout may help."""
    GONE = "instance_gone"
    ACCOUNT_GONE = "account_gone"
    UNREACHABLE = "gateway_gone"
    UNEXPECTED = "unexpected_response"
    UNAUTHORIZED = "invalid_auth"
    REJECTED = "rejected"


ONGOING = frozenset(
    {
        Phase.WAITING,
        Phase.SCAN,
        Phase.NEXT_CODE,
        Phase.ENTER_CODE,
        Phase.PASSKEY,
        Phase.LINKING,
    }
)
DOWN = frozenset(
    {InstanceStatus.CREATED, InstanceStatus.DISCONNECTED, InstanceStatus.FAILED}
)
"""Statuses of a session that has to be started."""
FAILURES = {
    Phase.SCAN: Phase.EXPIRED,
    Phase.ENTER_CODE: Phase.EXPIRED,
    Phase.PASSKEY: Phase.NO_PASSKEY,
}
"""How a pairing without success ends, by its last phase; `FAILED` for all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What to show to the user: a picture in `SCAN`, a code in `ENTER_CODE`."""

    phase: Phase
    png: bytes | None = field(default=None, repr=False)
    code: str = field(default="", repr=False)
    message: str = ""
    """The gateway's own words, if it rejected something."""


async def pair(
    live_code: LiveCode, phone_number: str | None = None, *, may_log_out: bool = True
) -> AsyncGenerator[Pairing]:
    """Yield what to show whenever it changes, and finally the outcome.

    Links by a pairing code if a phone number is given, otherwise by a QR code. Starts
    the session if it doesn't run. Logs it out if it fails again after a restart without
    having shown a code: it may have kept credentials that WhatsApp refuses. Without
    `may_log_out` it ends with `NEEDS_LOGOUT` then. Ends after 5 minutes at the latest.
    Raises `Closed` if the account is unloaded meanwhile.
    """
    watch = _CodeWatch(live_code, phone_number) if phone_number else _Watch(live_code)
    watch.may_log_out = may_log_out
    shown = None
    while shown is None or shown.phase in ONGOING:
        if (pairing := await watch.next()) != shown:
            shown = pairing
            yield pairing


class _Watch:
    """State of one pairing by QR code; all times are of the monotonic clock."""

    def __init__(self, live_code: LiveCode) -> None:
        self.live_code = live_code
        self.deadline = monotonic() + DEADLINE
        self.phase = Phase.WAITING
        self.first = True
        self.started = False
        self.may_log_out = True
        self.started_without_code = False
        """Whether the session has shown no code since this pairing has started it."""
        self.restarted = False
        """Whether this pairing has restarted the session when it had failed."""
        self.failed_since: float | None = None
        """Since when all looks have found the session failed."""
        self.logged_out = False
        self.look_at = 0.0
        self.events = live_code.events
        self.down_since: float | None = None
        self.failing_since: float | None = None
        self.missing_since: float | None = None

    async def next(self) -> Pairing:
        """Look at the instance once more, or hide a code that expires before that."""
        ends_at = self._hide_at()
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
        """Wait until the next look; an event or an unloaded account ends it early."""
        while (wait := self.look_at - monotonic()) > 0:
            if self.live_code.provider.closed:
                raise Closed
            if self.live_code.events != self.events:
                # a flood of events must not become a flood of requests
                await asyncio.sleep(min(wait, EVENT_INTERVAL))
                return
            await self.live_code.wait(min(wait, LOOK_INTERVAL))

    async def _look(self) -> Pairing:
        asked_at = monotonic()
        self.events = self.live_code.events
        self.look_at = asked_at + LOOK_INTERVAL
        try:
            self.phase = await self._advance()
        except Closed:
            raise
        except NotFound:
            # one answer may be wrong
            self.missing_since = self.missing_since or asked_at
            if asked_at - self.missing_since >= LOOK_INTERVAL:
                return Pairing(phase=Phase.GONE)
        except Unauthorized:
            return Pairing(phase=Phase.UNAUTHORIZED)
        except RateLimited as err:
            self.look_at = monotonic() + err.retry_after
            self.failing_since = None
        except GatewayError as err:
            if isinstance(err, Rejected) and not isinstance(err, CodeRejected):
                return Pairing(phase=Phase.REJECTED, message=str(err))
            self.failing_since = self.failing_since or asked_at
            if monotonic() - self.failing_since > PATIENCE:
                return _outcome(err)
        else:
            self.failing_since = self.missing_since = None
        return self._pairing()

    async def _advance(self) -> Phase:
        """Look at the instance, start its session if needed, and return the phase."""
        failed_since, self.failed_since = self.failed_since, None
        status = await self._status()
        self.first = False
        if status is InstanceStatus.FAILED:
            self.failed_since = failed_since or monotonic()
        if status is InstanceStatus.CONNECTED:
            return Phase.LINKED
        if status is None:
            return self.phase
        if status in DOWN:
            return await self._bring_up(status)
        self.down_since = None
        if status is InstanceStatus.STARTING:
            self.look_at = monotonic() + OVERDUE_INTERVAL
            return self.phase if self.phase is Phase.WAITING else Phase.LINKING
        self.started_without_code = False
        if status is InstanceStatus.PASSKEY:
            return Phase.PASSKEY
        self.started = True
        return await self._waiting()

    async def _bring_up(self, status: InstanceStatus) -> Phase:
        """Start a session, or log it out if it has failed again after its restart."""
        # some sessions only start when asked again
        if not self.started or status is InstanceStatus.CREATED:
            await self._start(status)
            self.started = self.started_without_code = True
            self.restarted = status is InstanceStatus.FAILED
            self.failed_since = None
        now = monotonic()
        self.down_since = self.down_since or now
        failed = status is InstanceStatus.FAILED
        if failed and self.started_without_code and self._can_recover:
            return await self._recover()
        grace = CREATED_GRACE if status is InstanceStatus.CREATED else GRACE
        return self._failure() if now - self.down_since > grace else self.phase

    @property
    def _can_recover(self) -> bool:
        """Whether a logout may help an instance that has failed."""
        needed = {Action.RESTART, Action.LOGOUT}
        return needed <= self.live_code.provider.actions and not self.logged_out

    async def _recover(self) -> Phase:
        """Restart a failed session, and log it out if it fails again all the time.

        A single look doesn't tell: a session that restarts by itself, and may connect
        then, has also failed most of the time.
        """
        failed_for = monotonic() - (self.failed_since or monotonic())
        if self.restarted and failed_for > FAILED_AGAIN:
            return await self._log_out() if self.may_log_out else Phase.NEEDS_LOGOUT
        if not self.restarted and failed_for > GRACE:
            await self._start(InstanceStatus.FAILED)
            self.restarted, self.failed_since = True, None
        self.look_at = monotonic() + FAILED_INTERVAL
        return self.phase

    def _hide_at(self) -> float:
        """Return when to hide what is shown, or when the pairing ends."""
        shown_until = self.live_code.ends_at if self.live_code.png else self.deadline
        return min(self.deadline, shown_until)

    async def _status(self) -> InstanceStatus | None:
        """Return the status of the instance."""
        # the code of an earlier round may be left
        return await self.live_code.look(fresh=self.first)

    async def _start(self, status: InstanceStatus | None = None) -> None:
        """Start the session; one that has failed is restarted, if that is possible."""
        provider = self.live_code.provider
        failed = status is InstanceStatus.FAILED and Action.RESTART in provider.actions
        action = Action.RESTART if failed else Action.CONNECT
        await provider.perform(action, self.live_code.instance_id)

    async def _log_out(self) -> Phase:
        """Log out the session, which then starts by itself or has to be started."""
        await self.live_code.provider.perform(Action.LOGOUT, self.live_code.instance_id)
        self.logged_out, self.started = True, False
        self.down_since = self.failed_since = None
        self.look_at = monotonic() + LOOK_INTERVAL
        return Phase.WAITING

    async def _waiting(self) -> Phase:
        """Return the phase of an instance that waits to be linked."""
        if self.live_code.png:
            return Phase.SCAN
        self.look_at = monotonic() + OVERDUE_INTERVAL
        return self.phase

    def _failure(self) -> Phase:
        """Return the phase that ends a pairing without success."""
        return FAILURES.get(self.phase, Phase.FAILED)

    def _pairing(self) -> Pairing:
        if self.phase is Phase.SCAN:
            png = self.live_code.png
            return Pairing(phase=Phase.SCAN if png else Phase.NEXT_CODE, png=png)
        return Pairing(phase=self.phase)


class _CodeWatch(_Watch):
    """State of one pairing by a code to enter on the phone."""

    def __init__(self, live_code: LiveCode, phone_number: str) -> None:
        super().__init__(live_code)
        self.phone_number = phone_number
        self.code: str | None = None
        self.ask_at = 0.0
        self.has_waited = False
        self.give_up_at = monotonic() + 2 * CODE_PATIENCE

    @override
    def _hide_at(self) -> float:
        return self.deadline

    @override
    async def _advance(self) -> Phase:
        phase = await super()._advance()
        late = monotonic() > self.give_up_at
        return Phase.NO_CODE if phase is Phase.WAITING and late else phase

    @override
    async def _status(self) -> InstanceStatus | None:
        status = await self._look_up()
        if self.first and status not in {InstanceStatus.CONNECTED, *DOWN}:
            # also a session that waits already: it may do so for another phone number
            await self._start()
            status = await self._look_up()
        if status is not InstanceStatus.SCAN_QR:
            self.code, self.ask_at = None, 0.0
        return status

    async def _look_up(self) -> InstanceStatus | None:
        """Return the status of the instance, without its QR code."""
        live_code = self.live_code
        state = await live_code.provider.link_state(
            live_code.instance_id, with_code=False
        )
        return state.status

    @override
    async def _start(self, status: InstanceStatus | None = None) -> None:
        await self.live_code.provider.start_code_pairing(
            self.live_code.instance_id, self.phone_number
        )

    @override
    async def _log_out(self) -> Phase:
        phase = await super()._log_out()
        self.give_up_at = monotonic() + 2 * CODE_PATIENCE
        return phase

    @override
    async def _waiting(self) -> Phase:
        now = monotonic()
        if not self.has_waited:
            # the time until the session has started doesn't count
            self.has_waited, self.give_up_at = True, now + CODE_PATIENCE
        if now >= self.ask_at:
            await self._ask(now)
        return Phase.ENTER_CODE if self.code else self.phase

    async def _ask(self, now: float) -> None:
        """Ask for a new code; the present one stays until there is another one."""
        provider, self.ask_at = self.live_code.provider, now
        try:
            code = await provider.pairing_code(
                self.live_code.instance_id, self.phone_number
            )
        except (BadResponse, Unreachable):
            # some gateways report an invalid phone number like this
            self.ask_at = now + CODE_RETRY
            return
        if code:
            self.code = code
            self.ask_at = now + (provider.pairing_code_interval or DEADLINE)

    @override
    def _pairing(self) -> Pairing:
        code = f"{self.code[:4]}-{self.code[4:]}" if self.code else ""
        return Pairing(phase=self.phase, code=code)


def _outcome(err: GatewayError) -> Pairing:
    """Return the outcome after an error that lasted too long."""
    if isinstance(err, CodeRejected):
        return Pairing(phase=Phase.REJECTED, message=str(err))
    bad = isinstance(err, BadResponse)
    return Pairing(phase=Phase.UNEXPECTED if bad else Phase.UNREACHABLE)
