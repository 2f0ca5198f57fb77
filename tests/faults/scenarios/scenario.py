"""What every scenario is that asks a gateway."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.gateways import Gateway
    from tests.gateways.machine import Session


class Scenario(ABC):
    """A scenario that asks the gateway.

    An outcome is a word: `ok` where all is as if nothing had gone wrong.
    """

    after: str | None = None
    """The route that an attempt asks before the one that is watched."""
    instance: Session

    def __init__(self, gateway: Gateway, route: str) -> None:
        """Watch one route."""
        self.gateway = gateway
        self.route = route
        self.said = ""
        """What errors and dialogs said, which must hold no secret."""

    @abstractmethod
    async def open(self) -> None:
        """Get ready for all attempts."""

    @abstractmethod
    async def prepare(self) -> None:
        """Get as far as just before the attempt."""

    @abstractmethod
    async def attempt(self) -> str:
        """Ask the gateway, and return the outcome."""

    @abstractmethod
    async def again(self) -> str:
        """Return the outcome of what a person or a poll does next."""

    async def seen(self) -> str:
        """Return the outcome of an attempt, and what else became of it."""
        return await self.attempt()

    @abstractmethod
    async def close(self) -> None:
        """Leave nothing open."""


def said_by(error: BaseException | None) -> str:
    """Return all that an error and those behind it say."""
    if error is None:
        return ""
    behind = said_by(error.__cause__) + said_by(error.__context__)
    return f"{error} {error!r} {behind}"
