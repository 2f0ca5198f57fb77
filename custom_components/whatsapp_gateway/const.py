"""Constants of the WhatsApp Gateway integration."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from .providers.models import (
    BadResponse,
    GatewayError,
    KeyBound,
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
CONF_ACCOUNT_ID: Final = "account_id"
"""The gateway's own identifier of the account, once it is known."""
CONF_INSTANCE_ID: Final = "instance_id"
"""The one instance that the API key is bound to, if it is."""

POLL_INTERVAL: Final = timedelta(seconds=30)
FAST_POLL_INTERVAL: Final = timedelta(seconds=5)

ERROR_KEYS: Final[dict[type[GatewayError], str]] = {
    Unauthorized: "invalid_auth",
    Unreachable: "cannot_connect",
    RateLimited: "rate_limited",
    KeyBound: "key_bound",
    NotFound: "not_found",
    BadResponse: "not_a_gateway",
    Rejected: "rejected",
}
"""What each error is called in the translations."""
