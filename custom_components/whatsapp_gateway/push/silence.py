"""Tell the user if messages that should be received can't arrive."""

from __future__ import annotations

from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

NOT_RECEIVING = "not_receiving"
"""The issue of an account that receives no messages."""


class Reason(StrEnum):
    """Why no messages arrive; the value is the end of the translation key."""

    STREAM = "stream"
    """The connection for events isn't established."""
    OFF = "off"
    """The user has turned the webhook off."""
    UNREGISTERED = "unregistered"
    """The gateway refuses to call."""
    IN_USE = "in_use"
    """Other software uses the webhook of an instance."""
    SECRET = "secret"  # noqa: S105
    """Calls don't bring the secret, although it was registered again."""


DELAY_SECONDS = {
    Reason.STREAM: 540.0,
    Reason.OFF: 540.0,
    # it was noticed up to 5 minutes late
    Reason.UNREGISTERED: 240.0,
    Reason.IN_USE: 0.0,
    Reason.SECRET: 0.0,
}
"""How long a reason lasts before the user is told, 10 minutes after its cause at most:
some pass by themselves."""


OUTAGE_SECONDS = 120.0
"""After a longer outage of the gateway, the time of a reason begins anew: what brings
messages also needs time to come back."""


class Silence:
    """Raises an issue if no messages arrive although the gateway answers polls."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, provider: str) -> None:
        """Start without a reason; the issue of an earlier run may exist."""
        self._hass = hass
        self._entry = entry
        self._provider = provider
        self._reason: Reason | None = None
        self._since = 0.0
        self._outage_since: float | None = None

    @callback
    def async_note_outage(self) -> None:
        """Follow a poll that has failed: it tells nothing about messages."""
        self._outage_since = self._outage_since or monotonic()

    @callback
    def async_update(self, reason: Reason | None, instances: str) -> None:
        """Follow a poll; `instances` are the names of those concerned."""
        now = monotonic()
        outage_since, self._outage_since = self._outage_since, None
        was_away = outage_since is not None and now - outage_since > OUTAGE_SECONDS
        if was_away or reason is not self._reason:
            self._reason, self._since = reason, now
        issue_id = f"{NOT_RECEIVING}_{self._entry.entry_id}"
        if reason is None:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
        elif now - self._since >= DELAY_SECONDS[reason]:
            ir.async_create_issue(
                self._hass,
                DOMAIN,
                issue_id,
                is_fixable=False,
                severity=ir.IssueSeverity.WARNING,
                translation_key=f"{NOT_RECEIVING}_{reason}",
                translation_placeholders={
                    "name": self._entry.title,
                    "provider": self._provider,
                    "instances": instances,
                },
            )
