"""One WhatsApp session as a state machine over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
import secrets
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# WhatsApp's own pairing: six codes a round, 160 s in all
CODE_LIVES = (60.0, 20.0, 20.0, 20.0, 20.0, 20.0)
BOOT = 2.0
"""Seconds from a start to the first code, or to connected where it is linked."""
LINK = 1.0
"""Seconds from a scan to connected."""
PHONE_NUMBER = "5511999998888"
NEW_CODE = "https://wa.me/settings/linked_devices#2@"
PAIRING_CODE = "WLYE"
"""Beginning of all pairing codes, so that they are found wherever they leak to.

An ID of Home Assistant never has the letter L, so none looks like a pairing code.
"""
PAIRING_LETTERS = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"
"""Characters of a pairing code: those that are hard to tell apart are left out."""


class State(Enum):
    """Where a session is; each gateway has words of its own for it."""

    NEW = auto()
    BOOTING = auto()
    WAITING = auto()
    LINKING = auto()
    CONNECTED = auto()
    STOPPED = auto()
    FAILED = auto()


TEMPORARY = {State.BOOTING, State.WAITING, State.LINKING}
"""The states that end by themselves."""


def new_pairing_code() -> str:
    """Return eight characters without a dash."""
    rest = (secrets.choice(PAIRING_LETTERS) for _ in range(4))
    return PAIRING_CODE + "".join(rest)


@dataclass(frozen=True)
class Code:
    """A code of a round, and the time (seconds since 1970) at which it dies."""

    text: str
    expires: float
    pairing: str = field(default_factory=new_pairing_code)
    """Pairing code that comes with it, where the gateway offers pairing codes."""


def new_code_text() -> str:
    """Return a text as WhatsApp's since May 2026: five parts, about 277 characters."""
    parts = [secrets.token_urlsafe(n) for n in (48, 32, 32, 32)]
    return NEW_CODE + ",".join([*parts, "1" + secrets.token_urlsafe(20)])


@dataclass
class Session:
    """A number at a gateway. Time runs `scale` times as fast as the clock."""

    id: str
    name: str
    owner: str
    scale: float = 1.0
    type: str = ""
    """In the gateway's own words, if it has several types."""
    metadata: dict[str, Any] = field(default_factory=dict)
    phone_number: str | None = None
    linked: bool = False
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    seen: float | None = None
    starts: int = 0
    boot: float = BOOT
    """Seconds from a start to the first code, or to connected where it is linked."""
    link: float = LINK
    """Seconds from a scan to connected."""
    code_lives: tuple[float, ...] = CODE_LIVES
    """Seconds that each code of a round is valid."""
    pairing_number: str | None = None
    """Phone number for which a pairing code has been requested."""
    on_move: Callable[[], None] = field(default=lambda: None, repr=False)
    """What is called whenever the state changes."""
    _state: State = State.NEW
    _since: float = field(default_factory=time.time)
    _codes: list[Code] = field(default_factory=list)

    def _enter(self, state: State, when: float) -> None:
        self._state, self._since, self.updated = state, when, when
        self.on_move()
        if state is State.CONNECTED:
            self.linked, self.seen = True, when
            self.phone_number = self.phone_number or PHONE_NUMBER
        if state is State.WAITING:
            self._codes = []
            for life in self.code_lives:
                when += life / self.scale
                self._codes.append(Code(new_code_text(), when))

    def _advance(self, now: float) -> None:
        booted = self._since + self.boot / self.scale
        if self._state is State.BOOTING and now >= booted:
            self._enter(State.CONNECTED if self.linked else State.WAITING, booted)
        linked = self._since + self.link / self.scale
        if self._state is State.LINKING and now >= linked:
            self._enter(State.CONNECTED, linked)
        if self._state is State.WAITING and now >= self._codes[-1].expires:
            self._enter(State.FAILED, self._codes[-1].expires)

    @property
    def _is_temporary(self) -> bool:
        """Whether the state ends by itself."""
        return self._state in TEMPORARY

    @property
    def state(self) -> State:
        """Let the time pass that has passed, and tell where that leads."""
        # asked very often, and simulated time is slow to read
        if self._is_temporary:
            self._advance(time.time())
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._enter(state, time.time())

    @property
    def code(self) -> Code | None:
        """The code that is valid now."""
        if self.state is not State.WAITING:
            return None
        return next(code for code in self._codes if time.time() < code.expires)

    def changes_at(self) -> float:
        """Return when the state or code changes by itself, in seconds since 1970."""
        match self.state:
            case State.BOOTING:
                return self._since + self.boot / self.scale
            case State.LINKING:
                return self._since + self.link / self.scale
            case State.WAITING if self._codes:
                return next(c.expires for c in self._codes if time.time() < c.expires)
        return inf

    @property
    def pairing_code(self) -> str | None:
        """The pairing code that can be typed now: one for the whole round."""
        if self.pairing_number is None or self.code is None:
            return None
        return self._codes[0].pairing

    @property
    def running(self) -> bool:
        """Whether the session is started."""
        return self.state not in {State.NEW, State.STOPPED, State.FAILED}

    def start(self) -> None:
        """Start a stopped session."""
        self.starts += 1
        self.state = State.BOOTING

    def forget_rounds(self) -> None:
        """Forget the codes of earlier rounds, whose number some gateways limit."""

    def stop(self) -> None:
        """Stop the session; the link stays."""
        self.state = State.STOPPED

    def unlink(self) -> None:
        """Forget the link, as a logout or the phone does."""
        self.linked, self.phone_number = False, None
        self.state = State.STOPPED

    def scan(self, phone_number: str) -> None:
        """Be scanned by a phone."""
        self.phone_number = phone_number
        self.state = State.LINKING
