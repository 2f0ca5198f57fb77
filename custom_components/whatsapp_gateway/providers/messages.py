"""Data types of messages that all gateways share, without Home Assistant.

Chat IDs have one form for all gateways: `<digits>@s.whatsapp.net` for a person,
`<id>@g.us` for a group, and `<id>@lid` for a person whose number isn't known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
import re
from typing import TYPE_CHECKING, Any

from .models import Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

PHONE_SUFFIX = "@s.whatsapp.net"
"""End of the chat ID of a person."""
GROUP = "@g.us"
LID = "@lid"
LEGACY_PHONE_SUFFIX = "@c.us"
"""The end that some gateways write instead of `PHONE_SUFFIX`."""
SUFFIXES = {
    PHONE_SUFFIX: PHONE_SUFFIX,
    LEGACY_PHONE_SUFFIX: PHONE_SUFFIX,
    # accounts of businesses that a company hosts
    "@hosted": PHONE_SUFFIX,
    GROUP: GROUP,
    LID: LID,
    "@hosted.lid": LID,
}
"""The ends of chat IDs that gateways write, and their common form."""
MAX_MEDIA = 16 * 1024 * 1024
"""Number of bytes of a file that is sent or downloaded."""

REPEATED = 12
"""Number of letters and digits of the parts of a text that are looked for in errors."""
MIN_REPEATED = 4
"""Number of letters and digits that a text has at least: shorter ones are a part of
many words."""
_NO_LETTERS = re.compile(r"\\[nrt]|[\W_]")
"""What differs between a text and its form in JSON, or after secrets were removed."""


_sequence = count()


def _now() -> datetime:
    return datetime.now(UTC)


def next_sequence() -> int:
    """Return a number that is higher than all before, for the order of arrival."""
    return next(_sequence)


class MessageKind(StrEnum):
    """What a message consists of."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT = "contact"
    POLL = "poll"
    OTHER = "other"


FILES = frozenset(
    {
        MessageKind.IMAGE,
        MessageKind.VIDEO,
        MessageKind.AUDIO,
        MessageKind.VOICE,
        MessageKind.DOCUMENT,
        MessageKind.STICKER,
    }
)
"""Kinds of messages that are a file."""


