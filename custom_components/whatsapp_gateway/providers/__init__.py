"""Clients of the supported gateways, without Home Assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .evolution import Evolution
from .waha import Waha
from .wappfy import Wappfy
from .whatisup import WhatIsUp

if TYPE_CHECKING:
    from .base import Provider

PROVIDERS: dict[str, type[Provider]] = {
    "evolution": Evolution,
    "waha": Waha,
    "wappfy": Wappfy,
    "whatisup": WhatIsUp,
}
