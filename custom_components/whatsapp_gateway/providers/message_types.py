"""Read the content of a message in WhatsApp's own form, as most gateways pass it on.

Source: the `Message` of WhatsApp's protocol (WAProto of Baileys, and whatsmeow, which
writes some names in capitals).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .message_parsing import (
    MAX_MIME_TYPE,
    MAX_TEXT,
    at,
    cut,
    file_name,
    first_at,
    optional_identifier,
)
from .messages import MessageKind

KINDS = {
    "conversation": MessageKind.TEXT,
    "extendedTextMessage": MessageKind.TEXT,
    "imageMessage": MessageKind.IMAGE,
    "videoMessage": MessageKind.VIDEO,
    "ptvMessage": MessageKind.VIDEO,
    "audioMessage": MessageKind.AUDIO,
    "documentMessage": MessageKind.DOCUMENT,
    "stickerMessage": MessageKind.STICKER,
    "lottieStickerMessage": MessageKind.STICKER,
    "locationMessage": MessageKind.LOCATION,
    "liveLocationMessage": MessageKind.LOCATION,
    "contactMessage": MessageKind.CONTACT,
    "contactsArrayMessage": MessageKind.CONTACT,
    "pollCreationMessage": MessageKind.POLL,
    "pollCreationMessageV2": MessageKind.POLL,
    "pollCreationMessageV3": MessageKind.POLL,
    "reactionMessage": MessageKind.OTHER,
}
"""The member that a message has, and what it is then."""
FILES = {
    MessageKind.IMAGE,
    MessageKind.VIDEO,
    MessageKind.AUDIO,
    MessageKind.VOICE,
    MessageKind.DOCUMENT,
    MessageKind.STICKER,
}
WRAPPERS = (
    "deviceSentMessage",
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
)
MAX_DEPTH = 4
"""Number of wrappers around a message."""
COMPANIONS = {
    "messageContextInfo",
    "senderKeyDistributionMessage",
    "base64",
    "mediaUrl",
}
"""Members beside the one that tells what a message is."""
SILENT = {
    "protocolMessage",
    "pollUpdateMessage",
    "keepInChatMessage",
    "pinInChatMessage",
    "editedMessage",
    "encReactionMessage",
}
"""What changes another message, or nothing that people see."""
TEXTS = (("text",), ("caption",), ("name",), ("displayName",))
REPLIES = (("contextInfo", "stanzaId"), ("contextInfo", "stanzaID"))
REACTED = (("key", "id"), ("key", "ID"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a message consists of."""

    kind: MessageKind
    text: str = ""
    reply_to: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    is_reaction: bool = False

    @property
    def has_media(self) -> bool:
        """Whether there is a file to download."""
        return self.kind in FILES


def content_of(message: Any) -> Content | None:
    """Return the content of a message, None if people see nothing of it."""
    message = _unwrapped(message)
    if not isinstance(message, dict) or not message.keys() - COMPANIONS - SILENT:
        return None
    for key, kind in KINDS.items():
        value = message.get(key)
        if isinstance(value, str) and value:
            return Content(kind=kind, text=cut(value, MAX_TEXT))
        if isinstance(value, dict):
            return _content(key, kind, value)
    return Content(kind=MessageKind.OTHER)


def _unwrapped(message: Any) -> Any:
    for _ in range(MAX_DEPTH):
        inner = (at(message, wrapper, "message") for wrapper in WRAPPERS)
        found = next((value for value in inner if isinstance(value, dict)), None)
        if found is None:
            return message
        message = found
    return None


def _content(key: str, kind: MessageKind, data: dict[str, Any]) -> Content:
    is_voice = data.get("ptt") is True or data.get("PTT") is True
    is_reaction = key == "reactionMessage"
    replies = REACTED if is_reaction else REPLIES
    return Content(
        kind=MessageKind.VOICE if is_voice else kind,
        text=cut(first_at(data, *TEXTS), MAX_TEXT),
        reply_to=optional_identifier(first_at(data, *replies)),
        mime_type=cut(data.get("mimetype"), MAX_MIME_TYPE) or None,
        filename=file_name(data.get("fileName")),
        is_reaction=is_reaction,
    )
