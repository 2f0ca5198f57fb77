"""What a person or an automation does with an instance, beyond the dialogs."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
import time
from typing import override

from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.pairing.qr_code import LOOK_SECONDS
from custom_components.whatsapp_gateway.providers.parsing import MAX_LIFETIME
from tests.gateways.machine import State
from tests.harness.helpers import BUTTONS, state_of, until
from tests.harness.qr_reader import read_qr

from .account import NUMBERS, STATUS, AccountScenario, Environment

LONGEST = 150.0
"""Seconds that an attempt and its healing may take: a pause, and a look again."""
SETTLED = 50.0
"""Seconds after which every gateway's failure or lost connection counts."""


class Button(AccountScenario):
    """A button, and the poll that follows a press."""

    def __init__(
        self, environment: Environment, route: str, *, action: str, state: State
    ) -> None:
        """Press a button in a state in which it makes sense."""
        super().__init__(environment, route)
        self.action, self.entity = action, BUTTONS[action]
        failures = environment.gateway.looks_like(State.FAILED) is State.FAILED
        self.state = state if failures or state is not State.FAILED else State.STOPPED
        if route == "list":
            # in the end, what is closed is not restarted but connected
            last = action if self.state is state else "connect"
            self.after = environment.gateway.actions[last]

    @override
    async def set_up(self) -> None:
        # one of the buttons is disabled by default
        er.async_get(self.hass).async_get_or_create(
            "button",
            DOMAIN,
            f"{self.entry.data['gateway']}_{self.instance.id}_{self.action}",
            suggested_object_id=self.entity.partition(".")[2],
            config_entry=self.entry,
        )
        await super().set_up()

    @override
    async def prepare(self) -> None:
        self.instance.state = State.CONNECTED
        self.instance.unlink()
        if self.gateway.has("stale_links"):
            # a start has to help, as after codes that expired
            self.instance.state = State.WAITING
        self.instance.state = self.state
        await self.refresh()
        # some gateways' failures have to last before they count
        await asyncio.sleep(SETTLED)
        await self.refresh()
        self.before = state_of(self.hass, STATUS)

    @override
    async def attempt(self) -> str:
        return await self.call("button", "press", {"entity_id": self.entity})


class Picture(AccountScenario):
    """The picture of the code, as a browser fetches it."""

    state = State.WAITING

    @override
    async def open(self) -> None:
        await super().open()
        self.client = await self.environment.hass_client()

    @override
    async def prepare(self) -> None:
        # takes the picture away that is still there
        await asyncio.sleep(MAX_LIFETIME)
        codes = self.instance._codes
        if not codes or codes[-1].expires < time.time() + LONGEST:
            self.instance.state = self.state
        if self.instance.state is not self.state:
            # the gateway has given up, and starts over
            self.instance.state = self.state
        await self.refresh()

    @override
    async def attempt(self) -> str:
        # the next one may still be to come
        await until(lambda: self.instance.code)
        state = self.hass.states.get("image.home_qr_code")
        assert state is not None
        answer = await self.client.get(state.attributes["entity_picture"])
        assert answer.status == HTTPStatus.OK
        text = read_qr(await answer.read())
        code = self.instance.code
        return "ok" if code and text == code.text else str(text or "no_picture")

    @override
    async def again(self) -> str:
        await asyncio.sleep(LOOK_SECONDS + 1)
        return await self.attempt()


class CreateInstance(AccountScenario):
    """The action that creates an instance, and the poll that follows it."""

    def __init__(self, environment: Environment, route: str) -> None:
        """Create under a name of its own each time."""
        super().__init__(environment, route)
        self.name = self.outcome = ""
        self.after = None if route == "create" else "create"

    @override
    async def prepare(self) -> None:
        self.gateway.sessions = {self.instance.id: self.instance}
        self.change()

    @override
    async def attempt(self) -> str:
        # without an answer the instance may have been created
        self.name = f"Shop-{next(NUMBERS)}"
        data = {"config_entry_id": self.entry.entry_id, "name": self.name}
        self.outcome = await self.call(DOMAIN, "create_instance", data)
        return self.outcome

    @override
    async def again(self) -> str:
        outcome = self.outcome if self.outcome == "ok" else await super().again()
        names = [session.name for session in self.gateway.sessions.values()]
        return outcome if names.count(self.name) == 1 else f"{names} created"


class DeleteInstance(AccountScenario):
    """The action that deletes an instance, and the poll that follows it."""

    def __init__(self, environment: Environment, route: str) -> None:
        """Delete another instance each time."""
        super().__init__(environment, route)
        self.device_id = ""
        self.after = None if route == "delete" else "delete"

    @override
    async def prepare(self) -> None:
        self.gateway.sessions = {self.instance.id: self.instance}
        shop = self.gateway.add("Shop", State.CONNECTED)
        await self.refresh()
        device = self.device_of(shop)
        assert device is not None
        self.device_id = device.id
        self.change()

    @override
    async def attempt(self) -> str:
        return await self.call(DOMAIN, "delete_instance", {"device_id": self.device_id})

    @override
    async def again(self) -> str:
        gone = dr.async_get(self.hass).async_get(self.device_id) is None
        outcome = "ok" if gone else await super().again()
        left = self.gateway.sessions.keys() - {self.instance.id}
        return f"{left} left" if left else outcome
