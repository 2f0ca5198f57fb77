"""Messages of WhatIsUp. Source: its pages "Messages" and "Event payloads".

Of a received message they only say that it has `from`, `body` (a text or a reference to
a file) and `received_at`. The other names that are tried here are those of similar
gateways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from ..base import path_of
from ..capabilities import Messages
from ..message_parsing import (
    MAX_MIME_TYPE,
    MAX_NAME,
    at,
    cut,
    file_name,
    first_at,
    first_chat,
    identifier,
    is_broadcast_list,
    is_public,
    kind_of_file,
    moment,
    optional_identifier,
    same_people,
    sent_message,
    visible_text,
)
from ..message_types import Content, shown, skipped_type
from ..messages import (
    GROUP,
    IncomingMessage,
    MessageEvent,
    MessageKind,
    SendRequest,
    digits_or_id,
)
from ..models import Skipped

if TYPE_CHECKING:
    from ..messages import OutgoingMessage, SentMessage

PATH = "/v1/instances"
RECEIVED = "message.received"
REACTION = "message.reaction"
MESSAGE_EVENTS = {RECEIVED: MessageEvent.RECEIVED, REACTION: MessageEvent.REACTION}
"""The events that are reported. `message.sent` can't tell who has sent it: the phone,
or this integration."""
SENT_IDS = (("message_id",),)
TYPES = {
    MessageKind.IMAGE: "image",
    MessageKind.AUDIO: "audio",
    MessageKind.VOICE: "audio",
}
"""Types of files that are documented; all other files are sent as documents."""
KINDS = {
    "text": MessageKind.TEXT,
    "image": MessageKind.IMAGE,
    "video": MessageKind.VIDEO,
    "audio": MessageKind.AUDIO,
    "voice": MessageKind.VOICE,
    "ptt": MessageKind.VOICE,
    "document": MessageKind.DOCUMENT,
    "sticker": MessageKind.STICKER,
    "location": MessageKind.LOCATION,
    "contact": MessageKind.CONTACT,
    "contacts": MessageKind.CONTACT,
    "poll": MessageKind.POLL,
    "poll_creation": MessageKind.POLL,
    "list_response": MessageKind.TEXT,
    "button_response": MessageKind.TEXT,
    "buttons_response": MessageKind.TEXT,
    "button_reply": MessageKind.TEXT,
    "list_reply": MessageKind.TEXT,
    "template_button_reply": MessageKind.TEXT,
    "interactive": MessageKind.TEXT,
    "interactive_response": MessageKind.TEXT,
    "buttons": MessageKind.TEXT,
    "list": MessageKind.TEXT,
    "template": MessageKind.TEXT,
    "event": MessageKind.OTHER,
    "group_invite": MessageKind.OTHER,
    "product": MessageKind.OTHER,
    "order": MessageKind.OTHER,
}
"""What people see, by the type of a message; the types are not documented."""
SILENT = {
    "call",
    "ciphertext",
    "deleted",
    "e2e_notification",
    "edited",
    "gp2",
    "notification",
    "poll_update",
    "protocol",
    "revoked",
    "system",
    "unsupported",
}
"""Types beside the body of what people don't see."""
IDS = (("message_id",), ("id",), ("event_id",))
REACTION_IDS = (("event_id",), ("id",), ("message_id",))
CHATS = (("chat_id",), ("chat",), ("group_id",))
SENDERS = (("participant",), ("author",), ("sender",))
NAMES = (("push_name",), ("from_name",), ("sender_name",), ("name",))
TEXTS = (
    ("body",),
    ("body", "text"),
    ("body", "caption"),
    ("body", "title"),
    ("body", "body", "text"),
    ("body", "name"),
    ("text",),
    ("caption",),
)
REPLIES = (("quoted_message_id",), ("reply_to",), ("body", "quoted_message_id"))
EMOJIS = (("emoji",), ("reaction",), ("reaction", "emoji"), ("reaction", "text"))
REACTED = (("target_message_id",), ("reaction", "message_id"), ("message_id",))
PNS = ("sender_pn", "from_pn", "pn")
MEMBERS = ("mime_type", "mimetype"), ("filename", "file_name")


class WhatIsUpMessages(Messages):
    """The messages that an account sends."""

    @override
    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        body = {"to": digits_or_id(chat_id), "body": _content(message)}
        path = path_of(PATH, instance_id, "/messages")
        answer = await self._request(lambda: SendRequest(path=path, body=body))
        return sent_message(answer, SENT_IDS)


