"""The picture that a gateway makes of a code."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from io import BytesIO

import qrcode

MASK_PATTERN = 3
"""Any of the eight is valid; finding the best one takes most of the time."""


@lru_cache(maxsize=32)
def data_uri(text: str) -> str:
    """Return a PNG as the documents give it."""
    buffer = BytesIO()
    qrcode.make(text, box_size=4, mask_pattern=MASK_PATTERN).save(buffer)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode()
