"""What several tests do."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from io import BytesIO
import time
from typing import TYPE_CHECKING, Any

from PIL import Image
import zxingcpp

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant


def read_qr(png: bytes) -> str | None:
    """Read a picture as a phone does: dark on light, or not at all."""
    with Image.open(BytesIO(png)) as image:
        codes = zxingcpp.read_barcodes(
            image.convert("RGB"),
            formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode),
            try_invert=False,
        )
    return codes[0].text if codes else None


def read_data_uri(uri: str) -> str | None:
    """Read the code in a data URI."""
    return read_qr(b64decode(uri.partition(",")[2]))


async def until[T](ready: Callable[[], T], within: float = 10.0) -> T:
    """Wait until something is true, and return it; `within` is in seconds."""
    deadline = time.monotonic() + within
    while not (result := ready()):
        assert time.monotonic() < deadline, "It did not happen in time"
        await asyncio.sleep(0.005)
    return result


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an entity that exists."""
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state.state


def values_of(schema: Any) -> dict[str, Any]:
    """Return what a form is filled in with."""
    return {
        str(key): (key.description or {}).get("suggested_value")
        for key in schema.schema
    }