def _content(message: OutgoingMessage) -> dict[str, Any]:
    if (media := message.media) is None:
        return {"type": "text", "text": message.text}
    kind = TYPES.get(media.kind, "document")
    content = {"type": kind, "media_url": media.url}
    if kind == "document":
        content["filename"] = media.filename
    if kind != "audio" and message.text:
        content["caption"] = message.text
    return content


def parse_message(
    data: dict[str, Any], name: str, instance_id: str
) -> IncomingMessage | Skipped:
    """Return the message of an event, or why it is none for the user.

    `data` has the members of the event and of what is nested in it. Raises
    `BadResponse`.
    """
    if data.get("from_me") is True:
        return Skipped("from_me")
    chat = _chat(data)
    is_reaction = name == REACTION
    content = _reaction(data) if is_reaction else _received(data)
    if isinstance(chat, Skipped):
        return chat
    if isinstance(content, Skipped):
        return content
    sender = first_chat(first_at(data, *SENDERS)) if chat.endswith(GROUP) else chat
    if chat.endswith(GROUP) and sender is None:
        # the group isn't in the member for the sender
        sender = first_chat(_person(data))
    return IncomingMessage(
        event=MESSAGE_EVENTS[name],
        instance_id=instance_id,
        id=identifier(first_at(data, *(REACTION_IDS if is_reaction else IDS))),
        chat_id=chat,
        kind=content.kind,
        sent_at=moment(*map(data.get, ("received_at", "timestamp", "occurred_at"))),
        sender_id=sender,
        sender_name=cut(first_at(data, *NAMES), MAX_NAME) or None,
        text=content.text,
        reply_to=content.reply_to,
        mime_type=content.mime_type,
        filename=content.filename,
        same_people=same_people(*((data.get("from"), data.get(key)) for key in PNS)),
    )


def _chat(data: dict[str, Any]) -> str | Skipped:
    """Return the chat of a message; a broadcast list's is that of its sender."""
    author, others = data.get("from"), [at(data, *path) for path in CHATS]
    if is_public(author, *others):
        return Skipped("broadcast")
    if is_broadcast_list(author):
        return first_chat(first_at(data, *SENDERS)) or Skipped("broadcast")
    chat = first_chat(author)
    if chat is None:
        return Skipped("no_chat")
    group = first_chat(*others)
    return group if group and group.endswith(GROUP) else chat


def _person(data: dict[str, Any]) -> Any:
    """Return who has written, if the member for that isn't the group."""
    author = first_chat(data.get("from"))
    return author if author and not author.endswith(GROUP) else None


def _reaction(data: dict[str, Any]) -> Content:
    return Content(
        kind=MessageKind.OTHER,
        text=visible_text(first_at(data, *EMOJIS)),
        reply_to=optional_identifier(first_at(data, *REACTED)),
        is_reaction=True,
    )


def _received(data: dict[str, Any]) -> Content | Skipped:
    kind = _kind(data)
    if isinstance(kind, Skipped):
        return kind
    mime_types, filenames = MEMBERS
    is_plain = kind is MessageKind.TEXT and at(data, "body", "type") in {None, "text"}
    return shown(
        Content(
            kind=kind,
            text=visible_text(first_at(data, *TEXTS)),
            reply_to=optional_identifier(first_at(data, *REPLIES)),
            mime_type=cut(_of_file(data, mime_types), MAX_MIME_TYPE) or None,
            filename=file_name(_of_file(data, filenames)),
        ),
        is_plain=is_plain,
    )


def _of_file(data: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return a member that stands beside the body, or in it."""
    return first_at(
        data, *(("body", name) for name in names), *((name,) for name in names)
    )


def _kind(data: dict[str, Any]) -> MessageKind | Skipped:
    """Return what people see of a message."""
    if word := first_at(data, ("body", "type")):
        return KINDS.get(word.lower()) or skipped_type(word)
    word = first_at(data, ("type",), ("message_type",)) or ""
    if kind := KINDS.get(word.lower()):
        return kind
    if word.lower() in SILENT:
        return skipped_type(word)
    # the word may mean something else
    if first_at(data, ("body", "media_url"), ("media_url",)):
        return kind_of_file(_of_file(data, MEMBERS[0]))
    return MessageKind.TEXT if first_at(data, *TEXTS) else Skipped("no_content")
