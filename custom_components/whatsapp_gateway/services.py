"""Actions to create and delete instances."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import voluptuous as vol

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_DEVICE_ID, ATTR_NAME, CONF_TYPE
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN
from .providers.models import Feature, NotFound

if TYPE_CHECKING:
    from .coordinator import GatewayConfigEntry, GatewayCoordinator
    from .providers.models import Instance

ATTR_CONFIG_ENTRY_ID = "config_entry_id"
ATTR_METADATA = "metadata"

CREATE_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Required(ATTR_NAME): vol.All(cv.string, vol.Strip, vol.Length(min=1)),
        vol.Optional(CONF_TYPE): cv.string,
        vol.Optional(ATTR_METADATA): dict,
    }
)
DELETE_SCHEMA = vol.Schema({vol.Required(ATTR_DEVICE_ID): cv.string})


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(
        DOMAIN,
        "create_instance",
        _async_create_instance,
        CREATE_SCHEMA,
        SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN, "delete_instance", _async_delete_instance, DELETE_SCHEMA
    )


async def _async_create_instance(call: ServiceCall) -> ServiceResponse:
    """Create an instance in an account, and return it."""
    await _async_check_admin(call)
    coordinator = _coordinator(call.hass, call.data[ATTR_CONFIG_ENTRY_ID])
    provider = coordinator.provider
    instance_type, metadata = call.data.get(CONF_TYPE), call.data.get(ATTR_METADATA)
    if Feature.CREATE not in provider.features:
        raise _invalid("key_bound")
    if instance_type and instance_type not in provider.instance_types:
        raise _invalid("unknown_type", type=instance_type, provider=provider.name)
    if metadata and Feature.METADATA not in provider.features:
        raise _invalid("no_metadata", provider=provider.name)
    with coordinator.translated_errors():
        instance = await provider.create(
            call.data[ATTR_NAME], instance_type=instance_type, metadata=metadata
        )
    await coordinator.async_refresh()
    identifier = (DOMAIN, coordinator.unique_id(instance.id))
    devices = dr.async_entries_for_config_entry(
        dr.async_get(call.hass), coordinator.config_entry.entry_id
    )
    return {
        "id": instance.id,
        "name": instance.name,
        "status": instance.status,
        "device_id": next(
            (one.id for one in devices if identifier in one.identifiers), None
        ),
    }


async def _async_delete_instance(call: ServiceCall) -> None:
    """Delete an instance; also succeeds if it is deleted already."""
    await _async_check_admin(call)
    coordinator, instance = _instance(call.hass, call.data[ATTR_DEVICE_ID])
    with coordinator.translated_errors(), suppress(NotFound):
        await coordinator.provider.delete(instance.id)
    await coordinator.async_refresh()


async def _async_check_admin(call: ServiceCall) -> None:
    """Raise unless an administrator or an automation calls.

    `async_register_admin_service` supports no response in Home Assistant 2025.4.
    """
    if call.context.user_id is None:
        return
    if (user := await call.hass.auth.async_get_user(call.context.user_id)) is None:
        raise UnknownUser(context=call.context)
    if not user.is_admin:
        raise Unauthorized(context=call.context)


def _coordinator(hass: HomeAssistant, entry_id: str) -> GatewayCoordinator:
    """Return the coordinator of an account that is loaded."""
    entry = hass.config_entries.async_get_entry(entry_id)
    if not entry or entry.domain != DOMAIN:
        raise _invalid("no_account")
    if entry.state is not ConfigEntryState.LOADED:
        raise _invalid("not_loaded", name=entry.title)
    return cast("GatewayConfigEntry", entry).runtime_data


def _instance(
    hass: HomeAssistant, device_id: str
) -> tuple[GatewayCoordinator, Instance]:
    """Return the instance that a device stands for, and its account."""
    registry = dr.async_get(hass)
    device = registry.async_get(device_id)
    for entry in hass.config_entries.async_entries(DOMAIN):
        if device in dr.async_entries_for_config_entry(registry, entry.entry_id):
            coordinator = _coordinator(hass, entry.entry_id)
            if instance := coordinator.instance_of(device):
                return coordinator, instance
    raise _invalid("no_instance")


def _invalid(key: str, **placeholders: str) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )
