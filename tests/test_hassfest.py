"""The rules of hassfest, Home Assistant's checker of integrations, for our texts.

hassfest is not a package, so these are its rules by its documentation and its messages.
It runs as a job of the workflows.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import voluptuous as vol

from homeassistant.helpers import config_validation as cv

from .harness.texts import TRANSLATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = sorted(path.name for path in TRANSLATIONS.iterdir())
URL = re.compile(r"://|\bwww\.", re.IGNORECASE)
"""Addresses change, and translators would have to know it: they are placeholders."""
QUOTED_PLACEHOLDER = re.compile(r"'\{\w+\}'")
"""In the frontend's format, single quotes turn a placeholder into plain text."""
REFERENCE = "[%key:"
"""Only works in Home Assistant's own integrations."""
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
KEY = re.compile(r"(?!.+[_-]{2})(?![_-])[a-z0-9-_]+(?<![_-])")
LABELS = {"data", "menu_options", "options", "state"}
"""Groups of texts that are labels, as are names and titles."""
MAX_LABEL = 60
MAX_TEXT = 700
"""Limits of our own, in characters, which hassfest doesn't have."""


def texts_of(tree: Any, *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each text with its path of keys."""
    if isinstance(tree, str):
        yield path, tree
    else:
        for key, branch in tree.items():
            yield from texts_of(branch, *path, key)


def is_valid(text: str) -> bool:
    """Return whether a text follows the rules."""
    try:
        cv.string_with_no_html(text)
    except vol.Invalid:
        return False
    return (
        text == text.strip() != ""
        and not URL.search(text)
        and not QUOTED_PLACEHOLDER.search(text)
        and REFERENCE not in text
        and all(map(str.isidentifier, PLACEHOLDER.findall(text)))
    )


@pytest.mark.parametrize("file", FILES)
def test_texts(file: str) -> None:
    """The texts of a language follow the rules."""
    for path, text in texts_of(json.loads((TRANSLATIONS / file).read_text())):
        assert is_valid(text), path
        assert all(map(KEY.fullmatch, path)), path
        is_label = path[-1] in {"name", "title"} or path[-2] in LABELS
        is_description = path[-2] == "data_description"
        limit = MAX_LABEL if is_label and not is_description else MAX_TEXT
        assert len(text) <= limit, path


@pytest.mark.parametrize(
    "text",
    [
        "Enter a full URL, such as https://api.example.com, without a username.",
        "See www.example.com.",
        "A <b>bold</b> word",
        "The name '{name}'",
        "The name {the-name}",
        "[%key:common::config_flow::data::name%]",
        "A space at the end ",
        "",
    ],
)
def test_rules(text: str) -> None:
    """Each rule finds a text that hassfest refuses."""
    assert not is_valid(text)
