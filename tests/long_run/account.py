"""An account of a lively gateway, as Home Assistant shows it."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways.machine import Session, State
from tests.harness.helpers import (
    POLL,
    SECOND_LIST,
    STATUSES,
    device_names,
    press,
    raised_issues,
    state_of,
    status_of,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.issue_registry import IssueEntry
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.gateways import Gateway
    from tests.harness.clock import Clock


PUSH_POLL = 305.0
"""Seconds in which a poll happens while the gateway reports changes."""
SETTLED = 75.0
"""Seconds after which every gateway's failure or lost connection counts."""


class Account:
    """An account whose instances are of the pool."""

    def __init__(
        self,
        hass: HomeAssistant,
        clock: Clock,
        gateway: Gateway,
        entry: MockConfigEntry,
        seed: int,
    ) -> None:
        """Choose at random, but the same with the same seed."""
        self.hass = hass
        self.clock = clock
        self.gateway = gateway
        self.entry = entry
        self.random = random.Random(seed)  # noqa: S311
        # a gateway that is asked for each instance takes as many times as long
        self.patience = PUSH_POLL if gateway.events.on else POLL
        # only the second list that lacks an instance removes it
        self.patience += SECOND_LIST
        self.alive = 10 if gateway.has("live_states") else 50
        # Home Assistant remembers what was deleted: all IDs come back
        self.pool = [f"number-{number:02}" for number in range(self.alive * 6 // 5)]

    async def look(self, polls: int = 4) -> None:
        """Let a few polls happen, and check what they show.

        One alone is no regular poll where the gateway reports changes.
        """
        for _ in range(polls):
            await self.clock.run(self.patience if polls > 1 else POLL)
            assert device_names(self.hass, self.entry) == self.names
            self.gateway.asked.clear()
        now = time.time()
        for one in self.instances():
            if one.state in STATUSES and now - one.updated > SETTLED:
                assert self.status(one) in self.expected_of(one)
        down = (State.NEW, State.WAITING, State.FAILED, State.STOPPED)
        troubled = {
            session.id
            for session in self.instances(*down)
            if session.id in self.entry.data["linked"]
        }
        issues = self.issues.keys()
        assert issues <= troubled
        old = {
            instance_id
            for instance_id in troubled
            if now - self.gateway.sessions[instance_id].updated > 4 * POLL
        }
        assert issues >= old

    def expected_of(self, one: Session) -> set[str]:
        """Return the statuses that an instance may be shown with."""
        shown = status_of(self.gateway, one.state)
        # what looks new is known to be disconnected if a phone was linked
        known = {"disconnected"} if shown == "created" else set()
        return {shown, *known}

    @property
    def issues(self) -> dict[str, IssueEntry]:
        """Return the raised issues by the ID of their instance."""
        return {
            str(issue.data["instance_id"]): issue
            for issue in raised_issues(self.hass)
            if issue.data
        }

    @property
    def names(self) -> set[str]:
        """Return the names that the gateway has."""
        return {one.name for one in self.gateway.sessions.values()}

    def instances(self, *states: State) -> list[Session]:
        """Return the instances in some states, or all."""
        every = self.gateway.sessions.values()
        return [one for one in every if not states or one.state in states]

    def some(self, number: int = 1) -> list[Session]:
        """Return instances that are connected."""
        return self.random.sample(self.instances(State.CONNECTED), number)

    def unique_id(self, one: Session) -> str:
        """Return what the integration tells an instance by."""
        return f"{self.entry.data['gateway']}_{one.id}"

    def entity(self, platform: str, one: Session, key: str) -> str | None:
        """Return the entity of an instance, None where the provider has none."""
        return er.async_get(self.hass).async_get_entity_id(
            platform, DOMAIN, f"{self.unique_id(one)}_{key}"
        )

    def status(self, one: Session) -> str:
        """Return what the status sensor shows."""
        return state_of(self.hass, str(self.entity("sensor", one, "status")))

    async def press(self, one: Session, *actions: str) -> None:
        """Press the first of these buttons that the provider has."""
        buttons = (self.entity("button", one, action) for action in actions)
        button = next(button for button in buttons if button)
        await press(self.hass, button)

    def free(self) -> str | None:
        """Return an id that no instance has."""
        free = [one for one in self.pool if one not in self.gateway.sessions]
        return self.random.choice(free) if free else None

    def name_of(self, one: str) -> str:
        """Return the name of a new instance with this ID."""
        return one if self.gateway.has("names_are_ids") else f"Number {one}"

    def add(self, one: str, state: State = State.CONNECTED) -> Session:
        """Create an instance at the gateway."""
        return self.gateway.add(self.name_of(one), state, id=one)
