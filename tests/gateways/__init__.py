"""Simulated gateways: real servers that speak as their documents say."""

from __future__ import annotations

from .evolution import EvolutionGateway
from .fault import Fault
from .phone import ExpiredCodeError, VirtualPhone
from .server import Gateway
from .waha import WahaGateway
from .wappfy import WappfyGateway
from .whatisup import WhatIsUpGateway

GATEWAYS: dict[str, type[Gateway]] = {
    "wappfy": WappfyGateway,
    "whatisup": WhatIsUpGateway,
}
MORE_GATEWAYS: dict[str, type[Gateway]] = {
    "waha": WahaGateway,
    "evolution": EvolutionGateway,
}
"""Gateways that the integration does not speak to yet."""

__all__ = [
    "GATEWAYS",
    "MORE_GATEWAYS",
    "EvolutionGateway",
    "ExpiredCodeError",
    "Fault",
    "Gateway",
    "VirtualPhone",
    "WahaGateway",
    "WappfyGateway",
    "WhatIsUpGateway",
]
