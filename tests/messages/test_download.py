"""Files on web servers: which addresses are asked, and what is taken from them."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.exceptions import ServiceValidationError

from custom_components.whatsapp_gateway.messages.download import parse_url
from custom_components.whatsapp_gateway.providers import parsing
from custom_components.whatsapp_gateway.providers.messages import MAX_MEDIA
from custom_components.whatsapp_gateway.providers.waha.received import _url_of_file
from tests.harness.facts import lacks, needs
from tests.harness.files import PICTURE, FileHome, start
from tests.harness.names import adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ifaddr import Adapter

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.names import Internet, Names

PUBLIC_IP, OTHER_IP, PUBLIC_IPV6 = "93.184.215.14", "1.1.1.1", "2606:4700:4700::1111"
NAME = "files.example.com"
MEBIBYTE = 1024 * 1024
LOCAL = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.127.255.254",
    "198.18.0.1",
    "224.0.0.251",
    "240.0.0.1",
    "255.255.255.255",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "127.1",
    "0177.0.0.1",
    "134744072",
    "\u2460\u2461\u2466.0.0.1",
    "[::]",
    "[::1]",
    "[fd00::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:192.168.1.1]",
    "[64:ff9b::192.168.1.1]",
    "[64:ff9b:1::1]",
    "[2002:c0a8:0101::1]",
    "[2001:db8::1]",
]


class Server:
    """A web server, and what it was asked for."""

    def __init__(self) -> None:
        """Answer with a picture, unless there is another answer for a path."""
        self.asked: list[str] = []
        self.answers: dict[str, web.Response] = {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.asked.append(request.path)
        picture = web.Response(body=PICTURE, content_type="image/jpeg")
        return self.answers.pop(request.path, picture)

    def redirect(self, path: str, target: str, status: int = 302) -> None:
        """Redirect a path once."""
        self.answers[path] = web.Response(status=status, headers={"Location": target})


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
async def server(internet: Internet) -> AsyncIterator[Server]:
    """Return a web server with a public address, a private one and a name."""
    server = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    async with TestServer(app) as running:
        server.url = str(running.make_url("/"))
        internet.put(server.url, PUBLIC_IP, name=NAME)
        internet.put(server.url, OTHER_IP, PUBLIC_IPV6, "192.168.1.1")
        yield server


@needs("messages")
async def test_local_address(
    home: FileHome, server: Server, internet: Internet
) -> None:
    """An address that isn't on the internet is refused, in whichever form."""
    for host in LOCAL:
        for url in (f"http://{host}/a.jpg", f"https://me:x@{host}:8123/a.jpg"):
            assert await home.refused(url=url) == "url_not_allowed", url
            assert (internet.contacted, server.asked) == ([], []), url
    await home.send(url=f"http://{PUBLIC_IP}/a.jpg")


@needs("messages")
@pytest.mark.parametrize(
    "addresses",
    [["192.168.1.1"], ["127.0.0.1"], [PUBLIC_IP, "10.0.0.1"], ["fd00::1", PUBLIC_IPV6]],
    ids=str,
)
async def test_local_name(
    home: FileHome,
    server: Server,
    internet: Internet,
    names: Names,
    addresses: list[str],
) -> None:
    """A name is refused if one of its addresses isn't on the internet."""
    names.addresses["nas.example.com"] = addresses
    url = "http://nas.example.com/a.jpg"
    assert await home.refused(url=url) == "url_not_allowed"
    assert await home.refused(url="http://other.example.com/a.jpg") == "host_not_found"
    assert (internet.contacted, server.asked) == ([], [])
    await home.send(url=f"http://{PUBLIC_IP}/a.jpg")


@needs("messages", "media_content")
async def test_public_name(home: FileHome, server: Server, internet: Internet) -> None:
    """A file on the internet is sent."""
    sent = await home.send(url=f"http://{NAME}/a.jpg", message="Look")
    assert (sent.kind, sent.media, sent.text) == ("image", PICTURE, "Look")
    assert internet.contacted == [PUBLIC_IP]


@needs("messages", "media_content")
async def test_public_ipv6(home: FileHome, names: Names, internet: Internet) -> None:
    """An address of version 6 is asked as well."""
    names.addresses["six.example.com"] = [PUBLIC_IPV6]
    assert await home.refused(url="http://six.example.com/a.jpg") == "download_failed"
    assert internet.contacted == [PUBLIC_IPV6]


@needs("messages", "media_content")
async def test_changed_address(
    home: FileHome, server: Server, internet: Internet, names: Names
) -> None:
    """The address that was checked is asked, also if the name has another one then."""
    names.then[NAME] = ["127.0.0.1"]
    sent = await home.send(url=f"http://{NAME}/a.jpg")
    assert sent.media == PICTURE
    assert internet.contacted == [PUBLIC_IP]

    assert await home.refused(url=f"http://{NAME}/a.jpg") == "url_not_allowed"
    names.addresses[NAME] = [PUBLIC_IP]
    await home.send(url=f"http://{NAME}/a.jpg")


@pytest.mark.parametrize(
    "url", ["https://[x]@", "http://[]/a.jpg", "http://[x]@/", "http://a:99999"]
)
def test_odd_brackets(url: str) -> None:
    """An address that can't be read is invalid, whatever yarl raises."""
    with pytest.raises(ServiceValidationError) as error:
        parse_url(url)
    assert error.value.translation_key == "invalid_url"
    assert parsing.web_address(url) is None
    media = {"media": {"url": url}}
    assert _url_of_file(media) is None


