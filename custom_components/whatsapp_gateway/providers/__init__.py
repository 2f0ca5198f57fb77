"""Clients of the supported gateways, without Home Assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .wappfy import Wappfy
from .whatisup import WhatIsUp

if TYPE_CHECKING:
    from .base import Provider

PROVIDERS: dict[str, type[Provider]] = {
    "wappfy": Wappfy,
    "whatisup": WhatIsUp,
}
