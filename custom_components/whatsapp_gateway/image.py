"""Image with the QR code of an instance that waits to be scanned."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .entity import InstanceEntity, async_add_instances
from .pairing.qr import blank
from .providers.models import GatewayError, InstanceStatus, Unauthorized

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import GatewayConfigEntry, GatewayCoordinator

PARALLEL_UPDATES = 0

_LOGGER = logging.getLogger(__name__)

# all in seconds
MAX_AGE = 5.0
"""How old a code may be when a browser asks for it."""
TIME_LIMIT = 8.0
"""For a request; Home Assistant gives an image entity 10 s."""
MIN_INTERVAL = 0.1
"""Between two changes of the picture."""
SHOW_AGAIN = 1.0
"""Until the picture is announced again, to cards that have just appeared."""

QR_CODE = ImageEntityDescription(
    key="qr_code",
    translation_key="qr_code",
    # keeps the picture, which is seldom available, off generated dashboards
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the images of the instances that are linked by a QR code."""
    coordinator = entry.runtime_data
    async_add_instances(
        entry,
        async_add_entities,
        lambda instance_id: (
            [QrImage(coordinator, instance_id)]
            if coordinator.data[instance_id].linkable
            else []
        ),
    )


class QrImage(InstanceEntity, ImageEntity):
    """The QR code to scan now, fetched while somebody looks at it."""

    _attr_content_type = "image/png"

    def __init__(self, coordinator: GatewayCoordinator, instance_id: str) -> None:
        """Have no picture until somebody looks."""
        InstanceEntity.__init__(self, coordinator, instance_id, QR_CODE)
        ImageEntity.__init__(self, coordinator.hass)
        self._attr_image_last_updated = dt_util.utcnow()
        self._cancel_change: CALLBACK_TYPE | None = None

    @property
    @override
    def available(self) -> bool:
        return super().available and self.instance.status is InstanceStatus.SCAN_QR

    @property
    @override
    def entity_picture(self) -> str | None:
        """Return the picture; without one the frontend shows the icon."""
        return super().entity_picture if self.available else None

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        if self._previous != self._shown:
            self._attr_image_last_updated = dt_util.utcnow()
            self._async_stop()
            if self.available:
                self._async_change_later(SHOW_AGAIN)
        super()._handle_coordinator_update()

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._async_stop()

    @override
    async def async_image(self) -> bytes | None:
        """Return the code that can be scanned now, or a blank if there is none."""
        if not self.available:
            return None
        live_code = self.coordinator.live_code(self.instance_id)
        try:
            async with asyncio.timeout(TIME_LIMIT):
                await live_code.refresh(MAX_AGE)
        except Unauthorized:
            self.coordinator.async_start_reauth()
        except (GatewayError, TimeoutError) as err:
            _LOGGER.debug("No QR code: %s", type(err).__name__)
        if not self.available or self.coordinator.provider.closed:
            return None
        png = live_code.png
        changes_at = live_code.ends_at if png else live_code.next_look_at
        changes_in = min(changes_at - monotonic(), MAX_AGE)
        self._async_change_later(max(changes_in, MIN_INTERVAL))
        return png or await self.hass.async_add_executor_job(blank)

    @callback
    def _async_change_later(self, seconds: float) -> None:
        """Let the browsers that still look fetch the picture again."""
        self._async_stop()
        self._cancel_change = async_call_later(self.hass, seconds, self._async_change)

    @callback
    def _async_change(self, _now: datetime) -> None:
        self._cancel_change = None
        self._attr_image_last_updated = dt_util.utcnow()
        self.async_write_ha_state()

    @callback
    def _async_stop(self) -> None:
        if self._cancel_change:
            self._cancel_change()
            self._cancel_change = None
