"""What of a gateway's own words may be shown to a person, and logged."""

from __future__ import annotations

import re
from urllib.parse import quote

MAX_MESSAGE = 200
MAX_READ = 10 * MAX_MESSAGE
MASK = "…"
KEY_PART = 8
"""Characters of a key that nobody may read."""
_WORD = re.compile(r"[!-~]+")
LONGEST_WORD = 20
"""Longer ones are credentials, unless they are plain."""
_TIME = r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?Z?)?"
_MOMENT = rf"(?:\d{{4}}-\d\d-\d\d|\d\d?\.\d\d?\.\d{{4}}){_TIME}"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PLAIN = re.compile(f"[a-z./:_,?=-]+|[A-Z_-]+|[A-Za-z]{{1,40}}|{_MOMENT}|{_UUID}")
_AROUND = "()[]{}<>,.;:!?'\""
_NUMBER = re.compile(
    rf"({_MOMENT}(?!\d)|{_UUID})|"
    # fewer may be a date
    r"\+\d(?:[ ().-]{0,2}\d){6,}|\d(?:[ ().-]{0,2}\d){8,}"
)
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")


def masked(text: str, key: str) -> str:
    """Return a text as one short line, without keys, codes and phone numbers."""
    line = "".join(c if c.isprintable() else " " for c in text[:MAX_READ])
    line = " ".join(line.replace(key, MASK).translate(_DASHES).split())
    # gateways repeat a key also cut, in a URL, or in capitals
    key_parts = {
        form[start : start + KEY_PART].lower()
        for form in (key, quote(key, safe=""))
        for start in range(max(1, len(form) - KEY_PART + 1))
    }

    def mask(match: re.Match[str]) -> str:
        word = match[0]
        odd = len(word) > LONGEST_WORD and not _PLAIN.fullmatch(word.strip(_AROUND))
        return MASK if odd or any(one in word.lower() for one in key_parts) else word

    line = _WORD.sub(mask, line)
    return _NUMBER.sub(lambda match: match[1] or MASK, line)[:MAX_MESSAGE]
