"""Dashboards with the entities of an instance."""

from __future__ import annotations

from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect
import pytest

from homeassistant.util.yaml import parse_yaml

from .home import LOOKS, WITH_AND_WITHOUT_CODE

if TYPE_CHECKING:
    from .home import GatewayProcess, Home

README = Path(__file__).parents[2] / "README.md"
BROKEN_PICTURES = """() => {
    const broken = [];
    const look = root => {
        for (const element of root.querySelectorAll("*")) {
            if (element.shadowRoot) look(element.shadowRoot);
            if (element.matches("img") && element.complete && !element.naturalWidth)
                broken.push(element.src);
        }
    };
    look(document);
    return broken;
}"""


def card_of_readme() -> dict[str, Any]:
    """Return the README's card with the QR code of an instance named Front desk."""
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    [card] = (block for block in blocks if "picture-entity" in block)
    parsed = parse_yaml(card)
    assert isinstance(parsed, dict)
    return parsed


@pytest.mark.parametrize(
    ("look", "provider"), [*zip(LOOKS, WITH_AND_WITHOUT_CODE, strict=True)]
)
async def test_card(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Show the README's card when a QR code waits, though nothing else changes."""
    instance_id = await gateways.create(provider, "Front desk")
    await home.add_account(provider, gateways.url(provider))
    await home.skip_linking()
    await home.wait_for_state("sensor.front_desk_status", "created")
    cards = [{"type": "markdown", "content": "No number waits."}, card_of_readme()]
    await home.open_dashboard({"views": [{"title": "Test", "cards": cards}]})
    await home.page.get_by_text("No number waits.").wait_for()
    card = home.page.locator("hui-picture-entity-card")
    await expect(card).not_to_be_visible()

    await gateways.new_round(instance_id)
    await home.wait_for_state("sensor.front_desk_status", "scan_qr")
    await home.scan(gateways, shot="card")
    await home.wait_for_state("sensor.front_desk_status", "connected")
    await expect(card).not_to_be_visible()


@pytest.mark.parametrize("look", ["light-desktop"])
@pytest.mark.parametrize("provider", WITH_AND_WITHOUT_CODE[:1])
async def test_overview(home: Home, gateways: GatewayProcess, provider: str) -> None:
    """Show no broken picture of a healthy number on the generated dashboard."""
    instance_id = await gateways.create(provider, "Front desk")
    await home.add_account(provider, gateways.url(provider))
    await home.skip_linking()
    await home.wait_for_state("sensor.front_desk_status", "created")
    await gateways.new_round(instance_id)
    await gateways.scan_now(instance_id)
    await home.wait_for_state("sensor.front_desk_status", "connected")

    await home.open_dashboard({"strategy": {"type": "original-states"}})
    await home.page.get_by_text("Front desk").first.wait_for()
    await home.shot("overview")
    await expect(home.page.get_by_text("QR code")).to_have_count(0)
    assert await home.page.evaluate(BROKEN_PICTURES) == []
