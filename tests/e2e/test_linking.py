"""From nothing to a linked number, and back to one that must be linked again."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from playwright.async_api import expect
import pytest

from tests.harness.facts import SUPPORTED, with_and_without

from .home import BY_CODE, LOOKS, WITH_AND_WITHOUT_CODE, in_looks

if TYPE_CHECKING:
    from .home import GatewayProcess, Home


@in_looks(SUPPORTED)
async def test_first_link(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Add an account, scan the QR code, unlink the number, and link it again."""
    await home.add_account(provider, gateways.url(provider))
    await home.create("Kitchen")
    await home.choose_qr_code(provider)
    instance_id = await home.scan(gateways)
    await home.expect_linked("Kitchen")
    await home.shot("linked")
    await home.close()

    await home.open_device("sensor.kitchen_status")
    await expect(home.page.get_by_text("Connected").first).to_be_visible()
    await home.shot("device")

    await gateways.unlink(instance_id)
    state = await home.wait_for_state("sensor.kitchen_status", "disconnected", "failed")
    await expect(home.page.get_by_text(state.capitalize()).first).to_be_visible()
    if SUPPORTED[provider].has("stale_links"):
        # a start doesn't help; the dialog unlinks the phone at the gateway
        await home.open_integration()
        await home.page.get_by_role("button", name="Configure").first.click()
        await home.choose("Link an instance")
        await home.choose_qr_code(provider)
        await home.scan(gateways)
        await home.expect_linked("Kitchen")
    else:
        await home.page.get_by_role("button", name="Press").first.click()
        await home.wait_for_state("sensor.kitchen_status", "scan_qr")
        await home.page.get_by_text("QR code", exact=True).first.click()
        await home.scan(gateways, shot="image")
    await home.wait_for_state("sensor.kitchen_status", "connected")


@in_looks(BY_CODE)
async def test_pairing_code(
    home: Home, gateways: GatewayProcess, provider: str
) -> None:
    """Enter a pairing code on the phone; the dialog ends by itself."""
    await home.add_account(provider, gateways.url(provider))
    await home.create("Kitchen")
    await home.request_code("+1 202 555 0123")
    await gateways.enter(await home.read_pairing_code())
    await home.expect_linked("Kitchen")
    await home.shot("linked")
    await home.wait_for_state("sensor.kitchen_status", "connected")


@pytest.mark.parametrize(
    ("look", "provider"),
    zip(
        cycle(LOOKS),
        dict.fromkeys(with_and_without("code_end") + WITH_AND_WITHOUT_CODE),
        strict=False,
    ),
)
async def test_next_code(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Leave the picture in its place while one code takes the place of another."""
    await home.add_account(provider, gateways.url(provider))
    await home.create("Kitchen")
    await home.choose_qr_code(provider)
    first = await home.read_code()
    async with home.still_picture():
        await home.read_code(other_than=first)
    await home.scan(gateways, other_than=first)
    await home.expect_linked("Kitchen")
