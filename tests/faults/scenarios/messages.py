"""Where messages are sent, and where it is asked to whom they can be."""

from __future__ import annotations

from typing import Any, override

from homeassistant.exceptions import HomeAssistantError

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways.machine import State
from tests.harness.recipients import send
from tests.harness.texts import ENGLISH, exception_key

from .account import NUMBERS, AccountScenario
from .dialogs import Form
from .scenario import said_by

NUMBER = "+12025550123"
MAY_BE_THERE = {"ok", "maybe_sent"}
"""Outcomes of a message that the gateway may have taken."""


class SendMessage(AccountScenario):
    """The action that sends a message, to a phone number that was checked before."""

    number = NUMBER

    async def send(self) -> str:
        """Send a message; return `ok`, or why it was not sent."""
        device = self.device_of(self.instance)
        assert device
        text = f"Message {next(NUMBERS)}"
        try:
            await send(self.hass, device_id=device.id, to=[self.number], message=text)
        except HomeAssistantError as err:
            failures = (err.translation_placeholders or {})["failures"]
            self.said += said_by(err) + failures
            return reason_in(failures.partition(": ")[2])
        return "ok"

    @override
    async def attempt(self) -> str:
        asked, taken = self.gateway.count("send"), len(self.gateway.sent)
        outcome = await self.send()
        asked = self.gateway.count("send") - asked
        taken = len(self.gateway.sent) - taken
        # what was refused because of a pause is sent once more after it
        allowed = 2 if outcome == "rate_limited" else 1
        repeated = asked > allowed or taken > 1
        denied = taken and outcome not in MAY_BE_THERE
        return outcome + "+repeated" * repeated + "+denied" * bool(denied)

    @override
    async def again(self) -> str:
        taken = len(self.gateway.sent)
        outcome = await self.attempt()
        more = len(self.gateway.sent) - taken
        return outcome if more == 1 else f"{outcome}, {more} taken"


class SendToNew(SendMessage):
    """The check of a phone number before the first message to it."""

    @override
    async def send(self) -> str:
        digits = f"1202555{1000 + next(NUMBERS)}"
        self.gateway.people[digits] = "Ben"
        self.number = f"+{digits}"
        return await super().send()


def reason_in(text: str) -> str:
    """Return the key of an error, with that of the reason that it gives."""
    key = exception_key(text)
    start, found, _ = ENGLISH["exceptions"][key]["message"].partition("{reason}")
    return f"{key}:{exception_key(text.removeprefix(start))}" if found else key


class ListChats(AccountScenario):
    """The action that lists the groups and contacts of an instance."""

    @override
    async def attempt(self) -> str:
        device = self.device_of(self.instance)
        assert device
        try:
            answer: Any = await self.hass.services.async_call(
                DOMAIN,
                "list_chats",
                {"device_id": device.id},
                blocking=True,
                return_response=True,
            )
        except HomeAssistantError as err:
            self.said += said_by(err)
            return str(err.translation_key)
        found = {one["id"] for one in answer["chats"]}
        return "ok" if found >= self.gateway.groups.keys() else f"{len(found)} chats"


class Recipient(Form):
    """The phone number of a recipient, about which the gateway is asked."""

    state = State.CONNECTED

    @override
    async def fill_in(self) -> None:
        for subentry_id in list(self.entry.subentries):
            self.hass.config_entries.async_remove_subentry(self.entry, subentry_id)
        await self.hass.async_block_till_done()
        await self.dialog.open_recipient(self.entry)

    @override
    async def send(self) -> None:
        await self.dialog.give(recipient=NUMBER, name="Ben")
