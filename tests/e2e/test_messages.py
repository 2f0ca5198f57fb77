"""A group in a chat with an automation: what each of them sends, and who sees it."""

from __future__ import annotations

from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect
import pytest

from homeassistant.util.yaml import parse_yaml

from tests.harness.facts import SUPPORTED
from tests.harness.live import CAMERA, add_camera

from .home import LOOKS

if TYPE_CHECKING:
    from .home import GatewayProcess, Home

WITH_CHATS = [
    key
    for key, kind in SUPPORTED.items()
    if kind.has("chats", "create", "events", "receiving")
]
"""The gateways that list groups, and report messages without a webhook."""
README = Path(__file__).parents[2] / "README.md"


def automation_of_readme() -> dict[str, Any]:
    """Return the README's automation that answers messages to Front desk."""
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    [block] = (one for one in blocks if "Answer with the temperature" in one)
    parsed = parse_yaml(block)
    assert isinstance(parsed, dict)
    [automation] = parsed["automation"]
    assert isinstance(automation, dict)
    return automation


@pytest.mark.parametrize(
    ("look", "provider"), [(look, WITH_CHATS[0]) for look in LOOKS]
)
async def test_messages(
    home: Home, gateways: GatewayProcess, provider: str, tmp_path: Path
) -> None:
    """Choose a group by name, send it a camera picture, and answer what it writes."""
    await add_camera(tmp_path / "config", home.api)
    instance_id = await gateways.create(provider, "Front-desk")
    await gateways.new_round(instance_id)
    await gateways.scan_now(instance_id)
    await home.add_account(provider, gateways.url(provider))
    await home.wait_for_state("sensor.front_desk_status", "connected")

    await home.add_recipient("Family")
    await home.wait_for_state("notify.family", "unknown")
    await home.receive("Only from recipients")
    await home.wait_for_state("event.front_desk_message", "unknown")
    await home.create_automation(automation_of_readme())
    await home.open_device("notify.family")
    await expect(home.page.get_by_text("Group", exact=True)).to_be_visible()
    await home.shot("recipient_device")

    await home.send_picture("notify.family", CAMERA, "Somebody is at the door.")
    await home.page.goto(gateways.page)
    chats = home.page.get_by_role("listitem")
    await expect(chats).to_have_count(1)
    await expect(chats).to_contain_text("Home Assistant to Family")
    await expect(chats).to_contain_text("Somebody is at the door.")
    picture = chats.get_by_role("img")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("image => image.decode().then(() => true)")

    await home.page.get_by_role("combobox", name="Chat").select_option("Family")
    await home.set_state("sensor.living_room_temperature", "21.5")
    message = home.page.get_by_role("textbox", name="Message")
    await message.fill("Which temperature is it?")
    await home.page.get_by_role("button", name="Write").click()
    await expect(chats).to_have_count(3)
    await home.shot("phone")
    await expect(chats.nth(1)).to_have_text("From Family: Which temperature is it?")
    await expect(chats.nth(2)).to_have_text("Home Assistant to Family: It is 21.5 °C.")
