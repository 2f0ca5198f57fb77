"""The action that saves a received file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.messages import inbox
from tests.harness.facts import SUPPORTED, needs
from tests.harness.receiving import Receiving, start
from tests.harness.recipients import device_named

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

WITHOUT_FILES = [
    key
    for key, kind in SUPPORTED.items()
    if kind.has("receiving") and not kind.has("downloads")
]
DENIED = "key_not_allowed"
PHOTO = b"\xff\xd8 a photo \xff\xd9"


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    tmp_path: Path,
) -> Receiving:
    """Return an account that receives messages, and one allowed folder."""
    home = await start(hass, gateway, entry, hass_client_no_auth)
    await home.choose("everyone")
    folder = tmp_path / "allowed"
    folder.mkdir()
    hass.config.allowlist_external_dirs = {str(folder)}
    return home


async def send_photo(home: Receiving, clock: Clock) -> str:
    """Let a photo arrive; return the ID of the message that the event shows."""
    photo = {"media": PHOTO, "mime_type": "image/jpeg", "filename": "door.jpg"}
    await home.get("Look", kind="image", **photo)
    await clock.run(1)
    assert home.last["kind"] == "image"
    assert home.last["has_media"]
    message_id: str = home.last["message_id"]
    return message_id


async def download(home: Receiving, message_id: str, path: Any) -> Any:
    """Call the action."""
    data = {
        "device_id": device_named(home.hass, home.entry, "Home").id,
        "message_id": message_id,
        "path": str(path),
    }
    return await home.hass.services.async_call(
        DOMAIN, "download_media", data, blocking=True, return_response=True
    )


@needs("downloads")
async def test_download(home: Receiving, clock: Clock, tmp_path: Path) -> None:
    """The file is written where it should be, also in a new folder, and replaced."""
    message_id = await send_photo(home, clock)
    path = tmp_path / "allowed" / "new" / "door.jpg"
    for _ in range(2):
        assert await download(home, message_id, path) == {"path": str(path)}
        assert path.read_bytes() == PHOTO
        path.write_bytes(b"something else")


@needs("downloads")
async def test_not_allowed(home: Receiving, clock: Clock, tmp_path: Path) -> None:
    """Nothing is written outside of the allowed folders, and nothing is asked."""
    message_id = await send_photo(home, clock)
    outside = tmp_path / "outside.jpg"
    outside.touch()
    link = tmp_path / "allowed" / "link.jpg"
    link.symlink_to(outside)
    folder = tmp_path / "allowed" / "folder"
    folder.symlink_to(tmp_path)
    for path in (
        outside,
        link,
        folder / "outside.jpg",
        "relative.jpg",
        f"{link}\0.jpg",
    ):
        with pytest.raises(ServiceValidationError) as raised:
            await download(home, message_id, path)
        assert raised.value.translation_key == "folder_not_allowed"
    assert outside.read_bytes() == b""
    assert home.gateway.count("download") == 0


@needs("downloads")
async def test_not_writable(home: Receiving, clock: Clock, tmp_path: Path) -> None:
    """A path that can't be written to is an error with a text."""
    message_id = await send_photo(home, clock)
    with pytest.raises(HomeAssistantError) as raised:
        await download(home, message_id, tmp_path / "allowed")
    assert raised.value.translation_key == "path_not_writable"


@needs("downloads")
@pytest.mark.parametrize(
    ("fault", "key"), [({"status": 500}, "cannot_connect"), ({"status": 401}, DENIED)]
)
async def test_gateway_error(
    home: Receiving, clock: Clock, tmp_path: Path, fault: dict[str, Any], key: str
) -> None:
    """An error of the gateway is told, and the next attempt works."""
    message_id = await send_photo(home, clock)
    path = tmp_path / "allowed" / "door.jpg"
    home.gateway.fail("download", **fault)
    with pytest.raises(HomeAssistantError) as raised:
        await download(home, message_id, path)
    assert raised.value.translation_key == key
    assert not path.exists()
    # the API key works elsewhere
    assert home.hass.config_entries.flow.async_progress() == []
    home.gateway.heal()
    await download(home, message_id, path)
    assert path.read_bytes() == PHOTO


@needs("downloads")
async def test_unknown_message(home: Receiving, clock: Clock, tmp_path: Path) -> None:
    """Only the files of the last messages can be downloaded."""
    path = tmp_path / "allowed" / "door.jpg"
    with pytest.raises(ServiceValidationError) as raised:
        await download(home, "3EB0UNKNOWN", path)
    assert raised.value.translation_key == "unknown_message"

    first = await send_photo(home, clock)
    await download(home, first, path)
    for _ in range(inbox.MAX_FILES):
        last = await send_photo(home, clock)
    with pytest.raises(ServiceValidationError) as raised:
        await download(home, first, path)
    assert raised.value.translation_key == "unknown_message"
    await download(home, last, path)


@pytest.mark.parametrize("provider_key", WITHOUT_FILES)
async def test_no_downloads(home: Receiving, clock: Clock, tmp_path: Path) -> None:
    """A gateway that keeps no files says so."""
    message_id = await home.get()
    with pytest.raises(ServiceValidationError) as raised:
        await download(home, message_id, tmp_path / "allowed" / "door.jpg")
    assert raised.value.translation_key == "no_downloads"
