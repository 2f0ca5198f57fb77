"""Where an instance is linked: in three dialogs, and by the engine behind them."""

from __future__ import annotations

from abc import abstractmethod
import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, override

from homeassistant.data_entry_flow import FlowResultType

from custom_components.whatsapp_gateway.pairing.engine import ONGOING, Pairing
from custom_components.whatsapp_gateway.pairing.qr_code import LOOK_SECONDS
from tests.gateways.machine import State
from tests.harness.helpers import state_of, until
from tests.harness.pairings import pair
from tests.harness.qr_reader import read_qr
from tests.harness.texts import ENGLISH

from .account import STATUS, Environment
from .dialogs import ON_THE_WAY, Credentials, Fix, Form
from .scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.helpers import issue_registry as ir

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways import Gateway
    from tests.gateways.machine import Session

LOOKS, PAUSE = 25, 4.0
"""How often one looks whether a pairing ends, and the seconds in between."""


def set_back(session: Session, *, starts: bool) -> None:
    """Let an instance be stopped, or wait."""
    session.linked = False
    session.forget_rounds()
    session.state = State.STOPPED if starts else State.WAITING


async def outcome_of(look: Callable[[], Awaitable[str | None]]) -> str:
    """Return how a pairing ends, or that it does not."""
    for _ in range(LOOKS):
        await asyncio.sleep(PAUSE)
        if phase := await look():
            return phase
    return "goes_on"


class Link(Form):
    """A pairing in a dialog, from its start or from its first code."""

    def __init__(self, environment: Environment, route: str, *, starts: bool) -> None:
        """Look at the instance before all else."""
        super().__init__(environment, route)
        self.starts = starts
        self.after = None if route == "one" else "one"

    @override
    async def fill_in(self) -> None:
        set_back(self.instance, starts=self.starts)
        await self.show()
        if not self.starts:
            await self.send()
            await self.dialog.code()

    @abstractmethod
    async def show(self) -> None:
        """Get as far as just before the pairing."""

    @override
    async def send(self) -> None:
        await self.dialog.link()

    @override
    async def attempt(self) -> str:
        if self.starts:
            await self.send()
        return await outcome_of(self.look)

    async def look(self) -> str | None:
        """Return what ended the pairing, None while it goes on."""
        await self.dialog.look()
        result = self.dialog.result
        if result["type"] is FlowResultType.SHOW_PROGRESS:
            return None
        if result["type"] is FlowResultType.ABORT:
            return str(result["reason"])
        reason = result["description_placeholders"]["reason"]
        self.said += reason
        return next(
            str(phase)
            for phase, text in ENGLISH["exceptions"].items()
            if reason.startswith(text["message"].partition("{")[0])
        )

    @override
    async def again(self) -> str:
        # a round may be over meanwhile
        if self.dialog.result["type"] is FlowResultType.SHOW_PROGRESS:
            await self.dialog.look()
        match self.dialog.result["type"]:
            case FlowResultType.MENU:
                await self.dialog.choose("scan")
            case FlowResultType.ABORT:
                await self.show()
                await self.send()
        text = await self.dialog.code()
        if not self.instance.code or text != self.instance.code.text:
            # the dialog may be one look late
            await asyncio.sleep(LOOK_SECONDS + self.gateway.returns_expired + 1)
            await self.dialog.look()
            text = await self.dialog.code()
        return (
            "ok"
            if self.instance.code and text == self.instance.code.text
            else "old code"
        )


class FlowLink(Link, Credentials):
    """The first number of an account that is not added yet."""

    send = Link.send

    @override
    async def fill_in(self) -> None:
        await Link.fill_in(self)

    @override
    async def show(self) -> None:
        await self.remove_accounts()
        await self.dialog.sign_in(self.gateway)


class OptionsLink(Link):
    """A number of an account that is set up."""

    @override
    async def show(self) -> None:
        await self.refresh()
        await self.dialog.open_options(self.entry)


class RepairLink(Link, Fix):
    """A number that needs to be linked again."""

    state = State.WAITING
    issue: ir.IssueEntry

    @override
    async def show(self) -> None:
        self.issue = await self.raise_issue()
        set_back(self.instance, starts=self.starts)

    @override
    async def send(self) -> None:
        await self.dialog.open_fix(self.issue)
        await self.dialog.scan()


class Linked(Link):
    """The poll when a dialog has linked a number."""

    @override
    async def fill_in(self) -> None:
        await super().fill_in()
        self.before = state_of(self.hass, STATUS)

    @override
    async def attempt(self) -> str:
        self.instance.state = State.CONNECTED
        await self.dialog.wait_for()
        assert self.dialog.result.get("reason", "linked") == "linked"
        return self.shown()

    @override
    async def again(self) -> str:
        await self.refresh()
        return self.shown()


class OptionsLinked(Linked, OptionsLink):
    """The poll at the end of the Configure menu."""


class RepairLinked(Linked, RepairLink):
    """The poll at the end of a repair."""


class Engine(Scenario):
    """A pairing without Home Assistant, from its start or from its first code."""

    def __init__(
        self, gateway: Gateway, provider: Provider, route: str, *, starts: bool
    ) -> None:
        """Look at the instance before all else."""
        super().__init__(gateway, route)
        self.provider = provider
        self.starts = starts
        self.after = None if route == "one" else "one"
        self.shown: Pairing | None = None
        self.task: asyncio.Task[None] | None = None

    @override
    async def open(self) -> None:
        self.instance = self.gateway.add("Home")

    @override
    async def prepare(self) -> None:
        await self.close()
        set_back(self.instance, starts=self.starts)
        if not self.starts:
            self.begin()
            await until(self.has_code)

    def begin(self) -> None:
        """Start a pairing."""
        self.shown = None
        self.task = asyncio.create_task(self.follow())

    async def follow(self) -> None:
        """Note what is shown."""
        async for shown in pair(self.provider, self.instance.id):
            self.shown = shown
            self.said += shown.message

    def has_code(self) -> bool:
        """Tell whether the code that is valid now is shown."""
        png = self.shown.png if self.shown else None
        return bool(
            png and self.instance.code and read_qr(png) == self.instance.code.text
        )

    @override
    async def attempt(self) -> str:
        if self.starts:
            self.begin()
        return await outcome_of(self.look)

    async def look(self) -> str | None:
        """Return what ended the pairing, None while it goes on."""
        if self.shown is None or self.shown.phase in ONGOING:
            return None
        return self.shown.phase

    @override
    async def again(self) -> str:
        if await self.look():
            self.begin()
        await until(self.has_code)
        return "ok"

    @override
    async def close(self) -> None:
        if self.task:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
            await asyncio.sleep(ON_THE_WAY)
