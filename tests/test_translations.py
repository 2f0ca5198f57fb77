"""Every text exists, in every language, with all that is to be filled in."""

from __future__ import annotations

import ast
import json
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.const import (
    CONF_API_KEY,
    CONF_NAME,
    CONF_TYPE,
    CONF_URL,
    Platform,
)
from homeassistant.util.yaml import load_yaml

from custom_components import whatsapp_gateway
from custom_components.whatsapp_gateway import button, image, sensor
from custom_components.whatsapp_gateway.binary_sensor import CONNECTED
from custom_components.whatsapp_gateway.const import (
    CONF_INSTANCE_ID,
    CONF_PROVIDER,
    ERROR_KEYS,
)
from custom_components.whatsapp_gateway.issues import Kind
from custom_components.whatsapp_gateway.pairing.engine import ONGOING, Phase
from custom_components.whatsapp_gateway.pairing_flow import CONF_INSTANCE
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
FLOWS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (ENGLISH["config"], ("config_flow.py", "address.py")),
    (ENGLISH["options"], ("options_flow.py",)),
    *((issue["fix_flow"], ("repairs.py",)) for issue in ENGLISH["issues"].values()),
]
"""The texts of each flow, and the modules that use them beside the common ones."""
ENDS = {Phase.GONE, Phase.ACCOUNT_GONE}
"""Ends of a linking after which there is nothing to try again."""
FIELDS = {
    CONF_API_KEY,
    CONF_INSTANCE,
    CONF_INSTANCE_ID,
    CONF_NAME,
    CONF_PROVIDER,
    CONF_TYPE,
    CONF_URL,
}


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
    """A language has no text of its own, and the same placeholders as English.

    It may lack texts: Home Assistant shows the English ones instead.
    """
    path = TRANSLATIONS / f"{language}.json"
    translated = dict(leaves(json.loads(path.read_text())))
    english = dict(leaves(ENGLISH))

    assert translated.keys() <= english.keys()
    assert {path: placeholders(text) for path, text in translated.items()} == {
        path: placeholders(english[path]) for path in translated
    }
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


def test_icons_differ() -> None:
    """No two entities of an instance have the same icon."""
    icons = [
        one["default"]
        for platform in ICONS["entity"].values()
        for one in platform.values()
    ]
    assert len(icons) == len(set(icons))


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


def words(*modules: str) -> set[str]:
    """Return all texts in the code of these modules, and the names of their steps."""
    found = set()
    for module in modules:
        for node in ast.walk(ast.parse((INTEGRATION / module).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.AsyncFunctionDef):
                found.add(node.name.removeprefix("async_step_"))
    return found


def used(pattern: str, *modules: str) -> set[str]:
    """Return the keys that a pattern finds in the code of these modules."""
    code = "".join((INTEGRATION / module).read_text() for module in modules)
    found = set(re.findall(pattern, code))
    assert found
    return found


@pytest.mark.parametrize(("flow", "modules"), FLOWS)
def test_flow(flow: dict[str, Any], modules: tuple[str, ...]) -> None:
    """A flow has all texts that its code uses, and no others."""
    known = words(*modules, "pairing_flow.py")
    errors = set(ERROR_KEYS.values())
    assert errors <= flow["error"].keys() <= errors | known
    assert flow["progress"].keys() == ONGOING

    reasons = used(r'(?:reason=|AbortFlow\()"(\w+)"', *modules)
    by_core = {"reauth_successful", "reconfigure_successful"}
    assert reasons | ENDS <= flow["abort"].keys() <= known | ENDS | by_core

    # the form of an issue that is gone is Home Assistant's own
    assert flow["step"].keys() <= known | {"confirm"}
    for step in flow["step"].values():
        options = step.get("menu_options", {})
        assert options.keys() <= known
        fields = step.get("data", {}).keys()
        assert step.get("data_description", {}).keys() <= fields <= FIELDS


def test_exceptions() -> None:
    """Every error and every end of a linking has a text, and there are no others."""
    ends = set(Phase) - ONGOING - ENDS - {Phase.LINKED}
    invalid = used(r'_invalid\("(\w+)"', "services.py")
    assert ENGLISH["exceptions"].keys() == {*ERROR_KEYS.values(), *ends, *invalid}


def test_sections() -> None:
    """There is no text in a section that Home Assistant or the integration lacks."""
    assert ENGLISH.keys() == {
        "config",
        "options",
        "issues",
        "entity",
        "exceptions",
        "services",
    }
    assert ENGLISH["issues"].keys() == set(Kind)
    assert ENGLISH["entity"].keys() == DESCRIPTIONS.keys()


def test_wrong_type() -> None:
    """The error about a wrong type of instance uses the words of the field."""
    field = ENGLISH["services"]["create_instance"]["fields"]["type"]["name"]
    assert field.lower() in ENGLISH["exceptions"]["unknown_type"]["message"]


def test_instance_types() -> None:
    """The description of the action's field has every type of instance."""
    field = ENGLISH["services"]["create_instance"]["fields"]["type"]
    for provider in PROVIDERS.values():
        for key, name in provider.instance_types.items():
            assert f"`{key}` ({name})" in field["description"]
