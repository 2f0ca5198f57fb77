"""Clients of the supported gateways, without Home Assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .evolution.client import Evolution
from .waha.client import Waha
from .wappfy.client import Wappfy
from .whatisup.client import WhatIsUp

if TYPE_CHECKING:
    from .base import Provider

PROVIDERS: dict[str, type[Provider]] = {
    "evolution": Evolution,
    "waha": Waha,
    "wappfy": Wappfy,
    "whatisup": WhatIsUp,
}
