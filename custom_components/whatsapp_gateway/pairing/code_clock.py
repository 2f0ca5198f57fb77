"""Calculate when a QR code expires, even if the gateway doesn't report it."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..providers.models import QrCode

# all in seconds
REFRESH_INTERVAL = 5.0
"""Between two requests for a code, unless it is known to expire earlier."""
FIRST_LIFETIME = 60.0
LIFETIME = 20.0
"""Lifetimes of WhatsApp's codes: of the first one in a round, and of all others."""
MARGIN = 0.5
"""Before its expiry a code is hidden, because it takes time to reach the browser."""
DATE_PRECISION = 1.0
"""A gateway's own time is only known to the second."""


class CodeClock:
    """Follow the codes of one instance; all times are of the monotonic clock.

    If the gateway reports no expiry: a code appeared after it was last seen absent, and
    the lifetimes of WhatsApp's codes are fixed, which bounds the time of its expiry.
    """

    def __init__(self) -> None:
        """Start without a code."""
        # a hash, since the code itself is a secret
        self._code_hash = 0
        self._next_absent_at = -inf
        """When the code that comes next was last seen absent."""
        self._earliest_end = self._latest_end = -inf
        self._next_lifetime = LIFETIME

    def note_absence(self, asked_at: float) -> None:
        """Note that there was no code at this time, so that a round begins next."""
        self._next_absent_at, self._next_lifetime = asked_at, FIRST_LIFETIME

    def follow(self, code: QrCode, asked_at: float) -> tuple[float, float]:
        """Return when to hide this code, and when to ask for it again."""
        now = monotonic()
        is_new = hash(code) != self._code_hash
        if (left := code.lifetime) is not None:
            end = asked_at + left - DATE_PRECISION - MARGIN
            # estimates of the same end differ, and a hidden code must not come back
            self._earliest_end = end if is_new else min(end, self._earliest_end)
            self._code_hash = hash(code)
            return self._earliest_end, min(now + REFRESH_INTERVAL, end)
        if is_new:
            # it may have appeared long after it was last seen absent
            recent = asked_at - self._next_absent_at < 2 * REFRESH_INTERVAL
            appeared = self._next_absent_at if recent else -inf
            self._earliest_end = appeared + self._next_lifetime - MARGIN
            self._latest_end = now + self._next_lifetime
            self._code_hash, self._next_lifetime = hash(code), LIFETIME
        self._next_absent_at = asked_at
        if -inf < self._earliest_end and now < self._latest_end:
            return self._earliest_end, now + REFRESH_INTERVAL
        # nothing tells when it expires, or it has outlived WhatsApp's codes
        return now + LIFETIME, now
