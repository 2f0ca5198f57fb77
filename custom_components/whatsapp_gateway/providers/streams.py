"""Read streams of events; what they mean is the provider's business."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode, WSMsgType

from .http import MAX_FRAME
from .models import Rejected, Unauthorized, Unreachable
from .parsing import BYTE_ORDER_MARK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Mapping

    from .http import HttpClient

NEWLINES = (b"\n", b"\r")


async def server_sent_events(
    client: HttpClient, path: str
) -> AsyncGenerator[bytes | None]:
    """Yield the data of each event, None for a comment, as the HTML standard defines.

    Raises a `GatewayError` at the end. A frame may have 1 MiB.
    """
    async with client.stream(path) as response:
        data: list[bytes] = []
        size = 0
        async with aclosing(_lines(response.content.iter_any())) as lines:
            async for line in lines:
                if line.startswith(b":"):
                    yield None
                elif line.startswith(b"data"):
                    value = line.removeprefix(b"data").removeprefix(b":")
                    data.append(value.removeprefix(b" "))
                    if (size := size + len(line)) > MAX_FRAME:
                        raise Unreachable("An event is too large")
                elif not line and data:
                    yield b"\n".join(data)
                    data, size = [], 0
    raise Unreachable("The stream ended")


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield complete lines; they may end with any kind of newline."""
    buffer, first = bytearray(), True
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) > 2 * MAX_FRAME:
            raise Unreachable("A line is too large")
        if not any(newline in chunk for newline in NEWLINES):
            continue
        lines = buffer.splitlines(keepends=True)
        # a carriage return at the end may be the first half of a newline
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        buffer = bytearray(rest)
        for line in lines:
            start = bytes(line.rstrip(b"\r\n"))
            yield start.removeprefix(BYTE_ORDER_MARK) if first else start
            first = False


async def websocket_messages(
    client: HttpClient, path: str, query: Mapping[str, str]
) -> AsyncGenerator[str | bytes | None]:
    """Yield the messages of a WebSocket, None for a sign of life.

    Raises a `GatewayError` at the end. A message may have 1 MiB.
    """
    async with client.websocket(path, query) as websocket:
        # the answer shows that the connection works
        await websocket.ping()
        while True:
            message = await websocket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    yield message.data
                case WSMsgType.PING:
                    await websocket.pong(message.data)
                    yield None
                case WSMsgType.PONG:
                    yield None
                case WSMsgType.CLOSE if message.data == WSCloseCode.POLICY_VIOLATION:
                    forbidden = "forbidden" in str(message.extra).lower()
                    raise Rejected("Forbidden") if forbidden else Unauthorized
                case _:
                    raise Unreachable(f"The WebSocket ended: {message.type.name}")
