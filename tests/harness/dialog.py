"""Home Assistant's dialogs, as a browser drives them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.data_entry_flow import FlowResultType

from custom_components.whatsapp_gateway.const import DOMAIN

from .qr_reader import read_data_uri
from .texts import ENGLISH, assert_translated, exception_key, shown_text

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import issue_registry as ir

    from tests.gateways import Gateway


SHOWN_CODE = re.compile("[1-9A-Z]{4}-[1-9A-Z]{4}")
"""A pairing code as it is shown."""


class Dialog:
    """A flow of any kind as a browser drives it."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Open no dialog yet."""
        self.hass = hass
        self.manager: Any = hass.config_entries.flow
        self.section: Any = ENGLISH["config"]
        self._result: Any = None

    @property
    def result(self) -> Any:
        """What is shown."""
        return self._result

    @result.setter
    def result(self, result: Any) -> None:
        assert_translated(result, self.section)
        self._result = result

    @property
    def flow_id(self) -> str | None:
        """Which flow it is, or was."""
        return self.result and str(self.result["flow_id"])

    @property
    def step(self) -> str:
        """The step that is shown."""
        step: str = self.result["step_id"]
        return step

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field; an error of the gateway by the key of its text."""
        errors: dict[str, str] = self.result["errors"]
        if errors != {"base": "gateway_error"}:
            return errors
        return {"base": exception_key(self.message)}

    @property
    def message(self) -> str:
        """What the gateway did wrong, or its own words."""
        message: str = self.result["description_placeholders"]["message"]
        return message

    @property
    def reason(self) -> str | None:
        """Why the dialog ended, None if it goes on."""
        ended = self.result["type"] is FlowResultType.ABORT
        return self.result["reason"] if ended else None

    @property
    def options(self) -> list[str]:
        """The options of the menu that is shown."""
        options: list[str] = self.result["menu_options"]
        return options

    @property
    def text(self) -> str:
        """The text that is shown, as Markdown."""
        return shown_text(self.result, self.section)

    @property
    def action(self) -> str | None:
        """What the progress step says it does."""
        action: str | None = self.result.get("progress_action")
        return action

    async def open(self) -> None:
        """Add the integration."""
        self.result = await self.manager.async_init(
            DOMAIN, context={"source": SOURCE_USER}
        )

    async def open_pending(self) -> None:
        """Open the one flow that asks for attention."""
        [flow] = self.manager.async_progress()
        self._result = {"flow_id": flow["flow_id"]}
        await self.look()

    async def open_reconfigure(self, entry: ConfigEntry) -> None:
        """Open an account's Reconfigure."""
        context = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
        self.result = await self.manager.async_init(DOMAIN, context=context)

    async def open_options(self, entry: ConfigEntry) -> None:
        """Open an account's Configure menu."""
        self.manager = self.hass.config_entries.options
        self.section = ENGLISH["options"]
        self.result = await self.manager.async_init(entry.entry_id)

    async def open_recipient(
        self, entry: ConfigEntry, subentry_id: str | None = None
    ) -> None:
        """Add a recipient to an account, or rename one."""
        self.manager = self.hass.config_entries.subentries
        self.section = ENGLISH["config_subentries"]["recipient"]
        context = {"source": SOURCE_USER}
        if subentry_id:
            context = {"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
        self.result = await self.manager.async_init(
            (entry.entry_id, "recipient"), context=context
        )

    async def open_form(self, entry: ConfigEntry, step: str) -> None:
        """Open Configure at one of its forms, also if there is no menu."""
        await self.open_options(entry)
        if self.result["type"] is FlowResultType.MENU:
            await self.choose(step)

    async def open_fix(self, issue: ir.IssueEntry) -> None:
        """Open the fix of a repair."""
        self.manager = repairs_flow_manager(self.hass)
        assert issue.translation_key
        self.section = ENGLISH["issues"][issue.translation_key]["fix_flow"]
        data = {"issue_id": issue.issue_id}
        self.result = await self.manager.async_init(DOMAIN, data=data)

    def close(self) -> None:
        """Close the dialog."""
        self.manager.async_abort(self.result["flow_id"])

    async def give(self, **values: Any) -> None:
        """Submit a form."""
        self.result = await self.manager.async_configure(self.result["flow_id"], values)

    async def choose(self, step: str) -> None:
        """Choose from a menu."""
        await self.give(next_step_id=step)

    async def look(self) -> None:
        """Fetch the step anew, as a browser does when it hears of a change."""
        self.result = await self.manager.async_configure(self.result["flow_id"])

    async def scan(self) -> None:
        """Choose the QR code, where the gateway offers several ways to link."""
        if self.result.get("step_id") == "link_method":
            await self.choose("scan")

    async def link(self) -> None:
        """Choose to link the only instance that waits, by its QR code."""
        await self.choose("link")
        await self.scan()

    async def sign_in(self, gateway: Gateway, **values: Any) -> None:
        """Go through the first two steps."""
        await self.open()
        await self.give(provider=gateway.provider)
        await self.give(**{"url": gateway.url, "api_key": gateway.key} | values)

    async def wait_for(self, *actions: str) -> None:
        """Look until the progress step shows one of these, or another step comes.

        Where the gateway offers several ways to link, the QR code is chosen.
        """
        await self.scan()
        while self.result["type"] is FlowResultType.SHOW_PROGRESS:
            if self.action in actions:
                return
            await asyncio.sleep(0.2)
            await self.look()
        assert not actions, self.result

    async def code(self) -> str:
        """Read the code that is shown."""
        text = None
        while text is None:
            await self.wait_for("scan")
            text = read_data_uri(self.result["description_placeholders"]["qr"])
            await asyncio.sleep(0.2)
            await self.look()
        return text

    async def pairing_code(self) -> str:
        """Read the pairing code that is shown."""
        await self.wait_for("enter_code")
        [code] = SHOWN_CODE.findall(self.text)
        return str(code)
