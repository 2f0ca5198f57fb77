"""Diagnostics without secrets and personal data."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_URL

from .const import CONF_INSTANCE_ID
from .messages.recipients import recipients_of
from .providers.redact import redact

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry

    from .coordinator import GatewayConfigEntry, GatewayCoordinator
    from .messages.inbox import Inbox
    from .providers.models import Instance
    from .push.stream import Push
    from .push.webhook import Webhook


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: GatewayConfigEntry
) -> dict[str, Any]:
    """Return diagnostics of an account."""
    coordinator = entry.runtime_data
    return _account(coordinator) | {
        "instances": [
            _instance(coordinator, instance) for instance in coordinator.data.values()
        ]
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: GatewayConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return diagnostics of an instance and its account."""
    coordinator = entry.runtime_data
    instance = coordinator.instance_of(device)
    return _account(coordinator) | {
        "instance": _instance(coordinator, instance) if instance else None
    }


def _account(coordinator: GatewayCoordinator) -> dict[str, Any]:
    provider, error = coordinator.provider, coordinator.last_exception
    cause = error and (error.__cause__ or error)
    return {
        "provider": provider.name,
        "default_url": coordinator.config_entry.data[CONF_URL] == provider.default_url,
        "key_bound_to_instance": CONF_INSTANCE_ID in coordinator.config_entry.data,
        "last_poll_succeeded": coordinator.last_update_success,
        "seconds_since_poll": round(monotonic() - coordinator.polled_at),
        "poll_interval": str(coordinator.update_interval),
        "last_error": type(cause).__name__ if cause else None,
        "instance_count": len(coordinator.data),
        "recipient_count": len(recipients_of(coordinator.config_entry)),
        "push": coordinator.push and _push(coordinator.push),
        "webhook": _webhook(coordinator.webhook),
        "messages": _inbox(coordinator.inbox),
        "being_linked": coordinator.being_linked.total(),
    }


def _push(push: Push) -> dict[str, Any]:
    connected_at = push.connected_at
    return {
        "connected": push.connected,
        "seconds_since_connection": connected_at and round(monotonic() - connected_at),
        "connections": push.connections,
        "events": dict(push.events),
    }


def _webhook(webhook: Webhook) -> dict[str, Any]:
    called_at = webhook.called_at
    return {
        "on": webhook.is_on,
        "calls": webhook.calls,
        "seconds_since_call": called_at and round(monotonic() - called_at),
    }


def _inbox(inbox: Inbox) -> dict[str, Any]:
    return {
        "receive": inbox.receive,
        "events": dict(inbox.events),
        "dropped": dict(inbox.dropped),
        "queued": inbox.queued,
    }


def _instance(coordinator: GatewayCoordinator, instance: Instance) -> dict[str, Any]:
    problem = coordinator.problems.get(instance.id)
    return {
        "status": instance.status,
        "raw_status": instance.raw_status,
        "type": instance.type and redact(instance.type, coordinator.provider.api_key),
        "linkable": instance.linkable,
        "phone_number_known": instance.phone_number is not None,
        "last_seen": instance.last_seen,
        "linked": instance.id in coordinator.linked.ids,
        "problem": problem and problem.kind,
        "seconds_with_problem": problem and round(monotonic() - problem.since),
    }
