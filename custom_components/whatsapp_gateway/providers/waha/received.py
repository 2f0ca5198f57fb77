"""Messages that WAHA reports. Source: its pages "Receive messages" and "Events".

The engines of a server differ in what they report; what the pages leave out was taken
from the source code of the server.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from yarl import URL

from .. import parsing
from ..message_parsing import (
    MAX_MIME_TYPE,
    MAX_NAME,
    MAX_TEXT,
    at,
    chat_in_id,
    chat_of,
    cut,
    file_name,
    first_at,
    first_chat,
    identifier,
    is_broadcast,
    kind_of_file,
    member_in_id,
    moment,
    optional_identifier,
)
from ..message_types import Content, content_of
from ..messages import GROUP, IncomingMessage, MessageEvent, MessageKind

MESSAGE_EVENT = "message.any"
"""Of received messages and own ones."""
REACTION_EVENT = "message.reaction"
MESSAGE_EVENTS = (MESSAGE_EVENT, REACTION_EVENT)
IDS = (("id",), ("id", "_serialized"), ("key", "id"))
FILES = "/api/files/"
SENDER_NAMES = (
    ("_data", "Info", "PushName"),
    ("_data", "pushName"),
    ("_data", "notifyName"),
)
"""Where the engines GOWS, NOWEB and WEBJS have the name of the sender."""
KINDS_BY_WORD = {
    "chat": MessageKind.TEXT,
    "image": MessageKind.IMAGE,
    "video": MessageKind.VIDEO,
    "audio": MessageKind.AUDIO,
    "ptt": MessageKind.VOICE,
    "document": MessageKind.DOCUMENT,
    "sticker": MessageKind.STICKER,
    "location": MessageKind.LOCATION,
    "vcard": MessageKind.CONTACT,
    "multi_vcard": MessageKind.CONTACT,
    "poll_creation": MessageKind.POLL,
}
"""The words of the engines WEBJS and WPP."""
NO_TEXT = {MessageKind.LOCATION, MessageKind.CONTACT}
"""Their text may be a picture or a whole address card."""


def parse_message(event: dict[str, Any]) -> IncomingMessage | None:
    """Return the message or reaction of an event, None if it is none for the user.

    What the server knows to be sent by its API is skipped, and broadcasts. Raises
    `BadResponse`.
    """
    payload = parsing.mapping(event.get("payload"))
    from_me = payload.get("fromMe") is True
    if from_me and payload.get("source") == "api":
        return None
    message_id = identifier(first_at(payload, *IDS))
    chat = _chat(payload, message_id, from_me=from_me)
    content = _received(payload)
    if chat is None or content is None:
        return None
    is_reaction = event.get("event") == REACTION_EVENT
    if content.is_reaction and not is_reaction:
        # there is an event of its own about it
        return None
    sender = _member(payload, message_id) if chat.endswith(GROUP) else chat
    name = None if from_me else first_at(payload, *SENDER_NAMES)
    own = MessageEvent.SENT_BY_PHONE if from_me else MessageEvent.RECEIVED
    return IncomingMessage(
        event=MessageEvent.REACTION if is_reaction else own,
        instance_id=parsing.text(event, "session"),
        from_me=from_me,
        id=message_id,
        chat_id=chat,
        kind=content.kind,
        sent_at=moment(payload.get("timestamp"), event.get("timestamp")),
        sender_id=None if from_me else sender,
        sender_name=cut(name, MAX_NAME) or None,
        text=content.text,
        reply_to=content.reply_to,
        mime_type=content.mime_type,
        filename=content.filename,
        has_media=content.has_media,
        media=_path_of_file(at(payload, "media", "url")),
    )


def _chat(payload: dict[str, Any], message_id: str, *, from_me: bool) -> str | None:
    """Return the chat of a message, which is also a part of its ID.

    A broadcast or a channel has none. The engines differ in what `from` and `to` are
    in a group: the group, the person who writes or reacts, or the linked number.
    """
    part = chat_in_id(message_id)
    author, to = payload.get("from"), payload.get("to")
    if is_broadcast(part, author, to):
        # one of the others may be a person
        return None
    for chat in map(chat_of, (part, author, to)):
        if chat and chat.endswith(GROUP):
            return chat
    return first_chat(part, to) if from_me else first_chat(author, part)


def _member(payload: dict[str, Any], message_id: str) -> str | None:
    """Return who has written in a group, or reacted to a message there."""
    found = (payload.get("participant"), payload.get("from"), member_in_id(message_id))
    return first_chat(*(one for one in found if not str(one).endswith(GROUP)))


def _received(payload: dict[str, Any]) -> Content | None:
    """Return the content of a message, None if people see nothing of it."""
    if isinstance(reaction := payload.get("reaction"), dict):
        return Content(
            kind=MessageKind.OTHER,
            text=cut(reaction.get("text"), MAX_TEXT),
            reply_to=optional_identifier(reaction.get("messageId")),
            is_reaction=True,
        )
    data = payload.get("_data")
    raw = at(data, "Message") or at(data, "message")
    engine = content_of(raw)
    if isinstance(raw, dict) and engine is None:
        return None
    if engine is not None and engine.is_reaction:
        return engine
    kind = engine.kind if engine else _kind(payload)
    text = cut(payload.get("body"), MAX_TEXT)
    if kind in NO_TEXT or not text:
        text = engine.text if engine else cut(_name_of_place(payload), MAX_TEXT)
    media = payload.get("media")
    reply = first_at(payload, ("replyTo", "id"))
    return Content(
        kind=kind,
        text=text,
        reply_to=optional_identifier(reply) or (engine.reply_to if engine else None),
        mime_type=cut(at(media, "mimetype"), MAX_MIME_TYPE)
        or (engine.mime_type if engine else None),
        filename=file_name(at(media, "filename"))
        or (engine.filename if engine else None),
    )


def _name_of_place(payload: dict[str, Any]) -> Any:
    return first_at(payload, ("location", "name"), ("location", "description"))


def _kind(payload: dict[str, Any]) -> MessageKind:
    """Return what a message is if the engine doesn't say it in WhatsApp's own form."""
    word = first_at(payload, ("_data", "type"))
    if (kind := KINDS_BY_WORD.get(word)) is not None:
        return kind
    if isinstance(payload.get("location"), dict):
        return MessageKind.LOCATION
    if payload.get("vCards"):
        return MessageKind.CONTACT
    if payload.get("hasMedia") is True:
        return kind_of_file(first_at(payload, ("media", "mimetype")))
    return MessageKind.TEXT if payload.get("body") else MessageKind.OTHER


def _path_of_file(url: Any) -> str | None:
    """Return the path of a file on the server, which writes a wrong host before it."""
    try:
        path = URL(url).path
    except (IndexError, TypeError, ValueError):
        # yarl raises an IndexError for some addresses with brackets
        return None
    _, found, name = path.partition(FILES)
    is_safe = found and name and not {".", "..", ""} & {*name.split("/")}
    return FILES + quote(name) if is_safe else None
