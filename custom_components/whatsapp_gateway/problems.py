"""Decide which numbers should be connected, and raise repairs for those that aren't."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, time
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_cached_translations

from .client import async_store
from .const import CONF_EXPECTED, CONF_GONE, CONF_NOT_LINKED, DOMAIN
from .providers.models import Action, InstanceStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .providers.models import Instance


class Kind(StrEnum):
    """Kinds of problems."""

    NOT_LINKED = "not_linked"
    DISCONNECTED = "disconnected"
    FAILED = "failed"


KINDS: dict[InstanceStatus | None, Kind] = {
    InstanceStatus.CREATED: Kind.DISCONNECTED,
    InstanceStatus.DISCONNECTED: Kind.DISCONNECTED,
    InstanceStatus.SCAN_QR: Kind.NOT_LINKED,
    InstanceStatus.FAILED: Kind.FAILED,
}
"""Other statuses are neither connected nor a problem."""
NEEDS_ATTENTION = "needs_attention"
"""The issue of an instance that should be connected."""
DISCONNECTING_ACTIONS = frozenset({Action.DISCONNECT, Action.LOGOUT})
"""Actions after which an instance is meant to be disconnected."""
REPAIR_DELAY = 60.0
"""Seconds that a problem has to last before a repair is raised."""
LIST_LAG = 120.0
"""Seconds in which a list may still report a disconnected instance as connected."""
KEEP_GONE_SECONDS = 24 * 3600.0
"""How long an instance that is gone is expected to come back connected."""
KEEP_STORED_SECONDS = 3600.0
"""The minimum after a restart: the clock may have been wrong before."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an instance."""

    kind: Kind
    since: float
    """Of the monotonic clock, in seconds."""


