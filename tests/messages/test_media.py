"""Files in messages: from cameras, media sources, folders and web servers."""

from __future__ import annotations

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, override
from unittest.mock import Mock

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

from homeassistant.components.camera import Camera
import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.components.image import ImageEntity
from homeassistant.components.media_source import (
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockModule,
    mock_integration,
    mock_platform,
    setup_test_component_platform,
)

from custom_components.whatsapp_gateway.messages.files import LOAD_SECONDS
from custom_components.whatsapp_gateway.messages.media_view import (
    LIFETIME,
    REPEAT_TIME,
    MediaView,
)
from custom_components.whatsapp_gateway.providers.messages import MAX_MEDIA
from tests.harness.facts import lacks, needs
from tests.harness.files import PICTURE, FileHome, start
from tests.harness.helpers import PUBLIC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

SOUND = b"OggS a sound"
REPORT = b"%PDF-1.7 a report"
OTHER_KINDS = {"voice": "audio", "video": "document"}
"""What is sent instead of a kind that a gateway doesn't have."""


class TestCamera(Camera):
    """A camera that shows always the same, or nothing."""

    __test__ = False
    _attr_name = "Door"
    _attr_unique_id = "door"
    shown: bytes | None = PICTURE

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        return self.shown


class TestImage(ImageEntity):
    """An image entity that shows always the same, or nothing."""

    __test__ = False
    _attr_name = "Map"
    _attr_unique_id = "map"
    _attr_content_type = "image/png"
    shown: bytes | None = PICTURE
    delay = 0
    """Seconds until it is shown."""

    @override
    async def async_image(self) -> bytes | None:
        await asyncio.sleep(self.delay)
        return self.shown


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    tmp_path: Path,
) -> FileHome:
    """Return an account with one recipient."""
    return await start(hass, gateway, entry, hass_client_no_auth, tmp_path)


@pytest.fixture
def sources(hass: HomeAssistant) -> dict[str, Any]:
    """Return what a media source of another integration has, by its ID."""
    found: dict[str, Any] = {}

    class TestSource(MediaSource):
        """A media source of another integration."""

        @override
        async def async_resolve_media(self, item: MediaSourceItem) -> Any:
            if item.identifier not in found:
                raise Unresolvable("Not found")
            media = found[item.identifier]
            if isinstance(media, float):
                # it takes so many seconds to answer
                await asyncio.sleep(media)
            return media

    async def source(_hass: HomeAssistant) -> MediaSource:
        return TestSource("test")

    mock_integration(hass, MockModule("test"))
    mock_platform(hass, "test.media_source", Mock(async_get_media_source=source))
    hass.config.components.add("test")
    return found


@pytest.fixture
async def server(hass: HomeAssistant) -> AsyncIterator[str]:
    """Return the address of a web server with some files, which the user allows."""

    async def answer(request: web.Request) -> web.Response:
        match request.match_info["name"]:
            case "picture.jpg" | "picture":
                return web.Response(body=PICTURE, content_type="image/jpeg")
            case "odd.jpg":
                return web.Response(body=PICTURE, content_type="image/jpg")
            case "unknown.jpg":
                kind = "binary/octet-stream"
                return web.Response(body=PICTURE, content_type=kind)
            case "report.pdf":
                kind = "application/octet-stream"
                return web.Response(body=REPORT, content_type=kind)
            case "moved.jpg":
                raise web.HTTPFound("/picture")
            case "stolen.jpg":
                raise web.HTTPFound("http://192.168.1.1/picture")
            case ("empty" | "large") as name:
                size = {"empty": 0, "large": MAX_MEDIA + 1}[name]
                return web.Response(body=bytes(size))
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{name}", answer)
    async with TestServer(app) as running:
        url = str(running.make_url("/"))
        hass.config.allowlist_external_urls = {url}
        yield url.rstrip("/")


