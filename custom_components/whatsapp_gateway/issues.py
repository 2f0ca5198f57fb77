"""Repairs: instances that need a person, raised and taken back with the poll."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .providers.models import InstanceStatus

if TYPE_CHECKING:
    from .coordinator import GatewayCoordinator
    from .providers.models import Instance

TROUBLE = {
    InstanceStatus.SCAN_QR: "not_linked",
    InstanceStatus.FAILED: "instance_failed",
}
"""The issue that a status is; created and disconnected are none: both may be meant."""
PATIENCE = 60.0
"""Seconds for which a status must last to become an issue."""


@callback
def async_note_trouble(
    coordinator: GatewayCoordinator, instances: dict[str, Instance]
) -> None:
    """Note since when instances are in trouble; settle the issues that are over."""
    troubled = coordinator.troubled_since
    for instance_id in troubled.keys() - instances.keys():
        _async_settle(coordinator, instance_id)
    for instance in instances.values():
        if instance.status is InstanceStatus.STARTING:
            # it may become anything
            continue
        if instance.status is None or instance.status not in TROUBLE:
            _async_settle(coordinator, instance.id)
        elif troubled.get(instance.id, (None,))[0] is not instance.status:
            troubled[instance.id] = (instance.status, monotonic())


@callback
def async_raise_issues(
    coordinator: GatewayCoordinator, instances: dict[str, Instance]
) -> None:
    """Raise an issue for each instance that has been in trouble for too long."""
    for instance_id, (status, since) in coordinator.troubled_since.items():
        instance = instances[instance_id]
        lasting = monotonic() - since >= PATIENCE and instance.status is status
        if lasting and not coordinator.being_linked[instance_id]:
            _async_create_issue(coordinator, instance, TROUBLE[status])


@callback
def async_delete_issues(coordinator: GatewayCoordinator) -> None:
    """Delete all issues of an account."""
    for instance_id in list(coordinator.troubled_since):
        _async_settle(coordinator, instance_id)


@callback
def _async_settle(coordinator: GatewayCoordinator, instance_id: str) -> None:
    """Delete the issue of an instance, if it is in trouble."""
    if coordinator.troubled_since.pop(instance_id, None):
        ir.async_delete_issue(
            coordinator.hass, DOMAIN, coordinator.unique_id(instance_id)
        )


@callback
def _async_create_issue(
    coordinator: GatewayCoordinator, instance: Instance, key: str
) -> None:
    ir.async_create_issue(
        coordinator.hass,
        DOMAIN,
        coordinator.unique_id(instance.id),
        data={
            "entry_id": coordinator.config_entry.entry_id,
            "instance_id": instance.id,
        },
        is_fixable=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key=key,
        translation_placeholders={"name": instance.name},
    )