@needs("messages")
@pytest.mark.parametrize("prefix", [56, 64, 128])
async def test_public_address_at_home(
    home: FileHome,
    server: Server,
    internet: Internet,
    names: Names,
    adapters: list[Adapter],
    prefix: int,
) -> None:
    """Devices at home are refused, though their IPv6 addresses are public."""
    # many providers assign another network every day
    for network in ("2a02:8109:1:2::", "2a02:8109:f:e::"):
        adapters[1:] = [adapter(f"{network}10", prefix)]
        names.addresses["nas.example.com"] = [f"{network}1"]
        for host in (f"[{network}1]", f"[{network}10]:8123", "nas.example.com"):
            assert await home.refused(url=f"http://{host}/a.jpg") == "url_not_allowed"
    assert (internet.contacted, server.asked) == ([], [])
    await home.send(url=f"http://{PUBLIC_IP}/a.jpg")


@needs("messages", "media_content")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect(
    home: FileHome, server: Server, internet: Internet, status: int
) -> None:
    """A redirect is followed on the internet, and the target is checked."""
    for target in ("/b.jpg", f"http://{NAME}/b.jpg", f"http://{OTHER_IP}/b.jpg"):
        server.redirect("/a.jpg", target, status)
        assert (await home.send(url=f"http://{NAME}/a.jpg")).media == PICTURE
        assert server.asked[-1] == "/b.jpg"

    for host in ("192.168.1.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
        server.redirect("/a.jpg", f"http://{host}/b.jpg", status)
        server.asked.clear()
        refused = await home.refused(url=f"http://{NAME}/a.jpg")
        assert refused in {"url_not_allowed", "host_not_found"}
        assert server.asked == ["/a.jpg"]
    assert set(internet.contacted) == {PUBLIC_IP, OTHER_IP}
    await home.send(url=f"http://{NAME}/a.jpg")


@needs("messages", "media_content")
async def test_odd_redirect(home: FileHome, server: Server) -> None:
    """A redirect without end, without a target or to something else is an error."""
    url = f"http://{NAME}/a.jpg"
    for number in range(10):
        server.redirect(f"/{number}.jpg", f"/{number + 1}.jpg")
    assert await home.refused(url=f"http://{NAME}/0.jpg") == "download_failed"
    assert len(server.asked) == 6

    server.answers["/a.jpg"] = web.Response(status=302)
    assert await home.refused(url=url) == "download_failed"
    server.redirect("/a.jpg", "file:///etc/passwd")
    assert await home.refused(url=url) == "invalid_url"
    for target in ("http://[::1", "https://[x]@", "http://[]", "//[x]@", "//[]"):
        server.redirect("/a.jpg", target)
        assert await home.refused(url=url) == "download_failed"
    assert (await home.send(url=url)).media == PICTURE


@needs("messages")
async def test_allowed_address(
    home: FileHome, server: Server, hass: HomeAssistant
) -> None:
    """The user can allow addresses in the local network, also only some of a host."""
    hass.config.allowlist_external_urls = {f"{server.url}pictures/"}
    sent = await home.send(url=f"{server.url}pictures/a.jpg")
    assert sent.media == PICTURE
    server.asked.clear()
    for path in ("a.jpg", "pictures/../a.jpg", "pictures/%2e%2e/a.jpg", "pictures2/a"):
        assert await home.refused(url=f"{server.url}{path}") == "url_not_allowed"
    assert server.asked == []


@needs("messages", "media_content")
async def test_redirect_of_an_allowed_address(
    home: FileHome, server: Server, internet: Internet, hass: HomeAssistant
) -> None:
    """What an allowed address redirects to has to be allowed as well, or public."""
    hass.config.allowlist_external_urls = {f"{server.url}a.jpg/"}
    for target in ("/b.jpg", "http://192.168.1.1/b.jpg"):
        server.redirect("/a.jpg", target)
        assert await home.refused(url=f"{server.url}a.jpg") == "url_not_allowed"
    assert server.asked == ["/a.jpg"] * 2
    server.redirect("/a.jpg", f"http://{NAME}/b.jpg")
    assert (await home.send(url=f"{server.url}a.jpg")).media == PICTURE
    assert internet.contacted == [PUBLIC_IP]


@lacks("media_content")
async def test_fetched_by_the_gateway(
    home: FileHome, server: Server, internet: Internet
) -> None:
    """Home Assistant doesn't fetch what the gateway fetches."""
    await home.send(url=f"http://{PUBLIC_IP}/a.jpg")
    assert server.asked == ["/a.jpg"]


@needs("messages", "media_content")
async def test_compressed(home: FileHome, server: Server, hass: HomeAssistant) -> None:
    """A compressed file isn't unpacked to more than a file may have."""
    hass.config.allowlist_external_urls = {server.url}
    packed = gzip.compress(bytes(16 * MAX_MEDIA))
    for host in (server.url, f"http://{NAME}/"):
        server.answers["/a.jpg"] = web.Response(
            body=packed, headers={"Content-Encoding": "gzip"}
        )
        tracemalloc.start()
        refused = await home.refused(url=f"{host}a.jpg")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert refused == "download_failed"
        assert peak < 4 * MEBIBYTE
        # a compressed file that is no web server's doing is sent as it is
        server.answers["/a.gz"] = web.Response(body=packed)
        assert (await home.send(url=f"{host}a.gz")).media == packed


@needs("messages", "media_content")
async def test_large(home: FileHome, server: Server) -> None:
    """No more than a file may have is read."""
    server.answers["/a.jpg"] = web.Response(body=bytes(MAX_MEDIA + 1))
    assert await home.refused(url=f"http://{NAME}/a.jpg") == "media_too_large"
    server.answers["/a.jpg"] = web.Response(body=bytes(MAX_MEDIA))
    assert len((await home.send(url=f"http://{NAME}/a.jpg")).media or b"") == MAX_MEDIA
