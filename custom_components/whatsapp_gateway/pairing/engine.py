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
from .qr_code import LOOK_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..providers.capabilities import PairingCodes
    from .qr_code import QrCodeFeed

DEADLINE_SECONDS = 290.0
UNREACHABLE_SECONDS = 30.0
"""How long the gateway may be unreachable."""
FAILED_AGAIN_SECONDS = 15.0
"""How long a session has to be seen as failed after its restart to be logged out."""
FAILED_INTERVAL_SECONDS = 0.5
"""Time between two looks meanwhile: some sessions start for 0.4 s, and fail again."""
NO_CODE_SECONDS = 20.0
"""How long an instance may wait without a pairing code; twice that with its start."""
CODE_RETRY_SECONDS = 5.0
"""Time between two requests for a pairing code, if the first one failed."""


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
    NOT_ALLOWED = "key_not_allowed"
    """The API key is rejected here only, as who asks the gateway has found out."""
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
GRACE = {
    InstanceStatus.CREATED: 30.0,
    InstanceStatus.DISCONNECTED: 5.0,
    InstanceStatus.FAILED: 5.0,
}
"""Seconds for which a session may look stopped after its start, or after a scan."""
FAILURES = {
    Phase.SCAN: Phase.EXPIRED,
    Phase.ENTER_CODE: Phase.EXPIRED,
    Phase.PASSKEY: Phase.NO_PASSKEY,
}
"""How a pairing without success ends, by its last phase; `FAILED` for all others."""
ERRORS = (
    (NotFound, Phase.GONE, LOOK_SECONDS),
    (Unauthorized, Phase.UNAUTHORIZED, 0.0),
    (CodeRejected, Phase.REJECTED, UNREACHABLE_SECONDS),
    (Rejected, Phase.REJECTED, 0.0),
    (BadResponse, Phase.UNEXPECTED, UNREACHABLE_SECONDS),
    (GatewayError, Phase.UNREACHABLE, UNREACHABLE_SECONDS),
)
"""How a pairing ends by an error, and the seconds for which that has to last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What to show to the user: a picture in `SCAN`, a code in `ENTER_CODE`."""

    phase: Phase
    png: bytes | None = field(default=None, repr=False)
    code: str = field(default="", repr=False)
    message: str = ""
    """The gateway's own words, if it rejected something."""


async def pair(
    feed: QrCodeFeed, phone_number: str | None = None, *, may_log_out: bool = True
) -> AsyncGenerator[Pairing]:
    """Yield what to show whenever it changes, and finally the outcome.

    Links by a pairing code if a phone number is given, otherwise by a QR code. Starts
    the session if it doesn't run. Logs it out if it fails again after a restart without
    having shown a code: it may have kept credentials that WhatsApp refuses. Without
    `may_log_out` it ends with `NEEDS_LOGOUT` then. Ends after 5 minutes at the latest.
    Raises `Closed` if the account is unloaded meanwhile.
    """
    codes = feed.provider.pairing_codes
    if phone_number and codes:
        watch: _QrCodeWatch = _PairingCodeWatch(feed, codes, phone_number)
    else:
        watch = _QrCodeWatch(feed)
    watch.may_log_out = may_log_out
    shown = None
    while shown is None or shown.phase in ONGOING:
        if (pairing := await watch.next()) != shown:
            shown = pairing
            yield pairing


