"""What is right after any answer: types, errors, the log, and which devices stay."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime
import json
import logging
import math
import re
from typing import TYPE_CHECKING, Any, get_type_hints
from urllib.parse import quote

from homeassistant.exceptions import HomeAssistantError

from custom_components.whatsapp_gateway.pairing.drawing import render
from custom_components.whatsapp_gateway.providers.models import (
    GatewayError,
    Instance,
    QrCode,
)
from custom_components.whatsapp_gateway.providers.parsing import PNG_SIGNATURE
from tests.gateways.picture import data_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

OURS = "custom_components.whatsapp_gateway"
FAILED_POLL = re.compile("Error fetching|Authentication failed while fetching")
FORMATTER = logging.Formatter("%(message)s")
"""Writes the traceback too."""

API_KEY = "sk_live_Zq7+Wn3/Xk9=Lp2VdT5cMw"
RAW = "2@Jf0vYb3Hn6Ks,rQ1uXe4Tz7Ga,mD2pLc5Wo8Ri,hN9yBt3Vf6Ju,1"
NUMBER = "5511987654321"
PICTURE = data_uri(RAW)
MASKED = {API_KEY: 8, quote(API_KEY, safe=""): 8, RAW: 21, NUMBER: 9, PICTURE[120:]: 21}
"""How many characters of a secret are too many; all pictures begin alike."""
_PARTS = sorted(
    {
        whole[start : start + length].lower()
        for whole, length in MASKED.items()
        for start in range(len(whole) - length + 1)
    }
)


def secrets_in(text: str) -> list[str]:
    """Return the parts of secrets in a text, a number also where it is grouped."""
    text = text.lower()
    texts = (text, re.sub(r"[ ().-]", "", text))
    return [part for part in _PARTS if any(part in one for one in texts)]


def texts_of(error: BaseException | None) -> Iterator[str]:
    """Return all that a log could tell of an error."""
    while error is not None:
        yield f"{error} {error!r}"
        yield from texts_of(error.__cause__)
        error = error.__context__


@contextmanager
def only_our_errors() -> Iterator[None]:
    """Let no error pass but ours, or what Home Assistant shows of it, and no secret."""
    error: Exception | None = None
    try:
        yield
    except (GatewayError, HomeAssistantError) as err:
        error = err
    assert secrets_in(" ".join(texts_of(error))) == []


def assert_fits(value: Any, kind: Any) -> None:
    """Check a value's type, and that of a model's fields."""
    assert isinstance(value, kind), (value, kind)
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, Instance | QrCode):
            for name, hint in get_type_hints(type(one)).items():
                assert_fits(getattr(one, name), hint)
        if isinstance(one, QrCode):
            with only_our_errors():
                assert render(one).startswith(PNG_SIGNATURE)
        if isinstance(one, datetime):
            assert one.tzinfo
            # which fails at both ends of time
            assert one.astimezone(UTC)


def assert_discreet(caplog: pytest.LogCaptureFixture, *ids: str) -> None:
    """Check that nothing went wrong but polls, and that no secret was logged."""
    records = caplog.records.copy()
    caplog.clear()
    errors = [one.getMessage() for one in records if one.levelno >= logging.ERROR]
    assert [one for one in errors if not FAILED_POLL.match(one)] == []
    told = "\n".join(FORMATTER.format(one) for one in records if OURS in one.name)
    # what a gateway names an instance by stands in paths, and can't be a secret
    for instance_id in ids:
        told = told.replace(quote(instance_id, safe=""), "")
    assert secrets_in(told) == []


def listed(answer: dict[str, Any], keys: tuple[str, ...]) -> set[str] | None:
    """Return the ids in a list that is well-formed and complete, else None.

    Each instance has a text under each of the keys, the first of which is its id.

    By the words of the documents, without a look at the integration's parsers.
    """
    try:
        found = json.loads(answer["body"].decode("utf-8-sig"), parse_int=float)
    except (ValueError, RecursionError):
        return None
    if not 200 <= answer["status"] <= 204 or not isinstance(found, dict | list):
        return None
    if isinstance(found, dict):
        if found.get("success", True) is not True:
            return None
        found = found.get("data", found)
    page = found if isinstance(found, dict) else {"items": found, "totalPages": 1.0}
    items = page.get("items")
    if not isinstance(items, list) or not all(
        isinstance(one, dict)
        and all(one.get(key) and isinstance(one[key], str) for key in keys)
        for one in items
    ):
        return None
    ids = {one[keys[0]] for one in items}
    total, pages, limit = (
        count_in(page, key) for key in ("total", "totalPages", "limit")
    )
    if total is None or pages is None or limit is None:
        return None
    # the same page again, as here, brings nothing new and ends the list
    return ids if 2 * len(items) >= total else None


def count_in(page: dict[str, Any], key: str) -> float | None:
    """Return a count that a page may tell, None where that can't be one."""
    value = page.get(key)
    with suppress(ValueError):
        count = float(value) if isinstance(value, float | str) else math.nan
        if count >= 0 and count.is_integer():
            return count
    return 0 if value is None else None
