"""From nothing to a linked number, and back to one that must be linked again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from playwright.async_api import expect
import pytest

from tests.harness.facts import SUPPORTED

if TYPE_CHECKING:
    from .home import GatewayProcess, Home


@pytest.mark.parametrize("provider", SUPPORTED)
async def test_first_link(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Add an account, watch the code renew itself, scan it; unlink, link again."""
    await home.sign_in(provider, gateways.url(provider))
    await home.create("Kitchen")
    first = await home.read_code()
    second = await home.read_code(other_than=first)
    third = await home.read_code(other_than=second)
    assert len({first, second, third}) == 3

    instance_id = await gateways.scan(third)
    scanned = time.monotonic()
    finish = home.page.get_by_role("button", name="finish")
    await expect(finish).to_be_visible(timeout=6000)
    assert time.monotonic() - scanned < 4
    await home.shot("linked")
    await finish.click()

    await home.open_device("sensor.kitchen_status")
    await expect(home.page.get_by_text("Connected").first).to_be_visible()
    await home.shot("device")

    await gateways.unlink(instance_id)
    await home.wait_for_state("sensor.kitchen_status", "disconnected")
    await expect(home.page.get_by_text("Disconnected").first).to_be_visible()
    await home.page.get_by_role("button", name="Press").first.click()
    await home.wait_for_state("sensor.kitchen_status", "scan_qr")
    await home.page.get_by_text("QR code", exact=True).first.click()
    await gateways.scan(await home.read_code(shot="image"))
    await home.wait_for_state("sensor.kitchen_status", "connected")