class MessageEvent(StrEnum):
    """What has happened to a message."""

    RECEIVED = "received"
    SENT_BY_PHONE = "sent_by_phone"
    """Sent with the linked number, but not by the gateway."""
    REACTION = "reaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A person or a group that messages can be sent to."""

    id: str = field(repr=False)
    name: str | None = field(default=None, repr=False)

    @property
    def is_group(self) -> bool:
        """Whether the messages of this chat go to a group."""
        return self.id.endswith(GROUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file to send: its content, or a public address from where to fetch it."""

    kind: MessageKind
    """`IMAGE`, `VIDEO`, `AUDIO`, `VOICE` or `DOCUMENT`."""
    mime_type: str
    filename: str
    content: bytes | None = field(default=None, repr=False)
    """Present if the provider has the feature `MEDIA_CONTENT`."""
    url: str | None = field(default=None, repr=False)
    """Present otherwise, and always if the user has given an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A question with two or more answers to choose from."""

    question: str = field(repr=False)
    options: tuple[str, ...] = field(repr=False)
    multiple: bool = False
    """Whether more than one answer can be chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place on the map, in degrees."""

    latitude: float = field(repr=False)
    longitude: float = field(repr=False)
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message to send: a text, a file with a caption, a poll or a location.

    With `reaction` it is a reaction to the message `reply_to`, and nothing else.
    """

    text: str = field(default="", repr=False)
    media: Media | None = None
    poll: Poll | None = None
    location: Location | None = None
    reaction: str | None = field(default=None, repr=False)
    reply_to: str | None = field(default=None, repr=False)
    """ID of the message that is answered."""
    mentions: tuple[str, ...] = field(default=(), repr=False)
    """Phone numbers, in digits, of people in a group who are notified."""

    def is_repeated_in(self, line: str) -> bool:
        """Return whether a line, such as an error, contains a part of the message."""
        poll, place = self.poll, self.location
        texts = [
            self.text,
            *((poll.question, *poll.options) if poll else ()),
            *((place.name,) if place else ()),
        ]
        return any(_is_repeated(text, line) for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """What a gateway tells about a message that it has sent."""

    id: str | None = field(default=None, repr=False)
    chat_id: str | None = field(default=None, repr=False)
    """The chat that it went to: WhatsApp may know a number in another form."""
    answered_at: datetime | None = field(default=None, compare=False)
    """The gateway's own time of its answer, to the second; None if it isn't told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """A message that an instance has received, or that its phone has sent."""

    event: MessageEvent
    instance_id: str
    from_me: bool = False
    """Whether the linked number has sent it, by whatever device."""
    id: str = field(repr=False)
    chat_id: str = field(repr=False)
    kind: MessageKind
    sent_at: datetime
    sender_id: str | None = field(default=None, repr=False)
    """Chat ID of the person who has sent it; None for own messages."""
    sender_name: str | None = field(default=None, repr=False)
    text: str = field(default="", repr=False)
    """The text, the caption, or the emoji of a reaction."""
    reply_to: str | None = field(default=None, repr=False)
    """ID of the message that is answered, or reacted to."""
    mime_type: str | None = None
    filename: str | None = field(default=None, repr=False)
    media: str | None = field(default=None, repr=False)
    """What the provider needs to download the file, None if it can't; a secret."""
    mentions: frozenset[str] = field(default=frozenset(), repr=False)
    """Chat IDs of the people who are mentioned."""
    own_ids: tuple[str, ...] = field(default=(), repr=False)
    """Chat IDs of the linked number, as far as the gateway tells them."""
    same_people: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Pairs of a LID and a phone number that belong to one person, as chat IDs."""
    reported_at: datetime | None = None
    """When the gateway has reported it, by the clock of the gateway."""
    arrived_at: datetime = field(default_factory=_now, compare=False)
    """When it has arrived, by the clock of this machine."""
    sequence: int = field(default_factory=next_sequence, repr=False, compare=False)
    """Order of arrival: earlier messages have a lower value."""

    @property
    def is_group(self) -> bool:
        """Whether the message was sent to a group."""
        return self.chat_id.endswith(GROUP)

    @property
    def is_file(self) -> bool:
        """Whether people see a file, which can be downloaded if `media` is known."""
        return self.kind in FILES


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """The request by which a gateway is asked to send a message."""

    path: str
    body: Mapping[str, Any] = field(repr=False)
    method: str = "POST"


def _is_repeated(text: str, line: str) -> bool:
    """Return whether a line contains a part of a text, or all of a short one."""
    text, line = _NO_LETTERS.sub("", text), _NO_LETTERS.sub("", line)
    size = min(len(text), REPEATED)
    starts = range(len(line) - size + 1) if size >= MIN_REPEATED else ()
    return any(line[start : start + size] in text for start in starts)


def not_connected() -> Refused:
    """Return the error of an instance that can't send now."""
    return Refused(Refusal.INSTANCE_NOT_CONNECTED)


def chat_id(value: str) -> str:
    """Return a chat ID in the common form; raises `ValueError` if it isn't one."""
    name, _, domain = value.strip().partition("@")
    suffix = SUFFIXES.get(f"@{domain}")
    if not name or suffix is None:
        raise ValueError
    if not all(sign.isascii() and (sign.isalnum() or sign in "-:._") for sign in name):
        raise ValueError
    if suffix == GROUP:
        return name + GROUP
    # the number of a linked device follows a colon
    person = name.partition(":")[0]
    if not person.isdigit():
        raise ValueError
    return person + suffix


def digits_of(chat: str) -> str | None:
    """Return the digits of the phone number of a person, None for other chats."""
    return digits_or_id(chat) if chat.endswith(PHONE_SUFFIX) else None


def digits_or_id(chat: str) -> str:
    """Return the digits of the phone number of a person, the ID of other chats."""
    return chat.removesuffix(PHONE_SUFFIX)


def to_c_us(chat: str) -> str:
    """Return a chat ID with the suffix `@c.us` for a person, as some gateways do."""
    person = digits_of(chat)
    return chat if person is None else person + LEGACY_PHONE_SUFFIX
