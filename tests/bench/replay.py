"""A server in a process of its own that answers what it was given."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
import sys
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Replay:
    """Bodies by their path, put there and read by HTTP."""

    def __init__(self) -> None:
        """Have no bodies yet."""
        self.bodies: dict[str, bytes] = {}
        self.reads = 0

    async def put(self, request: web.Request) -> web.Response:
        """Take a body, and tell how often one was read since the last was put."""
        self.bodies[request.path] = await request.read()
        reads, self.reads = self.reads, 0
        return web.json_response(reads)

    async def get(self, request: web.Request) -> web.Response:
        """Answer with a body."""
        self.reads += 1
        if (body := self.bodies.get(request.path)) is None:
            # such as events, or the live state of an instance: the list is good enough
            return web.Response(status=501)
        return web.Response(body=body, content_type="application/json")


async def serve() -> None:
    """Serve until the standard input ends."""
    replay = Replay()
    app = web.Application(client_max_size=2**30)
    app.add_routes([web.put("/{_:.*}", replay.put), web.get("/{_:.*}", replay.get)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


@asynccontextmanager
async def replaying() -> AsyncIterator[str]:
    """Run the server, and yield its address."""
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=pipe, stdout=pipe
    )
    assert server.stdin is not None
    assert server.stdout is not None
    yield f"http://127.0.0.1:{int(await server.stdout.readline())}"
    server.stdin.close()
    await server.wait()


if __name__ == "__main__":
    asyncio.run(serve())
