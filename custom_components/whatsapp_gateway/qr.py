"""Pictures of QR codes that a phone reads on any background. All of it blocks."""

from __future__ import annotations

from functools import cache
from io import BytesIO

from PIL import Image, ImageOps
import qrcode
from qrcode.constants import ERROR_CORRECT_M

from .providers.models import BadResponse, QrCode

SIZE = 320
QUIET_ZONE = 4
MARGIN = 16
MAX_SIZE = 2048
MAX_TEXT = 5596
"""Digits in the largest code; to find out that more are too many takes seconds."""
WHITE = 255
BLANK_GRAY = 224


def render(code: QrCode) -> bytes:
    """Return a code as a PNG: drawn from its text, else the gateway's on white.

    Raises `BadResponse` where neither can be made into a picture.
    """
    try:
        return _png(_draw(code.raw) if code.raw else _flatten(code.png or b""))
    except Exception:  # noqa: BLE001  Pillow and qrcode raise many kinds
        # without the cause, whose text may hold the code
        raise BadResponse("The QR code can't be drawn") from None


@cache
def blank() -> bytes:
    """Return a picture for the moment between two codes."""
    return _png(Image.new("L", (SIZE, SIZE), BLANK_GRAY))


def _draw(text: str) -> Image.Image:
    if len(text) > MAX_TEXT:
        raise BadResponse("The text is too long")
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    code.make()
    code.box_size = max(1, SIZE // (code.modules_count + 2 * QUIET_ZONE))
    return ImageOps.pad(
        code.make_image().get_image().convert("L"), (SIZE, SIZE), color=WHITE
    )


def _flatten(png: bytes) -> Image.Image:
    with Image.open(BytesIO(png), formats=["PNG"]) as image:
        if max(image.size) > MAX_SIZE:
            raise BadResponse("The picture is too large")
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
    return ImageOps.expand(opaque.convert("L"), MARGIN, WHITE)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
