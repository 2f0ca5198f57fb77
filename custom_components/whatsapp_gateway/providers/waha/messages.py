"""Messages of WAHA. Source: its pages "Send messages", "Receive messages" and "Events".

What they leave out was taken from the source code of the server. The engines of a
server differ in what they answer.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, override
from urllib.parse import quote, urlencode

from yarl import URL

from .. import parsing
from ..base import Provider, path_of
from ..http import SEND_TIME_LIMIT
from ..message_parsing import (
    MAX_CHATS,
    MAX_MIME_TYPE,
    MAX_NAME,
    MAX_TEXT,
    Lids,
    at,
    chat_in_id,
    chat_of,
    chats_of,
    checked_chat,
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
    people_of,
    sent_message,
)
from ..message_types import Content, content_of
from ..messages import (
    GROUP,
    MAX_MEDIA,
    OTHER_PERSON,
    Call,
    IncomingMessage,
    MessageEvent,
    MessageKind,
    in_other_form,
)
from ..models import (
    BadResponse,
    GatewayError,
    RateLimited,
    Rejected,
    Unreachable,
)

if TYPE_CHECKING:
    from ..messages import Chat, Media, OutgoingMessage, SentMessage

MESSAGE_EVENT = "message.any"
"""Of received messages and own ones."""
REACTION_EVENT = "message.reaction"
LID_TIME_LIMIT = 5.0
"""Seconds for the number of one person; the message waits so long."""
MESSAGE_EVENTS = (MESSAGE_EVENT, REACTION_EVENT)
ROUTES = {
    MessageKind.IMAGE: "/api/sendImage",
    MessageKind.VIDEO: "/api/sendVideo",
    MessageKind.VOICE: "/api/sendVoice",
}
"""Paths to send files; all other files are sent as documents."""
PLAYABLE = {MessageKind.VIDEO: "video/mp4", MessageKind.VOICE: "audio/ogg"}
"""The type that needs no conversion."""
SENT_IDS = (("id",), ("id", "_serialized"), ("key", "id"))
SENT_CHATS = (("key", "remoteJid"), ("id", "remote"))
"""Where the engines NOWEB and WEBJS have the chat of a message that was sent."""
GROUP_IDS = (("id",), ("id", "_serialized"), ("JID",))
GROUP_NAMES = ("subject", "name", "Name")
SENDER_NAMES = (
    ("_data", "Info", "PushName"),
    ("_data", "pushName"),
    ("_data", "notifyName"),
)
"""Where the engines GOWS, NOWEB and WEBJS have the name of the sender."""
FILES = "/api/files/"
MAX_PEOPLE = 500
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


class WahaMessages(Provider):
    """The calls of a WAHA server that are about messages."""

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lids = Lids()

    @override
    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        build = partial(send_call, instance_id, chat_id, message)
        answer = await self._ask_to_send(build)
        sent = sent_message(answer, SENT_IDS, SENT_CHATS)
        return replace(
            sent, chat_id=sent.chat_id or first_chat(chat_in_id(sent.id or ""))
        )

    @override
    async def chats(self, instance_id: str) -> list[Chat]:
        """Return the groups, and the people of the latest chats.

        The members of groups are not asked for. The engine NOWEB only lists people if
        its store is enabled.
        """
        query = f"?limit={MAX_CHATS}&offset=0&exclude=participants"
        path = path_of("/api", instance_id, f"/groups{query}")
        groups = parse_groups((await self._http.request("GET", path)).json())
        path = path_of("/api", instance_id, f"/chats/overview?limit={MAX_PEOPLE}")
        with suppress(Rejected):
            answer = await self._http.request("GET", path)
            return groups + people_of(answer.json(), GROUP_IDS, GROUP_NAMES)
        return groups

    @override
    async def find_person(self, instance_id: str, phone_number: str) -> str | None:
        query = urlencode({"session": instance_id, "phone": phone_number})
        path = f"/api/contacts/check-exists?{query}"
        answer = await self._http.request("GET", path)
        return parse_check(answer.json(), phone_number)

    @override
    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        for lid in self._lids.unknown(message):
            try:
                person = await self._person(message, lid)
            except (RateLimited, Unreachable):
                self._lids.ask_again(message.instance_id, lid)
            except GatewayError:
                # the gateway doesn't know the number
                continue
            else:
                self._lids.learn(message.instance_id, lid, person)
        return self._lids.complete(message)

    async def _person(self, message: IncomingMessage, lid: str) -> str:
        """Return the chat ID of the person behind a LID."""
        path = path_of(path_of("/api", message.instance_id, "/lids"), lid)
        answer = await self._http.get(path, time_limit=LID_TIME_LIMIT)
        return parse_lid(answer.json())

    @override
    async def download(self, message: IncomingMessage) -> bytes:
        """Return the file of a message, which the server may keep for minutes only."""
        path = path_of_file(message)
        answer = await self._http.request(
            "GET",
            path,
            time_limit=SEND_TIME_LIMIT,
            max_body=MAX_MEDIA,
            page_ok=message.kind is MessageKind.DOCUMENT,
        )
        return answer.body


def send_call(session: str, chat: str, message: OutgoingMessage) -> Call:
    """Return the request that sends a message; encodes the file in it."""
    if message.reaction is not None:
        body = {
            "session": session,
            "messageId": _serialized_id(chat, message.reply_to or ""),
            "reaction": message.reaction,
        }
        return Call(method="PUT", path="/api/reaction", body=body)
    path, content = _content(message)
    common: dict[str, Any] = {"session": session, "chatId": in_other_form(chat)}
    if message.reply_to:
        common["reply_to"] = message.reply_to
    if message.mentions:
        common["mentions"] = [digits + OTHER_PERSON for digits in message.mentions]
    return Call(path=path, body=common | content)


def _serialized_id(chat: str, message_id: str) -> str:
    """Return the long form of an ID, which a reaction needs.

    The engine NOWEB answers a send with the short form. So a message with a short one
    is our own.
    """
    if "_" in message_id:
        return message_id
    return f"true_{in_other_form(chat)}_{message_id}"


def _content(message: OutgoingMessage) -> tuple[str, dict[str, Any]]:
    """Return the path and the members of a body that depend on the content."""
    if (media := message.media) is not None:
        content: dict[str, Any] = {"file": _file(media)}
        if message.text and media.kind is not MessageKind.VOICE:
            content["caption"] = message.text
        if (playable := PLAYABLE.get(media.kind)) is not None:
            content["convert"] = media.mime_type.partition(";")[0] != playable
        return ROUTES.get(media.kind, "/api/sendFile"), content
    if (poll := message.poll) is not None:
        question = {
            "name": poll.question,
            "options": list(poll.options),
            "multipleAnswers": poll.multiple,
        }
        return "/api/sendPoll", {"poll": question}
    if (location := message.location) is not None:
        return "/api/sendLocation", {
            "latitude": location.latitude,
            "longitude": location.longitude,
            "title": location.name,
        }
    return "/api/sendText", {"text": message.text}


def _file(media: Media) -> dict[str, Any]:
    file = {"mimetype": media.mime_type, "filename": media.filename}
    if media.content is None:
        return file | {"url": media.url}
    return file | {"data": b64encode(media.content).decode()}


def needs_connection(payload: Any) -> bool:
    """Return whether a request was refused because the session isn't connected."""
    return bool(at(payload, "expected") == ["WORKING"])


