"""Receive messages, in whichever way a gateway reports them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import callback
from homeassistant.data_entry_flow import FlowResultType

from tests.gateways import machine

from .dialog import Dialog
from .helpers import make_reachable, until
from .recipients import BEN, add_recipient

if TYPE_CHECKING:
    from homeassistant.core import Event, HomeAssistant, State
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from custom_components.whatsapp_gateway.account import Account
    from tests.gateways import Gateway
    from tests.gateways.machine import Session

MESSAGE = "event.home_message"
"""The event entity of the instance `Home`."""


@dataclass
class Receiving:
    """An account with the instance `Home`, and what its event entity shows."""

    hass: HomeAssistant
    gateway: Gateway
    entry: MockConfigEntry
    session: Session
    seen: list[State] = field(default_factory=list)
    """The state of the event entity after each message."""

    @property
    def account(self) -> Account:
        """The account as it is set up now."""
        account: Account = self.entry.runtime_data
        return account

    @property
    def texts(self) -> list[str]:
        """The text of each message that was shown."""
        return [state.attributes["text"] for state in self.seen]

    @property
    def last(self) -> dict[str, Any]:
        """The attributes of the last message that was shown."""
        return dict(self.seen[-1].attributes)

    async def form(self, step: str = "messages") -> Dialog:
        """Open a form of the Configure menu."""
        dialog = Dialog(self.hass)
        await dialog.open_form(self.entry, step)
        assert dialog.step == step
        return dialog

    async def choose(self, whose: str) -> None:
        """Choose whose messages are received, and wait until they are."""
        dialog = await self.form()
        await dialog.give(receive=whose)
        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
        await self.until_ready()

    async def until_ready(self) -> None:
        """Wait until the gateway reports messages to the account."""
        await self.hass.async_block_till_done()
        await until(lambda: self.entry.state is ConfigEntryState.LOADED)
        await until(lambda: self._is_ready)

    @property
    def _is_ready(self) -> bool:
        stream, webhook = self.account.stream, self.account.webhook
        return stream.connected if stream else bool(webhook and webhook._registered)

    async def get(self, text: str = "Hello", **message: Any) -> str:
        """Let Ben write, unless something else is said; return the message's ID."""
        return await self.gateway.deliver(
            self.session, message.pop("chat_id", BEN), text, **message
        )

    @callback
    def note(self, event: Event[Any]) -> None:
        """Keep a new state of the event entity."""
        state = event.data["new_state"]
        if event.data["entity_id"] == MESSAGE and state and "text" in state.attributes:
            self.seen.append(state)


async def start(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    client: ClientSessionGenerator,
) -> Receiving:
    """Set an account up whose gateway can report messages; it doesn't yet."""
    gateway.events.on = gateway.has("events")
    session = gateway.add("Home", machine.State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    receiving = Receiving(hass, gateway, entry, session)
    hass.bus.async_listen("state_changed", receiving.note)
    if not gateway.has("events"):
        await make_reachable(hass, gateway, client)
        dialog = await receiving.form("webhook")
        await dialog.give(webhook=True)
    await receiving.until_ready()
    return receiving


async def start_with_recipients(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    client: ClientSessionGenerator,
    whose: str,
) -> Receiving:
    """Set an account up that receives messages and knows Ben and the family."""
    home = await start(hass, gateway, entry, client)
    await home.choose(whose)
    add_recipient(hass, entry, home.session, BEN, "Ben")
    add_recipient(hass, entry, home.session)
    await asyncio.sleep(1)
    return home
