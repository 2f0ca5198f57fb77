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
    CONF_VERIFY_SSL,
    Platform,
)
from homeassistant.util.yaml import load_yaml

from custom_components import whatsapp_gateway
from custom_components.whatsapp_gateway import button, event, image, sensor
from custom_components.whatsapp_gateway.actions.fields import NEEDED_FEATURES
from custom_components.whatsapp_gateway.binary_sensor import CONNECTED
from custom_components.whatsapp_gateway.const import (
    CONF_INSTANCE_ID,
    CONF_PROVIDER,
    CONF_RECEIVE,
    CONF_WEBHOOK,
    ERROR_KEYS,
    Receive,
)
from custom_components.whatsapp_gateway.flows.link import (
    CONF_INSTANCE,
    CONF_PHONE_NUMBER,
)
from custom_components.whatsapp_gateway.flows.recipient import CONF_RECIPIENT
from custom_components.whatsapp_gateway.messages.recipients import SUBENTRY_RECIPIENT
from custom_components.whatsapp_gateway.pairing.engine import ONGOING, Phase
from custom_components.whatsapp_gateway.problems import NEEDS_ATTENTION, Kind
from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.models import (
    InstanceStatus,
    Refusal,
)
from custom_components.whatsapp_gateway.push.silence import NOT_RECEIVING, Reason
from custom_components.whatsapp_gateway.push.webhook import NO_CALLS

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
    Platform.EVENT: (event.MESSAGE,),
    Platform.IMAGE: (image.QR_CODE,),
    Platform.SENSOR: sensor.SENSORS,
}
FLOWS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (ENGLISH["config"], ("config_flow.py", "flows/account.py", "addresses.py")),
    (ENGLISH["options"], ("flows/options.py",)),
    (ENGLISH["issues"][NEEDS_ATTENTION]["fix_flow"], ("repairs.py",)),
]
"""The texts of each flow, and the modules that use them beside the common ones."""
ENDS = {Phase.GONE, Phase.ACCOUNT_GONE}
"""Ends of a linking after which there is nothing to try again."""
FIELDS = {
    CONF_API_KEY,
    CONF_INSTANCE,
    CONF_INSTANCE_ID,
    CONF_NAME,
    CONF_PHONE_NUMBER,
    CONF_PROVIDER,
    CONF_RECEIVE,
    CONF_RECIPIENT,
    CONF_TYPE,
    CONF_URL,
    CONF_VERIFY_SSL,
    CONF_WEBHOOK,
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
        texts, icons = ENGLISH["services"][key], ICONS["services"][key]
        sections = {
            name: field["fields"]
            for name, field in action["fields"].items()
            if "fields" in field
        }
        assert sections.keys() == texts.get("sections", {}).keys()
        assert sections.keys() == icons.get("sections", {}).keys()
        fields = set().union(action["fields"], *sections.values()) - sections.keys()
        assert fields == texts["fields"].keys()


def test_selectors() -> None:
    """Every option that a field offers has a text."""
    options = [
        field["selector"]["select"]
        for action in ACTIONS.values()
        for section in action["fields"].values()
        for field in section.get("fields", {}).values()
        if "select" in field["selector"]
    ]
    found = {select["translation_key"]: {*select["options"]} for select in options}
    assert found | {CONF_RECEIVE: {*Receive}} == {
        key: {*texts["options"]} for key, texts in ENGLISH["selector"].items()
    }


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
    known = words(*modules, "flows/link.py", "flows/progress.py")
    errors = set()
    if "config_flow.py" in modules:
        # no message is sent to set an account up
        errors = {*ERROR_KEYS.values()} - {"maybe_sent"}
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


def test_recipient_flow() -> None:
    """The flow of a recipient has all texts that its code uses, and no others."""
    flow = ENGLISH["config_subentries"][SUBENTRY_RECIPIENT]
    known = words("flows/recipient.py")
    assert flow["error"].keys() <= known
    by_core = {"already_configured", "reconfigure_successful"}
    reasons = used(r'(?:reason=|AbortFlow\()"(\w+)"', "flows/recipient.py")
    missing = {"instance_gone", "account_unavailable"}
    assert flow["abort"].keys() == reasons | missing | by_core
    assert flow["initiate_flow"].keys() == {"user", "reconfigure"}
    for step, texts in flow["step"].items():
        assert step in known
        fields = texts["data"].keys()
        assert texts.get("data_description", {}).keys() <= fields <= FIELDS


def test_exceptions() -> None:
    """Every error, problem and end of a linking has a text; there are no others."""
    ends = set(Phase) - ONGOING - ENDS - {Phase.LINKED, Phase.NEEDS_LOGOUT}
    modules = [str(path.relative_to(INTEGRATION)) for path in INTEGRATION.rglob("*.py")]
    invalid = used(r'\b(?:failed|invalid)\("(\w+)"', *modules)
    invalid |= {key for _, key in NEEDED_FEATURES.values()}
    problems = {f"problem_{kind}" for kind in Kind}
    assert ENGLISH["exceptions"].keys() == {
        *ERROR_KEYS.values(),
        *Refusal,
        *ends,
        *invalid,
        *problems,
    }


def test_sections() -> None:
    """There is no text in a section that Home Assistant or the integration lacks."""
    assert ENGLISH.keys() == {
        "config",
        "config_subentries",
        "options",
        "issues",
        "entity",
        "exceptions",
        "selector",
        "services",
    }
    assert ENGLISH["config_subentries"].keys() == {SUBENTRY_RECIPIENT}
    not_receiving = {f"{NOT_RECEIVING}_{reason}" for reason in Reason}
    assert ENGLISH["issues"].keys() == {NEEDS_ATTENTION, NO_CALLS, *not_receiving}
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
