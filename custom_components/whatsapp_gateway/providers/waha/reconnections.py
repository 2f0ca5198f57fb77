"""Show the status of WAHA's sessions without the noise of their reconnections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from time import monotonic

from ..models import Instance, InstanceStatus

RECONNECTION = 30.0
"""Seconds for which a session that was working may be starting and still count as
connected."""
FAILURE = 15.0
"""Seconds for which a session has to be seen as failed."""
MAX_FAILURE = 600.0
"""Seconds for which a session has to be seen as failed that has often started again."""


@dataclass(slots=True)
class _Seen:
    """What the lists said about one session."""

    status: InstanceStatus | None
    since: float = -inf
    """When this status was first seen, of the monotonic clock.

    Nobody knows how long the status of the first list has lasted. It counts as old: if
    a failed session seemed to be starting, its repair would be closed at every reload.
    """
    connected: Instance | None = None
    """The session as it was before it started to reconnect."""
    failure: float = FAILURE
    """Seconds for which it has to be seen as failed."""


class Reconnections:
    """What the lists said about the sessions of an account."""

    def __init__(self) -> None:
        """Follow the sessions from the first list on."""
        self._seen: dict[str, _Seen] = {}
        self._last_listed: set[str] = set()
        """IDs of the sessions of the last list."""

    def settle(self, sessions: tuple[Instance, ...]) -> tuple[Instance, ...]:
        """Return the sessions of a list as they are to be shown."""
        now = monotonic()
        for session in sessions:
            self._seen.setdefault(session.id, _Seen(session.status))
        # one list that lacks a session may be wrong
        listed = {session.id for session in sessions}
        recent, self._last_listed = listed | self._last_listed, listed
        self._seen = {
            session_id: seen
            for session_id, seen in self._seen.items()
            if session_id in recent
        }
        return tuple(
            _settled(session, self._seen[session.id], now) for session in sessions
        )

    def forget(self, session_id: str) -> None:
        """Show the next status of a session at once."""
        self._seen.pop(session_id, None)


def _settled(session: Instance, seen: _Seen, now: float) -> Instance:
    """Return a session of the list without the noise of its reconnections.

    - NOWEB reconnects about every 28 min, and GOWS after each loss of the network. So
      a session that was connected stays so for the first 30 s of starting.
    - WEBJS and WPP retry every 2 s while their browser fails. So a session counts as
      failed only if all polls of 15 s say so, and as starting until then. That time
      doubles whenever the session is starting again instead, up to 10 min, because
      polls may happen to see failures only.
    """
    if session.status is not seen.status:
        if seen.status is InstanceStatus.FAILED:
            seen.failure = min(2 * seen.failure, MAX_FAILURE)
        seen.status, seen.since = session.status, now
    lasted = now - seen.since
    if session.status is InstanceStatus.STARTING:
        if seen.connected and lasted < RECONNECTION:
            return replace(seen.connected, raw_status=session.raw_status)
        return session
    if session.status is InstanceStatus.FAILED:
        seen.connected = None
        if lasted < seen.failure:
            return replace(session, status=InstanceStatus.STARTING)
        return session
    seen.connected = session if session.status is InstanceStatus.CONNECTED else None
    seen.failure = FAILURE
    return session
