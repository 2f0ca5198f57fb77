"""What WhatsApp shows of a message: one table for all gateways.

Sources: the `Message` of WhatsApp's protocol (WAProto of Baileys, and whatsmeow, which
writes some names with other capitals), and the types of whatsapp-web.js. What isn't in
the table is nothing that people see: an edit, a deletion, a call, a key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import re
from typing import Any

from .message_parsing import (
    MAX_MIME_TYPE,
    at,
    chat_of,
    cut,
    file_name,
    first_at,
    optional_identifier,
    visible_text,
)
from .messages import FILES, MessageKind
from .models import Skipped

type Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What people see of a type of message."""

    kind: MessageKind
    texts: tuple[Path, ...] = ()
    """Where its text may be, the most likely place first."""


_CAPTION = (("caption",),)
_NOTE = (
    ("noteMessage", "extendedTextMessage", "text"),
    ("noteMessage", "conversation"),
)
_HYDRATED = "hydratedContentText"
_POLL = Shown(MessageKind.POLL, (("name",),))
SHOWN = {
    "conversation": Shown(MessageKind.TEXT),
    "extendedTextMessage": Shown(MessageKind.TEXT, (("text",),)),
    "imageMessage": Shown(MessageKind.IMAGE, _CAPTION),
    "videoMessage": Shown(MessageKind.VIDEO, _CAPTION),
    "ptvMessage": Shown(MessageKind.VIDEO, _CAPTION),
    "audioMessage": Shown(MessageKind.AUDIO),
    "documentMessage": Shown(MessageKind.DOCUMENT, _CAPTION),
    "stickerMessage": Shown(MessageKind.STICKER),
    "stickerPackMessage": Shown(MessageKind.OTHER, (("caption",), ("name",))),
    "locationMessage": Shown(
        MessageKind.LOCATION, (("name",), ("comment",), ("address",))
    ),
    "liveLocationMessage": Shown(MessageKind.LOCATION, (("caption",), ("name",))),
    "contactMessage": Shown(MessageKind.CONTACT, (("displayName",),)),
    "contactsArrayMessage": Shown(MessageKind.CONTACT, (("displayName",),)),
    "pollCreationMessage": _POLL,
    "pollCreationMessageV2": _POLL,
    "pollCreationMessageV3": _POLL,
    "pollCreationMessageV4": _POLL,
    "pollCreationMessageV5": _POLL,
    "pollCreationMessageV6": _POLL,
    "buttonsResponseMessage": Shown(
        MessageKind.TEXT,
        (("selectedDisplayText",), ("Response", "SelectedDisplayText")),
    ),
    "listResponseMessage": Shown(MessageKind.TEXT, (("title",), ("description",))),
    "templateButtonReplyMessage": Shown(MessageKind.TEXT, (("selectedDisplayText",),)),
    "interactiveResponseMessage": Shown(MessageKind.TEXT, (("body", "text"),)),
    "templateMessage": Shown(
        MessageKind.TEXT,
        (
            ("hydratedTemplate", _HYDRATED),
            ("hydratedFourRowTemplate", _HYDRATED),
            ("Format", "HydratedFourRowTemplate", _HYDRATED),
            ("interactiveMessageTemplate", "body", "text"),
            ("Format", "InteractiveMessageTemplate", "body", "text"),
            ("hydratedTemplate", "hydratedTitleText"),
            ("hydratedFourRowTemplate", "hydratedTitleText"),
            ("Format", "HydratedFourRowTemplate", "Title", "HydratedTitleText"),
        ),
    ),
    "highlyStructuredMessage": Shown(
        MessageKind.TEXT,
        (
            ("hydratedHsm", "hydratedTemplate", _HYDRATED),
            ("hydratedHsm", "hydratedFourRowTemplate", _HYDRATED),
        ),
    ),
    "interactiveMessage": Shown(
        MessageKind.TEXT,
        (
            ("body", "text"),
            ("header", "title"),
            ("carouselMessage", "cards", "body", "text"),
        ),
    ),
    "buttonsMessage": Shown(
        MessageKind.TEXT, (("contentText",), ("text",), ("Header", "Text"))
    ),
    "listMessage": Shown(
        MessageKind.TEXT, (("description",), ("title",), ("buttonText",))
    ),
    "productMessage": Shown(
        MessageKind.OTHER, (("body",), ("product", "title"), ("catalog", "title"))
    ),
    "orderMessage": Shown(
        MessageKind.OTHER, (("message",), ("orderTitle",), ("text",))
    ),
    "eventMessage": Shown(MessageKind.OTHER, (("name",), ("description",))),
    "eventInviteMessage": Shown(MessageKind.OTHER, (("caption",), ("eventTitle",))),
    "groupInviteMessage": Shown(MessageKind.OTHER, (("caption",), ("groupName",))),
    "newsletterAdminInviteMessage": Shown(
        MessageKind.OTHER, (("caption",), ("newsletterName",))
    ),
    "newsletterFollowerInviteMessageV2": Shown(
        MessageKind.OTHER, (("caption",), ("newsletterName",))
    ),
    "scheduledCallCreationMessage": Shown(MessageKind.OTHER, (("title",),)),
    "invoiceMessage": Shown(MessageKind.OTHER, (("note",),)),
    "sendPaymentMessage": Shown(MessageKind.OTHER, _NOTE),
    "requestPaymentMessage": Shown(MessageKind.OTHER, _NOTE),
    "paymentInviteMessage": Shown(MessageKind.OTHER),
    "richResponseMessage": Shown(MessageKind.OTHER, (("submessages", "messageText"),)),
    "reactionMessage": Shown(MessageKind.OTHER, (("text",),)),
}
"""What people see, by the member that a message has."""
WRAPPERS = {
    "associatedChildMessage",
    "botForwardedMessage",
    "botInvokeMessage",
    "commentMessage",
    "deviceSentMessage",
    "documentWithCaptionMessage",
    "ephemeralMessage",
    "eventCoverImage",
    "groupMentionedMessage",
    "imageWithCaptionMessage",
    "lottieStickerMessage",
    "pollCreationMessageV4",
    "pollCreationMessageV6",
    "questionMessage",
    "spoilerMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
}
"""Members that contain the message itself in their member `message`."""
WORDS = {
    "chat": Shown(MessageKind.TEXT),
    "image": Shown(MessageKind.IMAGE),
    "video": Shown(MessageKind.VIDEO),
    "ptv": Shown(MessageKind.VIDEO),
    "audio": Shown(MessageKind.AUDIO),
    "ptt": Shown(MessageKind.VOICE),
    "document": Shown(MessageKind.DOCUMENT),
    "sticker": Shown(MessageKind.STICKER),
    "sticker-pack": Shown(MessageKind.OTHER),
    "location": Shown(MessageKind.LOCATION, (("loc",),)),
    "vcard": Shown(MessageKind.CONTACT),
    "multi_vcard": Shown(MessageKind.CONTACT),
    "poll_creation": Shown(MessageKind.POLL, (("pollName",),)),
    "list": Shown(MessageKind.TEXT),
    "list_response": Shown(MessageKind.TEXT),
    "buttons": Shown(MessageKind.TEXT),
    "buttons_response": Shown(MessageKind.TEXT),
    "template_button_reply": Shown(MessageKind.TEXT),
    "interactive": Shown(MessageKind.TEXT),
    "interactive_response": Shown(MessageKind.TEXT),
    "native_flow": Shown(MessageKind.TEXT),
    "hsm": Shown(MessageKind.TEXT),
    "comment": Shown(MessageKind.TEXT),
    "product": Shown(MessageKind.OTHER, (("title",),)),
    "order": Shown(MessageKind.OTHER, (("message",), ("orderTitle",))),
    "groups_v4_invite": Shown(MessageKind.OTHER, (("comment",), ("inviteGrpName",))),
    "event_creation": Shown(MessageKind.OTHER, (("eventName",),)),
    "scheduled_event_creation": Shown(MessageKind.OTHER, (("eventName",),)),
    "scheduled_call_creation": Shown(MessageKind.OTHER, (("title",),)),
    "payment": Shown(MessageKind.OTHER),
    "rich_response": Shown(MessageKind.OTHER),
}
"""What people see, by the type of a message of whatsapp-web.js.

A text that is the same for all types is in the member `body`.
"""
PLAIN_TEXTS = {"conversation", "extendedTextMessage"}
"""Members that are nothing without a text."""
ASSOCIATION = ("messageContextInfo", "messageAssociation", "associationType")
"""Where a message tells what it is to another one."""
PARTS = (
    5,
    "HD_VIDEO_DUAL_UPLOAD",
    10,
    "HD_IMAGE_DUAL_UPLOAD",
    12,
    "MOTION_PHOTO",
    19,
    "HEVC_VIDEO_DUAL_UPLOAD",
)
"""What is a part of another message, such as a better version of its picture.

Source: `AssociationType` of WAProto, whose values gateways write as numbers or names.
"""
MAX_PARTS = 50
"""Number of parts of a text."""
MAX_WRAPPERS = 5
"""Number of wrappers around a message."""
COMPANIONS = {
    "messageContextInfo",
    "senderKeyDistributionMessage",
    "base64",
    "mediaUrl",
    "contextInfo",
}
"""Members beside the one that tells what a message is."""
REPLIES = (("contextInfo", "stanzaId"), ("contextInfo", "stanzaID"))
REACTED = (("key", "id"), ("key", "ID"))
MENTIONS = (("contextInfo", "mentionedJid"), ("contextInfo", "mentionedJID"))
MIME_TYPES = (("mimetype",), ("mime_type",))
FILE_NAMES = (("fileName",), ("filename",), ("title",))
MAX_MENTIONS = 1024
"""Number of people: a group has no more members."""
BLANK = Skipped("blank")
_TYPE_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a message consists of."""

    kind: MessageKind
    text: str = ""
    reply_to: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    is_reaction: bool = False
    mentions: frozenset[str] = frozenset()
    """Chat IDs of the people who are mentioned."""

    @property
    def is_file(self) -> bool:
        """Whether people see a file."""
        return self.kind in FILES


def shown(content: Content, *, is_plain: bool) -> Content | Skipped:
    """Return a content, unless it is a plain text without anything to see.

    What businesses send may have a picture or buttons instead of a text.
    """
    if content.kind is not MessageKind.TEXT or content.text:
        return content
    return BLANK if is_plain else replace(content, kind=MessageKind.OTHER)


def content_of(message: Any) -> Content | Skipped:
    """Return the content of a message, or why people see nothing of it."""
    for _ in range(MAX_WRAPPERS + 1):
        if not isinstance(message, dict):
            break
        if at(message, *ASSOCIATION) in PARTS:
            return Skipped("associatedChildMessage")
        wrapped = (at(message, wrapper, "message") for wrapper in WRAPPERS)
        inner = next((one for one in wrapped if isinstance(one, dict)), None)
        if inner is None:
            return _content(message)
        message = inner
    return Skipped("no_content")


def content_of_word(data: Any) -> Content | Skipped:
    """Return the content that whatsapp-web.js tells by the type of a message."""
    word = at(data, "type")
    look = WORDS.get(word) if isinstance(word, str) else None
    if look is None:
        return skipped_type(word)
    if at(data, "associationType") in PARTS:
        return Skipped("associatedChildMessage")
    return Content(kind=look.kind, text=_text(data, look.texts))


def skipped_type(word: Any) -> Skipped:
    """Return that a type of message is nothing that people see."""
    named = isinstance(word, str) and _TYPE_WORD.fullmatch(word)
    return Skipped(str(word) if named else "unknown")


def mentions_of(values: Any) -> frozenset[str]:
    """Return the chat IDs of the people who are mentioned."""
    if not isinstance(values, list):
        return frozenset()
    ids = (
        first_at({"id": one}, ("id",), ("id", "_serialized"))
        for one in values[:MAX_MENTIONS]
    )
    return frozenset(filter(None, map(chat_of, ids)))


def _content(message: dict[str, Any]) -> Content | Skipped:
    blank: Skipped | None = None
    for key, look in SHOWN.items():
        value, content = message.get(key), None
        if isinstance(value, str):
            content = Content(kind=look.kind, text=visible_text(value))
        elif isinstance(value, dict):
            content = _member(key, look, value)
        found = content and shown(content, is_plain=key in PLAIN_TEXTS)
        if isinstance(found, Content):
            return found
        # another member may have something to see
        blank = blank or found
    if blank is not None:
        return blank
    words = message.keys() - COMPANIONS or message.keys() or {"no_content"}
    return skipped_type(min(words))


def _text(data: Any, paths: tuple[Path, ...]) -> str:
    """Return the first text at one of these paths."""
    found = (visible_text("\n".join(_texts_at(data, path))) for path in paths)
    return next(filter(None, found), "")


def _texts_at(value: Any, path: Path) -> list[str]:
    """Return the text at a path of keys, or several if there is a list on the way."""
    if not path:
        return [value] if isinstance(value, str) else []
    parts = value[:MAX_PARTS] if isinstance(value, list) else [value]
    return [
        text
        for part in parts
        if isinstance(part, dict)
        for text in _texts_at(part.get(path[0]), path[1:])
    ]


def _member(key: str, look: Shown, data: dict[str, Any]) -> Content:
    is_reaction = key == "reactionMessage"
    content = Content(
        kind=look.kind,
        text=_text(data, look.texts),
        reply_to=optional_identifier(
            first_at(data, *(REACTED if is_reaction else REPLIES))
        ),
        is_reaction=is_reaction,
        mentions=mentions_of(at(data, *MENTIONS[0]) or at(data, *MENTIONS[1])),
    )
    if not content.is_file:
        return content
    names = (file_name(at(data, *path)) for path in FILE_NAMES)
    is_voice = data.get("ptt") is True or data.get("PTT") is True
    return replace(
        content,
        kind=MessageKind.VOICE if is_voice else look.kind,
        mime_type=cut(first_at(data, *MIME_TYPES), MAX_MIME_TYPE) or None,
        filename=next(filter(None, names), None),
    )
