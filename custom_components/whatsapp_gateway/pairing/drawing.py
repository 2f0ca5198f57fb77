"""Draw QR codes that a phone can scan on any background. All functions block."""

from __future__ import annotations

from functools import cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageOps
import qrcode
from qrcode.constants import ERROR_CORRECT_M

from ..providers.models import BadResponse, QrCode

SIZE = 320
"""Width and height of every picture, in pixels."""
QUIET_ZONE = 16
"""White margin that scanners need, in pixels."""
MAX_SIZE = 2048
MAX_TEXT = 5596
"""Digits in the largest code; it takes seconds to find out that more are too many."""
WHITE = 255
DARK_LIMIT = 128
BLANK_GRAY = 224
DOT_GRAY = 120


def render(code: QrCode) -> bytes:
    """Return a code as a PNG: drawn from its text, otherwise the gateway's picture.

    Raises `BadResponse` if it can't be drawn.
    """
    try:
        image = _draw(code.raw) if code.raw else _flatten(code.png or b"")
        return _png(_fit(image))
    except Exception:  # noqa: BLE001  Pillow and qrcode raise many kinds
        # not chained: the text of the error may contain the code
        raise BadResponse("The QR code can't be drawn") from None


@cache
def blank() -> bytes:
    """Return the picture that is shown between two codes: three dots."""
    image = Image.new("L", (SIZE, SIZE), BLANK_GRAY)
    draw = ImageDraw.Draw(image)
    for offset in (-48, 0, 48):
        draw.circle((SIZE // 2 + offset, SIZE // 2), 12, fill=DOT_GRAY)
    return _png(image)


def _draw(text: str) -> Image.Image:
    if len(text) > MAX_TEXT:
        raise BadResponse("The text is too long")
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=0)
    code.add_data(text)
    code.make()
    code.box_size = max(1, (SIZE - 2 * QUIET_ZONE) // code.modules_count)
    return code.make_image().get_image().convert("L")


def _flatten(png: bytes) -> Image.Image:
    """Return a picture without transparency and without its margin."""
    with Image.open(BytesIO(png), formats=["PNG"]) as image:
        if max(image.size) > MAX_SIZE:
            raise BadResponse("The picture is too large")
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
    gray = opaque.convert("L")
    dark = gray.point(lambda value: WHITE if value < DARK_LIMIT else 0)
    return gray.crop(dark.getbbox())


def _fit(image: Image.Image) -> Image.Image:
    """Return the code as large as it sharply fits into a picture of standard size."""
    space = SIZE - 2 * QUIET_ZONE
    if (factor := space // max(image.size)) > 1:
        image = ImageOps.scale(image, factor, Image.Resampling.NEAREST)
    elif max(image.size) > space:
        image = ImageOps.contain(image, (space, space))
    canvas = Image.new("L", (SIZE, SIZE), WHITE)
    canvas.paste(image, ((SIZE - image.width) // 2, (SIZE - image.height) // 2))
    return canvas


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
