"""Read the messages that the Evolution API reports.

Source: the code of 2.3.7 and 2.4.0-rc2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import parsing
from ..message_parsing import (
    MAX_NAME,
    at,
    cut,
    first_at,
    first_chat,
    identifier,
    is_broadcast,
    moment,
    optional_identifier,
)
from ..message_types import content_of
from ..messages import GROUP, IncomingMessage, MessageEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    type Key = Mapping[str, Any]


def parse_message(event: dict[str, Any]) -> IncomingMessage | None:
    """Return the message of an event, None if it is none for the user.

    Broadcasts are skipped. Raises `BadResponse`.
    """
    data, key = message_and_key(event)
    if is_broadcast(key.get("remoteJid")):
        # the other ID is that of the person who sent it
        return None
    chat = first_chat(key.get("remoteJid"), key.get("remoteJidAlt"))
    content = content_of(data.get("message"))
    if chat is None or content is None:
        return None
    from_me = key.get("fromMe") is True
    participant = first_chat(key.get("participant"), key.get("participantAlt"))
    sender = participant if chat.endswith(GROUP) else chat
    name = None if from_me else first_at(data, ("pushName",))
    own = MessageEvent.SENT_BY_PHONE if from_me else MessageEvent.RECEIVED
    message_id = identifier(key.get("id"))
    return IncomingMessage(
        event=MessageEvent.REACTION if content.is_reaction else own,
        instance_id=parsing.text(event, "instance"),
        from_me=from_me,
        id=message_id,
        chat_id=chat,
        kind=content.kind,
        sent_at=moment(data.get("messageTimestamp"), event.get("date_time")),
        sender_id=None if from_me else sender,
        sender_name=cut(name, MAX_NAME) or None,
        text=content.text,
        reply_to=content.reply_to
        or optional_identifier(at(data, "contextInfo", "stanzaId")),
        mime_type=content.mime_type,
        filename=content.filename,
        has_media=content.has_media,
        media=message_id if content.has_media else None,
    )


def message_and_key(event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the message of an event and its key; raises `BadResponse`."""
    data = event.get("data")
    if isinstance(data, list) and data:
        data = data[0]
    message = parsing.mapping(data)
    return message, parsing.mapping(message.get("key"))


def key_of(payload: Any) -> tuple[str, Key] | None:
    """Return the ID of a message, and what a reaction to it has to repeat."""
    key = at(payload, "key")
    message_id, chat = first_at(key, ("id",)), first_at(key, ("remoteJid",))
    if not message_id or not chat:
        return None
    participant = first_at(key, ("participant",))
    return message_id, {
        "remoteJid": chat,
        "fromMe": key.get("fromMe") is True,
        **({"participant": participant} if participant else {}),
    }
