"""Ask the gateway to which chat a phone number belongs, and remember the answers."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from .providers.message_parsing import remember
from .providers.messages import PERSON
from .providers.models import Feature

if TYPE_CHECKING:
    from .coordinator import GatewayCoordinator

CHECK_VALID_SECONDS: Final = 24 * 60 * 60.0
"""Seconds after which a number is checked again."""
MAX_CHECKED: Final = 1000
"""Number of answers of an account that are remembered."""


async def async_find_person(
    coordinator: GatewayCoordinator,
    instance_id: str,
    phone_number: str,
    *,
    fresh: bool = False,
) -> str | None:
    """Return the chat of a phone number (digits), None if it has no WhatsApp.

    A number without WhatsApp may get it at any time, so that isn't remembered. Raises
    a `GatewayError` if the gateway can't tell. If it never can, the number is believed.
    With `fresh` the gateway is asked in any case.
    """
    if Feature.NUMBER_CHECK not in coordinator.provider.features:
        return phone_number + PERSON
    checked = coordinator.memory.checked_numbers
    key = instance_id, phone_number
    known = None if fresh else checked.get(key)
    if known and monotonic() - known[0] < CHECK_VALID_SECONDS:
        return known[1]
    checked.pop(key, None)
    chat_id = await coordinator.provider.find_person(instance_id, phone_number)
    if chat_id is not None:
        remember(checked, key, (monotonic(), chat_id), MAX_CHECKED)
    return chat_id
