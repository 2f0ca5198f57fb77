"""Read messages and chats from JSON: tolerant of what gateways do differently."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from pathlib import PurePosixPath
import re
from time import monotonic
from typing import TYPE_CHECKING, Any

from . import parsing
from .messages import LID, PHONE_SUFFIX, Chat, MessageKind, SentMessage, chat_id
from .models import BadResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .http import Answer
    from .messages import IncomingMessage

MAX_CHATS = 5000
MAX_REMEMBERED = 2000
"""Number of LIDs, or of messages, that are remembered."""
MAX_TEXT = 4096
"""Number of characters of a text; the limits below are in characters, too."""
MAX_NAME = 100
MAX_FILENAME = 255
MAX_MIME_TYPE = 100
MAX_ID = 256
BROADCASTS = ("@broadcast", "@newsletter")
"""Ends of the IDs of status updates, broadcast lists and channels."""
_LONG_ID = re.compile(
    r"(?:true|false)_(?P<chat>[^_@]+@[^_]+)_(?P<id>[^_]+)(?:_(?P<member>.+))?$"
)
MILLISECONDS_FROM = 1e11
"""Larger numbers are times in milliseconds; in seconds it would be the year 5138."""
LID_INTERVAL = 600.0
"""Seconds after which the number of an unknown LID may be asked for again."""
LID_RETRY = 10.0
"""Seconds after which it is asked for again if the gateway gave no answer."""
KINDS_BY_MIME_TYPE = {
    # WhatsApp uses these for nothing else
    "image/webp": MessageKind.STICKER,
    "audio/ogg": MessageKind.VOICE,
}
KINDS_BY_MAIN_TYPE = {
    "image": MessageKind.IMAGE,
    "video": MessageKind.VIDEO,
    "audio": MessageKind.AUDIO,
}


def chat_of(value: Any) -> str | None:
    """Return a chat ID in the common form, None if it is no person or group.

    Plain digits, also with a plus, are a phone number. Broadcasts and channels have no
    chat ID of this form.
    """
    if not isinstance(value, str) or len(value) > MAX_ID:
        return None
    digits = value.strip().removeprefix("+")
    if digits.isascii() and digits.isdigit():
        return digits + PHONE_SUFFIX
    with suppress(ValueError):
        return chat_id(value)
    return None


def is_broadcast(*values: Any) -> bool:
    """Return whether one of these IDs is that of a broadcast or a channel."""
    texts = (value for value in values if isinstance(value, str))
    return any(text.endswith(BROADCASTS) for text in texts)


def first_chat(*values: Any) -> str | None:
    """Return the first chat ID; one that is no LID comes first."""
    found = [chat for chat in map(chat_of, values) if chat is not None]
    return min(found, key=lambda chat: chat.endswith(LID), default=None)


def at(data: Any, *path: str) -> Any:
    """Return the value at a path of keys, None if there is none."""
    for key in path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def first_at(data: Any, *paths: tuple[str, ...]) -> Any:
    """Return the first text at one of these paths that isn't blank, else None."""
    values = (at(data, *path) for path in paths)
    return next(
        (value for value in values if isinstance(value, str) and value.strip()), None
    )


