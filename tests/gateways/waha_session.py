"""A session of WAHA as a state machine over time.

What credentials that WhatsApp refuses lead to was recorded from a real server (2026.4.1
with NOWEB): the session fails after each start, until it is logged out.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, override

from .machine import Session, State

if TYPE_CHECKING:
    from .machine import Code

REFUSAL = 0.3
"""Seconds from a start to the failure of a session whose credentials are refused."""
PASSKEY_REQUIRED = "PASSKEY_REQUIRED"
PASSKEY_CONFIRMATION_REQUIRED = "PASSKEY_CONFIRMATION_REQUIRED"


@dataclass
class WahaSession(Session):
    """A session of WAHA."""

    config: dict[str, Any] | None = None
    """Configuration without the metadata."""
    account: str | None = None
    """Phone number that was linked last, or for which a pairing code was requested.

    A logout forgets it.
    """
    push_name: str = "Home"
    """Name of the account; `~` until the pairing code is entered."""
    refused: bool = False
    """Whether WhatsApp refuses the stored credentials.

    The phone has unlinked them, or a pairing code was requested and not entered.
    """
    demands_passkey: bool = False
    """Whether WhatsApp demands a passkey after the next scan."""
    passkey: str | None = None
    """Status while a passkey is pending."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Know the account that was linked before."""
        self.account = self.account or self.phone_number

    @override
    def _enter(self, state: State, when: float) -> None:
        requested = self._state is State.WAITING and self.pairing_number is not None
        super()._enter(state, when)
        self.passkey = None
        if requested and state not in {State.LINKING, State.CONNECTED}:
            self.refused = True
        if state is State.WAITING:
            self.pairing_number, self.refused = None, False
        if state is State.CONNECTED:
            self.account, self.push_name, self.refused = (
                self.phone_number,
                "Home",
                False,
            )

    @property
    def _refused_at(self) -> float | None:
        """When the server learns that the credentials are refused."""
        starting = self._state is State.BOOTING and self.refused
        return self._since + REFUSAL / self.scale if starting else None

    @override
    def _advance(self, now: float) -> None:
        if (refused_at := self._refused_at) is None:
            super()._advance(now)
        elif now >= refused_at:
            self._enter(State.FAILED, refused_at)

    @override
    def changes_at(self) -> float:
        # the state first, because time may have passed
        _ = self.state
        refused_at = self._refused_at
        return super().changes_at() if refused_at is None else refused_at

    def request_code(self, phone_number: str) -> str:
        """Return the pairing code of the round; it replaces the stored account."""
        self.pairing_number = self.account = phone_number
        self.push_name = "~"
        return self.pairing_code or ""

    @property
    @override
    def code(self) -> Code | None:
        return None if self.passkey else super().code

    @property
    @override
    def running(self) -> bool:
        # a failed session counts as running
        return self.state not in {State.NEW, State.STOPPED}

    @override
    def scan(self, phone_number: str) -> None:
        if not self.demands_passkey:
            super().scan(phone_number)
            return
        # the codes go on changing underneath
        self.phone_number = phone_number
        self.passkey = PASSKEY_REQUIRED
        self.on_move()

    @override
    def unlink(self) -> None:
        """Be unlinked by the phone, and keep the credentials."""
        self.linked, self.phone_number, self.refused = False, None, True
        self.state = State.FAILED

    def log_out(self) -> None:
        """Forget the link, the account and the credentials."""
        self.linked, self.phone_number, self.account = False, None, None
        self.pairing_number, self.refused = None, False
