"""Messages at a gateway: what its client sends, and what arrives from WhatsApp.

Chat IDs have one form for all gateways: `<digits>@s.whatsapp.net` for a person,
`<id>@g.us` for a group, and `<digits>@lid` for a person whose number is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
import secrets
import time
from typing import TYPE_CHECKING, Any, ClassVar

from aiohttp import ClientError, ClientSession, ClientTimeout

if TYPE_CHECKING:
    from .machine import Session
    from .webhooks import Webhooks

PERSON = "@s.whatsapp.net"
GROUP = "@g.us"
LID = "@lid"
BROADCAST = "@broadcast"
PEOPLE = {"4915112345678": "Anna", "12025550123": "Ben"}
GROUPS = {
    "120363025246125486@g.us": "Family",
    "120363025246125487@g.us": "Neighbours",
}
LIDS = {"4915112345678": "281474976710651", "12025550123": "281474976710652"}
MIME_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "voice": "audio/ogg; codecs=opus",
    "document": "application/pdf",
    "sticker": "image/webp",
}
"""Type of the file of a message, by its kind, unless another one is given."""
FETCH_TIMEOUT = ClientTimeout(total=30)
"""How long a gateway tries to fetch a file that a client wants to be sent."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What sent and delivered messages have in common."""

    id: str
    """As the gateway answers or reports it, in its own form."""
    session_id: str
    chat_id: str
    kind: str
    """One of the kinds of `providers/messages.py`, or `reaction`."""
    text: str = ""
    """The text, caption, question of a poll, name of a location or emoji."""
    media: bytes | None = None
    mime_type: str | None = None
    filename: str | None = None
    reply_to: str | None = None
    """ID of the message that is answered, or reacted to."""
    options: tuple[str, ...] = ()
    multiple: bool = False
    latitude: float | None = None
    longitude: float | None = None
    content: dict[str, Any] | None = None
    """WhatsApp's own form, if it isn't what `kind` says; needs `whatsapp_form`."""

    @property
    def in_group(self) -> bool:
        """Whether it was sent to a group."""
        return self.chat_id.endswith(GROUP)

    @property
    def has_member(self) -> bool:
        """Whether the chat and the sender are different ones."""
        return self.chat_id.endswith((GROUP, BROADCAST))


@dataclass(frozen=True, kw_only=True)
class SentMessage(Message):
    """What a client has sent through the gateway; IDs are as the client wrote them."""

    mentions: tuple[str, ...] = ()
    """Digits of the phone numbers."""


@dataclass(frozen=True, kw_only=True)
class DeliveredMessage(Message):
    """A message as WhatsApp brings it to an instance: received, or an own one."""

    sent_at: float
    """In seconds since 1970."""
    sender: str | None = None
    """Digits of the phone number; None for own messages."""
    name: str | None = None
    """What the sender calls himself or herself."""
    from_me: bool = False
    by_client: bool = False
    """Whether a client of the gateway has sent it, and not the phone."""
    as_lid: bool = False
    """Whether the gateway reports the sender's LID where it can."""


