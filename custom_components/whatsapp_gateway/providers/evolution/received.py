"""Read the messages that the Evolution API reports.

Source: the code of 2.3.7 and 2.4.0-rc2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import parsing
from ..message_parsing import (
    MAX_NAME,
    at,
    chat_of,
    cut,
    first_at,
    first_chat,
    identifier,
    is_broadcast_list,
    is_public,
    moment,
    optional_identifier,
    same_people,
)
from ..message_types import content_of, mentions_of
from ..messages import GROUP, IncomingMessage, MessageEvent
from ..models import Skipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    type Key = Mapping[str, Any]


def parse_message(event: dict[str, Any]) -> IncomingMessage | Skipped:
    """Return the message of an event, or why it is none for the user.

    What isn't sent to chosen people is skipped. Raises `BadResponse`.
    """
    data, key = message_and_key(event)
    from_me = key.get("fromMe") is True
    own = chat_of(event.get("sender"))
    chat = _chat(key, own if from_me else None, from_me=from_me)
    content = content_of(data.get("message"))
    if isinstance(chat, Skipped):
        return chat
    if isinstance(content, Skipped):
        return content
    sender = _member(key) if chat.endswith(GROUP) else chat
    name = None if from_me else first_at(data, ("pushName",))
    event_type = MessageEvent.SENT_BY_PHONE if from_me else MessageEvent.RECEIVED
    message_id = identifier(key.get("id"))
    context = data.get("contextInfo")
    mentioned = mentions_of(at(context, "mentionedJid"))
    return IncomingMessage(
        event=MessageEvent.REACTION if content.is_reaction else event_type,
        instance_id=parsing.text(event, "instance"),
        from_me=from_me,
        id=message_id,
        chat_id=chat,
        kind=content.kind,
        # the time of the event itself is a local one
        sent_at=moment(data.get("messageTimestamp")),
        sender_id=None if from_me else sender,
        sender_name=cut(name, MAX_NAME) or None,
        text=content.text,
        reply_to=content.reply_to or optional_identifier(at(context, "stanzaId")),
        mime_type=content.mime_type,
        filename=content.filename,
        media=message_id if content.is_file else None,
        mentions=content.mentions | mentioned,
        own_ids=(own,) if own else (),
        same_people=_same_people(key, from_me=from_me),
    )


def _chat(key: Key, own: str | None, *, from_me: bool) -> str | Skipped:
    """Return the chat of a message.

    What comes by a broadcast list is a message of its sender. Beside the LID of the
    receiver of an own message may be the own number.
    """
    chat = key.get("remoteJid")
    if is_public(chat):
        # the other ID is that of the person who sent it
        return Skipped("broadcast")
    if is_broadcast_list(chat):
        return (None if from_me else _member(key)) or Skipped("broadcast")
    others = [key.get("remoteJidAlt"), None if from_me else key.get("senderPn")]
    others = [one for one in others if own is None or chat_of(one) != own]
    return first_chat(chat, *others) or Skipped("no_chat")


def _member(key: Key) -> str | None:
    """Return who has written in a group."""
    names = ("participant", "participantAlt", "participantPn")
    return first_chat(*map(key.get, names))


def _same_people(key: Key, *, from_me: bool) -> tuple[tuple[str, str], ...]:
    """Return the pairs of IDs in a key that belong to one person."""
    chat, member = key.get("remoteJid"), key.get("participant")
    names = ["remoteJidAlt", "previousRemoteJid"]
    if not from_me:
        names += ["senderPn", "senderLid"]
    members = ("participantAlt", "participantPn", "participantLid")
    return same_people(
        *((chat, key.get(name)) for name in names),
        *((member, key.get(name)) for name in members),
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
