"""Constants of the WhatsApp Gateway integration."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from .providers.models import (
    BadResponse,
    Closed,
    CodeRejected,
    GatewayError,
    KeyBound,
    NotActivated,
    NotFound,
    RateLimited,
    Rejected,
    TooManyInstances,
    Unauthorized,
    Unreachable,
    UnsupportedServer,
)

DOMAIN: Final = "whatsapp_gateway"

CONF_PROVIDER: Final = "provider"
CONF_GATEWAY: Final = "gateway"
"""Address at first setup; prefix of unique IDs, never changed."""
CONF_ACCOUNT_ID: Final = "account_id"
"""The gateway's own ID of the account, once it is known."""
CONF_INSTANCE_ID: Final = "instance_id"
"""The only instance that the API key gives access to, if there is only one."""
CONF_LINKED: Final = "linked"
"""IDs of the instances that are linked and should be connected."""

POLL_INTERVAL: Final = timedelta(seconds=30)
FAST_POLL_INTERVAL: Final = timedelta(seconds=5)

ERROR_KEYS: Final[dict[type[GatewayError], str]] = {
    Unauthorized: "invalid_auth",
    Unreachable: "cannot_connect",
    RateLimited: "rate_limited",
    KeyBound: "key_bound",
    NotFound: "not_found",
    BadResponse: "unexpected_response",
    Rejected: "rejected",
    CodeRejected: "rejected",
    TooManyInstances: "too_many_instances",
    NotActivated: "not_activated",
    UnsupportedServer: "unsupported_server",
    Closed: "account_unavailable",
}
"""Translation key of each error."""
