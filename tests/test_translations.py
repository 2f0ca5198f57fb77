"""Every text exists, in every language, with all that is to be filled in."""

from __future__ import annotations

import json
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.const import Platform
from homeassistant.util.yaml import load_yaml

from custom_components import whatsapp_gateway
from custom_components.whatsapp_gateway import button, image, sensor
from custom_components.whatsapp_gateway.binary_sensor import CONNECTED
from custom_components.whatsapp_gateway.const import ERROR_KEYS
from custom_components.whatsapp_gateway.pairing.engine import ONGOING, Phase
from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.models import InstanceStatus

from .harness.texts import ENGLISH, TRANSLATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.helpers.entity import EntityDescription

INTEGRATION = Path(whatsapp_gateway.__file__).parent
ICONS = json.loads((INTEGRATION / "icons.json").read_text())
ACTIONS: Any = load_yaml(str(INTEGRATION / "services.yaml"))
LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt-BR")
DESCRIPTIONS: dict[Platform, tuple[EntityDescription, ...]] = {
    Platform.BINARY_SENSOR: (CONNECTED,),
    Platform.BUTTON: button.BUTTONS,
    Platform.IMAGE: (image.QR_CODE,),
    Platform.SENSOR: sensor.SENSORS,
}
FLOWS = [
    ENGLISH["config"],
    ENGLISH["options"],
    *(issue["fix_flow"] for issue in ENGLISH["issues"].values()),
]


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Return all texts with where they stand."""
    if isinstance(tree, str):
        yield path, tree
    else:
        for key, branch in tree.items():
            yield from leaves(branch, f"{path}.{key}")


def placeholders(text: str) -> list[str]:
    """Return the names of the placeholders in a text."""
    return sorted(re.findall(r"{(\w+)}", text))


def test_languages() -> None:
    """There are exactly these languages."""
    assert sorted(path.stem for path in TRANSLATIONS.iterdir()) == sorted(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_language(language: str) -> None:
    """A language has no texts of its own, and the placeholders of the English ones.

    It may lack texts: Home Assistant shows the English ones instead.
    """
    path = TRANSLATIONS / f"{language}.json"
    translated = dict(leaves(json.loads(path.read_text())))
    english = dict(leaves(ENGLISH))

    assert translated.keys() <= english.keys()
    for key, text in translated.items():
        assert placeholders(text) == placeholders(english[key]), key
    assert all(text.strip() for text in translated.values())


@pytest.mark.parametrize("platform", DESCRIPTIONS)
def test_entities(platform: Platform) -> None:
    """Every entity has a name, and an icon where its device class brings none."""
    assert {one.translation_key for one in DESCRIPTIONS[platform]} == ENGLISH["entity"][
        platform
    ].keys()
    for one in DESCRIPTIONS[platform]:
        has_icon = one.translation_key in ICONS["entity"].get(platform, {})
        assert has_icon or platform is Platform.BINARY_SENSOR


def test_states() -> None:
    """Every status has a name and an icon."""
    status = ENGLISH["entity"]["sensor"]["status"]["state"]
    icons = ICONS["entity"]["sensor"]["status"]["state"]
    assert status.keys() == icons.keys() == set(InstanceStatus)


def test_actions() -> None:
    """Every action and each of its fields has a name, a description and an icon."""
    assert ACTIONS.keys() == ENGLISH["services"].keys() == ICONS["services"].keys()
    for key, action in ACTIONS.items():
        assert action["fields"].keys() == ENGLISH["services"][key]["fields"].keys()


def test_errors() -> None:
    """Every error of the gateways is told in every place that can meet it."""
    assert set(ERROR_KEYS.values()) <= ENGLISH["exceptions"].keys()
    for flow in FLOWS:
        assert set(ERROR_KEYS.values()) <= flow["error"].keys()


def test_phases() -> None:
    """Every phase of a pairing is told in every flow that links."""
    endings = set(Phase) - ONGOING - {Phase.LINKED}
    for flow in FLOWS:
        assert flow["progress"].keys() == ONGOING
        assert endings <= flow["error"].keys()


def test_instance_types() -> None:
    """Every type of instance that can be created has a name."""
    types = {one for provider in PROVIDERS.values() for one in provider.instance_types}
    assert ENGLISH["selector"]["instance_type"]["options"].keys() == types


def test_keys_in_code() -> None:
    """Every key of a text that stands in the code exists."""
    code = "".join(path.read_text() for path in INTEGRATION.glob("*.py"))
    known = {
        *ENGLISH["exceptions"],
        *(key for flow in FLOWS for key in flow.get("abort", {})),
    }
    used = re.findall(r'(?:_invalid\(|reason=|AbortFlow\()"(\w+)"', code)

    assert used
    assert set(used) <= known
