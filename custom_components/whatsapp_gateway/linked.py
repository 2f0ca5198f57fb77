"""Remember which instances are linked: only these raise repairs."""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING

from homeassistant.core import callback

from .account import async_store
from .const import CONF_GONE, CONF_LINKED
from .providers.models import InstanceStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .providers.models import Instance

# all in seconds
LIST_LAG = 120.0
"""How long a list may still report a disconnected instance as connected."""
KEEP_GONE_SECONDS = 24 * 3600.0
"""How long an instance that is gone is expected to come back connected."""
KEEP_STORED_SECONDS = 3600.0
"""The same at least, after a restart: the clock may have been wrong before."""


class LinkedInstances:
    """The instances that have been connected, and that nobody has disconnected.

    They are stored in the entry, so that they survive a restart.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Start with what is stored."""
        self.ids = set(entry.data.get(CONF_LINKED, ()))
        self._gone: dict[str, float] = dict(entry.data.get(CONF_GONE, {}))
        self._keep_until = dict.fromkeys(self._gone, monotonic() + KEEP_STORED_SECONDS)
        """Until when an instance that is gone is kept, whatever the time of day is."""
        self._hass = hass
        self._entry = entry
        self._disconnecting: dict[str, float] = {}
        """Instances that are disconnected on purpose; how long the list may lag."""

    @property
    def unsettled(self) -> bool:
        """Whether a disconnected instance may still be listed as connected."""
        return bool(self._disconnecting)

    @callback
    def async_update(self, instances: Mapping[str, Instance]) -> None:
        """Note which instances of a list are connected."""
        connected = {
            instance.id
            for instance in instances.values()
            if instance.status is InstanceStatus.CONNECTED
        }
        now = monotonic()
        # an instance that is being disconnected may still be reported as connected
        self._disconnecting = {
            instance_id: until
            for instance_id, until in self._disconnecting.items()
            if instance_id in connected and now < until
        }
        forgotten = set(filter(self._is_forgotten, self._gone))
        linked = (self.ids - forgotten) | (connected - self._disconnecting.keys())
        self._async_store(linked, linked - instances.keys())

    def _is_forgotten(self, instance_id: str) -> bool:
        """Return whether an instance has been gone for a day.

        The time of day may jump: many machines have no clock while they are off.
        """
        kept_for = time() - self._gone[instance_id]
        is_due = monotonic() >= self._keep_until[instance_id]
        return is_due and kept_for >= KEEP_GONE_SECONDS

    @callback
    def async_expect_disconnected(
        self, instance_id: str, known: Instance | None
    ) -> None:
        """Forget an instance that is disconnected on purpose.

        `known` is what the last list said about it.
        """
        if known and known.status is InstanceStatus.CONNECTED:
            self._disconnecting[instance_id] = monotonic() + LIST_LAG
        self._async_store(self.ids - {instance_id}, self._gone.keys() - {instance_id})

    def trust_list(self, instance_id: str) -> None:
        """Believe the list again that an instance is connected."""
        self._disconnecting.pop(instance_id, None)

    @callback
    def _async_store(self, linked: set[str], gone: set[str]) -> None:
        if linked != self.ids:
            self.ids = linked
            async_store(self._hass, self._entry, CONF_LINKED, sorted(linked))
        if gone != self._gone.keys():
            now, until = time(), monotonic() + KEEP_GONE_SECONDS
            self._gone = {key: self._gone.get(key, now) for key in sorted(gone)}
            self._keep_until = {key: self._keep_until.get(key, until) for key in gone}
            async_store(self._hass, self._entry, CONF_GONE, self._gone)
