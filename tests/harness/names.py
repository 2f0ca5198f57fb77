"""The names of hosts and the way to them, without a network."""

from __future__ import annotations

from ipaddress import ip_address
import socket
from typing import TYPE_CHECKING, Any, override

from aiohttp.abc import AbstractResolver, ResolveResult
from ifaddr import IP, Adapter
from yarl import URL

from .authority import HOST

if TYPE_CHECKING:
    import asyncio

LOOPBACK = "127.0.0.1"
LITERALS = {None, "", "localhost", "0.0.0.0", "::"}  # noqa: S104
"""What is no name, beside IP addresses."""


class Names(AbstractResolver):
    """The resolver of Home Assistant and of the system."""

    known = True
    """Whether the name of the gateway resolves."""

    def __init__(self) -> None:
        """Know one name."""
        self.addresses: dict[str, list[str]] = {HOST: [LOOPBACK]}
        """The IP addresses of each name."""
        self.then: dict[str, list[str]] = {}
        """Those that a name has from its next but one look-up on."""
        self._system = socket.getaddrinfo

    def _look_up(self, host: str) -> list[str]:
        if host not in self.addresses or (host == HOST and not self.known):
            raise socket.gaierror(socket.EAI_NONAME, f"{host} does not resolve")
        found = self.addresses[host]
        self.addresses[host] = self.then.pop(host, found)
        return found

    @override
    async def resolve(
        self, host: str, port: int = 0, family: Any = 0
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=_family(address),
                proto=0,
                flags=0,
            )
            for address in self._look_up(host)
        ]

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        """Do what the function of this name in `socket` does."""
        if host in LITERALS or _is_address(host):
            return self._system(host, port, *args, **kwargs)
        found = self._look_up(host)
        return [
            (_family(address), socket.SOCK_STREAM, 6, "", (address, port or 0))
            for address in found
        ]

    @override
    async def close(self) -> None:
        """Have nothing to close."""

    real_close = close
    """What newer Home Assistants call."""


def adapter(address: str, prefix: int) -> Adapter:
    """Return a network adapter with one IP address."""
    ip = (address, 0, 0) if ":" in address else address
    return Adapter("eth0", "eth0", [IP(ip, prefix, "eth0")], index=0)


class Internet:
    """Hosts on the internet and in other networks, which are servers on loopback."""

    def __init__(self, loop: asyncio.AbstractEventLoop, names: Names) -> None:
        """Take over the connections of a loop."""
        self._names = names
        self._servers: dict[str, int] = {}
        self._connect = loop.sock_connect
        self.contacted: list[str] = []
        """The IP addresses of all connections that were not to loopback."""
        inside: Any = loop
        inside.sock_connect = self._sock_connect

    def put(self, server: str, *addresses: str, name: str | None = None) -> None:
        """Let a server have these IP addresses, and a name."""
        port = URL(server).port
        assert port
        self._servers |= dict.fromkeys(addresses, port)
        if name:
            self._names.addresses[name] = [*addresses]

    async def _sock_connect(self, sock: socket.socket, address: Any) -> None:
        host = address[0]
        if not ip_address(host).is_loopback:
            self.contacted.append(host)
            if host not in self._servers:
                raise OSError("No way to this host")
            address = LOOPBACK, self._servers[host]
        await self._connect(sock, address)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
