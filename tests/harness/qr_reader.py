"""Read QR codes as a phone does."""

from __future__ import annotations

from base64 import b64decode
from functools import lru_cache
from io import BytesIO

from PIL import Image
import zxingcpp


# a dialog shows the same picture at many looks
@lru_cache(maxsize=64)
def read_qr(png: bytes) -> str | None:
    """Return the text of the QR code in a picture, which must be dark on light."""
    with Image.open(BytesIO(png)) as image:
        codes = zxingcpp.read_barcodes(
            image.convert("RGB"),
            formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode),
            try_invert=False,
        )
    return codes[0].text if codes else None


def read_data_uri(uri: str) -> str | None:
    """Return the text of the QR code in a data URI."""
    return read_qr(b64decode(uri.partition(",")[2]))
