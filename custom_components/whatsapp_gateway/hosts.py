"""Tell hosts on the internet from hosts in a local network."""

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

from homeassistant.components.network.util import async_load_adapters

if TYPE_CHECKING:
    from collections.abc import Iterable

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
