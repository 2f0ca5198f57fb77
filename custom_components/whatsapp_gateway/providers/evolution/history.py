"""What is known about an instance of the Evolution API beyond its latest answer.

The gateway's words don't say whether a code waits or a phone is linked, so this follows
the answers over time. All times are of the monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from ..models import InstanceStatus

if TYPE_CHECKING:
    from ..models import QrCode

OPEN = "open"
CONNECTING = "connecting"
CLOSE = "close"
GIVEN_UP = frozenset({401, 402, 403, 406, 408})
"""Reasons after which the server has forgotten the link of the phone."""
RECONNECTING_SECONDS = 30.0
"""How long a linked instance may be without connection before it is disconnected."""
LIST_SECONDS = 35.0
"""How long a closed instance counts as starting: more than one poll."""
FLICKER_FACTOR = 4
"""How many times as long it takes once it has been seen to change back and forth."""
LINK_SECONDS = 10.0
"""How long it counts as starting while somebody links it: longer than after a scan."""
LOGGING_OUT_SECONDS = 10.0
"""How long an instance may still be reported as open after it was logged out."""
REPLACEMENT_SECONDS = 4.0
"""How long after a start the pairing code of an earlier one may be in memory.

The server needs 1 to 1.5 s to replace it, and 2 s to answer the start.
"""
DIGEST_SIZE = 3
"""Bytes of the digest of a pairing code: too few to find the code by trying all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An instance in the gateway's database, which is some seconds late."""

    uuid: str
    name: str
    raw_state: str
    type: str | None = None
    linkable: bool = True
    owner: str | None = field(default=None, repr=False)
    """Phone number that was linked last; None if none ever was."""
    reason: int | None = None
    """Why the server gave up at last; a later connection doesn't clear it."""
    reason_at: str | None = None
    own_key: bool = False
    """Whether the API key of the account is the token of this instance."""


