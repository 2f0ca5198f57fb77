"""Large messages, in whichever way a gateway reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from custom_components.whatsapp_gateway.providers.http import MAX_FRAME
from tests.harness.facts import SUPPORTED
from tests.harness.helpers import until
from tests.harness.receiving import start

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

MIB = 1024 * 1024


@pytest.fixture(
    params=[key for key, kind in SUPPORTED.items() if kind.has("receiving")]
)
def provider_key(request: pytest.FixtureRequest) -> str:
    """Return the key of each provider that reports messages in turn."""
    key: str = request.param
    return key


async def test_large_messages(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """What is too large is counted, and everything before and after it is shown."""
    home = await start(hass, gateway, entry, hass_client_no_auth)
    await home.choose("everyone")
    skipped = home.account.inbox.skipped
    await home.get("1" * 2 * MIB)
    await until(lambda: len(home.seen) == 1)
    assert home.texts[0].startswith("1")
    await home.get("2" * (MAX_FRAME + MIB))
    await until(lambda: skipped["too_large"] == 1)
    await home.get("3")
    await until(lambda: len(home.seen) == 2)
    assert home.texts[1] == "3"
    if home.account.stream:
        assert home.account.stream.connections == 1
    else:
        assert set(gateway.webhooks.statuses) == {200}


async def test_half_an_emoji(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """A text that was cut in the middle of an emoji is shown."""
    home = await start(hass, gateway, entry, hass_client_no_auth)
    await home.choose("everyone")
    await home.get("Good morning \ud83d")
    await until(lambda: home.texts == ["Good morning ?"])