class _QrCodeWatch:
    """State of one pairing by QR code; all times are of the monotonic clock."""

    def __init__(self, feed: QrCodeFeed) -> None:
        self.feed = feed
        self.provider = feed.provider
        self.instance_id = feed.instance_id
        self.deadline = monotonic() + DEADLINE_SECONDS
        self.phase = Phase.WAITING
        self.may_log_out = True
        self.started = False
        self.started_without_code = False
        """Whether the session has shown no code since this pairing has started it."""
        self.restarted = False
        """Whether this pairing has restarted the session when it had failed."""
        self.logged_out = False
        self.down_since: float | None = None
        self.failed_since: float | None = None
        """Since when all looks have found the session failed."""
        self.errors_since: dict[Phase, float] = {}
        """Since when there are only errors, by the phase to which they lead."""
        # an answer from before the pairing may be out of date
        feed.wake(has_code=True)

    async def next(self) -> Pairing:
        """Look at the instance once more, or hide a code that ends before that."""
        shows_code = self.phase is Phase.SCAN and self.feed.png
        ends_at = self.feed.ends_at if shows_code else self.deadline
        try:
            async with asyncio.timeout(min(ends_at, self.deadline) - monotonic()):
                await self.feed.wait()
                return await self._look()
        except TimeoutError:
            if monotonic() >= self.deadline:
                return Pairing(phase=FAILURES.get(self.phase, Phase.FAILED))
            return self._pairing()

    async def _look(self) -> Pairing:
        asked_at = monotonic()
        try:
            self.phase = await self._advance()
        except Closed:
            raise
        except RateLimited as err:
            self.feed.look_at = monotonic() + err.retry_after
            self.errors_since = {}
        except GatewayError as err:
            phase, patience = next(
                (phase, patience)
                for kind, phase, patience in ERRORS
                if isinstance(err, kind)
            )
            since = self.errors_since.setdefault(phase, asked_at)
            # one answer that the instance doesn't exist may be wrong, however slow
            until = asked_at if phase is Phase.GONE else monotonic()
            if until - since >= patience:
                message = str(err) if phase is Phase.REJECTED else ""
                return Pairing(phase=phase, message=message)
        else:
            self.errors_since = {}
        return self._pairing()

    async def _advance(self) -> Phase:
        """Look at the instance, start its session if needed, and return the phase."""
        failed_since, self.failed_since = self.failed_since, None
        status = await self._status()
        if status is None:
            return self.phase
        if status is InstanceStatus.FAILED:
            self.failed_since = failed_since or monotonic()
        if status in GRACE:
            return await self._bring_up(status)
        self.down_since = None
        if status is InstanceStatus.CONNECTED:
            return Phase.LINKED
        if status is InstanceStatus.STARTING:
            return self.phase if self.phase is Phase.WAITING else Phase.LINKING
        self.started_without_code = False
        if status is InstanceStatus.PASSKEY:
            return Phase.PASSKEY
        self.started = True
        return await self._waiting()

    async def _bring_up(self, status: InstanceStatus) -> Phase:
        """Start a session, or log it out if it has failed again after its restart."""
        failed = status is InstanceStatus.FAILED
        # some sessions only start when asked again
        if not self.started or status is InstanceStatus.CREATED:
            await self._start(failed=failed)
            self.started = self.started_without_code = True
            self.restarted, self.failed_since = failed, None
        now = monotonic()
        self.down_since = self.down_since or now
        if failed and self.started_without_code and self._can_recover:
            return await self._recover()
        is_late = now - self.down_since > GRACE[status]
        return FAILURES.get(self.phase, Phase.FAILED) if is_late else self.phase

    @property
    def _can_recover(self) -> bool:
        """Whether a logout may help an instance that has failed."""
        needed = {Action.RESTART, Action.LOGOUT}
        return needed <= self.provider.actions and not self.logged_out

    async def _recover(self) -> Phase:
        """Restart a failed session, and log it out if it fails again all the time.

        A single look doesn't tell: a session that restarts by itself, and may connect
        then, has also failed most of the time.
        """
        failed_for = monotonic() - (self.failed_since or monotonic())
        if self.restarted and failed_for > FAILED_AGAIN_SECONDS:
            return await self._log_out() if self.may_log_out else Phase.NEEDS_LOGOUT
        if not self.restarted and failed_for > GRACE[InstanceStatus.FAILED]:
            await self._start(failed=True)
            self.restarted, self.failed_since = True, None
        self.feed.look_at = monotonic() + FAILED_INTERVAL_SECONDS
        return self.phase

    async def _status(self) -> InstanceStatus | None:
        """Return the status of the instance."""
        return await self.feed.look()

    async def _start(self, *, failed: bool = False) -> None:
        """Start the session; one that has failed is restarted, if that is possible."""
        restart = failed and Action.RESTART in self.provider.actions
        action = Action.RESTART if restart else Action.CONNECT
        await self.provider.perform(action, self.instance_id)

    async def _log_out(self) -> Phase:
        """Log out the session, which then starts by itself or has to be started."""
        await self.provider.perform(Action.LOGOUT, self.instance_id)
        self.logged_out, self.started = True, False
        self.down_since = self.failed_since = None
        self.feed.look_at = monotonic() + LOOK_SECONDS
        return Phase.WAITING

    async def _waiting(self) -> Phase:
        """Return the phase of an instance that waits to be linked."""
        return Phase.SCAN if self.feed.png else self.phase

    def _pairing(self) -> Pairing:
        if self.phase is not Phase.SCAN:
            return Pairing(phase=self.phase)
        png = self.feed.png
        return Pairing(phase=Phase.SCAN if png else Phase.NEXT_CODE, png=png)


class _PairingCodeWatch(_QrCodeWatch):
    """State of one pairing by a code to enter on the phone."""

    def __init__(
        self, feed: QrCodeFeed, codes: PairingCodes, phone_number: str
    ) -> None:
        super().__init__(feed)
        self.codes = codes
        self.phone_number = phone_number
        self.first = True
        self.code: str | None = None
        self.ask_at = 0.0
        self.give_up_at = monotonic() + 2 * NO_CODE_SECONDS

    @override
    async def _advance(self) -> Phase:
        phase = await super()._advance()
        late = monotonic() > self.give_up_at
        return Phase.NO_CODE if phase is Phase.WAITING and late else phase

    @override
    async def _status(self) -> InstanceStatus | None:
        status = await self.feed.look()
        if self.first and status not in {InstanceStatus.CONNECTED, *GRACE}:
            # also a session that waits already: it may do so for another phone number
            await self._start()
            self.feed.look_at = monotonic()
            status = await self.feed.look()
        self.first = False
        if status is not InstanceStatus.SCAN_QR:
            self.code, self.ask_at = None, 0.0
        return status

    @override
    async def _start(self, *, failed: bool = False) -> None:
        await self.codes.start(self.instance_id, self.phone_number)

    @override
    async def _waiting(self) -> Phase:
        now = monotonic()
        if not self.ask_at:
            # the time until the session has started doesn't count
            self.give_up_at = now + NO_CODE_SECONDS
        if now >= self.ask_at:
            await self._ask(now)
        return Phase.ENTER_CODE if self.code else self.phase

    async def _ask(self, now: float) -> None:
        """Ask for a new code; the present one stays until there is another one."""
        self.ask_at = now
        try:
            code = await self.codes.code(self.instance_id, self.phone_number)
        except (BadResponse, Unreachable):
            # some gateways report an invalid phone number like this
            self.ask_at = now + CODE_RETRY_SECONDS
            return
        if code:
            self.code = code
            self.ask_at = now + (self.codes.interval or DEADLINE_SECONDS)

    @override
    def _pairing(self) -> Pairing:
        code = f"{self.code[:4]}-{self.code[4:]}" if self.code else ""
        return Pairing(phase=self.phase, code=code)
