"""Translated errors of actions."""

from __future__ import annotations

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .const import DOMAIN, ERROR_KEYS
from .providers.models import MaybeSent


def invalid(key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error that an action is called with wrong data."""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )


def is_maybe_sent(err: object) -> bool:
    """Return whether the message may have been sent despite this error."""
    return getattr(err, "translation_key", None) == ERROR_KEYS[MaybeSent]


def failed(key: str, **placeholders: str) -> HomeAssistantError:
    """Return the error that an action can't be performed, at least now."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )
