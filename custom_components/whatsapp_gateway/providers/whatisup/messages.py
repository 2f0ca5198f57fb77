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
    MAX_TEXT,
    at,
    cut,
    file_name,
    first_at,
    first_chat,
    identifier,
    is_broadcast,
    kind_of_file,
    moment,
    optional_identifier,
    sent_message,
)
from ..message_types import FILES
from ..messages import (
    GROUP,
    IncomingMessage,
    MessageEvent,
    MessageKind,
    SendRequest,
    digits_or_id,
)

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
}
IDS = (("message_id",), ("id",), ("event_id",))
REACTION_IDS = (("event_id",), ("id",), ("message_id",))
CHATS = (("chat_id",), ("chat",), ("group_id",))
SENDERS = (("participant",), ("author",), ("sender",))
NAMES = (("push_name",), ("from_name",), ("sender_name",), ("name",))
TEXTS = (("body",), ("body", "text"), ("body", "caption"), ("text",), ("caption",))
REPLIES = (("quoted_message_id",), ("reply_to",), ("body", "quoted_message_id"))
EMOJIS = (("emoji",), ("reaction",), ("reaction", "emoji"), ("reaction", "text"))
REACTED = (("target_message_id",), ("reaction", "message_id"), ("message_id",))
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
) -> IncomingMessage | None:
    """Return the message of an event, None if it is none for the user.

    `data` has the members of the event and of what is nested in it. Raises
    `BadResponse`.
    """
    author = first_at(data, ("from",))
    chat = first_chat(author)
    if is_broadcast(*(at(data, *path) for path in CHATS)):
        return None
    if chat is None or data.get("from_me") is True:
        return None
    sender: str | None = chat
    if chat.endswith(GROUP):
        sender = first_chat(first_at(data, *SENDERS))
    elif (group := first_chat(first_at(data, *CHATS))) and group.endswith(GROUP):
        chat = group
    is_reaction = name == REACTION
    kind = MessageKind.OTHER if is_reaction else _kind(data)
    texts, replies = (EMOJIS, REACTED) if is_reaction else (TEXTS, REPLIES)
    mime_types, filenames = MEMBERS
    return IncomingMessage(
        event=MESSAGE_EVENTS[name],
        instance_id=instance_id,
        id=identifier(first_at(data, *(REACTION_IDS if is_reaction else IDS))),
        chat_id=chat,
        kind=kind,
        sent_at=moment(*map(data.get, ("received_at", "timestamp", "occurred_at"))),
        sender_id=sender,
        sender_name=cut(first_at(data, *NAMES), MAX_NAME) or None,
        text=cut(first_at(data, *texts), MAX_TEXT),
        reply_to=optional_identifier(first_at(data, *replies)),
        mime_type=cut(_of_file(data, mime_types), MAX_MIME_TYPE) or None,
        filename=file_name(_of_file(data, filenames)),
        has_media=kind in FILES,
    )


def _of_file(data: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return a member that stands beside the body, or in it."""
    return first_at(
        data, *(("body", name) for name in names), *((name,) for name in names)
    )


def _kind(data: dict[str, Any]) -> MessageKind:
    word = first_at(data, ("body", "type"), ("type",), ("message_type",))
    if word is not None:
        return KINDS.get(word.lower(), MessageKind.OTHER)
    if first_at(data, ("body", "media_url"), ("media_url",)):
        return kind_of_file(_of_file(data, MEMBERS[0]))
    return MessageKind.TEXT if at(data, "body") else MessageKind.OTHER
