"""What several tests do."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from io import BytesIO
import json
from pathlib import Path
import re
import time
from typing import TYPE_CHECKING, Any

from PIL import Image
import zxingcpp

from homeassistant.data_entry_flow import FlowResultType

from custom_components import whatsapp_gateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant


TRANSLATIONS = Path(whatsapp_gateway.__file__).parent / "translations"
LOOK = 31.0
"""Seconds in which there is a poll for sure."""
ENGLISH = json.loads((TRANSLATIONS / "en.json").read_text())


def read_qr(png: bytes) -> str | None:
    """Read a picture as a phone does: dark on light, or not at all."""
    with Image.open(BytesIO(png)) as image:
        codes = zxingcpp.read_barcodes(
            image.convert("RGB"),
            formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode),
            try_invert=False,
        )
    return codes[0].text if codes else None


def read_data_uri(uri: str) -> str | None:
    """Read the code in a data URI."""
    return read_qr(b64decode(uri.partition(",")[2]))


async def until[T](ready: Callable[[], T], within: float = 300.0) -> T:
    """Wait until something is true, and return it; `within` is in seconds."""
    deadline = time.monotonic() + within
    while not (result := ready()):
        assert time.monotonic() < deadline, "It did not happen in time"
        await asyncio.sleep(0.1)
    return result


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an entity that exists."""
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state.state


def assert_translated(result: Any, section: dict[str, Any] = ENGLISH["config"]) -> None:
    """Check that each text of a flow's result exists, with all its placeholders."""
    step = section["step"].get(result.get("step_id"), {})
    texts = [step.get("title", ""), step.get("description", "")]
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


def values_of(schema: Any) -> dict[str, Any]:
    """Return what a form is filled in with."""
    return {
        str(key): (key.description or {}).get("suggested_value")
        for key in schema.schema
    }
