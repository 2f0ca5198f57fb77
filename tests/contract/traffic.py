"""Record what a client and a gateway say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import SimpleNamespace

    from yarl import URL

    from .masking import Masker


@dataclass(kw_only=True)
class Exchange:
    """One request and its answer."""

    method: str
    url: URL
    started: float = field(default_factory=monotonic)
    request: bytearray = field(default_factory=bytearray)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    seconds: float = 0.0
    """From the start of the request to the end of the answer."""
    error: str | None = None
    """Name of the exception if there is no complete answer."""

    def end(self, error: BaseException | None = None) -> None:
        """Note that nothing more arrives."""
        self.seconds = monotonic() - self.started
        self.error = type(error).__name__ if error else None


class _Copied:
    """The content of an answer, from which everything that is read is copied."""

    def __init__(self, content: aiohttp.StreamReader, exchange: Exchange) -> None:
        self._content = content
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the chunks, as the client of the providers reads them."""
        try:
            async for chunk in self._content.iter_any():
                self._exchange.body += chunk
                yield chunk
        except BaseException as err:
            self._exchange.end(err)
            raise
        self._exchange.end()


class Traffic(aiohttp.TraceConfig):
    """All requests of the sessions that are traced with this."""

    def __init__(self, base_path: str, masker: Masker) -> None:
        """Leave out the path of the gateway's address, which may be secret."""
        super().__init__()
        self._base_path = base_path.rstrip("/")
        self._masker = masker
        self._exchanges: list[Exchange] = []
        self.on_request_start.append(self._start)
        self.on_request_chunk_sent.append(self._sent)
        self.on_request_end.append(self._answered)
        self.on_request_exception.append(self._failed)

    async def _start(
        self, _: object, ctx: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        ctx.exchange = Exchange(method=params.method, url=params.url)
        self._exchanges.append(ctx.exchange)

    async def _sent(
        self,
        _: object,
        ctx: SimpleNamespace,
        params: aiohttp.TraceRequestChunkSentParams,
    ) -> None:
        ctx.exchange.request += params.chunk

    async def _answered(
        self, _: object, ctx: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        exchange, response = ctx.exchange, params.response
        # that of a trace lacks the query
        exchange.url = response.url
        exchange.status, exchange.headers = response.status, response.headers
        exchange.end()
        response.content = cast(
            "aiohttp.StreamReader", _Copied(response.content, exchange)
        )

    async def _failed(
        self,
        _: object,
        ctx: SimpleNamespace,
        params: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        ctx.exchange.end(params.exception)

    def masked(self) -> list[dict[str, Any]]:
        """Return everything recorded, without secrets."""
        for _ in range(2):
            # in the first round, the masker learns the IDs and names in the paths
            exchanges = [self._masked(exchange) for exchange in self._exchanges]
        return exchanges

    def _masked(self, exchange: Exchange) -> dict[str, Any]:
        masker = self._masker
        failed = exchange.status is None or exchange.status >= 400
        path = exchange.url.raw_path_qs.removeprefix(self._base_path)
        return {
            "method": exchange.method,
            "path": masker.path(path),
            "request": masker.body(bytes(exchange.request), failed=False),
            "status": exchange.status,
            "headers": masker.headers(exchange.headers),
            "body": masker.body(bytes(exchange.body), failed=failed),
            "seconds": round(exchange.seconds, 1),
            "error": exchange.error,
        }

    def message(self, text: str) -> str:
        """Mask a text that may repeat something of the traffic."""
        self.masked()
        return self._masker.message(text)
