"""An instance of the Evolution API as a state machine over time."""

from __future__ import annotations

from dataclasses import dataclass, field
import time
from typing import TYPE_CHECKING, Any, override
from uuid import uuid4

from .machine import PHONE_NUMBER, Session, State

if TYPE_CHECKING:
    from .machine import Code

CODE_LIFE = 45.0
"""Seconds that every code is valid."""
CODES_PER_SOCKET = 6
CODE_LIMIT = 30
"""Number of codes after which the server gives up."""
NEXT_SOCKET = 1.0
"""Seconds from the end of a socket to the first code of the next one."""
PAIRING_CODE_DELAY = 1.0
"""Seconds from a QR code to its pairing code."""
RECONNECT = {False: 0.0, True: 3.0}
"""Seconds from the end of a connection to the next attempt, by `modern`."""
BOOT = 1.5
LINK = 1.0
LOGOUT = 1.0
"""Seconds for which a logout works on after its answer."""
ROW_LAG = 3.0
"""Seconds by which the database is late."""

UNLINKED = 401
TIMED_OUT = 408
WORDS = {State.BOOTING: "connecting", State.WAITING: "connecting"}


@dataclass
class EvolutionInstance(Session):
    """An instance with its live state, its row in the database and its last code."""

    type: str = "WHATSAPP-BAILEYS"
    boot: float = BOOT
    link: float = LINK
    modern: bool = False
    """Whether the server is 2.4 or newer."""
    uuid: str = field(default_factory=lambda: str(uuid4()))
    token: str = field(default_factory=lambda: str(uuid4()).upper())
    given_number: str | None = None
    """Phone number of the request that created the instance."""
    account: str | None = None
    """Phone number that was linked last; never forgotten."""
    loaded: bool = True
    """Whether the server has the instance in memory."""
    offline: bool = False
    """Whether the server has no internet, so that no code ever comes."""
    ignores_scans: bool = False
    """Whether nothing happens when a phone scans the code."""
    row_lag: float = ROW_LAG
    row: str | None = None
    """State in the database, if it stays as it is."""
    reason: int | None = None
    """Why the server gave up; not cleared by the next connection."""
    gave_up_at: float | None = None
    _rows: list[tuple[float, str]] = field(default_factory=list)
    _shown: int = 0
    """Number of codes of earlier rounds."""
    _kept: Code | None = None
    _kept_pairing: str | None = None
    """Last code of the earlier rounds."""
    _closed_until: float = 0.0
    _logout_ends: float | None = None
    _flickers: int = 0

    def __post_init__(self) -> None:
        """Know the account that was linked before."""
        self.account = self.account or self.phone_number
        if self.linked:
            self.account = self.account or PHONE_NUMBER

    # the live state

    @property
    @override
    def _is_temporary(self) -> bool:
        return super()._is_temporary or self._logout_ends is not None

    @override
    def _advance(self, now: float) -> None:
        if self._logout_ends is not None and now >= self._logout_ends:
            ends, self._logout_ends = self._logout_ends, None
            self._forget()
            self._enter(State.STOPPED, ends)
        if not (self.offline and self._state is State.BOOTING):
            super()._advance(now)

    @override
    def _enter(self, state: State, when: float) -> None:
        if state is State.WAITING and self.linked:
            # only an instance that was unlinked gets codes
            self.reason, self.gave_up_at = UNLINKED, when
            self._forget()
        if self._state is State.WAITING and (issued := self._issued(when)):
            self._kept, self._shown = issued[-1], self._shown + len(issued)
            asked = self.pairing_number is not None
            self._kept_pairing = self._kept.pairing if asked else None
        if state is State.WAITING:
            left = CODE_LIMIT - self._shown
            codes = min(left, CODES_PER_SOCKET) if self.modern else left
            self.code_lives = (CODE_LIFE,) * codes
            if not codes:
                state = State.FAILED
                self._start_over()
        elif state is State.FAILED and self._state is State.WAITING:
            self._end_round(when)
        super()._enter(state, when)
        if state is State.CONNECTED:
            self.account = self.phone_number
        if not self._reconnects(state):
            self._rows.append((when + self.row_lag / self.scale, self.live_word(when)))

    def _end_round(self, when: float) -> None:
        if self.modern:
            self.reason, self.gave_up_at = TIMED_OUT, when
        else:
            # it has gone on, socket after socket, up to the limit
            self._start_over()

    @override
    def forget_rounds(self) -> None:
        self._start_over()

    def _start_over(self) -> None:
        self._shown, self._kept, self._kept_pairing = 0, None, None

    def _reconnects(self, state: State) -> bool:
        # the database keeps `open` meanwhile
        return self.linked and state in {State.BOOTING, State.LINKING}

    def live_word(self, now: float) -> str:
        """Return the state word of the server's memory, without letting time pass."""
        if self._state is State.CONNECTED:
            return "open"
        if self._state is State.LINKING:
            return "close" if now < self._closed_until else "connecting"
        if self._state is State.BOOTING and self.offline:
            # 2.3 tries again without a pause, 2.4 leaves the socket closed
            self._flickers += 1
            return "close" if self.modern or self._flickers % 2 else "connecting"
        return WORDS.get(self._state, "close")

    @property
    def live(self) -> str:
        """The state word of the server's memory."""
        _ = self.state
        return self.live_word(time.time())

    @override
    def scan(self, phone_number: str) -> None:
        """Be scanned: close with 515, connect again, be open."""
        if self.ignores_scans:
            return
        super().scan(phone_number)
        self._reconnect()

    def drop(self, reason: int = 428) -> None:
        """Lose the connection, and connect again; 2.4 gives up after 408."""
        if self.modern and reason == TIMED_OUT:
            self.give_up(reason)
        else:
            self.state = State.LINKING
            self._reconnect()

    def _reconnect(self) -> None:
        pause = RECONNECT[self.modern]
        self.link = pause + LINK
        self._closed_until = time.time() + pause / self.scale

    @override
    def unlink(self) -> None:
        """Be unlinked by the phone."""
        self.give_up(UNLINKED)

    def give_up(self, reason: int) -> None:
        """Close for good and forget the link, as after 401, 402, 403 and 406."""
        self.reason, self.gave_up_at = reason, time.time()
        self._forget()
        self.state = State.STOPPED
        self._rows = [(0.0, "close")]

    def log_out(self) -> None:
        """Begin to forget the link; the live state follows later."""
        self._logout_ends = time.time() + LOGOUT / self.scale
        if self.modern:
            self._rows = [(0.0, "close")]

    def _forget(self) -> None:
        self.linked, self.phone_number = False, None

    # the database

    @property
    def row_word(self) -> str:
        """The state word of the database."""
        if self.row is not None:
            return self.row
        live = self.live
        due = [word for when, word in self._rows if when <= time.time()]
        if not self._rows:
            return live
        return due[-1] if due else "close"

    def settle(self) -> None:
        """Let the database have the live state, as if nothing had changed for long."""
        self._rows = [(0.0, self.live)]

    # codes

    def _appears(self, number: int, code: Code) -> float:
        """Return when a code of this round is shown for the first time."""
        starts = code.expires - self.code_lives[number] / self.scale
        waits = NEXT_SOCKET if number and number % CODES_PER_SOCKET == 0 else 0.0
        return starts + waits / self.scale

    def _issued(self, when: float) -> list[Code]:
        return [
            code
            for number, code in enumerate(self._codes)
            if self._appears(number, code) <= when
        ]

    @property
    @override
    def code(self) -> Code | None:
        code = super().code
        return code if code in self._issued(time.time()) else None

    @property
    @override
    def pairing_code(self) -> str | None:
        """The pairing code of the QR code that is valid now, a second after it."""
        code = self.code
        if self.pairing_number is None or code is None:
            return None
        appeared = self._appears(self._codes.index(code), code)
        ready = appeared + PAIRING_CODE_DELAY / self.scale
        return code.pairing if time.time() >= ready else None

    def in_memory(self) -> tuple[Code | None, str | None, int]:
        """Return the last code, its pairing code and the number of codes so far.

        They may be out of date: nothing clears them when an instance is linked.
        """
        # first, because it changes the others
        state = self.state
        code, count, pairing = self._kept, self._shown, self._kept_pairing
        if state is State.WAITING and (issued := self._issued(time.time())):
            count += len(issued)
            code, pairing = issued[-1], issued[-2].pairing if issued[1:] else pairing
        if self.pairing_number is None or code is None:
            return code, None, count
        return code, self.pairing_code or pairing, count

    def to_dict(self) -> dict[str, Any]:
        """Return the parts of the row that the pairing and the phone decide."""
        # it also lets the time pass on which the rest depends
        word = self.row_word
        linked = self.account is not None
        return {
            "id": self.uuid,
            "name": self.id,
            "connectionStatus": word,
            "ownerJid": f"{self.account}@s.whatsapp.net" if linked else None,
            "profileName": "Home" if linked else None,
            "profilePicUrl": None,
            "integration": self.type,
            "number": self.given_number,
            "businessId": None,
            "token": self.token,
        }
