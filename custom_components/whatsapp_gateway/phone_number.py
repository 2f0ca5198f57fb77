"""Check a phone number as a person enters it."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s().\-/\u2010-\u2015]+")
_INTERNATIONAL = re.compile(r"(?:\+|00)?([1-9]\d{6,14})", re.ASCII)


def parse_phone_number(text: str) -> str | None:
    """Return the digits of a number in international format, None if it isn't one."""
    match = _INTERNATIONAL.fullmatch(_SEPARATORS.sub("", text))
    return match and match[1]