class Problems:
    """The numbers of an account that should be connected, and what is wrong with them.

    A number is expected to be connected once it has been. This ends if somebody
    disconnects it, or if its instance has been gone for a day.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Start with what is stored; issues of an earlier run may exist."""
        self.expected: set[str] = set(entry.data.get(CONF_EXPECTED, ()))
        """IDs of the instances that are expected to be connected."""
        self.current: dict[str, Problem] = {}
        """Problems by instance ID."""
        self.being_linked: Counter[str] = Counter()
        """Number of dialogs that link an instance, by its ID."""
        self._hass = hass
        self._entry = entry
        self._disconnecting: dict[str, float] = {}
        """Until when the list may lag, by ID of an instance that is disconnected."""
        self._gone: dict[str, float] = dict(entry.data.get(CONF_GONE, {}))
        self._keep_until = dict.fromkeys(self._gone, monotonic() + KEEP_STORED_SECONDS)
        """Until when an instance that is gone is kept, whatever the time of day is."""

    @property
    def pending(self) -> bool:
        """Whether a problem has not lasted long enough for a repair."""
        return any(not _lasts(problem) for problem in self.current.values())

    @contextmanager
    def linking(self, instance_id: str) -> Iterator[None]:
        """Raise no repair while a dialog links an instance."""
        self.being_linked[instance_id] += 1
        try:
            yield
        finally:
            # subtracting a Counter also removes keys that reach zero
            self.being_linked -= Counter([instance_id])

    @callback
    def async_update(
        self, instances: Mapping[str, Instance], missing: AbstractSet[str]
    ) -> None:
        """Note what a poll says about the instances, and update the issues.

        `missing` has the instances that only the last list lacked, so they may still
        exist.
        """
        connected = {
            instance.id
            for instance in instances.values()
            if instance.status is InstanceStatus.CONNECTED
        }
        self._async_update_expected(connected, instances.keys())
        down = (self.expected & (instances.keys() | missing)) - connected
        self.current = {
            instance_id: problem
            for instance_id in down & instances.keys()
            if (problem := self._problem_of(instances[instance_id]))
        }
        not_linked = sorted(filter(self._is_not_linked, down))
        if not_linked != self._entry.data.get(CONF_NOT_LINKED, []):
            async_store(self._hass, self._entry, CONF_NOT_LINKED, not_linked)
        self._async_delete_issues_but(down)
        for instance_id, problem in self.current.items():
            instance = instances[instance_id]
            is_clear = instance.status in KINDS and not self.being_linked[instance_id]
            if is_clear and _lasts(problem):
                self._async_raise(instance, problem.kind)

    @callback
    def _async_delete_issues_but(self, down: set[str]) -> None:
        """Delete the issues of all but these instances, also those that are ignored."""
        # Home Assistant also keeps ignored issues of an earlier run
        valid = set(map(self._issue_id, down))
        for issue_id in issues_of(self._hass, self._entry.entry_id) - valid:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)

    @callback
    def _async_update_expected(
        self, connected: set[str], listed: AbstractSet[str]
    ) -> None:
        """Expect connected instances to stay so, and forget those that are gone."""
        now = monotonic()
        self._disconnecting = {
            instance_id: until
            for instance_id, until in self._disconnecting.items()
            if instance_id in connected and now < until
        }
        forgotten = set(filter(self._is_forgotten, self._gone))
        expected = self.expected - forgotten | connected - self._disconnecting.keys()
        self._async_store(expected, expected - listed)

    def _is_forgotten(self, instance_id: str) -> bool:
        """Return whether an instance has been gone for a day.

        The time of day may jump: many machines have no clock while they are off.
        """
        kept_for = time() - self._gone[instance_id]
        is_due = monotonic() >= self._keep_until[instance_id]
        return is_due and kept_for >= KEEP_GONE_SECONDS

    def _problem_of(self, instance: Instance) -> Problem | None:
        """Return what is wrong with an instance, None if that is unclear."""
        known = self.current.get(instance.id)
        if (kind := KINDS.get(instance.status)) is None:
            return known
        if not instance.linkable:
            kind = Kind.FAILED if kind is Kind.NOT_LINKED else kind
        elif self._is_not_linked(instance.id):
            # a session also fails or stops because nobody scanned its QR codes
            kind = Kind.NOT_LINKED
        # an instance that alternates between two kinds is down all the time
        return Problem(kind, known.since if known else monotonic())

    def _is_not_linked(self, instance_id: str) -> bool:
        """Return whether an instance had to be linked again, maybe before a restart."""
        if known := self.current.get(instance_id):
            return known.kind is Kind.NOT_LINKED
        return instance_id in self._entry.data.get(CONF_NOT_LINKED, ())

    @callback
    def _async_raise(self, instance: Instance, kind: Kind) -> None:
        """Raise the issue of an instance, or update it."""
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id(instance.id),
            data={
                "entry_id": self._entry.entry_id,
                "instance_id": instance.id,
                "kind": kind,
            },
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key=NEEDS_ATTENTION,
            translation_placeholders={
                "name": instance.name,
                "problem": self._text_of(kind),
            },
        )

    def _text_of(self, kind: Kind) -> str:
        """Return what is wrong, in the language of the server."""
        texts = async_get_cached_translations(
            self._hass, self._hass.config.language, "exceptions", DOMAIN
        )
        # a language that was chosen a moment ago is still being loaded
        key = f"component.{DOMAIN}.exceptions.problem_{kind}.message"
        return texts.get(key, kind)

    def _issue_id(self, instance_id: str) -> str:
        return f"{self._entry.entry_id}_{NEEDS_ATTENTION}_{instance_id}"

    @callback
    def async_expect_disconnected(
        self, instance_id: str, known: Instance | None
    ) -> None:
        """Raise no repair for an instance that is disconnected on purpose.

        `known` is what the last list said about it.
        """
        if known and known.status is InstanceStatus.CONNECTED:
            self._disconnecting[instance_id] = monotonic() + LIST_LAG
        self.current.pop(instance_id, None)
        ir.async_delete_issue(self._hass, DOMAIN, self._issue_id(instance_id))
        self._async_store(
            self.expected - {instance_id}, self._gone.keys() - {instance_id}
        )

    def end_disconnecting(self, instance_id: str) -> None:
        """Believe the list again if it says that an instance is connected."""
        self._disconnecting.pop(instance_id, None)

    @callback
    def _async_store(self, expected: set[str], gone: set[str]) -> None:
        if expected != self.expected:
            self.expected = expected
            async_store(self._hass, self._entry, CONF_EXPECTED, sorted(expected))
        if gone != self._gone.keys():
            now, until = time(), monotonic() + KEEP_GONE_SECONDS
            self._gone = {key: self._gone.get(key, now) for key in sorted(gone)}
            self._keep_until = {key: self._keep_until.get(key, until) for key in gone}
            async_store(self._hass, self._entry, CONF_GONE, self._gone)


def _lasts(problem: Problem) -> bool:
    return monotonic() - problem.since >= REPAIR_DELAY


def issues_of(hass: HomeAssistant, entry_id: str) -> set[str]:
    """Return the IDs of the issues of an account's instances, also of ignored ones."""
    return {
        issue_id
        for domain, issue_id in ir.async_get(hass).issues
        if domain == DOMAIN and issue_id.startswith(f"{entry_id}_")
    }


@callback
def async_delete_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Delete all issues of an account."""
    issue_ids = [
        issue_id
        for domain, issue_id in ir.async_get(hass).issues
        if domain == DOMAIN and entry_id in issue_id
    ]
    for issue_id in issue_ids:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
