"""What a person does with Home Assistant and the phone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
import re
import time
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession
from playwright.async_api import expect
import pytest

from tests.gateways import GATEWAYS
from tests.harness.facts import SUPPORTED, any_gateway
from tests.harness.qr_reader import read_data_uri, read_qr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import Locator, Page

LOOKS = ("light-desktop", "dark-phone")
"""Themes and sizes of the screen."""
EACH_GATEWAY_AND_LOOK = pytest.mark.parametrize(
    ("look", "provider"),
    [
        *((LOOKS[0], provider) for provider in SUPPORTED),
        (LOOKS[1], any_gateway().provider),
    ],
)
"""Run a test for each gateway, and in each look, but not for all pairs of them."""
INTEGRATION_PAGE = "/config/integrations/integration/whatsapp_gateway"
RECORD_BOXES = """dialog => {
    const find = root => {
        for (const element of root.querySelectorAll("*")) {
            if (element.matches("ha-markdown-element img")) return element;
            const found = element.shadowRoot && find(element.shadowRoot);
            if (found) return found;
        }
    };
    window.boxes = {};
    const look = () => {
        const image = find(dialog.shadowRoot);
        const box = image?.complete && image.getBoundingClientRect();
        if (box) {
            const at = [box.x, box.y, box.width, box.height].join();
            (window.boxes[at] ??= {})[image.src] = true;
        }
        if (dialog.isConnected) requestAnimationFrame(look);
    };
    look();
}"""
"""Note place, size and content of the picture in a dialog at each frame.

The frontend builds the dialog's content anew after each change, so some frames have no
picture.
"""


@dataclass
class GatewayProcess:
    """The gateways and the phone, which run in a process of their own."""

    phone: ClientSession
    ports: dict[str, int]

    def url(self, provider: str) -> str:
        """Return the address of a gateway."""
        return f"http://127.0.0.1:{self.ports[provider]}"

    async def create(self, provider: str, name: str, *, key: str | None = None) -> str:
        """Create an instance by the gateway's API; return its ID."""
        gateway = GATEWAYS[provider]()
        [create] = (one for one in gateway.routes() if one.kwargs["name"] == "create")
        async with (
            ClientSession(self.url(provider), headers=gateway.headers(key)) as session,
            session.request(
                create.method, create.path, json=gateway.create_body(name)
            ) as response,
        ):
            assert response.ok, await response.text()
        async with self.phone.get("/instances") as response:
            instances = await response.json()
        [instance_id] = (one["id"] for one in instances if one["name"] == name)
        assert isinstance(instance_id, str)
        return instance_id

    async def new_round(self, instance_id: str) -> None:
        """Let an instance wait for a scan, with a QR code that is new."""
        await self._post("/new_round", id=instance_id)

    async def scan(self, text: str) -> str:
        """Scan what a camera has read; return the ID of the instance."""
        instance_id: str = (await self._post("/scan", text=text))["id"]
        return instance_id

    async def scan_now(self, instance_id: str) -> None:
        """Scan what an instance shows, though nobody has read it from a screen."""
        await self._post("/scan", id=instance_id)

    async def unlink(self, instance_id: str) -> None:
        """Remove the linked device on the phone."""
        await self._post("/unlink", id=instance_id)

    async def _post(self, path: str, **body: str) -> Any:
        async with self.phone.post(path, json=body) as response:
            assert response.ok, await response.text()
            return await response.json() if response.content_length else None


