"""Read messages and chats from JSON: tolerant of what gateways do differently."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
import re
from typing import TYPE_CHECKING, Any
from unicodedata import category

from . import parsing
from .messages import LID, PHONE_SUFFIX, Chat, MessageKind, SentMessage, chat_id
from .models import BadResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .http import Answer

MAX_CHATS = 5000
MAX_REMEMBERED = 2000
"""Number of messages that are remembered."""
MAX_TEXT = 4096
"""Number of characters of a text; the limits below are in characters, too."""
MAX_BLANKS = 65_536
"""Number of characters among which something to see is looked for."""
MAX_NAME = 100
MAX_FILENAME = 255
MAX_MIME_TYPE = 100
MAX_ID = 256
BROADCAST = "@broadcast"
"""End of the IDs of broadcast lists and status updates."""
STATUS_UPDATES = "status@broadcast"
CHANNEL = "@newsletter"
INVISIBLE = {"Cc", "Cf", "Mn", "Zl", "Zp", "Zs"}
"""Unicode categories of characters that have no shape of their own."""
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that look like a space."""
_LONG_ID = re.compile(
    r"(?:true|false)_(?P<chat>[^_@]+@[^_]+)_(?P<id>.+?)"
    r"(?:_(?P<member>[^_]*@.+|in|out))?$"
)
"""An ID may contain the separator. In the chat with oneself a direction follows it."""
NO_TIME_YEAR = 1970
MILLISECONDS_FROM = 1e11
"""Larger numbers are times in milliseconds; in seconds it would be the year 5138."""
MINUTES_OF_ZONES = 30
"""Time zones differ by multiples of this, and some by 45 minutes."""
MINUTES_OF_OTHER_ZONES = {345, 525, 765}
MINUTES_OF_DELAY = 0.5
"""How long a report may take, and how far clocks may differ."""
MAX_ZONE_MINUTES = 14 * 60
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


def is_public(*values: Any) -> bool:
    """Return whether one of these IDs is that of status updates or a channel."""
    texts = [value for value in values if isinstance(value, str)]
    return any(text == STATUS_UPDATES or text.endswith(CHANNEL) for text in texts)


def is_broadcast_list(*values: Any) -> bool:
    """Return whether one of these IDs is that of a broadcast list."""
    return any(isinstance(value, str) and value.endswith(BROADCAST) for value in values)


def same_people(*pairs: tuple[Any, Any]) -> tuple[tuple[str, str], ...]:
    """Return the pairs that are a LID and a phone number, in this order."""
    found = []
    for one, other in pairs:
        chats = [chat for chat in map(chat_of, (one, other)) if chat is not None]
        lids = [chat for chat in chats if chat.endswith(LID)]
        people = [chat for chat in chats if chat.endswith(PHONE_SUFFIX)]
        if lids and people:
            found.append((lids[0], people[0]))
    return tuple(found)


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


def visible_text(value: Any) -> str:
    """Return a text, cut to 4,096 characters, an empty one if there is nothing to see.

    Characters without a shape, such as marks of the writing direction, are nothing.
    """
    text = cut(value, MAX_BLANKS)
    first = next((place for place, one in enumerate(text) if _is_visible(one)), None)
    if first is None:
        return ""
    return text[:MAX_TEXT] if first < MAX_TEXT else text[first : first + MAX_TEXT]


def _is_visible(character: str) -> bool:
    return category(character) not in INVISIBLE and character not in FILLERS


def file_name(value: Any) -> str | None:
    """Return the name of a file without folders, None for anything else.

    The sender may write anything, and automations make paths of it.
    """
    name = PurePosixPath(cut(value, MAX_FILENAME).replace("\\", "/")).name
    return name if name not in {"", ".."} else None


def moment(*values: Any) -> datetime:
    """Return the first time, in UTC; without one it is now.

    It may be in seconds or milliseconds since 1970, or in ISO 8601. A time in ISO 8601
    that is off by quarters of an hour is a local one, and means now.
    """
    for value in values:
        if (time := optional_moment(value)) is not None:
            is_text = isinstance(value, str) and not value.strip().isdigit()
            return datetime.now(UTC) if is_text and _is_local(time) else time
    return datetime.now(UTC)


def _is_local(time: datetime) -> bool:
    """Return whether a time is that of another time zone at this moment."""
    minutes = (time - datetime.now(UTC)).total_seconds() / 60
    zone = round(minutes / MINUTES_OF_ZONES) * MINUTES_OF_ZONES
    zones = {zone, *MINUTES_OF_OTHER_ZONES} - {0}
    return abs(minutes) <= MAX_ZONE_MINUTES + 1 and any(
        abs(minutes - one) < MINUTES_OF_DELAY for one in zones
    )


def optional_moment(value: Any) -> datetime | None:
    """Return a time in seconds, milliseconds or ISO 8601, None for anything else."""
    if isinstance(value, dict):
        # a number of 64 bits in JavaScript
        value = value.get("low")
    with suppress(OSError, OverflowError, TypeError, ValueError):
        seconds = float(value)
        if seconds > MILLISECONDS_FROM:
            seconds /= 1000
        if seconds > 0 and not isinstance(value, bool):
            return datetime.fromtimestamp(seconds, UTC)
    time = parsing.timestamp(value)
    # some languages have a year for no time
    return time if time and time.year > NO_TIME_YEAR else None


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


def remember[K, V](
    memory: dict[K, V], key: K, value: V, limit: int = MAX_REMEMBERED
) -> None:
    """Remember something, and forget the oldest of too many."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > limit:
        del memory[next(iter(memory))]
