"""How soon a scan is seen, and how long a code is on screen that expired."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from random import Random
import time
from typing import TYPE_CHECKING, Any

from homeassistant.components.image import async_get_image
from homeassistant.core import callback
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    FlowResultType,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways import GATEWAYS, Gateway, VirtualPhone
from tests.gateways.machine import State
from tests.harness.qr_reader import read_qr

from .home import home_assistant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event, HomeAssistant

    from tests.gateways.machine import Code, Session

SCANS = 50
AT_ONCE = 10
ROUNDS = 5
LONGEST_WAIT = 8.0
"""Seconds that a person takes at most to scan."""
ROUND = 165.0
"""Seconds after which all codes of a round are over."""


@dataclass
class Screen:
    """What a person sees, and how late it was; all in seconds."""

    session: Session
    late: list[float] = field(default_factory=list)
    """For each code, how long it stood there after it had expired, at least 0."""
    rotated: list[float] = field(default_factory=list)
    """For each code but the first, how long after the one before it was shown."""
    _code: Code | None = None
    _seen: set[int] = field(default_factory=set)

    async def show(self, png: bytes) -> str | None:
        """Show another picture, and return the text of its code."""
        self.clear()
        if text := await asyncio.to_thread(read_qr, png) if png else None:
            codes = self.session._codes
            number = next(i for i, code in enumerate(codes) if code.text == text)
            if number and number not in self._seen:
                self.rotated.append(time.time() - codes[number - 1].expires)
            self._seen.add(number)
            self._code = codes[number]
        return text

    def clear(self) -> None:
        """Show nothing."""
        if self._code:
            self.late.append(max(0.0, time.time() - self._code.expires))
        self._code = None


@dataclass(frozen=True)
class Linking:
    """What was measured; all in seconds."""

    connected: list[float] = field(default_factory=list)
    """From the scan to the state."""
    finished: list[float] = field(default_factory=list)
    """From the scan to the dialog's end."""
    dialog: list[Screen] = field(default_factory=list)
    joined: list[Screen] = field(default_factory=list)
    """Dialogs that were opened in the middle of a round."""
    picture: list[Screen] = field(default_factory=list)


async def measure_linking(key: str) -> Linking:
    """Link many instances, and watch some whole rounds of codes."""
    result = Linking()
    random = Random(key)  # noqa: S311
    turns = asyncio.Semaphore(AT_ONCE)
    async with AsyncExitStack() as stack:
        hass = await stack.enter_async_context(home_assistant())

        async def account(state: State) -> Account:
            gateway = GATEWAYS[key]()
            await stack.enter_async_context(gateway.running())
            return await Account.add(hass, key, gateway, state)

        async def scan() -> None:
            async with turns:
                one = await account(State.STOPPED)
                connected, finished = await one.scan(random.uniform(0, LONGEST_WAIT))
                result.connected.append(connected)
                result.finished.append(finished)

        async def watch(state: State, screens: list[Screen]) -> None:
            one = await account(state)
            screens.append(one.screen)
            await (one.watch_picture() if screens is result.picture else one.watch())

        await asyncio.gather(
            *(scan() for _ in range(SCANS)),
            *(watch(State.STOPPED, result.dialog) for _ in range(ROUNDS)),
            *(watch(State.WAITING, result.joined) for _ in range(ROUNDS)),
            *(watch(State.WAITING, result.picture) for _ in range(ROUNDS)),
        )
        for entry in hass.config_entries.async_entries(DOMAIN):
            await hass.config_entries.async_unload(entry.entry_id)
    return result


@dataclass
class Account:
    """An account with one instance, before which a person sits."""

    hass: HomeAssistant
    entry: ConfigEntry[Any]
    gateway: Gateway
    session: Session
    screen: Screen

    @classmethod
    async def add(
        cls, hass: HomeAssistant, key: str, gateway: Gateway, state: State
    ) -> Account:
        """Set the account up."""
        session = gateway.add("Home", state)
        data = {"provider": key, "api_key": gateway.key, "url": gateway.url}
        data["gateway"] = gateway.url.removeprefix("http://")
        entry = MockConfigEntry(domain=DOMAIN, title=key, data=data)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        return cls(hass, entry, gateway, session, Screen(session))

    def entity_id(self, platform: str, key: str, session: Session | None = None) -> str:
        """Return the id of an entity of the instance, or of another one."""
        session_id = (session or self.session).id
        unique_id = f"{self.entry.runtime_data.unique_id(session_id)}_{key}"
        registry = er.async_get(self.hass)
        entity_id = registry.async_get_entity_id(platform, DOMAIN, unique_id)
        assert entity_id
        return entity_id

    async def scan(self, wait: float) -> tuple[float, float]:
        """Scan the code in a dialog so long after it appears.

        Return the seconds from the scan to the state and to the end of the dialog.
        """
        scanned = known = 0.0
        connected = asyncio.Event()

        @callback
        def note(event: Event[Any]) -> None:
            nonlocal known
            if event.data["new_state"].state == "connected":
                known = time.time() - scanned
                connected.set()

        status = self.entity_id("sensor", "status")
        stop = async_track_state_change_event(self.hass, [status], note)
        dialog = Dialog(self.hass, self.entry)
        async for picture in dialog.pictures():
            if not scanned and (text := await self.screen.show(picture)):
                await asyncio.sleep(wait)
                scanned = time.time()
                VirtualPhone(self.gateway).scan(text)
        finished = time.time() - scanned
        assert dialog.result["reason"] == "linked", dialog.result
        await connected.wait()
        stop()
        return known, finished

    async def watch(self) -> None:
        """Look at the dialog until the round is over."""
        async for picture in Dialog(self.hass, self.entry).pictures():
            await self.screen.show(picture)
        self.screen.clear()

    async def watch_picture(self) -> None:
        """Look at the picture on a dashboard for a round."""
        entity_id = self.entity_id("image", "qr_code")
        changed = asyncio.Event()
        stop = async_track_state_change_event(
            self.hass, [entity_id], lambda _: changed.set()
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(ROUND):
                while True:
                    changed.clear()
                    try:
                        image = await async_get_image(self.hass, entity_id)
                        await self.screen.show(image.content)
                    except HomeAssistantError:
                        self.screen.clear()
                    await changed.wait()
        self.screen.clear()
        stop()


class Dialog:
    """A dialog as a browser has it: it fetches the step when it hears of a change."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Open no dialog yet."""
        self.hass = hass
        self.entry = entry
        self.result: Any = None

    async def pictures(self) -> AsyncIterator[bytes]:
        """Link the instance of the account, and yield what is shown until the end."""
        flows = self.hass.config_entries.options
        changed = asyncio.Event()

        @callback
        def hear(event: Event[Any]) -> None:
            if event.data["flow_id"] == self.result["flow_id"]:
                changed.set()

        stop = self.hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, hear)
        self.result = await flows.async_init(self.entry.entry_id)
        flow_id = self.result["flow_id"]
        while self.result["type"] is FlowResultType.MENU:
            # the first option is to link, and then to do it by a QR code
            answer = {"next_step_id": self.result["menu_options"][0]}
            self.result = await flows.async_configure(flow_id, answer)
        while self.result["type"] is FlowResultType.SHOW_PROGRESS:
            uri = self.result["description_placeholders"]["qr"]
            yield b64decode(uri.partition(",")[2])
            await changed.wait()
            changed.clear()
            self.result = await flows.async_configure(flow_id)
        stop()
