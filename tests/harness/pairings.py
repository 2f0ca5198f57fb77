"""Follow a pairing without Home Assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from custom_components.whatsapp_gateway.pairing import engine
from custom_components.whatsapp_gateway.pairing.qr_code import QrCodeFeed

from .qr_reader import read_qr

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from custom_components.whatsapp_gateway.pairing.engine import Pairing, Phase
    from custom_components.whatsapp_gateway.providers.base import Provider


def pair(
    provider: Provider,
    instance_id: str,
    phone_number: str | None = None,
    *,
    may_log_out: bool = True,
) -> AsyncGenerator[Pairing]:
    """Link an instance with nothing but a provider."""
    feed = QrCodeFeed(provider, instance_id, with_code=not phone_number)
    return engine.pair(feed, phone_number, may_log_out=may_log_out)


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
