"""Data types and errors that all gateways share, without Home Assistant."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Flag, StrEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class InstanceStatus(StrEnum):
    """Status of an instance, in the words of the Wappfy document and one more."""

    CREATED = "created"
    STARTING = "starting"
    SCAN_QR = "scan_qr"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    PASSKEY = "passkey"
    """Linking has to be completed in the gateway's own dashboard."""


class Action(StrEnum):
    """Actions on the session of an instance."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"
    RESTART = "restart"
    LOGOUT = "logout"


class Feature(Flag):
    """Features that only some gateways, or only some API keys, have."""

    CREATE = auto()
    """Instances can be created."""
    METADATA = auto()
    """A new instance can have metadata."""
    LAST_SEEN = auto()
    """The gateway reports when an instance was last seen."""
    PAIRING_CODE = auto()
    """A phone can be linked by entering a code on it."""
    EVENTS = auto()
    """The gateway reports changes while a connection to it is open."""
    WEBHOOKS = auto()
    """The gateway reports changes by calling an address."""
    MESSAGES = auto()
    """Messages can be sent."""
    MEDIA_CONTENT = auto()
    """Files are sent as they are; else the gateway fetches them from an address."""
    CHATS = auto()
    """The gateway lists groups, or groups and people, with their names."""
    NUMBER_CHECK = auto()
    """The gateway tells whether a phone number has WhatsApp."""
    REPLIES = auto()
    """A message can answer another one."""
    MENTIONS = auto()
    """A message can mention people in a group."""
    POLLS = auto()
    LOCATIONS = auto()
    REACTIONS = auto()
    RECEIVING = auto()
    """The gateway reports messages, by the same way as changes."""
    DOWNLOADS = auto()
    """The files of received messages can be downloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One WhatsApp number connected to a gateway."""

    id: str
    name: str
    status: InstanceStatus | None
    """None if the gateway reports a word that isn't documented."""
    raw_status: str
    """The gateway's own word for the status, redacted if it isn't documented."""
    type: str | None = None
    linkable: bool = True
    """Whether an instance of this type is linked by scanning a QR code."""
    phone_number: str | None = field(default=None, repr=False)
    """In international format with a leading plus; None if it isn't known."""
    last_seen: datetime | None = None
    account_id: str | None = None
    """The gateway's ID of the account that owns the instance."""

    @property
    def needs_link(self) -> bool:
        """Whether linking a phone would help to connect this instance."""
        return self.linkable and self.status is not InstanceStatus.CONNECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class QrCode:
    """A QR code to scan: its text, or a picture of it. Both are secrets."""

    raw: str | None = field(default=None, repr=False)
    png: bytes | None = field(default=None, repr=False)
    lifetime: float | None = field(default=None, compare=False)
    """Seconds until it expires, counted from the answer; None if not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """Status of an instance and, if it waits for a scan, its QR code."""

    status: InstanceStatus | None
    code: QrCode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceChanged:
    """An event: ask for the instance, because something about it has changed."""

    instance_id: str | None = None
    """None if it isn't told which instance it is."""
    has_code: bool = False
    """Whether there is a new QR code."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that a gateway reported and that is nothing for the user."""

    reason: str
    """Why, in one word: the type of a message, or `too_large`. It is counted."""
    error: str | None = None
    """Name of the exception that this integration didn't expect."""


UNPARSABLE = Skipped("unparsable")
"""A message that lacks what every message has."""
TOO_LARGE = Skipped("too_large")
"""An event that is too large to be read."""


