"""A server in a process of its own that repeats what a gateway has answered.

It asks the gateway for each path once. So the work of the simulated gateway does not
disturb what is measured, and repeated requests always get the same bytes.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
import sys
from typing import TYPE_CHECKING

from aiohttp import ClientSession, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOP_BY_HOP = {"Host", "Connection", "Upgrade"}


class Server:
    """The answers of gateways in several situations, by their path."""

    def __init__(self, client: ClientSession) -> None:
        """Ask the gateways with this session."""
        self.client = client
        self.known: dict[tuple[str, str, str], tuple[bytes, int]] = {}
        self.gateway = self.situation = ""
        self.asked: list[str] = []

    async def put(self, request: web.Request) -> web.Response:
        """Repeat a gateway in a situation; return what was asked before."""
        self.gateway, self.situation = await request.text(), request.path
        asked, self.asked = self.asked, []
        return web.json_response(asked)

    async def get(self, request: web.Request) -> web.Response:
        """Answer as the gateway did."""
        path = request.raw_path
        self.asked.append(path)
        key = self.gateway, self.situation, path
        if key not in self.known:
            headers = {k: v for k, v in request.headers.items() if k not in HOP_BY_HOP}
            async with self.client.get(self.gateway + path, headers=headers) as answer:
                self.known[key] = await answer.read(), answer.status
        body, status = self.known[key]
        return web.Response(body=body, status=status, content_type="application/json")


async def serve() -> None:
    """Serve until the standard input ends."""
    async with ClientSession(auto_decompress=False) as client:
        server = Server(client)
        app = web.Application()
        app.add_routes([web.put("/{_}", server.put), web.get("/{_:.*}", server.get)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


@dataclass(frozen=True)
class Replay:
    """The running server, and the session that controls it."""

    url: str
    client: ClientSession

    async def choose(self, gateway: str, situation: str) -> list[str]:
        """Repeat a gateway in a situation; return what was asked before."""
        async with self.client.put(f"{self.url}/{situation}", data=gateway) as answer:
            asked: list[str] = await answer.json()
        return asked


@asynccontextmanager
async def replaying() -> AsyncIterator[Replay]:
    """Run the server."""
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=pipe, stdout=pipe
    )
    assert server.stdin is not None
    assert server.stdout is not None
    port = int(await server.stdout.readline())
    async with ClientSession() as client:
        yield Replay(f"http://127.0.0.1:{port}", client)
    server.stdin.close()
    await server.wait()


if __name__ == "__main__":
    asyncio.run(serve())
