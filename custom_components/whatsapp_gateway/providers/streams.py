"""Read streams of events; what they mean is the provider's business."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import WebSocketError, WSCloseCode, WSMsgType

from .http import MAX_FRAME
from .models import (
    TOO_LARGE,
    Rejected,
    Skipped,
    TooLarge,
    Unauthorized,
    Unreachable,
)
from .parsing import BYTE_ORDER_MARK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Mapping

    from .http import HttpClient

NEWLINES = (b"\n", b"\r")


async def server_sent_events(
    client: HttpClient, path: str
) -> AsyncGenerator[bytes | Skipped | None]:
    """Yield the data of each event, None for a comment, as the HTML standard defines.

    Raises a `GatewayError` at the end. An event of more than 16 MiB is skipped.
    """
    async with client.stream(path) as response:
        data = bytearray()
        size = 0
        async with aclosing(_lines(response.content.iter_any())) as lines:
            async for line in lines:
                if line is None:
                    size = MAX_FRAME + 1
                elif line.startswith(b":"):
                    yield None
                elif line.startswith(b"data"):
                    value = line.removeprefix(b"data").removeprefix(b":")
                    size += len(line)
                    data += value.removeprefix(b" ") + b"\n"
                elif not line and size:
                    yield TOO_LARGE if size > MAX_FRAME else bytes(data[:-1]) or None
                    data, size = bytearray(), 0
                if size > MAX_FRAME:
                    data.clear()
    raise Unreachable("The stream ended")


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes | None]:
    """Yield complete lines, None for one that is too large to be kept.

    They may end with any kind of newline.
    """
    buffer, first, too_large = bytearray(), True, False
    async for chunk in chunks:
        buffer += chunk
        if not any(newline in chunk for newline in NEWLINES):
            if too_large or len(buffer) > MAX_FRAME:
                too_large = True
                buffer.clear()
            continue
        lines = buffer.splitlines(keepends=True)
        # a carriage return at the end may be the first half of a newline
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        buffer = bytearray(rest)
        for line in lines:
            if too_large:
                too_large = False
                yield None
            else:
                start = bytes(line.rstrip(b"\r\n"))
                yield start.removeprefix(BYTE_ORDER_MARK) if first else start
            first = False


async def websocket_messages(
    client: HttpClient, path: str, query: Mapping[str, str]
) -> AsyncGenerator[str | bytes | Skipped | None]:
    """Yield the messages of a WebSocket, None for a sign of life.

    Raises a `GatewayError` at the end. A message of more than 16 MiB is skipped.
    """
    async with client.websocket(path, query) as websocket:
        # the answer shows that the connection works
        await websocket.ping()
        while True:
            message = await websocket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    data: str | bytes = message.data
                    yield TOO_LARGE if len(data) > MAX_FRAME else data or None
                case WSMsgType.PING:
                    await websocket.pong(message.data)
                    yield None
                case WSMsgType.PONG:
                    yield None
                case WSMsgType.CLOSE if message.data == WSCloseCode.POLICY_VIOLATION:
                    forbidden = "forbidden" in str(message.extra).lower()
                    raise Rejected("Forbidden") if forbidden else Unauthorized
                case WSMsgType.ERROR if _is_too_large(message.data):
                    raise TooLarge("A message is too large")
                case _:
                    raise Unreachable(f"The WebSocket ended: {message.type.name}")


def _is_too_large(err: object) -> bool:
    return isinstance(err, WebSocketError) and err.code == WSCloseCode.MESSAGE_TOO_BIG