class Messages:
    """The part of a gateway that is about messages."""

    send_routes: ClassVar[tuple[str, ...]] = ("send",)
    """Names of all routes that send something, the one for texts first."""
    webhooks: Webhooks

    def __init__(self) -> None:
        """Know some people and groups, and have no messages yet."""
        self.sent: list[SentMessage] = []
        self.delivered: list[DeliveredMessage] = []
        self.history: list[Message] = []
        """All sent and delivered messages, in order."""
        self.people = dict(PEOPLE)
        """Name of everybody who has WhatsApp, by the digits of the phone number."""
        self.other_numbers: dict[str, str] = {}
        """Numbers that people are also known by, with those that WhatsApp knows.

        In Brazil, for example, many have a digit more than on WhatsApp.
        """
        self.rerouted: dict[str, str] = {}
        """Chats that WhatsApp delivers to, by those that a client has asked for."""
        self.checks_as_lid = False
        """Whether a check of a number names the LID of the person, if it is known."""
        self.groups = dict(GROUPS)
        """Name of each group by its ID."""
        self.forgets_own = False
        """Whether what a client has sent is reported as if the phone had sent it.

        Only gateways that report own messages do that, after a restart for example.
        """
        self.tells_numbers = False
        """Whether a LID is reported together with the number; newer servers do so."""
        self.lids = dict(LIDS)
        """Digits of the LID of a person, by the digits of the phone number."""

    async def deliver(
        self,
        session: Session,
        chat_id: str,
        text: str = "",
        *,
        kind: str = "text",
        sender: str | None = None,
        name: str | None = None,
        from_me: bool = False,
        media: bytes | None = None,
        mime_type: str | None = None,
        filename: str | None = None,
        reply_to: str | None = None,
        message_id: str | None = None,
        sent_at: float | None = None,
        as_lid: bool = False,
        content: dict[str, Any] | None = None,
    ) -> str:
        """Let a message arrive and report it at once; return its ID.

        With `from_me` it is one that was sent on the phone. `sender` is needed in
        groups, in digits.
        """
        if from_me:
            sender = None
        elif sender is None:
            sender = chat_id.partition("@")[0]
        if media is not None and mime_type is None:
            mime_type = MIME_TYPES.get(kind, "application/octet-stream")
        message = DeliveredMessage(
            id=message_id or new_message_id(),
            session_id=session.id,
            chat_id=chat_id,
            kind=kind,
            sent_at=time.time() if sent_at is None else sent_at,
            text=text,
            sender=sender,
            name=name or (self.people.get(sender) if sender else None),
            from_me=from_me,
            media=media,
            mime_type=mime_type,
            filename=filename,
            reply_to=reply_to,
            as_lid=as_lid,
            content=content,
        )
        message = replace(message, id=self.full_id(session, message))
        self.delivered.append(message)
        self.history.append(message)
        await self.report(session, message)
        return message.id

    async def react(
        self,
        session: Session,
        chat_id: str,
        message_id: str,
        emoji: str,
        *,
        sender: str | None = None,
    ) -> str:
        """Let somebody react to a message; return the ID of the reaction."""
        return await self.deliver(
            session, chat_id, emoji, kind="reaction", sender=sender, reply_to=message_id
        )

    async def accept(self, session: Session, message: SentMessage) -> DeliveredMessage:
        """Keep what a client has sent, and report it as an own message.

        `message.id` is the ID that WhatsApp knows; the kept one has that of the answer.
        """
        chat = self.rerouted.get(message.chat_id, message.chat_id)
        message = replace(message, chat_id=chat)
        shared = {field.name: getattr(message, field.name) for field in fields(Message)}
        own = DeliveredMessage(
            **shared, sent_at=time.time(), from_me=True, by_client=True
        )
        own = replace(own, id=self.full_id(session, own))
        kept = replace(message, id=self.answered_id(own))
        self.sent.append(kept)
        self.history.append(kept)
        await self.report(session, own)
        return own

    async def report(self, session: Session, message: DeliveredMessage) -> None:
        """Tell all who listen of a message; a gateway may have nothing to say."""

    async def replay(self, session: Session, event: dict[str, Any]) -> None:
        """Report an event in the gateway's own form; needs `receiving`."""
        raise NotImplementedError

    def full_id(self, session: Session, message: DeliveredMessage) -> str:  # noqa: ARG002
        """Return the ID by which the gateway reports a message."""
        return message.id

    def answered_id(self, message: DeliveredMessage) -> str:
        """Return the ID with which the gateway answers to who has sent a message."""
        return message.id

    def find_message(self, message_id: str) -> DeliveredMessage | None:
        """Return a message that has been delivered."""
        found = (one for one in self.delivered if one.id == message_id)
        return next(found, None)

    def find_person(self, number: str) -> str | None:
        """Return the number by which WhatsApp knows a person, None if it does not."""
        number = self.other_numbers.get(number, number)
        return number if number in self.people else None

    def lid_of(self, number: str) -> str | None:
        """Return the LID of a person, None if the gateway has not heard of it."""
        lid = self.lids.get(number)
        return lid and lid + LID

    async def fetch_media(self, url: str) -> bytes | None:
        """Return the file at an address that a client has given, None without one."""
        try:
            async with (
                ClientSession(timeout=FETCH_TIMEOUT) as client,
                client.get(self.webhooks.real(url)) as answer,
            ):
                return await answer.read() if answer.ok else None
        except (ClientError, TimeoutError, ValueError):
            return None


def mentioned(addresses: list[str]) -> tuple[str, ...]:
    """Return the digits of the people in `<digits>@c.us`; others mention nobody."""
    people = (one.partition("@") for one in addresses)
    return tuple(digits for digits, _, domain in people if domain == "c.us")


def common_chat_id(value: str) -> str:
    """Return a chat ID in the common form; a plain number is that of a person."""
    name, _, domain = value.partition("@")
    suffix = f"@{domain}"
    return name + (suffix if suffix in {GROUP, LID} else PERSON)


def new_message_id() -> str:
    """Return an ID as WhatsApp gives it to messages of linked devices."""
    return "3EB0" + secrets.token_hex(9).upper()
