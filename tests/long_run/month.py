"""A month of an account, in which all happens that can happen."""

from __future__ import annotations

from http import HTTPStatus
from itertools import cycle
from typing import TYPE_CHECKING, Any

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways.machine import State
from tests.harness.helpers import POLL, device_names
from tests.harness.inventory import has_idle_connections
from tests.harness.qr_reader import read_qr

from .messages import Messenger
from .owner import DAY

if TYPE_CHECKING:
    from aiohttp import ClientSession


TIMES = {
    "outage": 140,
    "pause": 20,
    "come": 40,
    "create": 30,
    "go": 40,
    "delete": 30,
    "rename": 40,
    "fail": 40,
    "wait": 20,
    "mend": 60,
    "stop": 20,
    "link": 8,
    "repair": 8,
    "leave": 6,
    "numbers": 6,
    "revoke": 6,
    "unload": 6,
    "reload": 6,
    "start_alone": 6,
}
"""What happens, and how often in a month."""
OUTAGES: list[tuple[dict[str, Any], float]] = [
    ({"status": 500}, POLL),
    ({"drop": True}, POLL),
    # the time limit of the poll
    ({"hang": True}, POLL + 10),
    ({"html": True}, POLL),
    ({"truncate": True}, POLL),
    ({"redirect": "https://elsewhere.example"}, POLL),
    # for so long it is a mere pause
    ({"status": 429, "headers": {"Retry-After": "20"}}, 300 + 2 * POLL),
]
"""What a gateway does that is away, and the seconds after which all know it."""


class Month(Messenger):
    """What happens to an account."""

    browser: ClientSession
    next_id = ""
    outages = cycle(OUTAGES)

    async def live(self, days: float) -> None:
        """Let as much happen as in so many days of a month, each at least twice."""
        begun = self.clock.time()
        plan = sorted(
            ((nth + self.random.random()) / times * days * DAY, kind)
            for kind, monthly in TIMES.items()
            for times in [max(2, int(monthly * days / 30))]
            for nth in range(times)
        )
        for at, kind in plan:
            await self.clock.run(begun + at - self.clock.time(), self.step)
            await self.talk()
            await getattr(self, kind)()
            await self.look()
        await self.clock.run(begun + days * DAY - self.clock.time(), self.step)

    async def begin_anew(self) -> None:
        """Bring the account to where it began."""
        for one in self.pool[self.alive :]:
            self.gateway.sessions.pop(one, None)
        for state in (State.STOPPED, State.CONNECTED):
            for one in self.pool[: self.alive]:
                session = self.gateway.sessions.get(one) or self.add(one)
                session.name, session.state = self.name_of(one), state
            await self.look()
        await self.talk(*self.instances())
        # Home Assistant keeps the last error, and with it what was there then
        self.outages = cycle(OUTAGES)
        await self.outage()
        await self.look()
        # a connection closes 15 s after its last request; a stream that isn't there may
        # be tried again in them
        for _ in range(5):
            await self.entry.runtime_data.coordinator.async_refresh()
            await self.clock.run(20, 20)
            if not has_idle_connections(self.hass):
                break

    async def come(self) -> None:
        """Create an instance behind Home Assistant's back."""
        if one := self.free():
            self.add(one, self.random.choice([State.NEW, State.CONNECTED]))

    async def create(self) -> None:
        """Create an instance by the action, with or without an answer."""
        if not (one := self.free()):
            return
        self.next_id = one
        lost = self.random.random() < 0.5
        if lost:
            self.gateway.fail("create", truncate=True, times=1)
        try:
            answer = await self.hass.services.async_call(
                DOMAIN,
                "create_instance",
                {"config_entry_id": self.entry.entry_id, "name": self.name_of(one)},
                blocking=True,
                return_response=True,
            )
        except HomeAssistantError:
            # the next poll finds it
            assert lost
        else:
            assert answer
            assert answer["id"] == one
            assert answer["device_id"]
        self.gateway.heal()

    async def go(self) -> None:
        """Delete an instance at the gateway."""
        if len(self.gateway.sessions) > self.alive - 5:
            del self.gateway.sessions[self.some()[0].id]

    async def delete(self) -> None:
        """Delete an instance by the action."""
        if len(self.gateway.sessions) <= self.alive - 5:
            return
        [one] = self.some()
        status = str(self.entity("sensor", one, "status"))
        entity = er.async_get(self.hass).async_get(status)
        assert entity
        data = {"device_id": entity.device_id}
        await self.hass.services.async_call(
            DOMAIN, "delete_instance", data, blocking=True
        )
        assert one.id not in self.gateway.sessions

    async def rename(self) -> None:
        """Give some instances other names, where they have names."""
        if self.gateway.has("names_are_ids"):
            return
        for one in self.some(3):
            one.name = f"{self.random.choice(['Shop', 'Home', 'Desk'])} {one.id}"

    async def fail(self) -> None:
        """Let some instances fail."""
        for one in self.some(2):
            one.state = State.FAILED

    async def mend(self) -> None:
        """Start what does not run: one that is linked by its button, others there."""
        down = self.instances(State.FAILED, State.STOPPED, State.NEW)
        linked = [one for one in down if one.linked][:1]
        for one in linked:
            await self.press(one, "restart", "connect")
        for one in down:
            if one not in linked:
                one.state = State.CONNECTED

    async def stop(self) -> None:
        """Disconnect an instance, and connect it."""
        [one] = self.some()
        if self.entity("button", one, "disconnect"):
            await self.press(one, "disconnect")
            await self.look(1)
        else:
            one.stop()
            await self.look(3)
        await self.press(one, "connect")
        await self.clock.run(POLL)
        assert one.state is State.CONNECTED

    async def wait(self) -> None:
        """Let an instance wait, look at its codes, and maybe scan one."""
        [one] = self.some()
        one.unlink()
        one.state = State.WAITING
        for _ in range(self.random.randint(2, 5)):
            await self.look(1)
            state = self.hass.states.get(str(self.entity("image", one, "qr_code")))
            assert state
            async with self.browser.get(state.attributes["entity_picture"]) as answer:
                assert answer.status == HTTPStatus.OK
                text = read_qr(await answer.read())
            assert one.code
            # none in the moment between two codes
            assert text in {None, one.code.text}
        if text and self.random.random() < 0.5:
            self.phone.scan(text)

    async def outage(self) -> None:
        """Take the gateway away for one poll or many: nothing is lost."""
        fault, known_after = next(self.outages)
        self.gateway.fail("*", **fault)
        self.hang_up()
        await self.clock.run(known_after + self.random.choice([0, 60, 300, 900]))
        for one in self.instances():
            assert self.status(one) == STATE_UNAVAILABLE
        assert device_names(self.hass, self.entry) == self.names
        self.gateway.heal()
        await self.clock.settle()
        self.expected.update(["Error fetching", "data recovered"])

    async def pause(self) -> None:
        """Let the gateway ask for pauses: nobody sees it."""
        pauses = {"status": 429, "headers": {"Retry-After": "60"}}
        self.gateway.fail("*", **pauses, times=self.random.randint(1, 3))
        for _ in range(8):
            await self.clock.run(POLL)
            assert self.entry.runtime_data.coordinator.last_update_success
        self.gateway.heal()
