"""The fields of forms."""

from __future__ import annotations

from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

TEXT = TextSelector()
URL = TextSelector(TextSelectorConfig(type=TextSelectorType.URL))
PASSWORD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))


def select_one(
    options: list[SelectOptionDict] | list[str], translation_key: str = ""
) -> SelectSelector:
    """Return a field to choose one of a few."""
    config = SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST)
    if translation_key:
        config["translation_key"] = translation_key
    return SelectSelector(config)