def identifier(value: Any) -> str:
    """Return the ID of a message; raises `BadResponse`."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        raise BadResponse("No message ID")
    return value


def optional_identifier(value: Any) -> str | None:
    """Return the ID of a message, None for anything else."""
    with suppress(BadResponse):
        return identifier(value)
    return None


def bare_id(message_id: str) -> str:
    """Return the part of a message ID by which WhatsApp knows the message.

    Some gateways write the chat before it, and in groups the sender behind it:
    `true_<chat>_<ID>_<sender>`. The chat may have different IDs for one message.
    """
    return message_id if (long := _LONG_ID.match(message_id)) is None else long["id"]


def chat_in_id(message_id: str) -> str | None:
    """Return the chat in the long form of a message ID."""
    return None if (long := _LONG_ID.match(message_id)) is None else long["chat"]


def member_in_id(message_id: str) -> str | None:
    """Return the sender in the long form of a message ID, which only groups have."""
    return None if (long := _LONG_ID.match(message_id)) is None else long["member"]


def cut(value: Any, limit: int) -> str:
    """Return at most so many characters of a text, and none of anything else."""
    return value[:limit] if isinstance(value, str) else ""


def file_name(value: Any) -> str | None:
    """Return the name of a file without folders, None for anything else.

    The sender may write anything, and automations make paths of it.
    """
    name = PurePosixPath(cut(value, MAX_FILENAME).replace("\\", "/")).name
    return name if name not in {"", ".."} else None


def moment(*values: Any) -> datetime:
    """Return the first time, in UTC; without one it is now.

    It may be in seconds or milliseconds since 1970, or in ISO 8601.
    """
    found = (_moment(value) for value in values)
    return next((time for time in found if time is not None), datetime.now(UTC))


def _moment(value: Any) -> datetime | None:
    if isinstance(value, dict):
        # a number of 64 bits in JavaScript
        value = value.get("low")
    with suppress(OSError, OverflowError, TypeError, ValueError):
        seconds = float(value)
        if seconds > MILLISECONDS_FROM:
            seconds /= 1000
        if seconds > 0 and not isinstance(value, bool):
            return datetime.fromtimestamp(seconds, UTC)
    return parsing.timestamp(value)


def kind_of_file(mime_type: str | None) -> MessageKind:
    """Return what kind of message a file is, by its MIME type."""
    plain = (mime_type or "").partition(";")[0].strip().lower()
    if (kind := KINDS_BY_MIME_TYPE.get(plain)) is not None:
        return kind
    return KINDS_BY_MAIN_TYPE.get(plain.partition("/")[0], MessageKind.DOCUMENT)


def sent_message(
    answer: Answer,
    ids: tuple[tuple[str, ...], ...],
    chats: tuple[tuple[str, ...], ...] = (),
) -> SentMessage:
    """Return what an answer tells about the message that was sent.

    The gateway has taken the message, whatever else it answers, unless the answer
    reports a failure: then it raises `Rejected`.
    """
    try:
        payload = answer.json()
    except BadResponse:
        return SentMessage(answered_at=answer.date)
    return SentMessage(
        answered_at=answer.date,
        id=optional_identifier(first_at(payload, *ids)),
        chat_id=first_chat(*(at(payload, *path) for path in chats)),
    )


def checked_chat(digits: str, *chats: Any) -> str:
    """Return the chat that a gateway names for a phone number that has WhatsApp.

    Falls back to the entered number only if the gateway names no chat.
    """
    return first_chat(*chats) or digits + PHONE_SUFFIX


def chats_of(
    rows: Iterable[Any], ids: tuple[tuple[str, ...], ...], names: tuple[str, ...]
) -> list[Chat]:
    """Return each chat once, 5,000 at most; what is no chat is left out."""
    found: dict[str, Chat] = {}
    for row in rows:
        chat = chat_of(first_at(row, *ids))
        if chat is not None and chat not in found:
            name = first_at(row, *((name,) for name in names))
            found[chat] = Chat(id=chat, name=cut(name, MAX_NAME) or None)
            if len(found) == MAX_CHATS:
                break
    return list(found.values())


def people_of(
    payload: Any, ids: tuple[tuple[str, ...], ...], names: tuple[str, ...]
) -> list[Chat]:
    """Return the people in a list of chats who have a name."""
    found = chats_of(parsing.rows(payload), ids, names)
    return [chat for chat in found if chat.name and chat.id.endswith(PHONE_SUFFIX)]


class Lids:
    """The phone numbers behind LIDs, as far as they are known; lost at a restart."""

    def __init__(self) -> None:
        """Keep phone numbers in memory, by instance and LID."""
        self._people: dict[tuple[str, str], str] = {}
        self._asked_at: dict[tuple[str, str], float] = {}

    def learn(self, instance_id: str, *chats: Any) -> None:
        """Remember who it is, if these are a LID and the number of one person."""
        known = [chat for chat in map(chat_of, chats) if chat is not None]
        lids = [chat for chat in known if chat.endswith(LID)]
        people = [chat for chat in known if chat.endswith(PHONE_SUFFIX)]
        if lids and people:
            remember(self._people, (instance_id, lids[0]), people[0])

    def unknown(self, message: IncomingMessage) -> list[str]:
        """Return LIDs of a message to ask for now, each every 10 minutes at most."""
        now, wanted = monotonic(), []
        for chat in dict.fromkeys((message.chat_id, message.sender_id)):
            key = message.instance_id, chat or ""
            due = now - self._asked_at.get(key, -inf) >= LID_INTERVAL
            if chat and chat.endswith(LID) and key not in self._people and due:
                remember(self._asked_at, key, now)
                wanted.append(chat)
        return wanted

    def ask_again(self, instance_id: str, lid: str) -> None:
        """Note that a question about a LID was not answered."""
        self._asked_at[instance_id, lid] = monotonic() - LID_INTERVAL + LID_RETRY

    def resolve(self, message: IncomingMessage) -> IncomingMessage:
        """Return a message with the numbers that are known."""
        chat = self._people.get((message.instance_id, message.chat_id))
        sender = self._people.get((message.instance_id, message.sender_id or ""))
        return replace(
            message,
            chat_id=chat or message.chat_id,
            sender_id=sender or message.sender_id,
        )


def remember[K, V](
    memory: dict[K, V], key: K, value: V, limit: int = MAX_REMEMBERED
) -> None:
    """Remember something, and forget the oldest of too many."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > limit:
        del memory[next(iter(memory))]