class Home:
    """Home Assistant's user interface, and its API for what a test prepares."""

    shot: Callable[[str], Awaitable[bytes]]
    """Take a screenshot with this name."""

    def __init__(self, page: Page, api: ClientSession, url: str) -> None:
        """Use Home Assistant through a page of the browser."""
        self.page = page
        self.api = api
        self.url = url

    async def click(self, text: str) -> None:
        """Click a text."""
        await self.page.get_by_text(text, exact=True).first.click()

    async def submit(self) -> None:
        """Press the button of a form."""
        await self.page.get_by_role("button", name="Submit").click()

    async def close(self) -> None:
        """Close the dialog."""
        await self.page.get_by_role("button", name="Close").first.click()
        await expect(self.dialog).to_have_count(0)

    @property
    def dialog(self) -> Locator:
        """Return the dialog, if it is open."""
        return self.page.locator("dialog-data-entry-flow ha-dialog")

    @property
    def code(self) -> Locator:
        """Return the picture in the dialog; it has lost its alternative text there."""
        return self.page.locator("dialog-data-entry-flow ha-markdown-element img")

    async def add_account(
        self, provider: str, url: str, *, key: str | None = None
    ) -> None:
        """Add the integration, up to the question what to link."""
        await self.page.goto(
            f"{self.url}/config/integrations/dashboard/add?domain=whatsapp_gateway"
        )
        await self.page.get_by_role("button", name="OK").click()
        await self.enter_account(provider, url, key=key)

    async def enter_account(
        self, provider: str, url: str, *, key: str | None = None
    ) -> None:
        """Fill in the forms of the gateway, its address and the API key."""
        gateway = GATEWAYS[provider]
        await self.page.get_by_text(gateway.title, exact=True).last.click()
        await self.submit()
        await self.page.locator("input[type=url]").fill(url)
        await self.page.locator("input[type=password]").fill(key or gateway.key)
        await self.submit()

    async def create(self, name: str) -> None:
        """Choose to create an instance, and give it a name."""
        await self.click("Create an instance")
        await self.page.locator("ha-selector-text input").first.fill(name)
        await self.submit()

    async def skip_linking(self) -> None:
        """End the setup without linking."""
        await self.click("Finish without linking")
        await expect(
            self.page.get_by_text("The account has been added")
        ).to_be_visible()
        await self.close()

    async def read_code(
        self,
        *,
        other_than: str | None = None,
        seconds: float = 60,
        shot: str = "dialog",
    ) -> str:
        """Read a QR code from what is on screen, as a phone's camera does."""
        deadline = time.monotonic() + seconds
        while True:
            text = read_qr(await self.shot(shot))
            if text and text != other_than:
                return text
            assert time.monotonic() < deadline, "No code on screen"
            await asyncio.sleep(0.2)

    async def wait_for_code(self, seconds: float) -> float:
        """Wait until the dialog shows a QR code; return how long that took."""
        start = time.monotonic()
        async with asyncio.timeout(seconds):
            while not read_data_uri(await self.code.get_attribute("src") or ""):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return time.monotonic() - start

    @asynccontextmanager
    async def still_picture(self) -> AsyncIterator[None]:
        """Check that the picture in the dialog neither moves nor changes its size."""
        await self.page.locator("dialog-data-entry-flow").evaluate(RECORD_BOXES)
        yield
        boxes = await self.page.evaluate("window.boxes")
        assert len(boxes) == 1, boxes.keys()
        [pictures] = boxes.values()
        texts = {read_data_uri(picture) for picture in pictures}
        # two codes, and between them a picture that is none
        assert len(texts) == 3
        assert None in texts

    async def expect_linked(self, name: str, *, seconds: float = 4) -> None:
        """Check that the dialog soon says that a number is linked."""
        end = self.page.get_by_text(f"{name} is linked.")
        await expect(end).to_be_visible(timeout=seconds * 1000)

    async def state(self, entity_id: str) -> str:
        """Return an entity's state; empty if there is no such entity."""
        async with self.api.get(f"/api/states/{entity_id}") as response:
            state: str = (await response.json()).get("state", "")
            return state

    async def wait_for_state(self, entity_id: str, expected: str) -> None:
        """Wait until an entity has a state."""
        deadline = time.monotonic() + 40
        while (state := await self.state(entity_id)) != expected:
            assert time.monotonic() < deadline, state
            await asyncio.sleep(0.2)

    async def press(self, entity_id: str) -> None:
        """Press a button entity, as an automation does."""
        await self._post("/api/services/button/press", entity_id=entity_id)

    async def accounts(self) -> dict[str, str]:
        """Return the entry ID of each account by its title."""
        path = "/api/config/config_entries/entry?domain=whatsapp_gateway"
        async with self.api.get(path) as response:
            return {one["title"]: one["entry_id"] for one in await response.json()}

    async def delete_account(self, entry_id: str) -> None:
        """Delete an account."""
        path = f"/api/config/config_entries/entry/{entry_id}"
        async with self.api.delete(path) as response:
            assert response.ok, await response.text()

    async def open_dashboard(self, config: dict[str, Any]) -> None:
        """Create a dashboard and open it."""
        await self.page.goto(f"{self.url}/config")
        await self.page.wait_for_function(
            "document.querySelector('home-assistant')?.hass?.connected"
        )
        dashboard = {"title": "Test", "url_path": "test-dashboard", "mode": "storage"}
        for message in (
            {"type": "lovelace/dashboards/create", **dashboard},
            {
                "type": "lovelace/config/save",
                "url_path": dashboard["url_path"],
                "config": config,
            },
        ):
            await self.page.evaluate(
                "message => document.querySelector('home-assistant').hass"
                ".callWS(message)",
                message,
            )
        await self.page.goto(f"{self.url}/{dashboard['url_path']}")

    async def open_integration(self) -> None:
        """Open the page of the integration with its accounts."""
        await self.page.goto(f"{self.url}{INTEGRATION_PAGE}")

    async def start_setup(self) -> None:
        """Add another account from the integration's page."""
        name = re.compile("Add (entry|hub|service|device)", re.IGNORECASE)
        await self.page.get_by_role("button", name=name).first.click()

    async def open_menu(self) -> None:
        """Open the menu of the only account on the integration's page."""
        await self.page.get_by_role("button", name="Configure").first.wait_for()
        menus = self.page.get_by_role("button", name="Menu")
        # newer versions have a menu of the page before that
        await menus.nth(min(1, await menus.count() - 1)).click()

    async def open_device(self, entity_id: str) -> None:
        """Open the device page of an entity."""
        template = f"{{{{ device_id('{entity_id}') }}}}"
        device = await self._post("/api/template", template=template)
        await self.page.goto(f"{self.url}/config/devices/device/{device}")

    async def _post(self, path: str, **body: str) -> str:
        async with self.api.post(path, json=body) as response:
            text = await response.text()
            assert response.ok, text
            return text
