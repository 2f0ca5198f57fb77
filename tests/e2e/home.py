"""What a person does with Home Assistant and the phone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import time
from typing import TYPE_CHECKING

from aiohttp import ClientSession

from tests.gateways import GATEWAYS
from tests.harness.qr_reader import read_qr

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page


@dataclass
class GatewayProcess:
    """The gateways and the phone, in a process of their own."""

    phone: ClientSession
    ports: dict[str, int]

    def url(self, provider: str) -> str:
        """Return the address of a gateway."""
        return f"http://127.0.0.1:{self.ports[provider]}"

    async def create(self, provider: str, name: str) -> None:
        """Create an instance behind Home Assistant's back, by the gateway's API."""
        gateway = GATEWAYS[provider]()
        [create] = (one for one in gateway.routes() if one.kwargs["name"] == "create")
        async with (
            ClientSession(self.url(provider), headers=gateway.headers()) as session,
            session.request(
                create.method, create.path, json=gateway.create_body(name)
            ) as response,
        ):
            assert response.ok, await response.text()

    async def scan(self, text: str) -> str:
        """Scan what a camera has read; return the id of the instance."""
        async with self.phone.post("/scan", json={"text": text}) as response:
            assert response.ok, await response.text()
            instance_id: str = (await response.json())["id"]
            return instance_id

    async def unlink(self, instance_id: str) -> None:
        """Log the device out on the phone."""
        async with self.phone.post("/unlink", json={"id": instance_id}) as response:
            assert response.ok


class Home:
    """Home Assistant's user interface."""

    shot: Callable[[str], Awaitable[bytes]]

    def __init__(self, page: Page, api: ClientSession, url: str) -> None:
        """Look at it through a browser's page, and its API."""
        self.page = page
        self.api = api
        self.url = url

    async def click(self, text: str) -> None:
        """Click on a text."""
        await self.page.get_by_text(text, exact=True).first.click()

    async def submit(self) -> None:
        """Press the dialog's button."""
        await self.page.get_by_role("button", name="Submit").click()

    async def sign_in(self, provider: str, url: str) -> None:
        """Add the integration, up to the account."""
        await self.page.goto(
            f"{self.url}/config/integrations/dashboard/add?domain=whatsapp_gateway"
        )
        await self.page.get_by_role("button", name="OK").click()
        await self.page.get_by_text(GATEWAYS[provider].title, exact=True).click()
        await self.submit()
        await self.page.locator("input[type=url]").fill(url)
        await self.page.locator("input[type=password]").fill(GATEWAYS[provider].key)
        await self.submit()

    async def create(self, name: str) -> None:
        """Give a new instance its name."""
        await self.page.locator("ha-selector-text input").first.fill(name)
        await self.submit()

    async def read_code(
        self, *, other_than: str | None = None, shot: str = "dialog"
    ) -> str:
        """Read a code from what is on screen, as a phone's camera does."""
        deadline = time.monotonic() + 60
        while True:
            text = read_qr(await self.shot(shot))
            if text and text != other_than:
                return text
            assert time.monotonic() < deadline, "No code on screen"
            await asyncio.sleep(0.2)

    async def state(self, entity_id: str) -> str:
        """Return an entity's state."""
        async with self.api.get(f"/api/states/{entity_id}") as response:
            state: str = (await response.json())["state"]
            return state

    async def wait_for_state(self, entity_id: str, expected: str) -> None:
        """Wait until an entity has a state."""
        deadline = time.monotonic() + 40
        while (state := await self.state(entity_id)) != expected:
            assert time.monotonic() < deadline, state
            await asyncio.sleep(0.2)

    async def press(self, entity_id: str) -> None:
        """Press a button, as an automation does."""
        body = {"entity_id": entity_id}
        async with self.api.post("/api/services/button/press", json=body) as response:
            assert response.ok

    async def open_integration(self) -> None:
        """Open the page of the integration with its accounts."""
        path = "/config/integrations/integration/whatsapp_gateway"
        await self.page.goto(f"{self.url}{path}")

    async def open_device(self, entity_id: str) -> None:
        """Open the device page of an entity."""
        template = f"{{{{ device_id('{entity_id}') }}}}"
        body = {"template": template}
        async with self.api.post("/api/template", json=body) as response:
            device = await response.text()
        await self.page.goto(f"{self.url}/config/devices/device/{device}")