class Refusal(StrEnum):
    """Why a request was refused, so that nothing was done or sent.

    Its value is the key of the text that tells the user.
    """

    INSTANCE_NOT_CONNECTED = "instance_not_connected"
    SESSION_BROKEN = "session_broken"
    """What runs WhatsApp in the gateway, such as a browser, has ended."""
    KEY_NOT_ALLOWED = "key_not_allowed"
    """The API key is right, but doesn't give access to this."""
    NOT_ON_WHATSAPP = "not_on_whatsapp"
    NUMBER_UNKNOWN = "number_unknown"
    """The gateway doesn't know which number belongs to a LID."""
    PERSON_UNKNOWN = "person_unknown"
    """The gateway can't write to a person before it has heard of the person."""
    CHAT_UNKNOWN = "chat_unknown"
    GROUP_UNKNOWN = "group_unknown"
    NOT_A_MEMBER = "not_a_member"
    MESSAGE_UNKNOWN = "message_unknown"
    """The message that is answered, or reacted to."""
    NO_SESSION = "no_session"
    """Messages to this chat can't be encrypted yet."""
    NEW_CHATS_LIMITED = "new_chats_limited"
    WHATSAPP_LIMIT = "whatsapp_limit"
    WHATSAPP_REFUSED = "whatsapp_refused"
    """With the placeholder `error`, WhatsApp's own word or number."""
    TOO_LARGE = "too_large"
    FILE_NOT_FETCHED = "file_not_fetched"
    """The gateway can't load a file from its address."""
    FILE_NOT_UPLOADED = "file_not_uploaded"
    """The gateway can't bring the file to WhatsApp."""
    FILE_NOT_KEPT = "file_not_kept"
    FILE_NOT_DOWNLOADED = "file_not_downloaded"
    """With the placeholder `setting`, which lets the gateway keep files."""
    FILE_GONE = "file_gone"


class GatewayError(Exception):
    """A call that did not succeed."""

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        """Keep the gateway's own error code, if it gave one."""
        super().__init__(message)
        self.code = code
        self.status: int | None = None
        """HTTP status of the answer that reported a failure, None without one."""


class Unauthorized(GatewayError):
    """The gateway rejected the API key: ask the user for another one."""


class Rejected(GatewayError):
    """The gateway rejected this request: show its message to the user."""


class Refused(Rejected):
    """Rejected for a known reason: tell the user in the user's language."""

    def __init__(
        self,
        reason: Refusal,
        message: str = "",
        *,
        code: str | None = None,
        **placeholders: str,
    ) -> None:
        """Keep the reason, and what its text has placeholders for.

        `message` is in English, for logs.
        """
        super().__init__(message or reason.replace("_", " "), code=code)
        self.reason = reason
        self.placeholders = placeholders


class CodeRejected(Rejected):
    """The gateway knows the instance, but gives no QR code for it."""


class KeyBound(GatewayError):
    """The API key only gives access to one instance: ask for its ID."""


class NotFound(GatewayError):
    """The gateway itself says that the instance doesn't exist in this account."""


class RateLimited(GatewayError):
    """Too many requests: wait for `retry_after` seconds."""

    def __init__(self, retry_after: float, *, code: str | None = None) -> None:
        """Keep the number of seconds to wait."""
        super().__init__(f"Rate limited for {retry_after:.0f} s", code=code)
        self.retry_after = retry_after


class Unreachable(GatewayError):
    """No answer, or a server error: try again later."""


class TooLarge(Unreachable):
    """An event that is too large has ended the connection: connect again at once."""


class NoConnection(Unreachable):
    """No connection was established, so nothing has been sent."""


class InvalidCertificate(NoConnection):
    """The SSL certificate of the server can't be verified."""


class MaybeSent(GatewayError):
    """No clear answer to a message: it may have been sent, so don't repeat it."""


class BadResponse(GatewayError):
    """An answer that isn't documented: check the address."""


class LoginRequired(BadResponse):
    """The server asks for a user name, so this is a dashboard or a proxy."""


class TooManyInstances(GatewayError):
    """The account has more instances than this integration can handle."""


class NotActivated(GatewayError):
    """The server works only after its owner has activated it: show its message."""


class UnsupportedServer(GatewayError):
    """The version of the server is known not to work: show its message."""


class Closed(GatewayError):
    """The account was unloaded, so no more requests are sent."""
