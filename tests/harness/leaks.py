"""Where secrets got to that they should not: looked for in each test."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any, override

from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir

from tests.gateways import GATEWAYS
from tests.gateways.machine import NEW_CODE, PAIRING_CODE, PHONE_NUMBER

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

NUMBERS = (PHONE_NUMBER, "4915112345678", "4915199999999")
"""Of the phones that scan in the tests."""
PICTURE = "iVBORw0KGgo"
"""How a PNG begins in base64."""
SECRETS = re.compile(
    "|".join(
        [
            *(kind.key for kind in GATEWAYS.values()),
            re.escape(NEW_CODE),
            PAIRING_CODE,
            PICTURE,
        ]
    )
)
PERSONAL = re.compile("|".join(NUMBERS))
NUMBER_SENSOR = "_phone_number"
"""In the entity ids of the only place for a number."""

STATE_LOGGERS = ("homeassistant.core", "homeassistant.components.recorder")
"""Of Home Assistant itself, which log every state, also one that a person wants."""


def leaked(text: str) -> list[str]:
    """Return what is secret or personal in a text."""
    return SECRETS.findall(text) + PERSONAL.findall(text)


class Listener(logging.Handler):
    """Hears all that is logged, and keeps what should not have been."""

    def __init__(self) -> None:
        """Hear every level."""
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        of_sensor = record.name.startswith(STATE_LOGGERS) and NUMBER_SENSOR in text
        if SECRETS.search(text) or (PERSONAL.search(text) and not of_sensor):
            self.heard.append(text)


LISTENER = Listener()
"""Listens to the whole of each test."""


def told(hass: HomeAssistant) -> list[str]:
    """Return the secrets in all states, registries and issues, by where they are."""
    places: dict[str, Any] = {
        state.entity_id: state.as_dict()
        for state in hass.states.async_all()
        if NUMBER_SENSOR not in state.entity_id
    }
    for module in (dr, er):
        registry: Any = module.async_get(hass)
        places[module.__name__] = registry._data_to_save()
    places["issues"] = [
        (one.data, one.translation_placeholders)
        for one in ir.async_get(hass).issues.values()
    ]
    return [
        f"{place}: {secret}"
        for place, value in places.items()
        for secret in leaked(json.dumps(value, default=str))
    ]