class History:
    """What earlier answers said about one instance."""

    def __init__(self, uuid: str, pairing_digest: str | None = None) -> None:
        """Start with the ID in the database and the digest of an old pairing code."""
        self.uuid = uuid
        self.raw_state: str | None = None
        """The live state; None if it was never seen."""
        self.asked_at = -inf
        self.pairing_number: str | None = None
        """Phone number for which the gateway makes pairing codes."""
        self._was_open = False
        self._open_reason_at: str | None = None
        """The row's `reason_at` while the instance was open: a reason of the past."""
        self._moving_reason_at: str | None = None
        self._down_since: float | None = None
        self._connecting_at = self._flickered_at = self._logged_out_at = -inf
        self._logged_out = self._flickers = False
        self._pairing_digest = self._used_pairing_digest = pairing_digest
        self._started_at = -inf
        # a hash, since the code itself is a secret
        # None before the first answer, 0 for no code
        self._code_hash: int | None = None
        self._code_live = False

    def note_start(self, row: Row) -> None:
        """Note that somebody starts the session, which then has time to connect."""
        self._down_since = monotonic()
        if self.raw_state == CLOSE:
            self._forget_codes()
            self._started_at = monotonic()
            # the database says closed only if the server doesn't reconnect by itself
            self._logged_out = self._logged_out or row.raw_state == CLOSE

    def note_logout(self) -> None:
        """Note that the phone is unlinked; the gateway reports it later."""
        self._logged_out, self._logged_out_at = True, monotonic()
        self._forget_codes()

    def note_open(self, row: Row) -> None:
        """Note that the instance is connected: the code in memory is used up."""
        self.raw_state, self._was_open, self._down_since = OPEN, True, None
        self._forget_codes()
        self._connecting_at = self._flickered_at = -inf
        self._flickers = False
        self._open_reason_at = row.reason_at
        if monotonic() - self._logged_out_at > LOGGING_OUT_SECONDS:
            self._logged_out = False

    def _forget_codes(self) -> None:
        """Note that the codes in the gateway's memory are of the past."""
        self._code_live, self.pairing_number = False, None
        self._used_pairing_digest = self._pairing_digest

    def is_linked(self, row: Row) -> bool:
        """Return whether a phone is linked, as far as anybody can know."""
        if row.owner is None or self._logged_out or self._code_live:
            return False
        if row.reason not in GIVEN_UP:
            return True
        # the row of an instance that reconnects stays open
        news = row.reason_at != self._open_reason_at
        return not (news if self._was_open else row.raw_state != OPEN)

    def status(
        self, row: Row, status: InstanceStatus | None, patience: float
    ) -> InstanceStatus | None:
        """Return what the meaning of the gateway's word amounts to by now.

        Offline servers change between `connecting` and `close` thousands of times a
        minute. So a linked instance is `STARTING` for 30 s, whatever the word, and
        `DISCONNECTED` after that; and an instance without a phone that was seen closed
        shortly after it was connecting is `STARTING` until its word has been the same
        for `patience` seconds.
        """
        if status is InstanceStatus.CONNECTED:
            self.note_open(row)
            return status
        moving = status is InstanceStatus.STARTING
        stopped = status is InstanceStatus.DISCONNECTED
        if not row.linkable or not (moving or stopped):
            return status
        now = monotonic()
        if moving:
            self._connecting_at, self._moving_reason_at = now, row.reason_at
        if self.is_linked(row):
            return self._status_of_linked(row, now, moving=moving)
        if self._flickers:
            patience *= FLICKER_FACTOR
        if not moving:
            return self._status_of_closed(row, now, patience)
        self._flickers = now - self._flickered_at < patience and not self._code_live
        return InstanceStatus.STARTING if self._flickers else InstanceStatus.SCAN_QR

    def _status_of_linked(
        self, row: Row, now: float, *, moving: bool
    ) -> InstanceStatus:
        """Return the status of a linked instance that isn't connected."""
        if self._down_since is None:
            # the row of a connection that is lost and not given up stays open
            lost = moving or self._was_open or row.raw_state != CLOSE
            self._down_since = now if lost else -inf
        recent = now - self._down_since < RECONNECTING_SECONDS
        return InstanceStatus.STARTING if recent else InstanceStatus.DISCONNECTED

    def _status_of_closed(
        self, row: Row, now: float, patience: float
    ) -> InstanceStatus:
        """Return the status of a closed instance without a phone."""
        final = row.reason in GIVEN_UP and row.reason_at != self._moving_reason_at
        if not final and now - self._connecting_at < patience:
            self._flickered_at = now
            return InstanceStatus.STARTING
        self._code_live = self._flickers = False
        if final or row.owner:
            return InstanceStatus.DISCONNECTED
        return InstanceStatus.CREATED

    def note_code(self, row: Row, code: QrCode | None, count: object) -> bool:
        """Note the code in the gateway's memory, and return whether it can be scanned.

        The gateway never clears it: a linked instance still has the one that linked it.
        So the code of a linked instance counts from the time it is replaced.
        """
        code_hash = hash((code, str(count))) if code else 0
        if code_hash != self._code_hash:
            replaced = self._code_hash is not None
            counts = replaced or not self.is_linked(row)
            self._code_live = code is not None and counts
            self._code_hash = code_hash
        return self._code_live

    def note_pairing_code(self, digest: str) -> bool:
        """Note the pairing code in memory; return whether the last start made it.

        The gateway never clears it either. A second later than the QR code it replaces
        the one in its memory, which may have changed while nobody asked for it.
        """
        self._pairing_digest = digest
        replaced = monotonic() - self._started_at > REPLACEMENT_SECONDS
        return replaced and digest != self._used_pairing_digest


def digest_of(pairing_code: str) -> str:
    """Return what tells a pairing code from others, without being a secret."""
    return blake2b(pairing_code.encode(), digest_size=DIGEST_SIZE).hexdigest()
