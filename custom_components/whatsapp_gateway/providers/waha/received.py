"""Messages that WAHA reports. Source: its pages "Receive messages" and "Events".

The engines of a server differ in what they report; what the pages leave out was taken
from the source code of the server.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from yarl import URL

from .. import parsing
from ..message_parsing import (
    MAX_MIME_TYPE,
    MAX_NAME,
    at,
    chat_in_id,
    chat_of,
    cut,
    file_name,
    first_at,
    first_chat,
    identifier,
    is_broadcast_list,
    is_public,
    kind_of_file,
    member_in_id,
    moment,
    optional_identifier,
    optional_moment,
    same_people,
    visible_text,
)
from ..message_types import (
    Content,
    content_of,
    content_of_word,
    mentions_of,
    shown,
)
from ..messages import GROUP, IncomingMessage, MessageEvent, MessageKind
from ..models import Skipped

if TYPE_CHECKING:
    type Pairs = tuple[tuple[str, str], ...]

MESSAGE_EVENT = "message.any"
"""Of received messages and own ones."""
REACTION_EVENT = "message.reaction"
MESSAGE_EVENTS = (MESSAGE_EVENT, REACTION_EVENT)
IDS = (("id",), ("id", "_serialized"), ("key", "id"))
FILES = ("/api/files/", "/api/s3/")
"""Where the server has files; the second is for those that it fetches from a store."""
ADDRESSES = ("http://", "https://")
SIGNED = "X-Amz-Signature"
"""A parameter of the address of a file in a store that needs no key."""
MAX_URL = 4096
"""Number of characters of the address of a file."""
SENDER_NAMES = (
    ("_data", "Info", "PushName"),
    ("_data", "pushName"),
    ("_data", "notifyName"),
)
"""Where the engines GOWS, NOWEB and WEBJS have the name of the sender."""
NO_TEXT = {MessageKind.LOCATION, MessageKind.CONTACT}
"""Their text may be a picture or a whole address card."""
PRODUCT = "product"
"""A type of whatsapp-web.js whose text may be a picture, too."""


def parse_message(event: dict[str, Any]) -> IncomingMessage | Skipped:
    """Return the message or reaction of an event, or why it is none for the user.

    What the server knows to be sent by its API is skipped, and what isn't sent to
    chosen people. Raises `BadResponse`.
    """
    payload = parsing.mapping(event.get("payload"))
    from_me = payload.get("fromMe") is True
    if from_me and payload.get("source") == "api":
        return Skipped("sent_by_api")
    message_id = identifier(first_at(payload, *IDS))
    chat = _chat(payload, message_id, from_me=from_me)
    if isinstance(chat, Skipped):
        return chat
    content = _received(payload)
    if isinstance(content, Skipped):
        return content
    is_reaction = event.get("event") == REACTION_EVENT
    if content.is_reaction and not is_reaction:
        # there is an event of its own about it
        return Skipped("reactionMessage")
    sender = _member(payload, message_id) if chat.endswith(GROUP) else chat
    name = None if from_me else first_at(payload, *SENDER_NAMES)
    own = MessageEvent.SENT_BY_PHONE if from_me else MessageEvent.RECEIVED
    url = _url_of_file(payload)
    me = at(event, "me", "id"), at(event, "me", "lid")
    return IncomingMessage(
        event=MessageEvent.REACTION if is_reaction else own,
        instance_id=parsing.text(event, "session"),
        from_me=from_me,
        id=message_id,
        chat_id=chat,
        kind=content.kind,
        sent_at=moment(payload.get("timestamp"), event.get("timestamp")),
        reported_at=optional_moment(event.get("timestamp")),
        sender_id=None if from_me else sender,
        sender_name=cut(name, MAX_NAME) or None,
        text=content.text,
        reply_to=content.reply_to,
        mime_type=content.mime_type,
        filename=content.filename,
        media=url if content.is_file else None,
        mentions=content.mentions,
        own_ids=tuple(filter(None, map(chat_of, me))),
        same_people=same_people(me, *_pairs(payload, from_me=from_me)),
    )


def _chat(payload: dict[str, Any], message_id: str, *, from_me: bool) -> str | Skipped:
    """Return the chat of a message, which is also a part of its ID.

    The engines differ in what `from` and `to` are in a group: the group, the person who
    writes or reacts, or the linked number. What comes by a broadcast list is a message
    of its sender.
    """
    part = chat_in_id(message_id)
    author, to = payload.get("from"), payload.get("to")
    if is_public(part, author, to):
        # one of the others may be a person
        return Skipped("broadcast")
    for chat in map(chat_of, (part, author, to)):
        if chat and chat.endswith(GROUP):
            return chat
    if is_broadcast_list(part, author, to):
        found = None if from_me else _member(payload, message_id)
        return found or Skipped("broadcast")
    found = first_chat(part, to) if from_me else first_chat(author, part)
    return found or Skipped("no_chat")


def _member(payload: dict[str, Any], message_id: str) -> str | None:
    """Return who has written in a group, or reacted to a message there."""
    found = (payload.get("participant"), payload.get("from"), member_in_id(message_id))
    return first_chat(*(one for one in found if not str(one).endswith(GROUP)))


def _pairs(payload: dict[str, Any], *, from_me: bool) -> list[tuple[Any, Any]]:
    """Return pairs of members that are different IDs of one person, by the engine."""
    info, key = at(payload, "_data", "Info"), at(payload, "_data", "key")
    pairs = [
        (at(info, "Sender"), at(info, "SenderAlt")),
        (at(key, "remoteJid"), at(key, "remoteJidAlt")),
        (at(key, "participant"), at(key, "participantAlt")),
        (at(key, "participant"), at(key, "participantPn")),
        (at(key, "participantLid"), at(key, "participant")),
    ]
    if from_me:
        return [*pairs, (at(info, "Chat"), at(info, "RecipientAlt"))]
    return [
        *pairs,
        (at(key, "remoteJid"), at(key, "senderPn")),
        (at(key, "remoteJid"), at(key, "senderLid")),
        (payload.get("participant") or payload.get("from"), payload.get("pn")),
        (payload.get("from"), at(payload, "_data", "pn")),
    ]


def _received(payload: dict[str, Any]) -> Content | Skipped:
    """Return the content of a message, or why people see nothing of it."""
    if isinstance(reaction := payload.get("reaction"), dict):
        return Content(
            kind=MessageKind.OTHER,
            text=visible_text(reaction.get("text")),
            reply_to=optional_identifier(reaction.get("messageId")),
            is_reaction=True,
        )
    data = payload.get("_data")
    raw = at(data, "Message") or at(data, "message")
    if isinstance(raw, dict):
        content = content_of(raw)
        if isinstance(content, Skipped) or content.is_reaction:
            return content
        return _completed(payload, content)
    word = at(data, "type")
    bare = _simple(payload) if word is None else content_of_word(data)
    if isinstance(bare, Skipped):
        return bare
    place = first_at(payload, ("location", "name"), ("location", "description"))
    mentioned = at(data, "mentionedJidList") or payload.get("mentionedIds")
    content = replace(
        bare,
        text=visible_text(place) or bare.text,
        mentions=mentions_of(mentioned),
    )
    if word == PRODUCT and bare.text:
        payload = {**payload, "body": None}
    return shown(_completed(payload, content), is_plain=word in {None, "chat"})


def _completed(payload: dict[str, Any], content: Content) -> Content:
    """Return a content with what all engines tell in the same form."""
    body = "" if content.kind in NO_TEXT else visible_text(payload.get("body"))
    media = payload.get("media")
    reply = first_at(payload, ("replyTo", "id"))
    content = replace(
        content,
        text=body or content.text,
        reply_to=optional_identifier(reply) or content.reply_to,
    )
    if not content.is_file:
        return content
    url = at(media, "url")
    return replace(
        content,
        mime_type=cut(at(media, "mimetype"), MAX_MIME_TYPE) or content.mime_type,
        filename=file_name(at(media, "filename"))
        or content.filename
        or file_name(_path_of(url)),
    )


def _simple(payload: dict[str, Any]) -> Content | Skipped:
    """Return the content of a message if only the common members tell it."""
    if isinstance(payload.get("location"), dict):
        return Content(kind=MessageKind.LOCATION)
    if payload.get("vCards"):
        return Content(kind=MessageKind.CONTACT)
    if payload.get("hasMedia") is True:
        return Content(kind=kind_of_file(first_at(payload, ("media", "mimetype"))))
    if payload.get("body"):
        return Content(kind=MessageKind.TEXT)
    return Skipped("no_content")


def _url_of_file(payload: dict[str, Any]) -> str | None:
    """Return where a file is: a path on the server, or an address elsewhere.

    The server writes a wrong host before its own paths. A store of files (S3) has
    another host and its own authorization in the address.
    """
    media = payload.get("media")
    url = at(media, "url")
    if (path := _path_of(url)) is None:
        return None
    folder = next((one for one in FILES if one in path), None)
    is_elsewhere = isinstance(at(media, "s3"), dict) and url.startswith(ADDRESSES)
    if is_elsewhere and (folder is None or SIGNED in url):
        return str(url)
    if folder is None:
        return None
    _, _, name = path.partition(folder)
    is_safe = not {".", "..", ""} & {*name.split("/")}
    return folder + quote(name) if is_safe else None


def _path_of(url: Any) -> str | None:
    """Return the path of a web address, None for anything else."""
    if not isinstance(url, str) or len(url) > MAX_URL:
        return None
    try:
        parsed = URL(url)
    except (IndexError, ValueError):
        # yarl raises an IndexError for some addresses with brackets
        return None
    return parsed.path if parsed.scheme in {"http", "https", ""} else None
