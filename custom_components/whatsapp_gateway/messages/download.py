"""Download a file from an address on the internet."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from email.message import Message
from email.utils import collapse_rfc2231_value
from http import HTTPStatus
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, override

from aiohttp import ClientError, ClientSession, TCPConnector, hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from homeassistant.helpers.aiohttp_client import (
    SERVER_SOFTWARE,
    async_create_clientsession,
)
from homeassistant.util.ssl import get_default_context

from ..addresses import async_on_internet, async_resolve, is_number
from ..providers.http import session_options
from ..providers.messages import MAX_MEDIA
from ..texts import failed, invalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiohttp import ClientResponse

    from homeassistant.core import HomeAssistant

    from ..addresses import IPAddress

TIME_LIMIT = 30.0
"""In seconds, for a file with all redirects."""
MAX_REQUESTS = 6
"""Number of requests for a file: one, and those of its redirects."""
CHUNK = 1 << 16
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
# a small compressed file can unpack to hundreds of megabytes
HEADERS = {hdrs.ACCEPT_ENCODING: "identity", hdrs.USER_AGENT: SERVER_SOFTWARE}


class Download(NamedTuple):
    """A file on a web server."""

    content: bytes
    mime_type: str
    filename: str | None
    """The name that the server gives it, None if it gives none."""


def parse_url(text: str) -> URL:
    """Return an address; raises a translated error if it can't be one."""
    try:
        url = URL(text)
    except (IndexError, ValueError) as err:
        # yarl raises an IndexError for some addresses with brackets
        raise invalid("invalid_url") from err
    # a gateway may understand a backslash and invisible characters in another way
    is_plain = text.isprintable() and "\\" not in text
    if not is_plain or url.scheme not in {"http", "https"} or not url.host:
        raise invalid("invalid_url")
    return url


async def async_check_url(hass: HomeAssistant, url: URL) -> None:
    """Raise a translated error if files of this address may not be sent."""
    if not _is_allowed(hass, url):
        await _async_public_addresses(url)


async def async_download(
    hass: HomeAssistant, url: URL, *, trusted: bool = False, verify_ssl: bool = True
) -> Download:
    """Return a file that isn't empty; raises a translated error.

    Only files on the internet, and those that the user has allowed, are downloaded,
    unless the server is trusted.
    """
    origin = url.origin() if trusted else None
    try:
        async with asyncio.timeout(TIME_LIMIT):
            for _ in range(MAX_REQUESTS):
                own = url.origin() == origin
                async with (
                    _session(
                        hass, url, trusted=own, verify_ssl=verify_ssl or not own
                    ) as session,
                    session.get(
                        url, allow_redirects=False, headers=HEADERS
                    ) as response,
                ):
                    location = response.headers.get(hdrs.LOCATION)
                    if response.status not in REDIRECTS or not location:
                        return await _read(response)
                    url = parse_url(str(url.join(URL(location))))
    except (ClientError, IndexError, OSError, ValueError) as err:
        # the text of an error may contain a password in the address
        raise failed("download_failed", message=type(err).__name__) from None
    raise failed("download_failed", message="Too many redirects")


async def _read(response: ClientResponse) -> Download:
    """Return a file that is neither empty nor too large."""
    if response.status != HTTPStatus.OK:
        raise failed("download_failed", message=f"HTTP {response.status}")
    encoding = response.headers.get(hdrs.CONTENT_ENCODING, "identity")
    if encoding.lower() != "identity":
        raise failed("download_failed", message=hdrs.CONTENT_ENCODING)
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        content += chunk
        if len(content) > MAX_MEDIA:
            raise failed("media_too_large")
    if not content:
        raise failed("file_empty")
    header = response.headers.get(hdrs.CONTENT_DISPOSITION)
    return Download(bytes(content), response.content_type, _filename_in(header))


def _filename_in(header: str | None) -> str | None:
    """Return the name of a file in a `Content-Disposition` header (RFC 6266)."""
    message = Message()
    message[hdrs.CONTENT_DISPOSITION] = header or ""
    parameters = message.get_params([], header=hdrs.CONTENT_DISPOSITION)
    names = [value for key, value in parameters if key.lower() == "filename"]
    # the form `filename*`, which is a tuple here, is preferred to the plain one
    names.sort(key=lambda value: isinstance(value, str))
    try:
        return collapse_rfc2231_value(names[0]) if names else None
    except ValueError:
        # an unusable character set
        return None


@asynccontextmanager
async def _session(
    hass: HomeAssistant, url: URL, *, trusted: bool, verify_ssl: bool
) -> AsyncGenerator[ClientSession]:
    """Return a session that only connects to public addresses of an unknown host."""
    if trusted or _is_allowed(hass, url):
        session = async_create_clientsession(
            hass, verify_ssl, auto_cleanup=False, **session_options()
        )
        try:
            yield session
        finally:
            session.detach()
        return
    connector = TCPConnector(
        resolver=_Resolved(await _async_public_addresses(url)),
        ssl=get_default_context(),
    )
    async with ClientSession(connector=connector, **session_options()) as session:
        yield session


def _is_allowed(hass: HomeAssistant, url: URL) -> bool:
    """Return whether the user has allowed an address explicitly."""
    return hass.config.is_allowed_external_url(str(url.with_user(None)))


async def _async_public_addresses(url: URL) -> list[IPAddress]:
    """Return the IP addresses of a host; raises a translated error for a local one."""
    host = url.raw_host or ""
    addresses = await async_resolve(host)
    if not addresses and not is_number(host):
        raise failed("host_not_found", host=host)
    if not addresses or addresses != await async_on_internet(addresses):
        raise invalid("url_not_allowed", host=host)
    return addresses


class _Resolved(AbstractResolver):
    """A resolver that knows the addresses of one host, which have been checked.

    A host that is looked up again may have other addresses then.
    """

    def __init__(self, addresses: list[IPAddress]) -> None:
        """Resolve every host to these addresses."""
        self._addresses = addresses

    @override
    async def resolve(
        self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=FAMILIES[address.version],
                proto=0,
                flags=0,
            )
            for address in self._addresses
        ]

    @override
    async def close(self) -> None:
        """Do nothing: there is nothing to close."""
