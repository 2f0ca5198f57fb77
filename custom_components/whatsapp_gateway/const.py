"""Constants of the WhatsApp Gateway integration."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

from .providers import models

DOMAIN: Final = "whatsapp_gateway"

CONF_PROVIDER: Final = "provider"
CONF_GATEWAY: Final = "gateway"
"""Address at first setup; prefix of unique IDs, never changed."""
CONF_ACCOUNT_ID: Final = "account_id"
"""The gateway's own ID of the account, once it is known."""
CONF_INSTANCE_ID: Final = "instance_id"
"""The only instance that the API key gives access to, if there is only one."""
CONF_CHAT_ID: Final = "chat_id"
"""Where the messages of a recipient go to, in the form of `providers/messages.py`."""
CONF_EXPECTED: Final = "linked"
"""IDs of the instances that are expected to be connected."""
CONF_NOT_LINKED: Final = "not_linked"
"""IDs of the instances among these that have to be linked again."""
CONF_GONE: Final = "gone"
"""Times at which expected instances disappeared, by instance ID, in seconds since
1970."""
CONF_PAIRING_DIGESTS: Final = "pairing_digests"
"""Digests of the last pairing codes by instance ID: these codes are used up."""
CONF_WEBHOOK: Final = "webhook"
"""How the gateway calls Home Assistant, if the user wants that; secret."""
CONF_RECEIVE: Final = "receive"
"""Option of an account: whose messages are received."""

POLL_INTERVAL: Final = timedelta(seconds=30)
PUSH_POLL_INTERVAL: Final = timedelta(seconds=300)
"""While the gateway reports changes by itself."""
FAST_POLL_INTERVAL: Final = timedelta(seconds=5)


class Receive(StrEnum):
    """Whose messages are received."""

    NO = "no"
    RECIPIENTS = "recipients"
    EVERYONE = "everyone"


ERROR_KEYS: Final[dict[type[models.GatewayError], str]] = {
    models.Unauthorized: "invalid_auth",
    models.Unreachable: "cannot_connect",
    models.NoConnection: "cannot_connect",
    models.InvalidCertificate: "invalid_certificate",
    models.MaybeSent: "maybe_sent",
    models.RateLimited: "rate_limited",
    models.KeyBound: "key_bound",
    models.NotFound: "not_found",
    models.BadResponse: "unexpected_response",
    models.LoginRequired: "login_required",
    models.Rejected: "rejected",
    models.Refused: "rejected",
    models.CodeRejected: "rejected",
    models.TooManyInstances: "too_many_instances",
    models.NotActivated: "not_activated",
    models.UnsupportedServer: "unsupported_server",
    models.Closed: "account_unavailable",
}
"""Translation key of each error; where a text can be exact, `Refused` has its own."""
