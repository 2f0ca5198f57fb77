"""Check addresses, and tell hosts on the internet from hosts in a local network."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
import re
import socket
from typing import TYPE_CHECKING

from yarl import URL

from homeassistant.components.network.util import async_load_adapters

from .providers import PROVIDERS
from .texts import without_invisible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .providers.base import Provider

LOCAL_SUFFIXES = (
    ".home",
    ".home.arpa",
    ".internal",
    ".lan",
    ".local",
    ".localdomain",
    ".localhost",
)
"""Ends of names that don't exist on the internet."""
SCHEMES = {"http", "https"}
WEB_PAGES = frozenset().union(*(provider.web_pages for provider in PROVIDERS.values()))
"""First path segments of the web pages of all gateways."""
PAGE_FILES = {"index.html", "login"}
"""What may follow the first path segment of a web page."""
_PAGE_OF_INSTANCE = re.compile(
    f"(/(?:{'|'.join(WEB_PAGES)}))/instance/.*", re.IGNORECASE
)
_WITH_SCHEME = re.compile("[a-z][a-z0-9+.-]*://", re.IGNORECASE)


async def async_parse_address(
    text: str, provider: type[Provider]
) -> tuple[URL, str | None]:
    """Return an address as it is stored, and the key of an error if it is invalid.

    A missing scheme is added, and the path of a web page is removed.
    """
    try:
        url = _parse(text)
    except (IndexError, ValueError):
        # IndexError by some versions of yarl
        return URL(), "invalid_url"
    if url.scheme == "https":
        return url, None
    is_hosted, host = provider.default_url is not None, url.raw_host or ""
    may_use_http = _is_this_machine(host) if is_hosted else await _async_is_local(host)
    if not url.scheme:
        return URL(f"{'http' if may_use_http else 'https'}:{url}"), None
    if may_use_http:
        return url, None
    return url, "https_required" if is_hosted else "insecure_url"


def _parse(text: str) -> URL:
    """Return an address, maybe without a scheme; raises `ValueError`."""
    text = without_invisible(text).strip()
    if not text.isprintable() or {" ", "\\"} & {*text}:
        raise ValueError
    if not _WITH_SCHEME.match(text):
        # a host with a port would be taken for a scheme
        text = f"//{text.lstrip('/')}"
    url = URL(text)
    if url.scheme not in {"", *SCHEMES} or url.user or url.password:
        raise ValueError
    # a host with the name of a scheme is a mistake such as "http:/"
    if not url.host or url.host in SCHEMES:
        raise ValueError
    # fails for an empty label or one of more than 63 characters
    (url.raw_host or "").encode("idna")
    path = _without_web_page(url.raw_path)
    # the same URL is parsed again for each request
    return URL(str(url.with_path(path, encoded=True)).rstrip("/"))


def _without_web_page(path: str) -> str:
    """Return the path of the API without a web page at the end.

    Elsewhere the name of a page may be a part of a reverse proxy's path.
    """
    parts = _PAGE_OF_INSTANCE.sub(r"\1", path).rstrip("/").split("/")
    if parts[-1].lower() in PAGE_FILES and parts[-2].lower() in WEB_PAGES:
        parts.pop()
    while parts[-1].lower() in WEB_PAGES:
        parts.pop()
    return "/".join(parts)


def _is_this_machine(host: str) -> bool:
    """Return whether what is sent to a host doesn't leave this machine."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


async def _async_is_local(host: str) -> bool:
    """Return whether a host is certainly not on the internet."""
    if addresses := await async_resolve(host):
        return not await async_on_internet(addresses)
    name = host.rstrip(".")
    return not is_number(name) and ("." not in name or name.endswith(LOCAL_SUFFIXES))


type IPAddress = IPv4Address | IPv6Address
type IPNetwork = IPv4Network | IPv6Network

RESOLVE_TIME_LIMIT = 5.0
"""In seconds."""
IPV6_INTERNET = ip_network("2000::/3")
NAT64 = ip_network("64:ff9b::/96")
"""IPv4 addresses as hosts without IPv4 see them."""
HOME_PREFIX = 64
"""Number of bits that the addresses of a home have in common, if not fewer."""
_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[\da-f]*)\.*", re.IGNORECASE)


def is_public(address: IPAddress) -> bool:
    """Return whether an IP address is that of a host on the internet."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    if (inner := _ipv4_in(address)) is not None:
        return is_public(inner)
    return address in IPV6_INTERNET and address.is_global


async def async_on_internet(addresses: Iterable[IPAddress]) -> list[IPAddress]:
    """Return the IP addresses that don't belong to a host at home.

    With IPv6, devices at home have public addresses. `async_get_adapters` doesn't serve
    this: it reads the adapters once, and the networks of a home may change every day.
    """
    home = [
        _network_of(ip["address"], ip["network_prefix"])
        for adapter in await async_load_adapters()
        for ip in (*adapter["ipv4"], *adapter["ipv6"])
    ]
    return [
        address
        for address in addresses
        if is_public(address) and not any(address in network for network in home)
    ]


def _network_of(address: str, prefix: int) -> IPNetwork:
    """Return the network of an adapter, also if its IPv6 address has all bits."""
    if ":" in address:
        prefix = min(prefix, HOME_PREFIX)
    return ip_network((address.partition("%")[0], prefix), strict=False)


def is_number(host: str) -> bool:
    """Return whether a host is an IPv4 address, maybe in a form such as 0x7f000001."""
    return _NUMBER.fullmatch(host) is not None


async def async_resolve(host: str) -> list[IPAddress]:
    """Return the IP addresses of a host, an empty list if there are none.

    An IPv4 address has to be in its usual form.
    """
    with suppress(ValueError):
        return [ip_address(host.rstrip("."))]
    if is_number(host):
        return []
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_TIME_LIMIT):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        # a TimeoutError is an OSError, and a UnicodeError a ValueError
        return []
    return [ip_address(address[0]) for *_, address in found]


def _ipv4_in(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for."""
    if address in NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour
