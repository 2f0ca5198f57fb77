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
_PLAIN = re.compile(r"[a-z./:_-]+|[A-Z_-]+")
_PHONE_NUMBER = re.compile(
    r"\+\d(?:[ ().-]{0,2}\d){6,}|\d(?:[ ().-]{0,2}\d){8,}"  # fewer may be a date
)


def masked(text: str, key: str) -> str:
    """Return a text as one short line, without keys, codes and phone numbers."""
    line = "".join(c if c.isprintable() else " " for c in text[:MAX_READ])
    line = " ".join(line.replace(key, MASK).split())
    # gateways repeat a key also cut, in a URL, or in capitals
    key_parts = {
        form[start : start + KEY_PART].lower()
        for form in (key, quote(key, safe=""))
        for start in range(max(1, len(form) - KEY_PART + 1))
    }

    def mask(match: re.Match[str]) -> str:
        word = match[0]
        odd = len(word) > LONGEST_WORD and not _PLAIN.fullmatch(word)
        return MASK if odd or any(one in word.lower() for one in key_parts) else word

    return _PHONE_NUMBER.sub(MASK, _WORD.sub(mask, line))[:MAX_MESSAGE]
