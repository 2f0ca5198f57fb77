"""Constants of the WhatsApp Gateway integration."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from .providers.models import (
    BadResponse,
    GatewayError,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreachable,
)

DOMAIN: Final = "whatsapp_gateway"

CONF_PROVIDER: Final = "provider"
CONF_GATEWAY: Final = "gateway"
"""The address at the first setup: what unique ids start with, for good."""

POLL_INTERVAL: Final = timedelta(seconds=30)
FAST_POLL_INTERVAL: Final = timedelta(seconds=5)

ERROR_KEYS: Final[dict[type[GatewayError], str]] = {
    Unauthorized: "invalid_auth",
    Unreachable: "cannot_connect",
    RateLimited: "rate_limited",
    NotFound: "not_found",
    BadResponse: "not_a_gateway",
    Rejected: "rejected",
}
"""What each error is called in the translations."""
