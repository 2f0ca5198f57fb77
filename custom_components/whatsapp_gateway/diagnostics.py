"""Diagnostics without secrets and personal data."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_URL

from .const import CONF_INSTANCE_ID
from .devices import instance_id_of
from .messages.recipients import recipients_of
from .providers.redact import redact

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry

    from .account import Account, GatewayConfigEntry
    from .messages.inbox import Inbox
    from .providers.models import Instance
    from .push.stream import Stream
    from .push.webhook import Webhook


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: GatewayConfigEntry
) -> dict[str, Any]:
    """Return diagnostics of an account."""
    account = entry.runtime_data
    instances = account.coordinator.data.values()
    return _account(account) | {
        "instances": [_instance(account, instance) for instance in instances]
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: GatewayConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return diagnostics of an instance and its account."""
    account = entry.runtime_data
    instance = account.coordinator.data.get(instance_id_of(entry, device) or "")
    return _account(account) | {
        "instance": _instance(account, instance) if instance else None
    }


def _account(account: Account) -> dict[str, Any]:
    provider, coordinator = account.provider, account.coordinator
    error = coordinator.last_exception
    cause = error and (error.__cause__ or error)
    return {
        "provider": provider.name,
        "default_url": account.entry.data[CONF_URL] == provider.default_url,
        "key_bound_to_instance": CONF_INSTANCE_ID in account.entry.data,
        "last_poll_succeeded": coordinator.last_update_success,
        "seconds_since_poll": round(monotonic() - coordinator.polled_at),
        "poll_interval": str(coordinator.update_interval),
        "last_error": type(cause).__name__ if cause else None,
        "instance_count": len(coordinator.data),
        "recipient_count": len(recipients_of(account.entry)),
        "push": account.stream and _stream(account.stream),
        "webhook": account.webhook and _webhook(account.webhook),
        "messages": _inbox(account.inbox),
        "being_linked": account.problems.being_linked.total(),
    }


def _stream(stream: Stream) -> dict[str, Any]:
    connected_at = stream.connected_at
    return {
        "connected": stream.connected,
        "seconds_since_connection": connected_at and round(monotonic() - connected_at),
        "connections": stream.connections,
        "events": dict(stream.events),
    }


def _webhook(webhook: Webhook) -> dict[str, Any]:
    called_at = webhook.called_at
    return {
        "on": webhook.is_on,
        "calls": webhook.calls,
        "refused_calls": webhook.refused_calls,
        "seconds_since_call": called_at and round(monotonic() - called_at),
    }


def _inbox(inbox: Inbox) -> dict[str, Any]:
    return {
        "receive": inbox.receive,
        "events": dict(inbox.events),
        "dropped": dict(inbox.dropped),
        "skipped": dict(inbox.skipped),
        "queued": inbox.queued,
    }


def _instance(account: Account, instance: Instance) -> dict[str, Any]:
    problem = account.problems.current.get(instance.id)
    return {
        "status": instance.status,
        "raw_status": instance.raw_status,
        "type": instance.type and redact(instance.type, account.provider.api_key),
        "linkable": instance.linkable,
        "phone_number_known": instance.phone_number is not None,
        "last_seen": instance.last_seen,
        "linked": instance.id in account.problems.expected,
        "problem": problem and problem.kind,
        "seconds_with_problem": problem and round(monotonic() - problem.since),
    }
