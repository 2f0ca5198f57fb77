"""Simulated gateways: real servers that speak as their documents say.

A new gateway is a module in this folder. Its class is found by its facts.
"""

from __future__ import annotations

from importlib import import_module
import os
from pkgutil import iter_modules

from .fault import Fault
from .phone import ExpiredCodeError, VirtualPhone
from .server import Gateway

TEMPLATE = "example"
"""Key of an invented gateway, which the tests only know with EXAMPLE=1."""

for _module in iter_modules(__path__):
    is_known = _module.name != TEMPLATE or os.environ.get("EXAMPLE")
    if is_known and not _module.name.startswith("test_"):
        import_module(f"{__name__}.{_module.name}")

GATEWAYS: dict[str, type[Gateway]] = {
    kind.provider: kind
    for kind in sorted(Gateway.kinds.values(), key=lambda kind: kind.title)
}
"""Every simulated gateway by the key of its provider."""

__all__ = [
    "GATEWAYS",
    "ExpiredCodeError",
    "Fault",
    "Gateway",
    "VirtualPhone",
]
