"""From nothing to a linked number, and back to one that must be linked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import expect
import pytest

from tests.harness.facts import SUPPORTED

if TYPE_CHECKING:
    from .home import GatewayProcess, Home


@pytest.mark.parametrize("provider", SUPPORTED)
async def test_first_link(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Add an account, see the code change twice, scan it; unlink, and link again."""
    await home.add_account(provider, gateways.url(provider))
    await home.create("Kitchen")
    first = await home.read_code()
    async with home.still_picture():
        second = await home.read_code(other_than=first)
        third = await home.read_code(other_than=second)
    assert len({first, second, third}) == 3

    instance_id = await gateways.scan(third)
    await home.expect_linked("Kitchen")
    await home.shot("linked")
    await home.close()

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
