"""A plain client for the tests of the simulated gateways themselves."""

from __future__ import annotations

from dataclasses import dataclass
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from .server import Gateway


@dataclass(frozen=True)
class Answer:
    """An answer of a gateway."""

    status: int
    content_type: str
    data: bytes
    seconds: float
    """How long it took."""

    @property
    def body(self) -> Any:
        """The JSON of the answer; None for an empty body."""
        return json.loads(self.data) if self.data else None


class Client:
    """Ask a gateway with an API key in a header."""

    def __init__(self, session: ClientSession, gateway: Gateway, header: str) -> None:
        """Use the API key of the tests."""
        self.session, self.gateway, self.header = session, gateway, header
        self.key: str | None = gateway.key

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a request."""
        sent = dict(headers or {})
        if self.key is not None:
            sent[self.header] = self.key
        start = time.time()
        async with self.session.request(
            method, f"{self.gateway.url}{path}", json=body, headers=sent
        ) as response:
            data = await response.read()
            seconds = time.time() - start
            return Answer(response.status, response.content_type, data, seconds)