class Named:
    """A web server that gives a picture with these headers, which the user allows."""

    def __init__(self) -> None:
        """Start without headers."""
        self.headers: dict[str, str] = {}
        self.url = ""

    async def handle(self, _request: web.Request) -> web.Response:
        """Answer one request."""
        return web.Response(body=PICTURE, headers=self.headers)


@pytest.fixture
async def named(hass: HomeAssistant) -> AsyncIterator[Named]:
    """Return a web server that names files."""
    server = Named()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    async with TestServer(app) as running:
        server.url = str(running.make_url("/"))
        hass.config.allowlist_external_urls = {server.url}
        yield server


@pytest.fixture
async def pictures(hass: HomeAssistant) -> tuple[TestCamera, TestImage]:
    """Return a camera and an image entity."""
    camera, image = TestCamera(), TestImage(hass)
    for domain, entity in (("camera", camera), ("image", image)):
        setup_test_component_platform(hass, domain, [entity])
        config = {domain: {"platform": "test"}}
        assert await async_setup_component(hass, domain, config)
    await hass.async_block_till_done()
    return camera, image


@needs("messages")
async def test_camera(pictures: tuple[TestCamera, TestImage], home: FileHome) -> None:
    """The present picture of a camera or an image entity is sent."""
    camera, image = pictures
    source = "media-source://camera/camera.door"
    sent = await home.send(media=source, message="Somebody is at the door")
    assert (sent.kind, sent.media) == ("image", PICTURE)
    assert sent.text == "Somebody is at the door"

    camera.shown = image.shown = None
    for entity_id in ("camera.door", "image.map", "image.other"):
        source = f"media-source://{entity_id.partition('.')[0]}/{entity_id}"
        assert await home.refused(media=source) == "media_unavailable"

    image.shown = bytes(MAX_MEDIA + 1)
    source = "media-source://image/image.map"
    assert await home.refused(media=source) == "media_too_large"

    image.shown = PICTURE
    sent = await home.send(media={"media_content_id": source, "metadata": {}})
    assert (sent.kind, sent.media) == ("image", PICTURE)


@needs("messages")
async def test_no_camera(home: FileHome) -> None:
    """A Home Assistant without cameras says so."""
    source = "media-source://camera/camera.door"
    assert await home.refused(media=source) == "media_unavailable"


@needs("messages")
async def test_slow_image(
    pictures: tuple[TestCamera, TestImage], home: FileHome, clock: Clock
) -> None:
    """An image entity that doesn't answer is waited for as long as a camera."""
    pictures[1].delay = 3600
    media = {"media_content_id": "media-source://image/image.map"}
    refused = asyncio.create_task(home.refused(media=media))
    await clock.run(15)
    assert refused.done()
    assert await refused == "media_unavailable"

    pictures[1].delay = 0
    assert (await home.send(media=media)).media == PICTURE


@needs("messages")
async def test_file(home: FileHome) -> None:
    """A file is sent from a folder that Home Assistant may read."""
    report, large = home.write("report.pdf", REPORT), home.folder / "large"
    large.touch()
    with large.open("r+b") as file:
        file.truncate(MAX_MEDIA + 1)

    assert await home.refused(file="/etc/passwd") == "path_not_allowed"
    assert await home.refused(file=f"{home.folder}/other.pdf") == "file_not_found"
    assert await home.refused(file=f"{home.folder}/../x") == "path_not_allowed"
    assert await home.refused(file=str(large)) == "media_too_large"
    assert await home.refused(file=report, send_as="voice") == "not_audio"

    # a file of Linux that can't be read
    home.hass.config.allowlist_external_dirs = {"/proc", str(home.folder)}
    assert await home.refused(file="/proc/self/mem") == "file_not_found"

    sent = await home.send(file=report, message="Energy")
    assert (sent.kind, sent.media) == ("document", REPORT)
    assert sent.text == "Energy"
    assert sent.filename in {"report.pdf", None}


