"""How WAHA writes messages: chat IDs, message IDs and events, by engine."""

from __future__ import annotations

from mimetypes import guess_extension
from typing import TYPE_CHECKING, Any, override

from .content import MEDIA_TYPES, content_of, location_of, vcard_of
from .machine import PHONE_NUMBER
from .messages import PERSON
from .waha_pairing import WahaPairing

if TYPE_CHECKING:
    from .machine import Session
    from .messages import DeliveredMessage

WAHA_PERSON = "@c.us"
BROWSER_ENGINES = {"WEBJS", "WPP"}
FILES_ORIGIN = "http://localhost:3000"
"""What the server takes for its own address; nobody else reaches it there."""


class WahaForms(WahaPairing):
    """The forms of the engine that the server runs."""

    def __init__(self, *, scale: float = 1.0) -> None:
        """Download the files of all messages, and keep them."""
        super().__init__(scale=scale)
        self.downloads_media = True
        """Whether the server downloads the files of messages."""
        self.keeps_files = True
        """Whether the downloaded files are still there."""
        self.tells_reactors = True
        """Whether the engine WPP is told who reacts to a message."""

    @property
    def in_browser(self) -> bool:
        """Whether the engine is a browser, which names some things differently."""
        return self.engine in BROWSER_ENGINES

    def own_id(self, session: Session) -> str:
        """Return the chat ID of the linked number."""
        return f"{session.phone_number or PHONE_NUMBER}{WAHA_PERSON}"

    def _person(self, number: str, *, as_lid: bool) -> str:
        lid = self.lid_of(number) if as_lid else None
        return lid or number + WAHA_PERSON

    def chat_form(self, message: DeliveredMessage) -> str:
        """Return the chat of a message."""
        if not message.chat_id.endswith(PERSON):
            return message.chat_id
        number = message.chat_id.removesuffix(PERSON)
        return self._person(number, as_lid=message.as_lid)

    def sender_form(self, session: Session, message: DeliveredMessage) -> str:
        """Return who has sent a message."""
        if message.sender is None:
            return self.own_id(session)
        if not message.has_member:
            return self.chat_form(message)
        return self._person(message.sender, as_lid=message.as_lid)

    @override
    def full_id(self, session: Session, message: DeliveredMessage) -> str:
        if "_" in message.id:
            return message.id
        parts = [str(message.from_me).lower(), self.chat_form(message), message.id]
        if message.has_member:
            parts.append(self.sender_form(session, message))
        return "_".join(parts)

    def source_of(self, message: DeliveredMessage) -> str:
        """Return who has sent a message; a restarted server has forgotten the API."""
        return "api" if message.by_client and not self.forgets_own else "app"

    def reaction_form(
        self, session: Session, message: DeliveredMessage
    ) -> dict[str, Any]:
        """Return the payload of an event about a reaction."""
        chat, sender = self.chat_form(message), self.sender_form(session, message)
        member = sender if message.in_group else None
        people: dict[str, Any] = {"from": chat, "to": member, "participant": member}
        if self.in_browser:
            # not the group, but who reacts
            people = {"from": sender, "to": chat, "participant": sender}
        if self.engine == "WPP" and not self.tells_reactors:
            reactor = "" if message.in_group else chat
            people = {"from": reactor, "to": chat, "participant": reactor}
        return {
            "id": message.id,
            # the only time that may have a fraction
            "timestamp": message.sent_at,
            "fromMe": message.from_me,
            "source": None if self.engine == "WPP" else self.source_of(message),
            **people,
            "reaction": {"text": message.text, "messageId": message.reply_to},
        }

    def message_form(
        self, session: Session, message: DeliveredMessage
    ) -> dict[str, Any]:
        """Return the payload of an event about any other message."""
        chat, sender = self.chat_form(message), self.sender_form(session, message)
        member = sender if message.has_member else None
        people: dict[str, Any] = {"from": chat, "to": member, "participant": member}
        if self.in_browser:
            own = self.own_id(session)
            people |= {"from": own, "to": chat} if message.from_me else {"to": own}
        has_file = message.kind in MEDIA_TYPES
        ack = 1 if message.from_me else 2
        is_place, is_card = message.kind == "location", message.kind == "contact"
        return {
            "id": message.id,
            "timestamp": int(message.sent_at),
            "fromMe": message.from_me,
            "source": self.source_of(message),
            **people,
            "body": None if is_place or is_card else message.text,
            "hasMedia": has_file,
            "media": self._media(session, message) if has_file else None,
            "ack": ack,
            "ackName": {1: "SERVER", 2: "DEVICE"}[ack],
            "location": _location(message) if is_place else None,
            "vCards": [vcard_of(message)] if is_card else [],
            "replyTo": self._reply(message),
            "_data": self.raw_form(session, message),
        }

    def _media(
        self, session: Session, message: DeliveredMessage
    ) -> dict[str, Any] | None:
        if message.media is None or not self.downloads_media:
            return None
        return {
            "url": f"{FILES_ORIGIN}{file_path(session, message)}",
            "mimetype": message.mime_type,
            "filename": message.filename,
            "error": None,
        }

    def _reply(self, message: DeliveredMessage) -> dict[str, Any] | None:
        """Return what is answered, with an ID without the chat."""
        if message.reply_to is None:
            return None
        original = self.find_message(message.reply_to)
        return {
            "id": bare_id(message.reply_to),
            "participant": None,
            "body": original.text if original else None,
            "hasMedia": bool(original and original.kind in MEDIA_TYPES),
        }

    def raw_form(self, session: Session, message: DeliveredMessage) -> dict[str, Any]:
        """Return a message as the engine has it."""
        chat, sender = self.chat_form(message), self.sender_form(session, message)
        if self.in_browser:
            return {
                "id": self.object_id(message),
                "type": {"text": "chat", "voice": "ptt"}.get(
                    message.kind, message.kind
                ),
                "body": message.text,
                "notifyName": message.name,
                "t": int(message.sent_at),
            }
        chat, sender = (one.replace(WAHA_PERSON, PERSON) for one in (chat, sender))
        if self.engine == "NOWEB":
            key = {
                "remoteJid": chat,
                "fromMe": message.from_me,
                "id": bare_id(message.id),
            }
            if message.has_member:
                key |= {"participant": sender} | self._alt(message, "participantAlt")
            else:
                key |= self._alt(message, "remoteJidAlt")
            return {
                "key": key,
                "message": content_of(message),
                "messageTimestamp": int(message.sent_at),
                "pushName": message.name,
                "status": 1 if message.from_me else 3,
            }
        return {
            "Info": {
                "Chat": chat,
                "Sender": sender,
                "IsFromMe": message.from_me,
                "IsGroup": message.in_group,
                "ID": bare_id(message.id),
                "PushName": message.name or "",
                **self._alt(
                    message, "RecipientAlt" if message.from_me else "SenderAlt"
                ),
            },
            "Message": content_of(message),
        }

    def _alt(self, message: DeliveredMessage, name: str) -> dict[str, str]:
        """Return the number beside a LID, which newer servers tell (GOWS 2026.8.1)."""
        number = message.sender or message.chat_id.removesuffix(PERSON)
        told = self.tells_numbers and message.as_lid
        return {name: number + PERSON} if told else {}

    def object_id(self, message: DeliveredMessage) -> dict[str, Any]:
        """Return a message ID as the browser engines have it."""
        return {
            "fromMe": message.from_me,
            "remote": self.chat_form(message),
            "id": bare_id(message.id),
            "_serialized": message.id,
        }


def _location(message: DeliveredMessage) -> dict[str, Any]:
    place = location_of(message)
    return {
        "latitude": place["degreesLatitude"],
        "longitude": place["degreesLongitude"],
        "name": place["name"],
    }


def bare_id(message_id: str) -> str:
    """Return the part of a message ID that WhatsApp knows."""
    parts = message_id.split("_")
    return parts[2] if parts[2:] else message_id


def file_path(session: Session, message: DeliveredMessage) -> str:
    """Return the path of the downloaded file of a message."""
    extension = guess_extension((message.mime_type or "").partition(";")[0]) or ".bin"
    return f"/api/files/{session.id}/{message.id}{extension}"
