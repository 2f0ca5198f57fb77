"""Data about messages of an account that survives a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .questions import Questions
from .replies import AutomaticReplies
from .sent import SentMessages

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


class Memory:
    """Data that survives a reload, but not a restart of Home Assistant."""

    def __init__(self) -> None:
        """Start without any messages."""
        self.sent = SentMessages()
        self.replies = AutomaticReplies()
        self.questions = Questions(self.sent)
        self.checked_numbers: dict[tuple[str, str], tuple[float, str]] = {}
        """When a number was checked for an instance, of the monotonic clock, and its
        chat."""


MEMORIES: HassKey[dict[str, Memory]] = HassKey(f"{DOMAIN}_memories")


@callback
def async_memory_of(hass: HomeAssistant, entry_id: str) -> Memory:
    """Return the memory of an account."""
    memories = hass.data.setdefault(MEMORIES, {})
    if entry_id not in memories:
        memories[entry_id] = Memory()
    return memories[entry_id]


@callback
def async_forget(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the memory of an account that is removed."""
    hass.data.get(MEMORIES, {}).pop(entry_id, None)
