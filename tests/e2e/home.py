"""What a person does with Home Assistant and the phone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
import re
import time
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession
from playwright.async_api import TimeoutError as PlaywrightTimeoutError
from playwright.async_api import expect
import pytest

from homeassistant.util import slugify

from tests.gateways import GATEWAYS
from tests.harness.facts import SUPPORTED, with_and_without
from tests.harness.qr_reader import read_data_uri, read_qr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from playwright.async_api import Locator, Page

LOOKS = ("light-desktop", "dark-phone")
"""Themes and sizes of the screen."""
BY_CODE = [key for key, kind in SUPPORTED.items() if kind.has("pairing_code")]
"""The gateways that offer pairing codes."""
WITH_AND_WITHOUT_CODE = with_and_without("pairing_code")
"""One gateway that asks how to link a phone, and one that only has QR codes."""
PATIENCE = 90
"""Longest time for one step, in seconds; a busy machine needs several for some."""
LINKED = 20
"""Longest time from the scan to the end of the dialog; polls are 30 seconds apart."""
LOST_CLICK = 10_000
"""Milliseconds without an effect, after which a click has been lost.

That happens while a menu or a list is still opening.
"""
ATTEMPTS = 3
"""How often something is clicked at most."""
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

TOO_NARROW = """element => {
    const wide = [];
    while (element) {
        const { clientWidth, scrollWidth } = element;
        if (clientWidth && scrollWidth > clientWidth + 1) wide.push(element.localName);
        const around = element.assignedSlot ?? element.parentElement;
        element = around ?? element.getRootNode().host;
    }
    return wide;
}"""
"""Return the elements around this one whose content is wider than they are."""


def in_looks(providers: Iterable[str]) -> pytest.MarkDecorator:
    """Run a test for each gateway, and in each look, but not for all pairs of them."""
    light, dark = LOOKS
    first, *_ = keys = [*providers]
    pairs = [*((light, key) for key in keys), (dark, first)]
    return pytest.mark.parametrize(("look", "provider"), pairs)


@dataclass
class GatewayProcess:
    """The gateways and the phone, which run in a process of their own."""

    phone: ClientSession
    ports: dict[str, int]

    @property
    def page(self) -> str:
        """Return the address of the phone's page."""
        return f"http://127.0.0.1:{self.ports['page']}"

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

    async def scan(self, text: str) -> str | None:
        """Scan what a camera has read; return the ID of the instance.

        Return None if no instance has this code now.
        """
        instance_id: str | None = (await self._post("/scan", text=text) or {}).get("id")
        return instance_id

    async def enter(self, code: str) -> str:
        """Enter a pairing code; return the ID of the instance."""
        instance_id: str = (await self._post("/enter", code=code))["id"]
        return instance_id

    async def scan_now(self, instance_id: str) -> None:
        """Scan what an instance shows, though nobody has read it from a screen."""
        assert await self._post("/scan", id=instance_id)

    async def unlink(self, instance_id: str) -> None:
        """Remove the linked device on the phone."""
        await self._post("/unlink", id=instance_id)

    async def _post(self, path: str, **body: str) -> Any:
        async with self.phone.post(path, json=body) as response:
            if response.status == HTTPStatus.GONE:
                return None
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

    async def choose(self, text: str) -> None:
        """Choose from a menu; a click is lost while the dialog is still opening."""
        menu = self.page.locator("dialog-data-entry-flow step-flow-menu")
        option = menu.get_by_text(text, exact=True).first
        await option.click()
        with suppress(AssertionError):
            await expect(option).to_be_hidden(timeout=LOST_CLICK)
            return
        # it may have been slow rather than lost
        with suppress(PlaywrightTimeoutError):
            await option.click(timeout=LOST_CLICK)
        await expect(option).to_be_hidden()

    async def submit(self) -> None:
        """Press the button of a form."""
        await self.page.get_by_role("button", name="Submit").click()

    async def close(self) -> None:
        """Close the dialog."""
        await self.page.get_by_role("button", name="Close").first.click()
        await expect(self.dialog).to_have_count(0)

    async def finish(self) -> None:
        """End the dialog."""
        await self.page.get_by_role("button", name="Finish").click()
        await expect(self.dialog).to_have_count(0)

    @property
    def dialog(self) -> Locator:
        """Return the dialog, if it is open."""
        return self.page.locator("dialog-data-entry-flow ha-dialog")

    @property
    def code(self) -> Locator:
        """Return the picture in the dialog; it has lost its alternative text there."""
        return self.page.locator("dialog-data-entry-flow ha-markdown-element img")

    @property
    def pairing_code(self) -> Locator:
        """Return the heading in the dialog, which is the code to enter on the phone."""
        return self.page.locator("dialog-data-entry-flow ha-markdown-element h1")

    async def add_account(
        self, provider: str, url: str, *, key: str | None = None
    ) -> None:
        """Add the integration, up to the question what to link."""
        await self.page.goto(
            f"{self.url}/config/integrations/dashboard/add?domain=whatsapp_gateway"
        )
        await self.page.get_by_role("button", name="OK").click()
        await self.fill_in_account(provider, url, key=key)
        await self.shot("account")
        await self.submit()

    async def enter_account(self, provider: str, url: str) -> None:
        """Enter an account in a dialog that is open."""
        await self.fill_in_account(provider, url)
        await self.submit()

    async def fill_in_account(
        self, provider: str, url: str, *, key: str | None = None
    ) -> None:
        """Choose the gateway, and fill in the form of its address and the API key."""
        gateway = GATEWAYS[provider]
        await self.page.get_by_text(gateway.title, exact=True).last.click()
        await self.submit()
        await self.page.locator("input[type=url]").fill(url)
        await self.page.locator("input[type=password]").fill(key or gateway.key)

    async def create(self, name: str) -> None:
        """Choose to create an instance, and give it a name."""
        await self.choose("Create an instance")
        await self.page.locator("ha-selector-text input").first.fill(name)
        await self.submit()

    async def choose_qr_code(self, provider: str) -> None:
        """Choose to scan a QR code, if the gateway gives a choice."""
        if provider in BY_CODE:
            await self.choose("Scan a QR code")

    async def request_code(self, number: str) -> None:
        """Choose to enter a code on the phone with this number."""
        choice = self.page.get_by_text("Scan a QR code with the phone")
        await expect(choice).to_be_visible()
        await self.shot("link_method")
        await self.choose("Enter a code on the phone")
        await self.page.locator("input[type=tel]").fill(number)
        await self.shot("phone")
        await self.submit()

    async def skip_linking(self) -> None:
        """End the setup without linking."""
        await self.choose("Finish without linking")
        await expect(
            self.page.get_by_text("The account has been added")
        ).to_be_visible()
        await self.close()

    async def add_recipient(self, name: str) -> None:
        """Choose a chat by its name, from the menu of the account."""
        await self.open_integration()
        await self.choose_from_menu("Add recipient")
        field = self.dialog.locator("ha-selector-select")
        for _ in range(ATTEMPTS):
            await field.click()
            await self.page.get_by_text(name, exact=True).last.click()
            with suppress(PlaywrightTimeoutError):
                element = await field.element_handle()
                await self.page.wait_for_function(
                    "element => element.value", arg=element, timeout=LOST_CLICK
                )
                break
        await self.shot("recipient")
        await self.submit()
        await self.finish()

    async def receive(self, choice: str) -> None:
        """Choose whose messages are received, in the Configure menu."""
        await self.open_integration()
        await self.page.get_by_role("button", name="Configure").first.click()
        await self.choose("Messages")
        await self.click(choice)
        await self.shot("receive")
        await self.submit()
        await self.finish()

    async def create_automation(self, config: dict[str, Any]) -> None:
        """Create an automation, and wait until it is on."""
        await self._post("/api/config/automation/config/test", **config)
        await self.wait_for_state(f"automation.{slugify(config['alias'])}", "on")

    async def set_state(self, entity_id: str, state: str) -> None:
        """Let an entity that nothing provides have a state."""
        await self._post(f"/api/states/{entity_id}", state=state)

    async def send_picture(self, recipient: str, camera: str, text: str) -> None:
        """Send a camera picture with the action, in the developer tools."""
        media = {
            "media_content_id": f"media-source://camera/{camera}",
            "media_content_type": "image/jpeg",
        }
        data = {"entity_id": [recipient], "message": text, "media": media}
        action = {"action": "whatsapp_gateway.send_message", "data": data}
        await self.page.evaluate(
            "action => localStorage.setItem('panel-dev-action-state-service-data',"
            " JSON.stringify(action))",
            action,
        )
        await self.page.goto(f"{self.url}/developer-tools/action")
        perform = self.page.get_by_role("button", name="Perform action")
        await perform.wait_for()
        await self.page.locator("ha-selector-media").scroll_into_view_if_needed()
        await self.shot("action")
        await perform.click()

    async def read_code(
        self,
        *,
        other_than: str | None = None,
        shot: str = "dialog",
    ) -> str:
        """Read a QR code from what is on screen, as a phone's camera does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = read_qr(await self.shot(shot))
            if text and text != other_than:
                return text
            assert time.monotonic() < deadline, "No code on screen"
            await asyncio.sleep(0.2)

    async def scan(
        self,
        gateways: GatewayProcess,
        *,
        other_than: str | None = None,
        shot: str = "dialog",
    ) -> str:
        """Scan what is on screen; return the ID of the instance that is linked then.

        A code may end between the screenshot and the scan: then the next one counts.
        """
        text = await self.read_code(other_than=other_than, shot=shot)
        instance_id = await gateways.scan(text)
        if instance_id is None:
            text = await self.read_code(other_than=text, shot=shot)
            instance_id = await gateways.scan(text)
        assert instance_id, "The code on screen can't be scanned"
        return instance_id

    async def read_pairing_code(self, shot: str = "pairing_code") -> str:
        """Read the pairing code in the dialog; check that it is large and fits."""
        await expect(self.pairing_code).to_have_text(
            re.compile("^[1-9A-Z]{4}-[1-9A-Z]{4}$")
        )
        await self.shot(shot)
        size = "code => parseFloat(getComputedStyle(code).fontSize)"
        assert await self.pairing_code.evaluate(size) >= 24
        assert await self.pairing_code.evaluate(TOO_NARROW) == []
        return await self.pairing_code.inner_text()

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
        # between two codes there may be a picture that is none
        assert len(texts - {None}) >= 2

    async def expect_linked(self, name: str) -> None:
        """Check that the dialog says that a number is linked, without a poll."""
        end = self.page.get_by_text(f"{name} is linked.")
        await expect(end).to_be_visible(timeout=LINKED * 1000)

    async def state(self, entity_id: str) -> str:
        """Return an entity's state; empty if there is no such entity."""
        async with self.api.get(f"/api/states/{entity_id}") as response:
            state: str = (await response.json()).get("state", "")
            return state

    async def wait_for_state(self, entity_id: str, *expected: str) -> str:
        """Wait until an entity has one of these states, and return it."""
        deadline = time.monotonic() + PATIENCE
        while (state := await self.state(entity_id)) not in expected:
            assert time.monotonic() < deadline, state
            await asyncio.sleep(0.2)
        return state

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

    async def choose_from_menu(self, text: str) -> None:
        """Choose from the menu of the only account on the integration's page."""
        await self.page.get_by_role("button", name="Configure").first.wait_for()
        menus = self.page.get_by_role("button", name="Menu")
        for _ in range(ATTEMPTS):
            # newer versions have a menu of the page before that
            await menus.nth(min(1, await menus.count() - 1)).click()
            # and a button on the page with the same text
            await self.page.get_by_text(text, exact=True).last.click()
            with suppress(AssertionError):
                await expect(self.dialog).to_have_count(1, timeout=LOST_CLICK)
                return

    async def open_device(self, entity_id: str) -> None:
        """Open the device page of an entity."""
        template = f"{{{{ device_id('{entity_id}') }}}}"
        device = await self._post("/api/template", template=template)
        await self.page.goto(f"{self.url}/config/devices/device/{device}")

    async def _post(self, path: str, **body: Any) -> str:
        async with self.api.post(path, json=body) as response:
            text = await response.text()
            assert response.ok, text
            return text
