"""Ask the gateway to which chat a phone number belongs, and remember the answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..providers.message_parsing import remember
from ..providers.messages import PERSON
from ..providers.models import Feature

if TYPE_CHECKING:
    from ..coordinator import GatewayCoordinator

CHECK_VALID_SECONDS: Final = 24 * 60 * 60.0
"""Seconds after which a number is checked again."""
UNKNOWN_VALID_SECONDS: Final = 5 * 60.0
"""The same for a number without WhatsApp, which may get it at any time."""
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


def checked_number(
    coordinator: GatewayCoordinator, instance_id: str, phone_number: str
) -> CheckedNumber | None:
    """Return what is known about a phone number (digits), None if it has to be checked.

    If the gateway can't check numbers, they are believed.
    """
    if Feature.NUMBER_CHECK not in coordinator.provider.features:
        return CheckedNumber(chat_id=phone_number + PERSON, checked_at=monotonic())
    known = coordinator.memory.checked_numbers.get((instance_id, phone_number))
    return known if known and known.is_valid else None


async def async_find_person(
    coordinator: GatewayCoordinator, instance_id: str, phone_number: str
) -> str | None:
    """Check a phone number (digits); return its chat, None if it has no WhatsApp.

    Raises a `GatewayError` if the gateway can't tell.
    """
    checked, key = coordinator.memory.checked_numbers, (instance_id, phone_number)
    # an older answer isn't believed if this one is missing
    checked.pop(key, None)
    chat_id = await coordinator.provider.find_person(instance_id, phone_number)
    answer = CheckedNumber(chat_id=chat_id, checked_at=monotonic())
    remember(checked, key, answer, MAX_CHECKED)
    return chat_id
