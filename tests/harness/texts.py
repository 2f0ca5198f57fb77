"""The English texts of the integration, and checks of what a flow shows."""

from __future__ import annotations

import json
from pathlib import Path
import re
from typing import Any

from homeassistant.data_entry_flow import FlowResultType

from custom_components import whatsapp_gateway

TRANSLATIONS = Path(whatsapp_gateway.__file__).parent / "translations"
ENGLISH = json.loads((TRANSLATIONS / "en.json").read_text())


def assert_translated(result: Any, section: dict[str, Any] = ENGLISH["config"]) -> None:
    """Check that each text of a flow's result exists, with all its placeholders."""
    step = section["step"].get(result.get("step_id"), {})
    texts = [step.get("title", ""), step.get("description", "")]
    texts += step.get("data_description", {}).values()
    match result["type"]:
        case FlowResultType.FORM:
            fields = [str(field) for field in result["data_schema"].schema]
            texts += [step["title"], *(step["data"][field] for field in fields)]
            errors = result["errors"] or {}
            texts += [section["error"][key] for key in errors.values()]
            assert errors.keys() <= {*fields, "base"}
        case FlowResultType.MENU:
            texts += [step["menu_options"][option] for option in result["menu_options"]]
        case FlowResultType.SHOW_PROGRESS:
            texts += [step["title"], section["progress"][result["progress_action"]]]
        case FlowResultType.ABORT:
            texts += [section["abort"][result["reason"]]]
    given = result.get("description_placeholders") or {}
    wanted = {name for text in texts for name in re.findall(r"{(\w+)}", text)}
    assert wanted <= given.keys(), wanted - given.keys()


def exception_key(text: str) -> str:
    """Return the key of an exception by its text."""
    found: str
    [found] = [
        key
        for key, exception in ENGLISH["exceptions"].items()
        if text.startswith(exception["message"].partition("{")[0] or "{")
    ]
    return found


def shown_text(result: Any, section: dict[str, Any]) -> str:
    """Return the Markdown text that a flow's result shows, filled in."""
    match result["type"]:
        case FlowResultType.SHOW_PROGRESS:
            text = section["progress"][result["progress_action"]]
        case FlowResultType.ABORT:
            text = section["abort"][result["reason"]]
        case _:
            text = section["step"][result["step_id"]].get("description", "")
    filled_in: str = text.format(**(result.get("description_placeholders") or {}))
    return filled_in


def suggested_values(schema: Any) -> dict[str, Any]:
    """Return the values that the fields of a form are filled in with."""
    return {
        str(key): (key.description or {}).get("suggested_value")
        for key in schema.schema
    }
