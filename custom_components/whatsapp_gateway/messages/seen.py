"""Recognize messages that are reported more than once.

WhatsApp knows a message by its chat, its sender and its ID. A gateway may report one
message twice with other forms of all three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..providers.message_parsing import bare_id, remember
from ..providers.messages import GROUP, LID

if TYPE_CHECKING:
    from ..providers.messages import IncomingMessage, MessageEvent
    from .people import People

    type Seen = tuple[str, str, int]

MAX_SEEN: Final = 1_000
"""Number of messages of an account that are remembered."""
MAX_ALIKE: Final = 16
"""Number of messages with the same ID among them; senders choose the IDs."""


class SeenMessages:
    """The last messages of an account."""

    def __init__(self, people: People) -> None:
        """Create an empty record. It stores digests, never texts."""
        self._people = people
        self._seen: dict[tuple[str, MessageEvent, str], list[Seen]] = {}
        """Chat, sender and digest of the content of messages with the same ID."""

    def note(self, message: IncomingMessage) -> None:
        """Remember a message."""
        alike = self._seen.get(_key(message), [])
        alike = [*alike, _seen(message)][-MAX_ALIKE:]
        remember(self._seen, _key(message), alike, MAX_SEEN)

    def has(self, message: IncomingMessage) -> bool:
        """Return whether this message was noted before, in whatever form."""
        alike = self._seen.get(_key(message), ())
        return any(self._is_same(message, one) for one in alike)

    def _is_same(self, message: IncomingMessage, seen: Seen) -> bool:
        instance_id, person = message.instance_id, self._people.person
        this = _seen(message)
        chats = [person(instance_id, one[0]) for one in (this, seen)]
        senders = [person(instance_id, one[1]) for one in (this, seen)]
        if chats[0] == chats[1] and senders[0] == senders[1]:
            return True
        # a LID and a number may belong to one person, who has sent the same then
        is_same = this[2] == seen[2]
        return is_same and _may_be_same(*chats) and _may_be_same(*senders)


def _key(message: IncomingMessage) -> tuple[str, MessageEvent, str]:
    return message.instance_id, message.event, bare_id(message.id)


def _seen(message: IncomingMessage) -> Seen:
    content = hash((message.kind, message.text, bare_id(message.reply_to or "")))
    return message.chat_id, message.sender_id or "", content


def _may_be_same(one: str, other: str) -> bool:
    """Return whether two IDs can belong to one person, or one of them isn't known."""
    if one == other or not one or not other:
        return True
    is_group = one.endswith(GROUP) or other.endswith(GROUP)
    return not is_group and one.endswith(LID) is not other.endswith(LID)
