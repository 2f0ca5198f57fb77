"""What can go wrong on a route of a gateway."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

HTML = "<html><body><h1>Bad gateway</h1></body></html>"
CHUNK = 1024 * 1024
HUGE = 50 * CHUNK
TRICKLE = 1.0
"""Seconds between two bytes of a slow body."""
DONE = b'{"success": true}'
"""What stands for a body where the gateway gives none that could be cut."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong on a route, for `times` requests or until it is healed.

    With `truncate` and `halve` the gateway does what it is asked for.
    """

    status: int | None = None
    code: str | None = None
    """Of an error in the gateway's own form."""
    message: str = ""
    missing: bool = False
    """Whether the gateway says, in its own form, that the instance doesn't exist."""
    body: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the answer is made."""
    late: float = 0.0
    """Seconds for which the answer is on its way."""
    hang: bool = False
    slow: bool = False
    """Whether the body never ends, byte by byte."""
    drop: bool = False
    truncate: bool = False
    """Whether the connection ends in the middle of the body."""
    halve: bool = False
    """Whether half a body is sent as if it were whole."""
    html: bool = False
    redirect: str | None = None
    huge: bool = False
    times: int | None = None


async def instead(
    fault: Fault, request: web.Request, let_go: asyncio.Event
) -> web.StreamResponse | None:
    """Return what is answered while the gateway does nothing; None without fault."""
    if fault.drop or fault.hang:
        if fault.hang:
            await let_go.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    if fault.slow:
        return await _trickle(request, let_go)
    if fault.huge:
        return await _flood(request)
    return _plain(fault)


def _plain(fault: Fault) -> web.Response | None:
    if fault.redirect:
        status = fault.status or 307
        return web.Response(status=status, headers={"Location": fault.redirect})
    if fault.html:
        return web.Response(
            status=fault.status or 200,
            text=HTML,
            headers=fault.headers,
            content_type="text/html",
        )
    if fault.body is not None or fault.status is not None:
        return web.Response(
            status=fault.status or 200,
            body=fault.body or b"",
            headers=fault.headers,
            content_type=fault.content_type,
        )
    return None


async def damaged(
    fault: Fault, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    """Return half of what the gateway answers."""
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes | None)
    status = 200 if response.status == 204 else response.status
    body = response.body or DONE
    half = body[: len(body) // 2]
    if fault.halve:
        return web.Response(status=status, body=half, content_type="application/json")
    cut = web.StreamResponse(status=status)
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(half)
    assert request.transport is not None
    request.transport.close()
    return cut


async def _trickle(request: web.Request, let_go: asyncio.Event) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while not let_go.is_set():
            await response.write(b" ")
            await asyncio.sleep(TRICKLE)
    return response


async def _flood(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_length = HUGE
    await response.prepare(request)
    with suppress(ConnectionError):
        for _ in range(HUGE // CHUNK):
            await response.write(b" " * CHUNK)
    return response
