"""Prepare texts of a gateway for places in Home Assistant that limit them."""

from __future__ import annotations

import re

from homeassistant.util import slugify

MAX_NAME = 100
MAX_SLUG = 180
"""Leaves room in an entity ID of at most 255 characters for the other parts."""
_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")


def device_name(name: str) -> str:
    """Return a name that is short enough for entity IDs.

    A wide character can become more than five characters of an entity ID.
    """
    name = name[:MAX_NAME]
    while len(slugify(name)) > MAX_SLUG:
        name = name[: len(name) * 3 // 4]
    return name


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, without links and pictures."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