@needs("messages")
@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.jpg", {}, "image"),
        ("a.mp4", {}, "video"),
        ("a.3GP", {}, "video"),
        ("a.unknown", {}, "document"),
        ("a.unknown", {"filename": "../b.jpg"}, "image"),
        ("a.jpg", {"send_as": "document"}, "document"),
        ("a.ogg", {"send_as": "voice"}, "voice"),
    ],
)
async def test_kinds(
    home: FileHome, name: str, data: dict[str, Any], kind: str
) -> None:
    """The type of a file decides how it is shown, unless the user does."""
    sent = await home.send(file=home.write(name, SOUND), **data)
    assert sent.media == SOUND
    if home.gateway.has("media_content"):
        assert sent.kind == kind
        assert kind != "document" or sent.filename == name
    else:
        # a gateway that fetches files may have fewer kinds
        assert sent.kind in {kind, OTHER_KINDS.get(kind)}


@needs("messages")
async def test_url(home: FileHome, server: str) -> None:
    """A file on a web server is sent."""
    sent = await home.send(url=f"{server}/picture.jpg", message="Look")
    assert (sent.kind, sent.media, sent.text) == ("image", PICTURE, "Look")
    sent = await home.send(url=f"{server}/report.pdf")
    assert (sent.kind, sent.media) == ("document", REPORT)


@needs("messages", "media_content")
async def test_download(home: FileHome, server: str) -> None:
    """Home Assistant downloads the file, from the local network if that is allowed."""
    home.hass.config.allowlist_external_urls.add("http://127.0.0.1:9/")
    assert await home.refused(url=f"{server}/missing.jpg") == "download_failed"
    assert await home.refused(url="http://127.0.0.1:9/a.jpg") == "download_failed"
    assert await home.refused(url="http://a..b/a.jpg") == "host_not_found"
    assert await home.refused(url=f"{server}/large") == "media_too_large"

    for name in ("picture", "odd.jpg", "unknown.jpg"):
        sent = await home.send(url=f"{server}/{name}")
        assert (sent.kind, sent.media) == ("image", PICTURE)


@needs("messages")
@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@/a.jpg",
        f"http://me:secret@{'a' * 64}\u00e9.example/a.jpg",
        "http://127.0.0.1\\@example.com/a.jpg",
        "http://exam\u200bple.com/a.jpg",
    ],
)
async def test_odd_url(home: FileHome, server: str, url: str) -> None:
    """An address that can't be one is an error with a text, without the password."""
    assert await home.refused(url=url) in {"invalid_url", "host_not_found"}
    await home.send(url=f"{server}/picture.jpg")


@needs("messages")
async def test_caption(home: FileHome) -> None:
    """Markdown in a caption becomes WhatsApp's own form, and a blank one is none."""
    picture = home.write("a.jpg", PICTURE)
    assert (await home.send(file=picture, message="**Door**")).text == "*Door*"
    sent = await home.send(file=picture, message="**Door**", markdown=False)
    assert sent.text == "**Door**"
    assert (await home.send(file=picture, message=" \n")).text == ""


@needs("messages")
async def test_empty_file(
    sources: dict[str, Any], home: FileHome, server: str, tmp_path: Path
) -> None:
    """A file without content isn't sent, wherever it is."""
    empty = home.write("empty.jpg", b"")
    path = tmp_path / "empty.pdf"
    path.touch()
    kind = "application/pdf"
    sources["file"] = SimpleNamespace(url="/other", mime_type=kind, path=path)
    sources["away"] = PlayMedia(f"{server}/empty", "image/jpeg")
    assert await home.refused(file=empty) == "file_empty"
    assert await home.refused(media="media-source://test/file") == "file_empty"
    assert await home.refused(media="media-source://test/away") == "file_empty"
    if home.gateway.has("media_content"):
        assert await home.refused(url=f"{server}/empty") == "file_empty"

    assert (await home.send(file=home.write("a.jpg", PICTURE))).media == PICTURE


