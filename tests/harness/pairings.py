"""Follow a pairing without Home Assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .qr_reader import read_qr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.whatsapp_gateway.pairing.engine import Pairing, Phase


async def phases(pairings: AsyncIterator[Pairing]) -> list[Phase]:
    """Return the phases until the end, each once in a row."""
    seen: list[Phase] = []
    async for shown in pairings:
        if not seen or seen[-1] is not shown.phase:
            seen.append(shown.phase)
    return seen


async def first_code(pairings: AsyncIterator[Pairing]) -> str:
    """Return the text of the next code that is shown."""
    async for shown in pairings:
        if shown.png and (text := read_qr(shown.png)):
            return text
    raise AssertionError
