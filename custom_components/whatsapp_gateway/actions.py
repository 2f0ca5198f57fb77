"""Actions: create an instance, delete an instance."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import voluptuous as vol

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    ATTR_DEVICE_ID,
    ATTR_NAME,
    CONF_TYPE,
)
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN
from .providers.models import NotFound

if TYPE_CHECKING:
    from .coordinator import GatewayConfigEntry, GatewayCoordinator

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
def async_setup_actions(hass: HomeAssistant) -> None:
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
    coordinator = _coordinator(call.hass, call.data[ATTR_CONFIG_ENTRY_ID])
    provider = coordinator.provider
    instance_type, metadata = call.data.get(CONF_TYPE), call.data.get(ATTR_METADATA)
    if instance_type and instance_type not in provider.instance_types:
        raise _invalid("unknown_type", type=instance_type, provider=provider.name)
    if metadata and not provider.takes_metadata:
        raise _invalid("no_metadata", provider=provider.name)
    with coordinator.translated_errors():
        instance = await provider.create_once(
            call.data[ATTR_NAME],
            known=coordinator.data,
            instance_type=instance_type,
            metadata=metadata,
        )
    await coordinator.async_refresh()
    return {
        "id": instance.id,
        "name": instance.name,
        "status": instance.status,
        "device_id": next(
            (
                device.id
                for device in dr.async_entries_for_config_entry(
                    dr.async_get(call.hass), coordinator.config_entry.entry_id
                )
                if coordinator.instance_id(device.identifiers) == instance.id
            ),
            None,
        ),
    }


async def _async_delete_instance(call: ServiceCall) -> None:
    """Delete the instance that a device is; succeeds if it is gone already."""
    for entry in call.hass.config_entries.async_entries(DOMAIN):
        for device in dr.async_entries_for_config_entry(
            dr.async_get(call.hass), entry.entry_id
        ):
            if device.id == call.data[ATTR_DEVICE_ID]:
                coordinator = _coordinator(call.hass, entry.entry_id)
                await _async_delete(coordinator, device.identifiers)
                return
    raise _invalid("no_instance")


async def _async_delete(
    coordinator: GatewayCoordinator, identifiers: set[tuple[str, str]]
) -> None:
    if (instance_id := coordinator.instance_id(identifiers)) is None:
        raise _invalid("no_instance")
    # not there is what was asked for
    with coordinator.translated_errors(), suppress(NotFound):
        await coordinator.provider.delete(instance_id)
    await coordinator.async_refresh()


def _coordinator(hass: HomeAssistant, entry_id: str) -> GatewayCoordinator:
    """Return an account that is set up."""
    entry = hass.config_entries.async_get_entry(entry_id)
    if not entry or entry.domain != DOMAIN:
        raise _invalid("no_account")
    if entry.state is not ConfigEntryState.LOADED:
        raise _invalid("not_loaded", name=entry.title)
    return cast("GatewayConfigEntry", entry).runtime_data


def _invalid(key: str, **placeholders: str) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )
