"""Every fault by its name, and what brings it about and ends it again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
import time
from typing import TYPE_CHECKING, Any

from custom_components.whatsapp_gateway.providers.failures import MAX_RETRY_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    import ssl

    from aiohttp import TCPConnector, web

    from tests.gateways import Gateway
    from tests.harness.names import Names

SECRET = "The key {} is not allowed to do this"  # noqa: S105
STATUSES = {
    401: "unauthorized",
    403: "forbidden",
    409: "conflict",
    422: "validation_error",
    429: "rate_limited",
    500: "internal_error",
}
PAUSES: dict[str, Callable[[], dict[str, str]]] = {
    "429_retry_after": lambda: {"Retry-After": "20"},
    "429_reset": lambda: {"X-RateLimit-Reset": str(int(time.time()) + 3600)},
}
OTHERS: dict[str, dict[str, Any]] = {
    "404": {"missing": True},
    "404_text": {
        "status": 404,
        "body": b"404 page not found\n",
        "content_type": "text/plain",
    },
    "502_html": {"status": 502, "html": True},
    "200_html": {"html": True},
    "hang": {"hang": True},
    "slow": {"slow": True},
    "drop": {"drop": True},
    "truncated": {"truncate": True},
    "half_json": {"halve": True},
    "empty": {"body": b""},
    "50_mb": {"huge": True},
}
WRONG: dict[str, dict[str, bytes]] = {
    "wrong_shape": {
        "list": b'{"data": {"items": {"id": "one", "status": "connected"}}}',
        "*": b'{"data": [{"id": "one", "status": "connected", "qr": "2@"}]}',
    },
    "wrong_types": {
        "list": b'{"data": [{"id": 7, "name": [], "status": 3}]}',
        "qr": b'{"data": {"qr": 7, "raw": ["2@"], "expires_at": {}}}',
        "*": b'{"data": {"id": 7, "name": [], "status": {}}}',
    },
}
ON_THE_WAY = 0.01
"""Seconds that anything between the integration and the gateway takes at most."""
WHOLE_HOST = ("tls", "name")
"""What happens to all routes at once."""
FAULTS = (*map(str, STATUSES), *PAUSES, *OTHERS, *WRONG, *WHOLE_HOST, "redirect")
LIKE = {
    "429_retry_after": "429",
    "429_reset": "429",
    "502_html": "500",
    "hang": "500",
    "slow": "500",
    "drop": "500",
    "50_mb": "200_html",
    "redirect": "404_text",
}
"""Faults without a column of their own, and the fault whose outcomes they have."""


@dataclass
class FaultInjector:
    """Brings faults over a gateway, one at a time."""

    gateway: Gateway
    names: Names
    context: ssl.SSLContext
    good: Path
    bad: Path
    elsewhere: Gateway
    connector: TCPConnector

    async def begin(self, fault: str, route: str, after: str | None) -> None:
        """Let a fault come over a route, which is asked `after` another one."""
        if fault not in WHOLE_HOST:
            self.gateway.fail(route, **self._values(fault, route))
            return
        # what is on its way must not open connections later
        await asyncio.sleep(ON_THE_WAY)
        if after:
            self.gateway.then[after] = partial(self._strike, fault)
            return
        self._strike(fault)
        # let the other side notice that its connections are closed
        await asyncio.sleep(ON_THE_WAY)

    async def end(self, fault: str) -> None:
        """Heal it, and wait until a pause is over that the gateway asked for."""
        self.gateway.heal()
        self.context.load_cert_chain(self.good)
        self.names.known = True
        if fault.startswith("429"):
            await asyncio.sleep(MAX_RETRY_AFTER)

    def _values(self, fault: str, route: str) -> dict[str, Any]:
        if fault == "redirect":
            return {"redirect": f"{self.elsewhere.url}{self.elsewhere.base_path}"}
        if fault in WRONG:
            bodies = WRONG[fault]
            return {"body": bodies.get(route, bodies["*"])}
        if fault in OTHERS:
            return OTHERS[fault]
        status = int(fault.partition("_")[0])
        return {
            "status": status,
            "code": STATUSES[status],
            "message": SECRET.format(self.gateway.key),
            "headers": PAUSES.get(fault, dict)(),
        }

    def _strike(self, fault: str, spared: web.RequestHandler | None = None) -> None:
        """Let it happen on every connection that is made from now on."""
        if fault == "tls":
            self.context.load_cert_chain(self.bad)
        else:
            self.names.known = False
            self.connector.clear_dns_cache()
        self.gateway.hang_up(spared)
