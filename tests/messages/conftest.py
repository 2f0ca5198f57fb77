"""What most tests of messages begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.receiving import start

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.receiving import Receiving


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Receiving:
    """Return an account that receives messages from everyone."""
    home = await start(hass, gateway, entry, hass_client_no_auth)
    await home.choose("everyone")
    return home
