"""Check who calls an action; automations may do everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.exceptions import Unauthorized, UnknownUser

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.auth.models import User
    from homeassistant.core import ServiceCall


async def async_check_admin(call: ServiceCall) -> None:
    """Raise unless an administrator or an automation calls.

    `async_register_admin_service` supports no response in Home Assistant 2025.4.
    """
    await _async_check(call, lambda user: user.is_admin)


async def async_check_control(call: ServiceCall) -> None:
    """Raise unless an automation calls, or a user who may control all entities."""
    await _async_check(
        call, lambda user: user.permissions.access_all_entities(POLICY_CONTROL)
    )


async def _async_check(call: ServiceCall, is_allowed: Callable[[User], bool]) -> None:
    if call.context.user_id is None:
        return
    if (user := await call.hass.auth.async_get_user(call.context.user_id)) is None:
        raise UnknownUser(context=call.context)
    if not is_allowed(user):
        raise Unauthorized(context=call.context)
