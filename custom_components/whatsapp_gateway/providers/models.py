"""What an instance of any gateway is to the rest of the integration."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

# both in seconds
LONGEST_LIFE = 60.0
CLOCK_TOLERANCE = 5.0


class InstanceStatus(StrEnum):
    """Lifecycle of an instance, in the words of the Wappfy document."""

    CREATED = "created"
    STARTING = "starting"
    SCAN_QR = "scan_qr"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"


class Action(StrEnum):
    """What can be asked of an instance's session."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"
    RESTART = "restart"
    LOGOUT = "logout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One WhatsApp number connected to a gateway."""

    id: str
    name: str
    status: InstanceStatus | None
    """None where the gateway uses a word that its document does not have."""
    raw_status: str
    """The gateway's own word, as far as it may be shown."""
    type: str | None = None
    linkable: bool = True
    """Whether this type of instance is linked by scanning a QR code."""
    phone_number: str | None = field(default=None, repr=False)
    """International format with a leading plus; None where it is not known."""
    last_seen: datetime | None = None
    account_id: str | None = None
    """The gateway's identifier of the account that owns the instance."""

    @property
    def awaits_link(self) -> bool:
        """Whether a scan would bring the instance closer to being connected."""
        return self.linkable and self.status is not InstanceStatus.CONNECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class QrCode:
    """A code to scan: the text it holds, else a picture of it. Both are secrets."""

    raw: str | None = field(default=None, repr=False)
    png: bytes | None = field(default=None, repr=False)
    expires_at: datetime | None = None

    @property
    def seconds_left(self) -> float | None:
        """Return how long the code lives, None where that can't be told.

        Nobody's code lives longer than a minute: then the clocks are too far apart.
        """
        if self.expires_at is None:
            return None
        left = (self.expires_at - datetime.now(UTC)).total_seconds()
        plausible = -CLOCK_TOLERANCE < left < LONGEST_LIFE + CLOCK_TOLERANCE
        return left if plausible else None


class GatewayError(Exception):
    """A call that did not succeed."""

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        """Keep the gateway's own error code, where it gave one."""
        super().__init__(message)
        self.code = code


class Unauthorized(GatewayError):
    """The API key is refused: ask for another one."""


class Rejected(GatewayError):
    """The gateway refuses this very request: tell the person its message."""


class KeyBound(GatewayError):
    """The API key opens one instance only: ask for its id."""


class NotFound(GatewayError):
    """The instance does not exist in this account: forget it."""


class RateLimited(GatewayError):
    """Too many requests: wait for `retry_after` seconds."""

    def __init__(self, retry_after: float, *, code: str | None = None) -> None:
        """Keep the seconds that the gateway asks to wait."""
        super().__init__(f"Rate limited for {retry_after:.0f} s", code=code)
        self.retry_after = retry_after


class Unreachable(GatewayError):
    """No answer, or a server error: try again later."""


class BadResponse(GatewayError):
    """An answer that this gateway's document does not know: check the address."""
