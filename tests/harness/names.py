"""The names of hosts, without a network."""

from __future__ import annotations

import socket
from typing import Any, override

from aiohttp.abc import AbstractResolver, ResolveResult

from .authority import HOST


class Names(AbstractResolver):
    """A resolver that knows one name, or none."""

    known = True

    @override
    async def resolve(
        self, host: str, port: int = 0, family: Any = 0
    ) -> list[ResolveResult]:
        if host != HOST or not self.known:
            raise OSError(None, f"{host} does not resolve")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=0,
            )
        ]

    @override
    async def close(self) -> None:
        """Have nothing to close."""

    real_close = close
    """What newer Home Assistants call."""
