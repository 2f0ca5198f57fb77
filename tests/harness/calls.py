"""Every call of a provider by the name of the gateway's route that it asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from custom_components.whatsapp_gateway.providers.messages import (
    OutgoingMessage,
    digits_of,
)
from custom_components.whatsapp_gateway.providers.models import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways import Gateway

PERSON = "12025550123@s.whatsapp.net"


def present[T](capability: T | None) -> T:
    """Return a capability that a provider has."""
    assert capability is not None
    return capability


CALLS: dict[str, Callable[[Provider, str], Awaitable[object]]] = {
    "list": lambda provider, _: provider.instances(),
    "create": lambda provider, _: provider.create("New"),
    "one": lambda provider, instance_id: provider.instance(instance_id),
    "qr": lambda provider, instance_id: provider.qr(instance_id),
    "delete": lambda provider, instance_id: provider.delete(instance_id),
    "connect": lambda provider, instance_id: provider.perform(
        Action.CONNECT, instance_id
    ),
    "disconnect": lambda provider, instance_id: provider.perform(
        Action.DISCONNECT, instance_id
    ),
    "restart": lambda provider, instance_id: provider.perform(
        Action.RESTART, instance_id
    ),
    "logout": lambda provider, instance_id: provider.perform(
        Action.LOGOUT, instance_id
    ),
}
MESSAGE_CALLS: dict[str, Callable[[Provider, str], Awaitable[object]]] = {
    "send": lambda provider, instance_id: present(provider.messages).send(
        instance_id, PERSON, OutgoingMessage(text="Hello")
    ),
    "chats": lambda provider, instance_id: present(provider.chats).list_chats(
        instance_id
    ),
    "check_number": lambda provider, instance_id: present(
        provider.number_check
    ).find_person(instance_id, digits_of(PERSON) or ""),
}
"""The calls about messages by the route, or group of routes, that they ask."""
READS = {"list", "create", "one", "qr"}
"""The calls whose answers carry something that is read."""


def answer(gateway: Gateway, route: str, body: Any) -> None:
    """Let a route answer with this JSON."""
    gateway.fail(route, body=json.dumps(body).encode())
