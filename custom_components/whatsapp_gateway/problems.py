"""Decide which instances should be connected, and raise repairs for the others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, time
from typing import TYPE_CHECKING

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED
from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect

from .client import async_store
from .const import CONF_GONE, CONF_LINKED, DOMAIN
from .providers.models import InstanceStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry, ConfigEntryChange
    from homeassistant.core import HomeAssistant

    from .coordinator import GatewayConfigEntry
    from .providers.models import Instance


NO_CALLS = "no_calls"
NETWORK_SETTINGS = "https://my.home-assistant.io/redirect/network/"
PATIENCE = 60.0
"""Seconds that a problem has to last before an issue is raised."""


class Kind(StrEnum):
    """Kinds of problems; each has an issue of its own."""

    NOT_LINKED = "not_linked"
    DISCONNECTED = "disconnected"
    FAILED = "instance_failed"


KINDS: dict[InstanceStatus | None, Kind] = {
    InstanceStatus.CREATED: Kind.DISCONNECTED,
    InstanceStatus.DISCONNECTED: Kind.DISCONNECTED,
    InstanceStatus.SCAN_QR: Kind.NOT_LINKED,
    InstanceStatus.FAILED: Kind.FAILED,
}
UNCLEAR = {InstanceStatus.STARTING, InstanceStatus.PASSKEY, None}
"""Neither connected nor a problem: present issues are kept, and none is raised."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an instance."""

    kind: Kind
    since: float
    """Of the monotonic clock, in seconds."""


class Problems(dict[str, Problem]):
    """Problems of an account's instances by their ID, and their issues."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start without problems; issues of an earlier run may exist."""
        super().__init__()
        self._hass = hass
        self._entry_id = entry_id

    @callback
    def async_update(
        self, instances: dict[str, Instance], linked: set[str], missing: set[str]
    ) -> None:
        """Note what is wrong with linked instances, and delete all other issues.

        An instance that was never linked, or that somebody disconnected, is fine.
        `missing` has the instances that only the last list lacked, so they may still
        exist.
        """
        for instance_id in self.keys() - (linked & instances.keys()):
            del self[instance_id]
        for instance_id in linked & instances.keys():
            self._note(instances[instance_id])
        # also issues of an earlier run: Home Assistant keeps those that are ignored
        valid = {self._issue_id(key, problem.kind) for key, problem in self.items()}
        # nothing is known yet of an instance that starts, or that one list lacks
        unclear = (linked & missing - instances.keys()) | {
            instance_id
            for instance_id in (linked & instances.keys()) - self.keys()
            if instances[instance_id].status in UNCLEAR
        }
        valid |= {
            self._issue_id(instance_id, kind)
            for instance_id in unclear
            for kind in Kind
        }
        for issue_id in issues_of(self._hass, self._entry_id) - valid:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)

    @property
    def pending(self) -> bool:
        """Whether a problem has not lasted long enough yet."""
        now = monotonic()
        return any(now - problem.since < PATIENCE for problem in self.values())

    @callback
    def async_raise(
        self, instances: dict[str, Instance], being_linked: Mapping[str, int]
    ) -> None:
        """Raise an issue for each problem that lasts."""
        for instance_id, problem in self.items():
            instance = instances[instance_id]
            if (
                monotonic() - problem.since >= PATIENCE
                and instance.status in KINDS
                and not being_linked.get(instance_id)
            ):
                ir.async_create_issue(
                    self._hass,
                    DOMAIN,
                    self._issue_id(instance_id, problem.kind),
                    data={
                        "entry_id": self._entry_id,
                        "instance_id": instance_id,
                        "kind": problem.kind,
                    },
                    is_fixable=True,
                    severity=ir.IssueSeverity.WARNING,
                    translation_key=problem.kind,
                    translation_placeholders={"name": instance.name},
                )

    def _note(self, instance: Instance) -> None:
        """Note the problem of an instance."""
        if instance.status is InstanceStatus.CONNECTED:
            self.pop(instance.id, None)
            return
        known = self.get(instance.id)
        if (kind := KINDS.get(instance.status)) is None:
            return
        issue = (DOMAIN, self._issue_id(instance.id, Kind.NOT_LINKED))
        if not instance.linkable:
            kind = Kind.FAILED if kind is Kind.NOT_LINKED else kind
        elif (known and known.kind is Kind.NOT_LINKED) or (
            known is None and issue in ir.async_get(self._hass).issues
        ):
            # a session also fails or stops because nobody scanned its QR codes
            kind = Kind.NOT_LINKED
        if known is None or known.kind is not kind:
            # an instance that alternates between two kinds is down all the time
            since = known.since if known else monotonic()
            self[instance.id] = Problem(kind, since)

    def _issue_id(self, instance_id: str, kind: Kind) -> str:
        return f"{self._entry_id}_{kind}_{instance_id}"


def issues_of(hass: HomeAssistant, entry_id: str) -> set[str]:
    """Return the IDs of an account's issues, also of those that aren't active."""
    return {
        issue_id
        for domain, issue_id in ir.async_get(hass).issues
        if domain == DOMAIN and issue_id.startswith(f"{entry_id}_")
    }


@callback
def async_delete_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Delete all issues of an account."""
    async_delete_no_calls(hass, entry_id)
    for issue_id in issues_of(hass, entry_id):
        ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def async_delete_issues_of_disabled(hass: HomeAssistant) -> None:
    """Delete the issues of each account that is disabled, loaded or not."""

    @callback
    def changed(_change: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain == DOMAIN and entry.disabled_by:
            async_delete_issues(hass, entry.entry_id)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)


@callback
def async_raise_no_calls(
    hass: HomeAssistant, entry: GatewayConfigEntry, provider: str
) -> None:
    """Raise the issue that a gateway doesn't report changes as it should."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _no_calls_id(entry.entry_id),
        is_fixable=False,
        learn_more_url=NETWORK_SETTINGS,
        severity=ir.IssueSeverity.WARNING,
        translation_key=NO_CALLS,
        translation_placeholders={"name": entry.title, "provider": provider},
    )


@callback
def async_delete_no_calls(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the issue that a gateway doesn't report changes."""
    ir.async_delete_issue(hass, DOMAIN, _no_calls_id(entry_id))


def _no_calls_id(entry_id: str) -> str:
    # issues of instances start with the ID of the entry
    return f"{NO_CALLS}_{entry_id}"


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
