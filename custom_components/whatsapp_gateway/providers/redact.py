"""Remove secrets from texts that a gateway sends."""

from __future__ import annotations

import re
from urllib.parse import quote

MAX_LENGTH = 200
MAX_READ = 5 * MAX_LENGTH
REDACTED = "…"
KEY_PART = 8
"""Number of characters of an API key that may not be shown in a row."""
LONGEST_WORD = 20
"""Longer words are redacted, unless they look harmless."""
_WORD = re.compile(r"[!-~]+")
_HARMLESS = re.compile(r"[a-z./:_,?=()-]+|[A-Z_-]+|[A-Za-z]{1,40}")
_PHONE_NUMBER = re.compile(
    # but not a date
    r"(?<![\d-])(?!\d{4}-\d\d-\d\d)\+?\d(?:[ ().\u2010-\u2015-]{0,2}\d){7,}"
)


def redact(text: str, api_key: str) -> str:
    """Return one short line without API keys, codes and phone numbers."""
    line = "".join(c if c.isprintable() else " " for c in text[:MAX_READ])
    # gateways also repeat a key in part, URL-encoded or in capitals
    parts = {
        form[start : start + KEY_PART]
        for form in (api_key.lower(), quote(api_key, safe="").lower())
        for start in range(max(1, len(form) - KEY_PART + 1))
    } - {""}

    def replace(match: re.Match[str]) -> str:
        word = match[0]
        odd = len(word) > LONGEST_WORD and not _HARMLESS.fullmatch(word)
        secret = odd or any(part in word.lower() for part in parts)
        return REDACTED if secret else word

    if " " in api_key:
        line = line.replace(api_key, REDACTED)
    line = _WORD.sub(replace, line)
    return " ".join(_PHONE_NUMBER.sub(REDACTED, line).split())[:MAX_LENGTH]


def without_numbers(text: str) -> str:
    """Return a text without phone numbers."""
    return _PHONE_NUMBER.sub(REDACTED, text)
