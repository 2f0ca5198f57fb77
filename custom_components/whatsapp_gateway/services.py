"""Register all actions, and implement those that create and delete instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import voluptuous as vol

from homeassistant.const import ATTR_DEVICE_ID, ATTR_NAME, CONF_TYPE
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr

from .actions.ask import async_setup_question_services
from .actions.calls import DEVICE_SCHEMA, async_check_admin, coordinator_of, instance_of
from .actions.instances import async_setup_media_services
from .actions.send import async_setup_message_services
from .const import DOMAIN
from .providers.models import Feature
from .texts import invalid

if TYPE_CHECKING:
    from .messages.media_view import MediaView

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


@callback
def async_setup_services(hass: HomeAssistant, media_view: MediaView) -> None:
    """Register the actions."""
    hass.services.async_register(
        DOMAIN,
        "create_instance",
        _async_create_instance,
        CREATE_SCHEMA,
        SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN, "delete_instance", _async_delete_instance, DEVICE_SCHEMA
    )
    async_setup_message_services(hass, media_view)
    async_setup_question_services(hass)
    async_setup_media_services(hass)


async def _async_create_instance(call: ServiceCall) -> ServiceResponse:
    """Create an instance in an account, and return it."""
    await async_check_admin(call)
    coordinator = coordinator_of(call.hass, call.data[ATTR_CONFIG_ENTRY_ID])
    provider = coordinator.provider
    instance_type, metadata = call.data.get(CONF_TYPE), call.data.get(ATTR_METADATA)
    if Feature.CREATE not in provider.features:
        raise invalid("key_bound")
    if instance_type and instance_type not in provider.instance_types:
        raise invalid("unknown_type", type=instance_type, provider=provider.name)
    if metadata and Feature.METADATA not in provider.features:
        raise invalid("no_metadata", provider=provider.name)
    if not provider.accepts_name(name := call.data[ATTR_NAME]):
        raise invalid("invalid_name", max_length=str(provider.max_name_length))
    with coordinator.translated_errors():
        instance = await provider.create(
            name, instance_type=instance_type, metadata=metadata
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
            (device.id for device in devices if identifier in device.identifiers), None
        ),
    }


async def _async_delete_instance(call: ServiceCall) -> None:
    """Delete an instance; also succeeds if it is deleted already."""
    await async_check_admin(call)
    coordinator, instance = instance_of(call.hass, call.data[ATTR_DEVICE_ID])
    await coordinator.async_delete(instance)
