"""Data about messages of an account that survives a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .media_view import MEDIA_VIEW
from .number_check import CheckedNumbers
from .outbox import Outbox
from .people import People
from .questions import Questions
from .replies import AutomaticReplies
from .seen import SeenMessages
from .sent import SentMessages

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from ..providers.messages import IncomingMessage


class Memory:
    """Data that survives a reload, but not a restart of Home Assistant."""

    def __init__(self, hass: HomeAssistant, replies: AutomaticReplies) -> None:
        """Start without any messages, but with the automatic replies of all accounts.

        Numbers of different accounts may be in one group.
        """
        self.people = People()
        self.seen = SeenMessages(self.people)
        self.sent = SentMessages(self.people)
        self.replies = replies
        self.questions = Questions(self.sent, self.people)
        self.checked_numbers = CheckedNumbers()
        self.outbox = Outbox(hass, self.sent, self.checked_numbers)
        self.waiting: list[IncomingMessage] = []
        """Messages that arrived before a reload, and are handed over after it."""


MEMORIES: HassKey[dict[str, Memory]] = HassKey(f"{DOMAIN}_memories")
REPLIES: HassKey[AutomaticReplies] = HassKey(f"{DOMAIN}_replies")


@callback
def async_memory_of(hass: HomeAssistant, entry_id: str) -> Memory:
    """Return the memory of an account."""
    memories = hass.data.setdefault(MEMORIES, {})
    if entry_id not in memories:
        replies = hass.data.setdefault(REPLIES, AutomaticReplies())
        memories[entry_id] = Memory(hass, replies)
    return memories[entry_id]


@callback
def async_sent_by_others(hass: HomeAssistant, memory: Memory) -> list[SentMessages]:
    """Return what the other accounts have sent: some may have the same number."""
    others = hass.data[MEMORIES].values()
    return [other.sent for other in others if other is not memory]


@callback
def async_forget(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the memory of an account that is removed."""
    async_end_messages(hass, entry_id)
    hass.data.get(MEMORIES, {}).pop(entry_id, None)


@callback
def async_end_messages(hass: HomeAssistant, entry_id: str) -> None:
    """Let no message wait any more for an account that is removed or disabled."""
    if memory := hass.data.get(MEMORIES, {}).get(entry_id):
        memory.outbox.async_end()
        memory.waiting.clear()
    if view := hass.data.get(MEDIA_VIEW):
        view.async_withdraw(entry_id)
