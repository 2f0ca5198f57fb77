"""What comes after the first link: the Configure menu, a repair, a changed account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.async_api import expect
import pytest

from tests.harness.facts import SUPPORTED, any_gateway
from tests.harness.texts import ENGLISH

if TYPE_CHECKING:
    from .home import GatewayProcess, Home

CONFIG = ENGLISH["config"]
MENU_OF_ACCOUNT = 1
"""After the page's own menu."""


@pytest.mark.parametrize("provider", SUPPORTED)
@pytest.mark.parametrize("scale", [1.0])
async def test_later(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Link from the Configure menu, repair an unlinked number, change the account."""
    await gateways.create(provider, "Kitchen")
    await home.sign_in(provider, gateways.url(provider))
    await home.click(CONFIG["step"]["instances"]["menu_options"]["finish"])
    await home.page.get_by_role("button", name="finish").click()
    await home.wait_for_state("sensor.kitchen_status", "created")

    await home.open_integration()
    await home.page.get_by_role("button", name="Configure").first.click()
    await home.click(ENGLISH["options"]["step"]["init"]["menu_options"]["link"])
    instance_id = await gateways.scan(await home.read_code(shot="configure"))
    await expect(home.page.get_by_text("Options successfully saved")).to_be_visible(
        timeout=6000
    )
    await home.shot("configured")
    await home.wait_for_state("sensor.kitchen_status", "connected")

    await gateways.unlink(instance_id)
    await home.wait_for_state("sensor.kitchen_status", "disconnected")
    await home.press("button.kitchen_connect")
    await home.wait_for_state("sensor.kitchen_status", "scan_qr")
    await home.page.goto(f"{home.url}/config/repairs")
    title = ENGLISH["issues"]["not_linked"]["title"].format(name="Kitchen")
    issue = home.page.get_by_text(title)
    await issue.click(timeout=90_000)
    await home.shot("repair")
    await gateways.scan(await home.read_code(shot="repair"))
    await home.wait_for_state("sensor.kitchen_status", "connected")
    await expect(home.page.get_by_text("repaired")).to_be_visible()
    await home.shot("repaired")


@pytest.mark.parametrize("provider", [any_gateway().provider])
async def test_reconfigure(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Change the key: a wrong one is told beside its field, and corrected in place."""
    await gateways.create(provider, "Kitchen")
    await home.sign_in(provider, gateways.url(provider))
    await home.click(CONFIG["step"]["instances"]["menu_options"]["finish"])
    await home.page.get_by_role("button", name="finish").click()
    await home.wait_for_state("sensor.kitchen_status", "created")

    await home.open_integration()
    configure = home.page.get_by_role("button", name="Configure").first
    await configure.wait_for()
    await home.page.get_by_role("button", name="Menu").nth(MENU_OF_ACCOUNT).click()
    await home.click("Reconfigure")
    await home.page.locator("input[type=password]").fill("wrong")
    await home.submit()
    error = home.page.get_by_text(CONFIG["error"]["invalid_auth"])
    await expect(error).to_be_visible()
    await home.shot("reconfigure")
    await home.page.locator("input[type=password]").fill(SUPPORTED[provider].key)
    await home.submit()
    # newer versions have words of their own
    ours = re.escape(CONFIG["abort"]["reconfigure_successful"])
    done = re.compile(f"{ours}|was successful")
    await expect(home.page.get_by_text(done)).to_be_visible()
