"""Simulated gateways: real servers that speak as their documents say."""

from __future__ import annotations

from .fault import Fault
from .phone import ExpiredCodeError, VirtualPhone
from .server import Gateway
from .wappfy import WappfyGateway
from .whatisup import WhatIsUpGateway

GATEWAYS: dict[str, type[Gateway]] = {
    "wappfy": WappfyGateway,
    "whatisup": WhatIsUpGateway,
}

__all__ = [
    "GATEWAYS",
    "ExpiredCodeError",
    "Fault",
    "Gateway",
    "VirtualPhone",
    "WappfyGateway",
    "WhatIsUpGateway",
]
