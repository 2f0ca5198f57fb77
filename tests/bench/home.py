"""A Home Assistant to measure in."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from aiohttp import ThreadedResolver

from homeassistant.helpers import aiohttp_client
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from pytest_homeassistant_custom_component.common import async_test_home_assistant

# before the test configuration has one of this name
import custom_components.whatsapp_gateway  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.core import HomeAssistant


class Resolver(ThreadedResolver):
    """Resolve names without searching the network for them."""

    real_close = ThreadedResolver.close


@asynccontextmanager
async def home_assistant() -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant that finds the integration, and stop it."""
    resolver = patch.object(
        aiohttp_client, "_async_make_resolver", lambda _: Resolver()
    )
    async with async_test_home_assistant() as hass:
        del hass.data[DATA_CUSTOM_COMPONENTS]
        with resolver:
            yield hass
        await hass.async_stop(force=True)
