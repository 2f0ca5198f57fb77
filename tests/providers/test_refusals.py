"""What any gateway, or a proxy before it, may answer to a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from tests.harness.facts import needs
from tests.harness.refusals import RefusalHome, start

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.gateways import Gateway


@pytest.fixture
async def home(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> RefusalHome:
    """Return an account with recipients."""
    return await start(hass, gateway, entry)


@needs("messages")
@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ({"status": 413, "html": True}, "too_large"),
        ({"status": 413, "body": b""}, "too_large"),
        (
            {"status": 413, "body": b'{"message": "request entity too large"}'},
            "too_large",
        ),
        ({"status": 403, "html": True}, "unexpected_response"),
        ({"status": 401}, "key_not_allowed"),
        # a proxy can't tell whether the gateway goes on
        ({"status": 502, "html": True}, "maybe_sent"),
        ({"status": 504, "html": True}, "maybe_sent"),
    ],
    ids=str,
)
async def test_answers(home: RefusalHome, fault: dict[str, Any], key: str) -> None:
    """What is refused on the way, or on this route alone, is told as such."""
    await home.assert_fails(fault, key)
