"""Fields that several forms use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from ..const import CONF_RECEIVE, Receive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BOOLEAN = BooleanSelector()
TEXT = TextSelector()
URL_TEXT = TextSelector(TextSelectorConfig(type=TextSelectorType.URL))
PHONE_NUMBER = TextSelector(TextSelectorConfig(type=TextSelectorType.TEL))
RECEIVE = SelectSelector(
    SelectSelectorConfig(
        options=list(Receive),
        mode=SelectSelectorMode.LIST,
        translation_key=CONF_RECEIVE,
    )
)
PASSWORD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))


def choose_or_enter(choices: Iterable[str]) -> SelectSelector:
    """Return a field with a list that also accepts what isn't in it.

    The frontend shows the values of such a field, so they are no IDs.
    """
    return SelectSelector(
        SelectSelectorConfig(
            options=[*choices], custom_value=True, mode=SelectSelectorMode.DROPDOWN
        )
    )


def select_one(options: Mapping[str, str]) -> SelectSelector:
    """Return a field with radio buttons; the options are labels by their value."""
    choices = [
        SelectOptionDict(value=value, label=label) for value, label in options.items()
    ]
    return SelectSelector(
        SelectSelectorConfig(options=choices, mode=SelectSelectorMode.LIST)
    )
