"""The dialogs that ask the gateway: of the integration, of an account, of a repair."""

from __future__ import annotations

from abc import abstractmethod
import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, override

from homeassistant.data_entry_flow import FlowResultType, UnknownFlow

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.problems import REPAIR_DELAY
from tests.gateways.machine import State
from tests.harness.helpers import raised_issues

from .account import NUMBERS, AccountScenario, Environment

if TYPE_CHECKING:
    from homeassistant.helpers import issue_registry as ir

INTERNAL_URL, EXTERNAL_URL = "http://10.0.0.2:8123", "https://home.example.com"
ON_THE_WAY = 0.01
"""Seconds until the gateway has got what was asked before a dialog was closed."""


class Form(AccountScenario):
    """A form whose answer asks the gateway, and which can be sent again."""

    state = State.NEW

    def __init__(self, environment: Environment, route: str) -> None:
        """Open no dialog yet."""
        super().__init__(environment, route)
        self.dialog = environment.dialog

    @override
    async def prepare(self) -> None:
        await self.close()
        await self.fill_in()

    @override
    async def close(self) -> None:
        if self.dialog.result:
            with suppress(UnknownFlow):
                self.dialog.close()
        await self.hass.async_block_till_done()
        await asyncio.sleep(ON_THE_WAY)

    @abstractmethod
    async def fill_in(self) -> None:
        """Open the dialog at the form."""

    @abstractmethod
    async def send(self) -> None:
        """Send the form."""

    @override
    async def attempt(self) -> str:
        await self.send()
        result = self.dialog.result
        self.said += f"{result.get('description_placeholders')}"
        if result["type"] is FlowResultType.FORM:
            return ",".join(
                f"{field}:{key}" for field, key in self.dialog.errors.items()
            )
        gone = result.get("reason") == "instance_gone"
        return "instance_gone" if gone else "ok"

    @override
    async def again(self) -> str:
        return await self.attempt()


class Credentials(Form):
    """The address and the key of an account that is not added yet."""

    @override
    async def open(self) -> None:
        await self.hass.config_entries.async_remove(self.entry.entry_id)
        self.instance = self.gateway.add("Home", self.state)

    @override
    def has_device(self) -> bool:
        # there is none yet
        return True

    @override
    async def fill_in(self) -> None:
        await self.remove_accounts()
        await self.dialog.open()
        await self.dialog.give(provider=self.gateway.provider)

    async def remove_accounts(self) -> None:
        """Remove what the last dialog has added."""
        for entry in self.hass.config_entries.async_entries(DOMAIN):
            await self.hass.config_entries.async_remove(entry.entry_id)

    @override
    async def send(self) -> None:
        await self.dialog.give(url=self.gateway.url, api_key=self.gateway.key)


class BoundInstance(Credentials):
    """The id of the instance that a key is bound to."""

    @override
    async def open(self) -> None:
        await super().open()
        self.gateway.bound[self.gateway.key] = self.instance.id

    @override
    async def fill_in(self) -> None:
        await self.remove_accounts()
        await self.dialog.sign_in(self.gateway)

    @override
    async def send(self) -> None:
        await self.dialog.give(instance_id=self.instance.id)


class FlowCreate(Credentials):
    """The first instance of an account that has none."""

    def __init__(self, environment: Environment, route: str) -> None:
        """Create under a name of its own each time."""
        super().__init__(environment, route)
        self.name = ""

    @override
    async def fill_in(self) -> None:
        self.gateway.sessions = {}
        await self.show()
        assert self.dialog.step == "create"

    async def show(self) -> None:
        """Open the form."""
        await self.remove_accounts()
        await self.dialog.sign_in(self.gateway)
        await self.dialog.choose("create")

    @override
    async def send(self) -> None:
        # the dialog goes on once the instance is created
        if self.dialog.result.get("step_id") == "create":
            # without an answer the instance may have been created
            self.name = f"Shop-{next(NUMBERS)}"
            await self.dialog.give(name=self.name)

    @override
    async def again(self) -> str:
        outcome = await super().again()
        names = [session.name for session in self.gateway.sessions.values()]
        return outcome if names.count(self.name) == 1 else f"{names} created"


class OptionsCreate(FlowCreate):
    """Another instance of an account that is set up."""

    open = AccountScenario.open
    has_device = AccountScenario.has_device

    @override
    async def show(self) -> None:
        await self.dialog.open_form(self.entry, "create")


class Reauth(Form):
    """Another key of an account whose key was refused."""

    state = State.CONNECTED

    @override
    async def fill_in(self) -> None:
        self.entry.async_start_reauth(self.hass)
        await self.hass.async_block_till_done()
        await self.dialog.open_pending()

    @override
    async def send(self) -> None:
        await self.dialog.give(api_key=self.gateway.key)
        await self.hass.async_block_till_done()


class Reconfigure(Form):
    """Another address or key of an account."""

    state = State.CONNECTED

    @override
    async def fill_in(self) -> None:
        await self.dialog.open_reconfigure(self.entry)

    @override
    async def send(self) -> None:
        await self.dialog.give(url=self.gateway.url, api_key=self.gateway.key)
        await self.hass.async_block_till_done()


class Webhook(Form):
    """The webhook of an account, which is turned on or off."""

    state = State.CONNECTED

    def __init__(self, environment: Environment, route: str, *, on: bool) -> None:
        """Turn it on, or off."""
        super().__init__(environment, route)
        self.on = on

    @override
    async def open(self) -> None:
        config = self.hass.config
        config.internal_url, config.external_url = INTERNAL_URL, EXTERNAL_URL
        await super().open()

    @override
    async def fill_in(self) -> None:
        if self.entry.runtime_data.webhook.is_on is self.on:
            await self.dialog.open_form(self.entry, "webhook")
            await self.dialog.give(webhook=not self.on)
        await self.dialog.open_form(self.entry, "webhook")

    @override
    async def send(self) -> None:
        await self.dialog.give(webhook=self.on)

    @override
    async def again(self) -> str:
        if self.dialog.result["type"] is FlowResultType.CREATE_ENTRY:
            await self.fill_in()
        outcome = await self.attempt()
        known = {one.active for one in self.gateway.webhooks.endpoints.values()}
        return outcome if (True in known) is self.on else "not told to the gateway"


class Fix(Form):
    """The fix of a repair."""

    async def raise_issue(self) -> ir.IssueEntry:
        """Let the instance need attention after it was connected."""
        self.instance.state = State.CONNECTED
        await self.refresh()
        self.instance.unlink()
        self.instance.state = self.state
        await self.refresh()
        # some gateways' failures have to last before they count
        for _ in range(2):
            await asyncio.sleep(REPAIR_DELAY)
            await self.refresh()
        [issue] = raised_issues(self.hass)
        return issue


class Restart(Fix):
    """The restart of an instance that failed."""

    state = State.FAILED

    @override
    async def fill_in(self) -> None:
        await self.dialog.open_fix(await self.raise_issue())

    @override
    async def send(self) -> None:
        await self.dialog.give()

    @override
    async def again(self) -> str:
        if self.dialog.result["type"] is FlowResultType.ABORT:
            await self.fill_in()
        return await super().again()
