"""Ask for the phone numbers that somebody wants to see and that no list has."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from .providers.models import GatewayError, Instance, InstanceStatus

if TYPE_CHECKING:
    from .providers.base import Provider

MAX_QUESTIONS = 5
"""How often a gateway is asked for a phone number that it does not give."""


class PhoneNumbers:
    """The phone numbers of an account, each asked for once for each connection."""

    def __init__(self, provider: Provider) -> None:
        """Ask for none yet."""
        self.wanted: set[str] = set()
        """The ids of the instances whose number somebody wants to see."""
        self._provider = provider
        self._known: dict[str, str] = {}
        self._questions: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    async def add_to(self, instances: dict[str, Instance]) -> None:
        """Add those that are wanted to the connected instances."""
        if self._provider.list_has_phone_number:
            return
        wanted = {
            instance_id
            for instance_id in self.wanted & instances.keys()
            if instances[instance_id].status is InstanceStatus.CONNECTED
        }
        for memory in (self._known, self._questions, self._failures):
            for instance_id in memory.keys() - wanted:
                del memory[instance_id]
        # whose question fails comes last, and the next poll asks again
        open_questions = sorted(
            wanted - self._known.keys(), key=self._failures.__getitem__
        )
        with suppress(GatewayError):
            for instance_id in open_questions:
                if self._questions[instance_id] < MAX_QUESTIONS:
                    await self._ask(instance_id)
        for instance_id, number in self._known.items():
            instances[instance_id] = replace(
                instances[instance_id], phone_number=number
            )

    async def _ask(self, instance_id: str) -> None:
        self._failures[instance_id] += 1
        one = await self._provider.instance(instance_id)
        self._failures[instance_id] -= 1
        self._questions[instance_id] += 1
        if one.phone_number:
            self._known[instance_id] = one.phone_number
