"""What comes after the first link: the Configure menu, a repair, a changed account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import expect
import pytest

from tests.harness.facts import SUPPORTED

from .home import LOOKS, WITH_AND_WITHOUT_CODE

if TYPE_CHECKING:
    from .home import GatewayProcess, Home


@pytest.mark.parametrize(
    ("look", "provider"), [*zip(LOOKS, WITH_AND_WITHOUT_CODE, strict=True)]
)
@pytest.mark.parametrize("scale", [1.0])
async def test_later(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Link a number from the Configure menu; repair it after the phone unlinked it."""
    await gateways.create(provider, "Kitchen")
    await home.add_account(provider, gateways.url(provider))
    await home.skip_linking()
    await home.wait_for_state("sensor.kitchen_status", "created")

    await home.open_integration()
    await home.page.get_by_role("button", name="Configure").first.click()
    await home.choose("Link an instance")
    await home.choose_qr_code(provider)
    instance_id = await home.scan(gateways, shot="configure")
    await home.expect_linked("Kitchen")
    await home.shot("configured")
    await home.wait_for_state("sensor.kitchen_status", "connected")

    await gateways.unlink(instance_id)
    await home.wait_for_state("sensor.kitchen_status", "disconnected")
    await home.page.goto(f"{home.url}/config/repairs")
    issue = home.page.get_by_text("WhatsApp number Kitchen is disconnected")
    await issue.wait_for(timeout=150_000)
    await home.shot("repair")
    await issue.click()
    await home.choose_qr_code(provider)
    await home.scan(gateways, shot="repairing")
    await home.wait_for_state("sensor.kitchen_status", "connected")
    await expect(home.page.get_by_text("repaired")).to_be_visible()
    await home.shot("repaired")


@pytest.mark.parametrize("look", ["light-desktop"])
@pytest.mark.parametrize("provider", WITH_AND_WITHOUT_CODE[:1])
async def test_close_at_the_code(
    home: Home, gateways: GatewayProcess, provider: str
) -> None:
    """Keep the account when the first setup is closed at the QR code."""
    await home.add_account(provider, gateways.url(provider))
    await home.create("Kitchen")
    await home.choose_qr_code(provider)
    await home.read_code()
    await home.close()
    assert len(await home.accounts()) == 1
    await home.wait_for_state("sensor.kitchen_status", "scan_qr")
    await home.open_integration()
    await home.page.get_by_role("button", name="Configure").first.wait_for()
    await home.shot("integration")


@pytest.mark.parametrize(
    ("look", "provider"), [*zip(LOOKS, reversed(WITH_AND_WITHOUT_CODE), strict=True)]
)
async def test_reconfigure(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Change the API key: the error of a wrong one appears, and is corrected there."""
    await gateways.create(provider, "Kitchen")
    await home.add_account(provider, gateways.url(provider))
    await home.skip_linking()
    await home.wait_for_state("sensor.kitchen_status", "created")

    await home.open_integration()
    await home.choose_from_menu("Reconfigure")
    await home.page.locator("input[type=password]").fill("wrong")
    await home.submit()
    await expect(home.page.get_by_text("rejected this API key")).to_be_visible()
    await home.shot("reconfigure")
    await home.page.locator("input[type=password]").fill(SUPPORTED[provider].key)
    await home.submit()
    await expect(home.page.get_by_text("was successful")).to_be_visible()
