"""Ask the gateway to which chat a phone number belongs, and remember the answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..providers.message_parsing import remember

if TYPE_CHECKING:
    from ..providers.capabilities import NumberCheck

CHECK_VALID_SECONDS: Final = 24 * 60 * 60.0
"""Time after which a number is checked again."""
UNKNOWN_VALID_SECONDS: Final = 5 * 60.0
"""Time after which a number without WhatsApp is checked again: it may get it soon."""
MAX_CHECKED: Final = 1000
"""Number of answers of an account that are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedNumber:
    """What a gateway has answered about a phone number."""

    chat_id: str | None = field(repr=False)
    """The chat of the number, None if it has no WhatsApp."""
    checked_at: float
    """The time of the answer, of the monotonic clock."""

    @property
    def is_valid(self) -> bool:
        """Whether the number need not be checked again yet."""
        valid = CHECK_VALID_SECONDS if self.chat_id else UNKNOWN_VALID_SECONDS
        return monotonic() - self.checked_at < valid


class CheckedNumbers:
    """What the gateway of an account has answered about phone numbers."""

    def __init__(self) -> None:
        """Create an empty record."""
        self._answers: dict[tuple[str, str], CheckedNumber] = {}
        """By instance and digits."""

    def answer(self, instance_id: str, digits: str) -> CheckedNumber | None:
        """Return what is known about a phone number, None if it has to be checked."""
        known = self._answers.get((instance_id, digits))
        return known if known and known.is_valid else None

    async def async_check(
        self, number_check: NumberCheck, instance_id: str, digits: str
    ) -> str | None:
        """Ask for the chat of a phone number; return None if it has no WhatsApp.

        Raises a `GatewayError` if the gateway can't tell.
        """
        key = instance_id, digits
        # an older answer isn't believed if this one is missing
        self._answers.pop(key, None)
        chat_id = await number_check.find_person(instance_id, digits)
        answer = CheckedNumber(chat_id=chat_id, checked_at=monotonic())
        remember(self._answers, key, answer, MAX_CHECKED)
        return chat_id
