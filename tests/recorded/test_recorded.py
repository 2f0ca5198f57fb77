"""What real servers have reported arrives as WhatsApp has shown it.

The files have events of real servers with invented people and masked secrets; the name
of a file begins with the gateway.
"""

from __future__ import annotations

import json
from pathlib import Path
import time
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from tests.harness.facts import SUPPORTED
from tests.harness.receiving import start

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

FOLDER = Path(__file__).parent
FILES = sorted(path.stem for path in FOLDER.glob("*.json"))
RECORDED = range(1_796_000_000, 1_797_000_000)
"""When the events were recorded, in seconds since 1970."""
ANNA = "+4917000000001"
SHOWN = {
    "evolution-2.3.7-calls-presence": [
        ("sent_by_phone", "text", "I cannot talk", None),
    ],
    "evolution-2.3.7-webhook-events": [
        ("received", "text", "hi", ANNA),
        ("reaction", "other", "❤️", ANNA),
    ],
    "waha-2026.4.1-noweb-ws-frames": [
        ("received", "text", "hi ✓", ANNA),
        ("received", "text", "see https://x.example", ANNA),
        ("received", "text", "a reply", ANNA),
        ("received", "text", "hello all", ANNA),
        ("received", "image", "caption", ANNA),
        ("received", "document", "", ANNA),
        ("received", "document", "cap", ANNA),
        ("received", "voice", "", ANNA),
        ("reaction", "other", "👍", ANNA),
        ("reaction", "other", "👍", None),
        ("reaction", "other", "❤️", None),
    ],
}
"""What WhatsApp has shown of the events in a file; nothing of all others."""


@pytest.fixture
def provider_key(request: pytest.FixtureRequest) -> str:
    """Return the key of the provider that a file belongs to."""
    key = request.getfixturevalue("recording").partition("-")[0]
    assert key in SUPPORTED
    return str(key)


def moved(value: Any, seconds: float) -> Any:
    """Return an event as it would have been some seconds later."""
    if isinstance(value, dict):
        return {key: moved(one, seconds) for key, one in value.items()}
    if isinstance(value, list):
        return [moved(one, seconds) for one in value]
    if isinstance(value, str) and value.isdigit() and int(value) in RECORDED:
        return str(int(int(value) + seconds))
    if isinstance(value, int) and value in RECORDED:
        return int(value + seconds)
    if isinstance(value, int) and value // 1000 in RECORDED:
        return int(value + seconds * 1000)
    return value


@pytest.mark.parametrize("recording", FILES)
async def test_recording(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    clock: Clock,
    recording: str,
) -> None:
    """Each message is shown once, and what isn't seen in WhatsApp is no event."""
    home = await start(hass, gateway, entry, hass_client_no_auth)
    await home.choose("everyone")
    events = json.loads((FOLDER / f"{recording}.json").read_text())
    for event in events:
        await gateway.replay(home.session, moved(event, time.time() - RECORDED.start))
        await clock.run(1)
    shown = [
        tuple(state.attributes[key] for key in ("event_type", "kind", "text", "sender"))
        for state in home.seen
    ]
    assert shown == SHOWN.get(recording, [])
    assert not home.account.inbox.skipped["unparsable"]
    for state in home.seen:
        attributes = state.attributes
        assert attributes["is_group"] is (attributes["text"] == "hello all")
        assert not attributes["mentioned_me"]
        has_file = attributes["kind"] in {"image", "document", "voice"}
        assert attributes["has_media"] is has_file
    # and the next message arrives
    await home.get("After")
    await clock.run(2)
    assert home.texts[len(shown) :] == ["After"]
