"""An account whose messages are refused."""

from __future__ import annotations

from dataclasses import dataclass
import json
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.exceptions import HomeAssistantError

from tests.gateways.machine import State

from .recipients import BEN, FAMILY, add_recipient, notify, send
from .texts import ENGLISH

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.gateways import Gateway

LID = "211100000000010@lid"
ENTITIES = {BEN: "notify.ben", FAMILY: "notify.family", LID: "notify.anna"}
TEXTS = ENGLISH["exceptions"]


@dataclass
class RefusalHome:
    """An account with a person, a group and a person whose number isn't known."""

    hass: HomeAssistant
    gateway: Gateway

    async def assert_refused(
        self, chat: str, status: int, body: Any, key: str, **data: Any
    ) -> None:
        """Check which error a JSON answer becomes, and that sending works after it."""
        fault = {"status": status, "body": json.dumps(body).encode()}
        await self.assert_fails(fault, key, chat, **data)

    async def assert_fails(
        self, fault: dict[str, Any], key: str, chat: str = BEN, **data: Any
    ) -> None:
        """Check which error a fault becomes, and that sending works after it.

        `key` is that of the text, with what stands in it after a colon.
        """
        hass, gateway = self.hass, self.gateway
        key, _, word = key.partition(":")
        text = TEXTS[key]["message"].format(error=word, message=word)
        asked, taken = gateway.count("send"), len(gateway.sent)
        gateway.fail("send", **fault)
        message = {"message": "Hello"} | data
        with pytest.raises(HomeAssistantError) as error:
            await send(hass, entity_id=ENTITIES[chat], **message)
        failures = (error.value.translation_placeholders or {})["failures"]
        assert text in failures, failures
        with pytest.raises(HomeAssistantError) as error:
            await notify(hass, ENTITIES[chat], message="Hello")
        assert error.value.translation_key == key
        assert gateway.count("send") == asked + 2
        assert hass.config_entries.flow.async_progress() == []

        gateway.heal()
        await notify(hass, ENTITIES[BEN], message="Hello")
        assert len(gateway.sent) == taken + 1


async def start(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> RefusalHome:
    """Set an account up with three recipients."""
    session = gateway.add("Home", State.CONNECTED)
    for chat, name in ((BEN, "Ben"), (FAMILY, "Family"), (LID, "Anna")):
        add_recipient(hass, entry, session, chat, name)
    assert await hass.config_entries.async_setup(entry.entry_id)
    return RefusalHome(hass, gateway)
