"""When a code expires, also where its gateway does not tell."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .providers.models import QrCode

# all in seconds
REFRESH_INTERVAL = 5.0
"""Between two fetches of a code, unless it is known to end earlier."""
FIRST_CODE_LIFE = 60.0
CODE_LIFE = 20.0
"""How long WhatsApp's codes live, the first of a round and all others."""
LEAD = 0.5
"""How long before its end a code leaves the screen: the way to the browser."""
GAP = 1.2 * LEAD
"""How long after that the next one is there, and not just about to be."""
OVERDUE_INTERVAL = 1.5
"""Between two looks while the next one, or the link, is overdue."""


class CodeClock:
    """Follows the codes of an instance; times are of the monotonic clock.

    A code came after it was last found absent, and WhatsApp's codes live equally long.
    """

    def __init__(self) -> None:
        """Know nothing of the code that comes next."""
        # the code itself is a secret that nobody needs here
        self._code_hash = 0
        self._absent_at = self._earliest_end = self._latest_end = -inf
        self._next_life = CODE_LIFE

    def note_absence(self, asked_at: float) -> None:
        """Note that there was no code at this time, so that a round begins next."""
        self._absent_at, self._next_life = asked_at, FIRST_CODE_LIFE

    def follow(self, code: QrCode, asked_at: float) -> tuple[float, float]:
        """Return when a code has to leave the screen, and when to fetch it again.

        The end that a gateway tells may come too late, by a clock that is slow.
        """
        now = monotonic()
        if (left := code.seconds_left) is not None:
            return now + left - LEAD, now + min(REFRESH_INTERVAL, left)
        if hash(code) != self._code_hash:
            # unless that was too long ago
            doubt = asked_at - self._absent_at
            known = self._absent_at if doubt < 2 * REFRESH_INTERVAL else -inf
            self._earliest_end = known + self._next_life - LEAD
            self._latest_end = now + self._next_life
            self._code_hash, self._next_life = hash(code), CODE_LIFE
        self._absent_at = asked_at
        if -inf < self._earliest_end and now < self._latest_end:
            return self._earliest_end, now + REFRESH_INTERVAL
        return now + CODE_LIFE, now
