"""Fetch what the list of instances lacks: their details, and the server's version."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr

from .devices import async_instance_devices
from .providers.models import GatewayError, RateLimited, Unreachable

if TYPE_CHECKING:
    from .coordinator import GatewayCoordinator
    from .providers.models import Instance


class Details:
    """Fetch the details that entities show, and the version of the server."""

    def __init__(self, coordinator: GatewayCoordinator) -> None:
        """Know nothing yet."""
        self.server_version: str | None = None
        self._coordinator = coordinator
        self._fetching = False
        self._version_wanted = True

    @callback
    def async_fetch(self) -> None:
        """Fetch what is missing, without delaying the poll."""
        coordinator = self._coordinator
        # a server that was down may have been updated
        self._version_wanted |= not coordinator.last_update_success
        wanted = self._version_wanted or any(coordinator.async_contexts())
        if wanted and not self._fetching:
            self._fetching = True
            coordinator.config_entry.async_create_background_task(
                coordinator.hass, self._async_fetch(), f"{coordinator.name} details"
            )

    async def _async_fetch(self) -> None:
        # gives the poll time to publish its list
        await asyncio.sleep(0)
        coordinator = self._coordinator
        try:
            # entities that need more than the list have their instance as context
            wanted = {str(instance_id) for instance_id in coordinator.async_contexts()}
            found = await coordinator.provider.details(
                coordinator.data[instance_id]
                for instance_id in wanted & coordinator.data.keys()
            )
            if self._version_wanted:
                await self._async_fetch_version()
        except GatewayError:
            return
        finally:
            self._fetching = False
        self._async_publish(found)

    @callback
    def _async_publish(self, found: list[Instance]) -> None:
        """Show details of instances that are still as they were in the list."""
        coordinator = self._coordinator
        details = {
            instance.id: instance
            for instance in found
            if instance.id in coordinator.data
            and instance.status is coordinator.data[instance.id].status
            and not coordinator.provider.closed
        }
        if details:
            coordinator.data = {**coordinator.data, **details}
            coordinator.async_update_listeners()

    async def _async_fetch_version(self) -> None:
        try:
            version = await self._coordinator.provider.server_version()
        except (RateLimited, Unreachable):
            # asked again at the next poll
            return
        except GatewayError:
            # the server refuses this, at least until it is updated
            self._version_wanted = False
            return
        self._async_store_version(version)

    @callback
    def _async_store_version(self, version: str | None) -> None:
        """Show the version of the server at the devices."""
        coordinator = self._coordinator
        self._version_wanted = False
        if version == self.server_version or coordinator.provider.closed:
            return
        self.server_version = version
        registry = dr.async_get(coordinator.hass)
        for device in async_instance_devices(
            coordinator.hass, coordinator.config_entry
        ):
            registry.async_update_device(device.id, sw_version=version)
