"""The ID that a send returns is the one that answers and reactions name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from tests.harness.facts import needs
from tests.harness.receiving import Receiving, start_with_recipients
from tests.harness.recipients import BEN, FAMILY, send

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Receiving:
    """Return an account that receives messages from everyone."""
    home = await start_with_recipients(
        hass, gateway, entry, hass_client_no_auth, "everyone"
    )
    # it may be a part of the IDs of own messages in groups
    home.session.phone_number = "12025550100"
    return home


@pytest.mark.parametrize("chat", [BEN, FAMILY])
@needs("messages", "receiving", "message_ids", "replies")
async def test_reply_to(home: Receiving, clock: Clock, chat: str) -> None:
    """An automation can compare the IDs, also after a reload."""
    entity_id = "notify.family" if chat == FAMILY else "notify.ben"
    [sent] = await send(home.hass, entity_id=entity_id, message="Open the door?")
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    gateway, member = home.gateway, "12025550123"
    await home.get("Yes", chat_id=chat, sender=member, reply_to=gateway.sent[-1].id)
    await clock.run(1)
    assert home.last["reply_to"] == sent["message_id"]
    own_id = gateway.sent[-1].id
    await gateway.react(home.session, chat, own_id, "👍", sender=member)
    await clock.run(1)
    assert home.last["event_type"] == "reaction"
    assert home.last["reply_to"] == sent["message_id"]
    # what others have written keeps its ID
    original = await home.get("Question?", chat_id=chat, sender=member)
    await gateway.react(home.session, chat, original, "👍", sender=member)
    await clock.run(1)
    assert home.last["reply_to"] == original
