"""Mask everything in recorded traffic that may be secret or personal.

What remains is the structure: key names, types, lengths, and words that are known to be
harmless, such as status words and error codes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from custom_components.whatsapp_gateway.providers.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ITEMS = 20
"""Number of items of a JSON array that are kept."""
MAX_NUMBER = 100_000
"""Larger numbers are masked: they may be phone numbers."""

WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,29}")
VERSION = re.compile(r"v?\d+\.\d+[A-Za-z0-9.+-]{0,20}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(Z|[+-]\d\d:?\d\d)?")
ERROR_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
HARMLESS = {
    "connectionstatus": WORD,
    "engine": WORD,
    "expires_at": TIME,
    "integration": WORD,
    "presence": WORD,
    "state": WORD,
    "status": WORD,
    "tier": WORD,
    "type": WORD,
    "version": VERSION,
}
"""Keys of texts that are kept, in lower case, and what the texts have to look like."""
CODE_KEYS = {"code"}
"""Keys of error codes; in a successful answer they hold QR codes or pairing codes."""
MESSAGE_KEYS = {"error", "message"}
"""Keys of explanations; in a successful answer they may hold anything."""
FREE_KEYS = {"metadata"}
"""Keys of objects whose own keys are chosen by people."""

KEY = re.compile(r"[A-Za-z_]\w{0,39}", re.ASCII)
PATH_WORD = re.compile(r"[a-z][A-Za-z_-]{0,29}|v\d")
QUERY_VALUE = re.compile(r"true|false|raw|image|\d{1,4}")
IN_MESSAGE = re.compile(r"""(?<!\w)(["'`]).*?\1(?!\w)|\S*[@/]\S*""")
"""Quotations, addresses and JIDs in a message."""
HEADERS = re.compile(
    "content-type|content-length|content-encoding|retry-after|date|(x-)?ratelimit.*"
)


class Masker:
    """Mask the traffic of one account."""

    def __init__(self, api_key: str, *, own: str, secret: tuple[str, ...] = ()) -> None:
        """Show the text `own`, hide the texts in `secret` wherever they are."""
        self._api_key = api_key
        self._own = own
        self._hidden = {*secret}

    def body(self, data: bytes, *, failed: bool) -> Any:
        """Mask a body; `failed` if it belongs to an answer that is an error."""
        if not data:
            return "<no body>"
        try:
            payload = json.loads(data)
        except (RecursionError, ValueError):
            return f"<{len(data)} bytes that are not JSON>"
        if isinstance(payload, dict):
            error, success = payload.get("error"), payload.get("success")
            failed = failed or error is True or success is False
        return self._value(payload, "", failed=failed)

    def _value(self, value: Any, key: str, *, failed: bool) -> Any:
        if isinstance(value, dict):
            return {
                self._key(name, number, key): self._value(item, name, failed=failed)
                for number, (name, item) in enumerate(value.items(), 1)
            }
        if isinstance(value, list):
            rest = len(value) - MAX_ITEMS
            items = [self._value(item, key, failed=failed) for item in value]
            return items[:MAX_ITEMS] + [f"<{rest} more items>"] * (rest > 0)
        if isinstance(value, str):
            return self._text(value, key.lower(), failed=failed)
        if value is None or isinstance(value, bool) or abs(value) < MAX_NUMBER:
            return value
        return f"<number of {len(str(value))} characters>"

    def _key(self, name: str, number: int, parent: str) -> str:
        free = parent.lower() in FREE_KEYS or not KEY.fullmatch(name)
        if free or not self._is_harmless(name):
            return f"<key {number} of {len(name)} characters>"
        return name

    def _text(self, text: str, key: str, *, failed: bool) -> str:
        if not text or text == self._own:
            return text
        if failed and key in MESSAGE_KEYS:
            return self.message(text)
        form = ERROR_CODE if failed and key in CODE_KEYS else HARMLESS.get(key)
        # a time is too long a word for `redact`
        harmless = form is TIME or self._is_harmless(text)
        if harmless and form and form.fullmatch(text):
            return text
        self._hidden.add(text)
        return _masked(text)

    def _is_harmless(self, text: str) -> bool:
        return redact(text, self._api_key) == text

    def message(self, text: str) -> str:
        """Mask a text for people."""
        text = IN_MESSAGE.sub("…", redact(text, self._api_key))
        for hidden in sorted(self._hidden, key=len, reverse=True):
            if len(hidden) > 2 and hidden in text:
                text = re.sub(rf"(?<!\w){re.escape(hidden)}(?!\w)", "…", text)
        return text

    def path(self, path: str) -> str:
        """Mask the path of a request and the values in its query."""
        path, _, query = path.partition("?")
        path = "/".join(map(self._segment, path.split("/")))
        pairs = (pair.partition("=") for pair in query.split("&") if pair)
        values = (
            f"{name}={value if self._is_known(value) else _masked(unquote(value))}"
            for name, _, value in pairs
        )
        return f"{path}?{'&'.join(values)}" if query else path

    def _is_known(self, value: str) -> bool:
        return value == self._own or bool(QUERY_VALUE.fullmatch(value))

    def _segment(self, segment: str) -> str:
        text = unquote(segment)
        if not text or text == self._own:
            return text
        # IDs and names are known from the bodies
        known = PATH_WORD.fullmatch(text) and text not in self._hidden
        return text if known and self._is_harmless(text) else _masked(text)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that matter."""
        return {
            name.lower(): value if value.isdigit() else redact(value, self._api_key)
            for name, value in headers.items()
            if HEADERS.fullmatch(name.lower())
        }


def _masked(text: str) -> str:
    return f"<text of {len(text)} characters>"
