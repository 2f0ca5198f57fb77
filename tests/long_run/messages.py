"""The messages of an account: what is sent, and what is received."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, callback
from homeassistant.helpers import entity_registry as er

from tests.harness.recipients import BEN, send

from .owner import Owner

if TYPE_CHECKING:
    from tests.gateways.machine import Session

ARRIVAL = 1.0
"""Seconds in which a message is shown."""


class Messenger(Owner):
    """Sends messages, and listens to those that are received."""

    receives = False

    def __init__(self, *args: Any) -> None:
        """Have neither sent nor heard anything."""
        super().__init__(*args)
        self.written = self.read = 0
        """Number of messages that were sent, and received."""
        self._heard: list[str] = []
        self._shown: dict[str, str] = {}

    def receive(self) -> None:
        """Receive all messages, before the account is set up."""
        self.receives = True
        options = {**self.entry.options, "receive": "everyone"}
        self.hass.config_entries.async_update_entry(self.entry, options=options)
        self.hass.bus.async_listen("state_changed", self._note)

    @callback
    def _note(self, event: Event[Any]) -> None:
        """Hear a message once, however often its entity is shown again."""
        entity_id, state = event.data["entity_id"], event.data["new_state"]
        if not entity_id.startswith("event.") or state is None:
            return
        known = {STATE_UNAVAILABLE, STATE_UNKNOWN, self._shown.get(entity_id)}
        if state.state not in known:
            self._shown[entity_id] = state.state
            self._heard.append(state.attributes["text"])

    async def talk(self, *sessions: Session) -> None:
        """Send a message with each instance, and let one arrive."""
        assert self._heard == []
        for one in sessions or self.some(2):
            if self.status(one) == "connected":
                await self._write(one)
                await self._listen(one)
        self.gateway.history.clear()

    def _chat(self) -> str:
        return self.random.choice([*self.gateway.groups, BEN])

    async def _write(self, one: Session) -> None:
        """Send a message, which arrives once."""
        self.written += 1
        entity = er.async_get(self.hass).async_get(
            str(self.entity("sensor", one, "status"))
        )
        assert entity
        text = f"Message {self.written}"
        await send(
            self.hass, device_id=entity.device_id, to=[self._chat()], message=text
        )
        assert [(sent.session_id, sent.text) for sent in self.gateway.sent] == [
            (one.id, text)
        ]
        self.gateway.sent.clear()

    def _is_reported(self, one: Session) -> bool:
        """Return whether the gateway can report messages of an instance now."""
        if push := self.entry.runtime_data.stream:
            return bool(push.connected)
        webhooks = self.gateway.webhooks
        return any([*self.gateway.reports(webhook, one)] for webhook in webhooks.active)

    async def _listen(self, one: Session) -> None:
        """Let two messages arrive, each of which is shown once and in order."""
        if not self.receives or not self._is_reported(one):
            return
        texts = []
        for _ in range(2):
            self.read += 1
            texts.append(f"Answer {self.read}")
            await self.gateway.deliver(
                one, self._chat(), texts[-1], sender=BEN.partition("@")[0]
            )
        await self.clock.run(ARRIVAL)
        assert self._heard == texts
        self._heard.clear()
        self.gateway.delivered.clear()