@needs("messages", "media_content")
@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("a.php", {}, "a.jpg"),
        ("a", {}, "a.jpg"),
        ("", {}, "file.jpg"),
        ("a.jpeg", {}, "a.jpeg"),
        ("a.JPEG", {}, "a.JPEG"),
        ("a.png", {}, "a.jpg"),
        ("report.2026", {}, "report.2026.jpg"),
        ("a.php", {"Content-Type": "application/x-unknown-type"}, "a.php"),
        ("a.yaml", {"Content-Type": "text/plain"}, "a.yaml"),
        ("a.jpg", {"Content-Type": "application/octet-stream"}, "a.jpg"),
        ("a", {"Content-Disposition": 'inline; filename="b.jpg"'}, "b.jpg"),
        ("a", {"Content-Disposition": "attachment; filename=b c.php;"}, "b c.jpg"),
        (
            "a",
            {
                "Content-Disposition": "attachment; filename=b.jpg; "
                "filename*=UTF-8''M%C3%A4rz%20%E2%82%AC.jpg"
            },
            "M\u00e4rz \u20ac.jpg",
        ),
        ("a", {"Content-Disposition": 'x; filename="../../b.jpg"'}, "b.jpg"),
        ("a", {"Content-Disposition": 'x; filename="C:\\b.jpg"'}, "b.jpg"),
        ("a", {"Content-Disposition": "attachment"}, "a.jpg"),
        ("a", {"Content-Disposition": 'attachment; filename=""'}, "a.jpg"),
        ("a", {"Content-Disposition": "x; filename*=idna''%ff"}, "a.jpg"),
        (
            "get.php",
            {
                "Content-Disposition": 'attachment; filename="bill.pdf"',
                "Content-Type": "application/octet-stream",
            },
            "bill.pdf",
        ),
    ],
)
async def test_filename(
    home: FileHome,
    named: Named,
    path: str,
    headers: dict[str, str],
    expected: str,
) -> None:
    """The server names a file, and the extension fits the type."""
    named.headers = {"Content-Type": "image/jpeg", **headers}
    sent = await home.send(url=f"{named.url}{path}", send_as="document")
    assert (sent.media, sent.filename) == (PICTURE, expected)
    sent = await home.send(
        url=f"{named.url}{path}", send_as="document", filename="mine.x"
    )
    assert sent.filename == "mine.x"


@needs("messages")
async def test_media_source(hass: HomeAssistant, home: FileHome) -> None:
    """A file of a media source is sent, on old versions by its address."""
    home.write("picture.jpg", PICTURE)
    source = "media-source://media_source/local/picture.jpg"
    missing = "media-source://media_source/local/other.jpg"
    assert await home.refused(media=missing) in {"file_not_found", "download_failed"}
    assert await home.refused(media="media-source://other/a") == "media_unavailable"

    sent = await home.send(media={"media_content_id": source})
    assert (sent.kind, sent.media) == ("image", PICTURE)


@needs("messages")
async def test_other_sources(
    sources: dict[str, Any], home: FileHome, server: str, tmp_path: Path
) -> None:
    """A media source has a file, the address of one, or only an address of this home.

    Home Assistant before 2025.8 has no files.
    """
    path = tmp_path / "report.pdf"
    path.write_bytes(REPORT)
    kind = "application/pdf"
    sources["file"] = SimpleNamespace(url="/other", mime_type=kind, path=path)
    # an address in the local network, which the user has not entered
    home.hass.config.allowlist_external_urls = set()
    sources["away"] = PlayMedia(f"{server}/picture", "image/jpeg")
    sources["moved"] = PlayMedia(f"{server}/moved.jpg", "image/jpeg")
    sources["stolen"] = PlayMedia(f"{server}/stolen.jpg", "image/jpeg")
    sources["odd"] = PlayMedia("rtsp://127.0.0.1/a", "video/mp4")
    sources["home"] = PlayMedia("/api/other", "image/jpeg")

    sent = await home.send(media="media-source://test/file")
    assert (sent.kind, sent.media) == ("document", REPORT)
    for name in ("away", "moved"):
        sent = await home.send(media=f"media-source://test/{name}")
        assert (sent.kind, sent.media) == ("image", PICTURE)
    # it is trusted with its own server, but with no other one in the local network
    assert await home.refused(media="media-source://test/stolen") == "url_not_allowed"
    assert await home.refused(media="media-source://test/odd") == "invalid_url"
    assert await home.refused(media="media-source://test/home") == "download_failed"
    assert await home.refused(media="media-source://test/gone") == "media_unavailable"


