"""Where an account that is set up asks its gateway."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import itertools
import secrets
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers.http import READ_TIME_LIMIT
from custom_components.whatsapp_gateway.push.stream import STABLE_SECONDS
from tests.gateways.machine import State
from tests.harness.helpers import state_of

from .scenario import Scenario, said_by

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.gateways.machine import Session
    from tests.harness.dialog import Dialog

STATUS = "sensor.home_status"
NUMBERS = itertools.count()
# all in seconds
ASKED_AGAIN = 130.0
"""Time in which there is another attempt, unless the gateway offers no events."""
GIVEN_UP = 3800.0
"""Time in which there is another attempt in any case."""
WAIT = 10.0
WORKS_ON = 1.2
"""Seconds for which a gateway may go on with what it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a scenario in Home Assistant plays on."""

    hass: HomeAssistant
    gateway: Gateway
    entry: MockConfigEntry
    dialog: Dialog
    hass_client: ClientSessionGenerator


class AccountScenario(Scenario):
    """A scenario in an account that is set up."""

    state = State.CONNECTED

    def __init__(self, environment: Environment, route: str) -> None:
        """Have no account yet."""
        super().__init__(environment.gateway, route)
        self.environment, self.hass, self.entry = (
            environment,
            environment.hass,
            environment.entry,
        )
        self.before = ""

    @override
    async def open(self) -> None:
        self.instance = self.gateway.add("Home", self.state)
        if self.gateway.has("bound_key") and self.route == "one":
            self.bind()
        await self.set_up()

    def bind(self) -> None:
        """Let the key open this instance only."""
        self.gateway.bound[self.gateway.key] = self.instance.id
        data = {**self.entry.data, "instance_id": self.instance.id}
        self.hass.config_entries.async_update_entry(self.entry, data=data)

    async def set_up(self) -> None:
        """Set the account up."""
        assert await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.hass.async_block_till_done()

    @override
    async def prepare(self) -> None:
        pass

    @override
    async def close(self) -> None:
        pass

    @override
    async def again(self) -> str:
        if self.route != "list":
            return await self.attempt()
        # a gateway may work on after its answer
        await asyncio.sleep(WORKS_ON)
        await self.refresh()
        return self.shown()

    @override
    async def seen(self) -> str:
        outcome = await self.attempt()
        await self.hass.async_block_till_done()
        asked_for_key = [
            flow["flow_id"]
            for flow in self.hass.config_entries.flow.async_progress()
            if flow["context"]["source"] == SOURCE_REAUTH
            and flow["flow_id"] != self.environment.dialog.flow_id
        ]
        for flow_id in asked_for_key:
            self.hass.config_entries.flow.async_abort(flow_id)
        lost = outcome != "gone" and not self.has_device()
        return outcome + "+reauth" * len(asked_for_key) + "+lost" * lost

    def has_device(self) -> bool:
        """Tell whether the instance is still a device."""
        return self.device_of(self.instance) is not None

    def device_of(self, session: Session) -> dr.DeviceEntry | None:
        """Return the device of an instance."""
        identifier = (DOMAIN, f"{self.entry.data['gateway']}_{session.id}")
        devices = dr.async_entries_for_config_entry(
            dr.async_get(self.hass), self.entry.entry_id
        )
        return next(
            (device for device in devices if identifier in device.identifiers), None
        )

    async def refresh(self) -> None:
        """Poll."""
        await self.entry.runtime_data.coordinator.async_refresh()
        await self.hass.async_block_till_done()
        self.said += said_by(self.entry.runtime_data.coordinator.last_exception)

    def change(self) -> None:
        """Let something happen that the next poll has to show."""
        self.before = state_of(self.hass, STATUS)
        changed = State.STOPPED if self.before == "connected" else State.CONNECTED
        self.instance.state = changed

    def shown(self) -> str:
        """Tell whether the instance is shown as it is now."""
        status = self.hass.states.get(STATUS)
        if status is None:
            return "gone"
        words = {STATE_UNAVAILABLE: "unavailable", self.before: "kept"}
        return words.get(status.state, "ok")

    async def call(self, domain: str, service: str, data: dict[str, Any]) -> str:
        """Call an action; what follows it is a poll."""
        try:
            await self.hass.services.async_call(domain, service, data, blocking=True)
        except HomeAssistantError as err:
            self.said += said_by(err)
            return str(err.translation_key)
        return self.shown() if self.route == "list" else "ok"


class Setup(AccountScenario):
    """The first request of an account."""

    @override
    async def attempt(self) -> str:
        await self.hass.config_entries.async_reload(self.entry.entry_id)
        await self.hass.async_block_till_done()
        self.said += str(self.entry.reason)
        if self.entry.state is not ConfigEntryState.LOADED:
            return str(self.entry.state.value)
        return self.shown()

    @override
    async def again(self) -> str:
        return await self.attempt()


class Poll(AccountScenario):
    """The request of every 30 seconds."""

    @override
    async def prepare(self) -> None:
        self.change()

    @override
    async def attempt(self) -> str:
        await self.refresh()
        return self.shown()


class Push(AccountScenario):
    """The connection over which the gateway reports changes, made anew."""

    @override
    async def open(self) -> None:
        self.gateway.events.on = True
        await super().open()

    @property
    def connected(self) -> bool:
        """Whether changes are reported."""
        return bool(self.entry.runtime_data.stream.connected)

    @override
    async def prepare(self) -> None:
        await self.again()
        # only a connection that lasts ends the longer pauses of earlier faults
        await asyncio.sleep(STABLE_SECONDS)
        self.change()

    @override
    async def attempt(self) -> str:
        asked = self.gateway.count("events")
        self.gateway.hang_up()
        await asyncio.sleep(ASKED_AGAIN)
        # polls go on meanwhile
        await self.refresh()
        shown = "" if self.shown() == "ok" else f"+{self.shown()}"
        if self.connected:
            return f"ok{shown}"
        retried = self.gateway.count("events") > asked + 1 or bool(shown)
        return f"{'retried' if retried else 'given_up'}{shown}"

    @override
    async def again(self) -> str:
        for _ in range(int(GIVEN_UP // WAIT)):
            if self.connected:
                return "ok"
            await asyncio.sleep(WAIT)
        return "unreported"


class PhoneNumber(AccountScenario):
    """The question for a number, which follows the poll."""

    after = "list"

    @override
    async def open(self) -> None:
        self.instance = self.gateway.add("Home", self.state)
        er.async_get(self.hass).async_get_or_create(
            "sensor",
            DOMAIN,
            f"{self.entry.data['gateway']}_{self.instance.id}_phone_number",
            suggested_object_id="home_phone_number",
            config_entry=self.entry,
        )
        await self.set_up()

    @override
    async def prepare(self) -> None:
        self.instance.unlink()
        await self.refresh()
        self.instance.phone_number = str(secrets.randbelow(10**9) + 10**10)
        self.instance.state = State.CONNECTED

    @override
    async def again(self) -> str:
        # a question without an answer is given up
        await asyncio.sleep(READ_TIME_LIMIT + 1)
        return await self.attempt()

    @override
    async def attempt(self) -> str:
        await self.refresh()
        assert state_of(self.hass, STATUS) == "connected"
        number = state_of(self.hass, "sensor.home_phone_number")
        return "ok" if number == f"+{self.instance.phone_number}" else number
