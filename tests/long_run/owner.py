"""What the owner of an account does with it in Home Assistant."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er

from tests.gateways.machine import Session, State
from tests.harness.dialog import Dialog
from tests.harness.helpers import POLL, state_of

from .account import Account

if TYPE_CHECKING:
    from tests.gateways import VirtualPhone

DAY = 86400.0


class Owner(Account):
    """Changes keys, sets up and unloads, links, and looks at phone numbers."""

    phone: VirtualPhone
    step = 0.0
    """Seconds from poll to poll while nothing happens; with 0 there are all polls."""

    def __init__(self, *args: Any) -> None:
        """Expect no line in the log yet."""
        super().__init__(*args)
        self.expected: Counter[str] = Counter()

    def hang_up(self) -> None:
        """Let the gateway close the connection over which it reports changes."""
        if self.gateway.events.on:
            self.gateway.hang_up()

    async def revoke(self) -> None:
        """Revoke the key, and give a new one hours later."""
        old, ours = self.entry.data["api_key"], self.gateway.key
        new = f"{ours}_other" if old == ours else ours
        self.gateway.owners[new] = self.gateway.owners.pop(old)
        self.hang_up()
        await self.clock.run(POLL)
        self.expected["Authentication failed while fetching"] += 1
        await self.clock.run(self.random.uniform(0, DAY / 8), self.step)
        dialog = Dialog(self.hass)
        await dialog.open_pending()
        await dialog.give(api_key=new)
        assert dialog.result["reason"] == "reauth_successful"
        await self.clock.settle()

    async def unload(self) -> None:
        """Unload the account for a while, in which nobody asks the gateway."""
        assert await self.hass.config_entries.async_unload(self.entry.entry_id)
        asked = len(self.gateway.asked)
        await self.clock.run(self.random.uniform(0, DAY / 8), self.step)
        assert len(self.gateway.asked) == asked
        assert await self.hass.config_entries.async_setup(self.entry.entry_id)

    async def reload(self) -> None:
        """Reload the account."""
        assert await self.hass.config_entries.async_reload(self.entry.entry_id)

    async def start_alone(self) -> None:
        """Set the account up while the gateway is away."""
        assert await self.hass.config_entries.async_unload(self.entry.entry_id)
        self.gateway.fail("*", status=500)
        await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.clock.run(100)
        assert self.entry.state is ConfigEntryState.SETUP_RETRY
        self.gateway.heal()
        await self.clock.run(200)

    async def open_link(self) -> tuple[Session, Dialog]:
        """Open the dialog that links an instance."""
        [session] = self.some()
        session.unlink()
        await self.look(1)
        dialog = Dialog(self.hass)
        await dialog.open_options(self.entry)
        await dialog.choose("link")
        if dialog.step == "link":
            await dialog.give(instance=session.id)
        return session, dialog

    async def scan(self, dialog: Dialog) -> None:
        """Scan what a dialog shows, and wait for its end."""
        self.phone.scan(await dialog.code())
        await dialog.wait_for()

    async def link(self) -> None:
        """Link an instance from the Configure menu."""
        session, dialog = await self.open_link()
        await self.scan(dialog)
        assert dialog.result["reason"] == "linked"
        assert session.state is State.CONNECTED

    async def leave(self) -> None:
        """Close a dialog before anything is linked."""
        _, dialog = await self.open_link()
        await dialog.code()
        dialog.close()
        await self.clock.settle()

    async def repair(self) -> None:
        """Bring an instance that waits, or has failed, back by its repair."""
        [session] = self.some()
        session.unlink()
        session.state = self.random.choice([State.WAITING, State.FAILED])
        await self.look()
        dialog = Dialog(self.hass)
        await dialog.open_fix(self.issues[session.id])
        if dialog.step == "restart":
            await dialog.give()
            if self.gateway.has("stale_links"):
                await dialog.wait_for()
                assert dialog.step == "unlink"
                await dialog.give()
        await self.scan(dialog)
        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
        assert session.state is State.CONNECTED

    async def numbers(self) -> None:
        """Show some phone numbers for a while."""
        registry = er.async_get(self.hass)
        before = {
            entity_id: entity.disabled_by
            for session in self.some(5)
            if (entity_id := self.entity("sensor", session, "phone_number"))
            and (entity := registry.async_get(entity_id))
        }
        for entity_id in before:
            registry.async_update_entity(entity_id, disabled_by=None)
        # Home Assistant reloads the account by itself
        await self.look()
        for entity_id in before:
            assert state_of(self.hass, entity_id).startswith("+")
        await self.clock.run(self.random.uniform(0, DAY / 8), self.step)
        for entity_id, disabled_by in before.items():
            registry.async_update_entity(entity_id, disabled_by=disabled_by)
