"""WAHA: files that it keeps in a storage of its own (S3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest
from yarl import URL

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.exceptions import HomeAssistantError

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers.messages import (
    MAX_MEDIA,
    IncomingMessage,
    MessageEvent,
    MessageKind,
)
from custom_components.whatsapp_gateway.providers.models import (
    BadResponse,
    Closed,
    GatewayError,
    Refusal,
    Refused,
    Unreachable,
)
from tests.harness.calls import present
from tests.harness.receiving import start
from tests.harness.recipients import device_named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways.waha import WahaGateway
    from tests.harness.clock import Clock

PICTURE = b"\xff\xd8\xff\xe0 a picture"
FILE = "/waha/x%20y.jpg?X-Amz-Credential=a%2Fb&X-Amz-Signature=1"
MESSAGE = IncomingMessage(
    event=MessageEvent.RECEIVED,
    instance_id="home",
    id="3EB0",
    chat_id="12025550123@s.whatsapp.net",
    kind=MessageKind.IMAGE,
    sent_at=datetime(2026, 11, 30, tzinfo=UTC),
)


class Storage:
    """A server with files, and what it was asked for."""

    def __init__(self) -> None:
        """Answer with a picture."""
        self.asked: list[web.Request] = []
        self.status, self.body = 200, PICTURE
        self.headers: dict[str, str] = {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.asked.append(request)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "waha"


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    """Return a storage that is another server than the gateway."""
    storage = Storage()
    app = web.Application()
    app.router.add_get("/{path:.*}", storage.handle)
    async with TestServer(app) as running:
        storage.url = str(running.make_url("/")).rstrip("/")
        yield storage


async def download(
    provider: Provider, media: str | None, kind: MessageKind = MessageKind.IMAGE
) -> bytes:
    """Download the file of a message."""
    message = replace(MESSAGE, media=media, kind=kind)
    return await present(provider.downloads).download(message)


async def test_storage(
    gateway: WahaGateway, provider: Provider, storage: Storage
) -> None:
    """A file is read from the address as it is, without the key and without a user."""
    url = URL(storage.url).with_user("me").with_password("secret")
    assert await download(provider, str(url).rstrip("/") + FILE) == PICTURE

    [asked] = storage.asked
    assert asked.raw_path == FILE
    names = {name.lower() for name in asked.headers}
    assert not names & {"x-api-key", "authorization", "cookie"}
    assert gateway.asked == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (302, b"", BadResponse),
        (403, b"<Error><Code>AccessDenied</Code></Error>", Refused),
        (404, b"", Refused),
        (200, b"<html>Sign in</html>", BadResponse),
        (200, bytes(MAX_MEDIA + 1), BadResponse),
        (503, b"", BadResponse),
    ],
    ids=str,
)
async def test_no_file(
    provider: Provider,
    storage: Storage,
    status: int,
    body: bytes,
    error: type[GatewayError],
) -> None:
    """What is no file is an error, and a redirect isn't followed."""
    storage.status, storage.body = status, body
    storage.headers = {"Location": f"{storage.url}/other"} if status == 302 else {}
    with pytest.raises(error) as raised:
        await download(provider, storage.url + FILE)
    assert len(storage.asked) == 1
    if isinstance(raised.value, Refused):
        assert raised.value.reason is Refusal.FILE_GONE
    assert "Amz" not in str(raised.value)

    storage.status, storage.body = 200, PICTURE
    assert await download(provider, storage.url + FILE) == PICTURE


async def test_page(provider: Provider, storage: Storage) -> None:
    """A document may be a web page."""
    storage.body = b"<html></html>"
    file = await download(provider, storage.url + FILE, MessageKind.DOCUMENT)
    assert file == storage.body


@pytest.mark.parametrize("url", ["http://[", "http://127.0.0.1:1/x?sig=1", "ftp://x/y"])
async def test_bad_address(provider: Provider, url: str) -> None:
    """An address where nothing can be read is an error that doesn't show it."""
    with pytest.raises(Unreachable) as raised:
        await download(provider, url)
    assert "sig" not in str(raised.value)


async def test_not_kept(gateway: WahaGateway, provider: Provider) -> None:
    """The setting is named that lets the server keep files."""
    with pytest.raises(Refused) as raised:
        await download(provider, None)
    assert raised.value.reason is Refusal.FILE_NOT_DOWNLOADED
    assert raised.value.placeholders == {"setting": "WHATSAPP_DOWNLOAD_MEDIA"}
    assert gateway.asked == []


async def test_closed(provider: Provider, storage: Storage) -> None:
    """Nothing is asked for an account that is unloaded."""
    provider.close()
    with pytest.raises(Closed):
        await download(provider, storage.url + FILE)
    assert storage.asked == []


async def test_action(
    hass: HomeAssistant,
    gateway: WahaGateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    clock: Clock,
    tmp_path: Path,
) -> None:
    """The action tells whether a file was never kept, or isn't kept any more."""
    home = await start(hass, gateway, entry, hass_client_no_auth)
    await home.choose("everyone")
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    photo = {"kind": "image", "media": PICTURE, "mime_type": "image/jpeg"}

    async def save() -> None:
        await home.get("Look", **photo)
        await clock.run(1)
        data = {
            "device_id": device_named(hass, entry, "Home").id,
            "message_id": home.last["message_id"],
            "path": str(tmp_path / "a.jpg"),
        }
        await hass.services.async_call(
            DOMAIN, "download_media", data, blocking=True, return_response=True
        )

    gateway.downloads_media = False
    with pytest.raises(HomeAssistantError, match="WHATSAPP_DOWNLOAD_MEDIA"):
        await save()
    gateway.downloads_media, gateway.keeps_files = True, False
    with pytest.raises(HomeAssistantError, match="no longer has this file"):
        await save()
    gateway.keeps_files = True
    await save()
    assert (tmp_path / "a.jpg").read_bytes() == PICTURE
