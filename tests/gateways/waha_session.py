"""A session of WAHA as a state machine over time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, override

from .machine import Session, State

if TYPE_CHECKING:
    from .machine import Code

PASSKEY_REQUIRED = "PASSKEY_REQUIRED"
PASSKEY_CONFIRMATION_REQUIRED = "PASSKEY_CONFIRMATION_REQUIRED"


@dataclass
class WahaSession(Session):
    """A session of WAHA."""

    config: dict[str, Any] | None = None
    """Configuration without the metadata."""
    account: str | None = None
    """Phone number that was linked last; a logout forgets it."""
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
        super()._enter(state, when)
        self.passkey = None
        if state is State.WAITING:
            self.pairing_number = None
        if state is State.CONNECTED:
            self.account = self.phone_number

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
        """Be unlinked by the phone."""
        self.linked, self.phone_number = False, None
        self.state = State.FAILED

    def log_out(self) -> None:
        """Forget the link and the account."""
        self.linked, self.phone_number, self.account = False, None, None