def parse_groups(payload: Any) -> list[Chat]:
    """Return the groups in the form of any engine; NOWEB may answer an object."""
    if isinstance(payload, dict):
        payload = [
            {"id": key} | (value if isinstance(value, dict) else {})
            for key, value in payload.items()
        ]
    return chats_of(parsing.rows(payload), GROUP_IDS, GROUP_NAMES)


def parse_event(event: dict[str, Any]) -> IncomingMessage | None:
    """Return the message or reaction of an event, None if it is none for the user.

    What the server knows to be sent by its API is skipped, and broadcasts. Raises
    `BadResponse`.
    """
    payload = parsing.mapping(event.get("payload"))
    from_me = payload.get("fromMe") is True
    if from_me and payload.get("source") == "api":
        return None
    message_id = identifier(first_at(payload, *SENT_IDS))
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


def path_of_file(message: IncomingMessage) -> str:
    """Return the path of the file of a message; raises `Rejected`."""
    if message.media is None or not message.media.startswith(FILES):
        raise Rejected("The gateway has not kept the file of this message.")
    return message.media


def parse_lid(payload: Any) -> str:
    """Return the chat ID of the person behind a LID; raises `BadResponse`."""
    chat = first_chat(at(payload, "pn"))
    if chat is None:
        raise BadResponse("No phone number")
    return chat


def parse_check(payload: Any, digits: str) -> str | None:
    """Return the chat ID of a phone number, None if it has no WhatsApp."""
    data = parsing.mapping(payload)
    if not parsing.flag(data, "numberExists"):
        return None
    return checked_chat(digits, data.get("chatId"), data.get("pn"))
