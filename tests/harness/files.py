"""An account that sends files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component

from tests.gateways.machine import State

from .helpers import make_reachable
from .recipients import FAMILY, add_recipient, send
from .texts import ENGLISH

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.gateways.messages import SentMessage

PICTURE = b"\xff\xd8\xff\xe0 a picture"
ENTITY = "notify.family"
TEXTS = ENGLISH["exceptions"]


@dataclass
class FileHome:
    """An account with one recipient, and a Home Assistant that can be reached."""

    hass: HomeAssistant
    gateway: Gateway
    folder: Path

    async def send(self, **data: Any) -> SentMessage:
        """Send a message to the recipient; return what the gateway got."""
        before = len(self.gateway.sent)
        await send(self.hass, entity_id=ENTITY, **data)
        [new] = self.gateway.sent[before:]
        return new

    async def refused(self, **data: Any) -> str:
        """Return why a message isn't sent."""
        before = len(self.gateway.sent)
        with pytest.raises(HomeAssistantError) as error:
            await self.send(**data)
        assert len(self.gateway.sent) == before
        key = error.value.translation_key
        assert key is not None
        TEXTS[key]["message"].format(**(error.value.translation_placeholders or {}))
        return key

    def write(self, name: str, content: bytes) -> str:
        """Write a file into the folder that Home Assistant may read."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)


async def start(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    client: ClientSessionGenerator,
    folder: Path,
) -> FileHome:
    """Set an account up that may read files of this folder."""
    session = gateway.add("Home", State.CONNECTED)
    add_recipient(hass, entry, session, FAMILY, "Family")
    hass.config.allowlist_external_dirs = {str(folder)}
    hass.config.media_dirs = {"local": str(folder)}
    assert await async_setup_component(hass, "media_source", {})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await make_reachable(hass, gateway, client)
    return FileHome(hass, gateway, folder)