@needs("messages")
async def test_hung_source(
    sources: dict[str, Any], home: FileHome, clock: Clock
) -> None:
    """A media source that doesn't answer holds other messages up for a minute."""
    sources["hung"] = 3600.0
    refused = asyncio.create_task(home.refused(media="media-source://test/hung"))
    await clock.run(1)
    text = asyncio.create_task(home.send(message="Alarm"))
    await clock.run(LOAD_SECONDS + 1)
    assert await refused == "media_unavailable"
    assert (await text).text == "Alarm"


@lacks("media_content")
async def test_no_address(hass: HomeAssistant, home: FileHome, server: str) -> None:
    """A gateway that fetches files needs an address of Home Assistant."""
    hass.config.external_url = None
    report = home.write("report.pdf", REPORT)
    assert await home.refused(file=report) == "no_external_url"
    sent = await home.send(url=f"{server}/picture.jpg")
    assert sent.media == PICTURE

    hass.config.external_url = PUBLIC
    assert (await home.send(file=report)).media == REPORT


async def test_view(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator, clock: Clock
) -> None:
    """A file is offered twice or for five minutes, to whoever knows its address."""
    assert await async_setup_component(hass, "http", {})
    hass.config.external_url = PUBLIC
    view = MediaView(hass)
    hass.http.register_view(view)
    client = await hass_client_no_auth()
    first, second = (
        view.async_offer("entry", content, "image/jpeg").url.removeprefix(PUBLIC)
        for content in (PICTURE, SOUND)
    )
    assert len(first) > len("/api/whatsapp_gateway/media/") + 40

    head = await client.head(first)
    assert head.headers["Content-Length"] == str(len(PICTURE))
    for _ in range(2):
        answer = await client.get(first)
        assert await answer.read() == PICTURE
        assert answer.content_type == "image/jpeg"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Disposition"] == "attachment"
    assert (await client.get(first)).status == 404
    assert (await client.head(first)).status == 404
    assert (await client.get("/api/whatsapp_gateway/media/other")).status == 404

    await clock.run(LIFETIME - 5)
    assert (await client.get(second)).status == 200
    await clock.run(10)
    assert (await client.get(second)).status == 404

    # many recipients, and one copy
    ended: list[int] = []
    offers = [
        view.async_offer("entry", PICTURE, "image/jpeg", partial(ended.append, number))
        for number in range(30)
    ]
    await clock.run(1)
    urls = [offer.url.removeprefix(PUBLIC) for offer in offers]
    assert [(await client.get(url)).status for url in urls] == [200] * 30
    assert ended == []
    for _ in range(2):
        offers[0].withdraw()
    assert (await client.get(urls[0])).status == 404
    assert (await client.get(urls[1])).status == 200
    assert ended == [0, 1]
    view.async_withdraw("other")
    assert (await client.get(urls[2])).status == 200
    view.async_withdraw("entry")
    assert (await client.get(urls[3])).status == 404
    assert sorted(ended) == [*range(30)]
    await clock.run(LIFETIME)
    assert len(ended) == 30
    # once it has been fetched, a link ends soon
    offer = view.async_offer("entry", PICTURE, "image/jpeg")
    url = offer.url.removeprefix(PUBLIC)
    assert (await client.get(url)).status == 200
    await clock.run(REPEAT_TIME + 1)
    assert (await client.get(url)).status == 404
