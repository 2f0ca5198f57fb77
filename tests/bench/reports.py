"""How soon reported changes and messages are seen, and what sending takes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.gateways.machine import State
from tests.gateways.messages import PERSON
from tests.harness.recipients import device_named, send

from .home import next_state

if TYPE_CHECKING:
    from .home import Account, Times

CHANGES = 15
APART = 2.3
"""Seconds between two changes: an account is polled at most once a second, and where
one change is several calls, once more a second after the first one."""
MESSAGES = 30
NUMBER = "4915112345678"


async def change(account: Account, times: Times) -> None:
    """Change an instance again and again."""
    for number in range(CHANGES):
        await asyncio.sleep(APART)
        seen, began = next_state(account.hass, account.status), time.time()
        if number % 2:
            account.session.state = State.CONNECTED
        else:
            account.session.unlink()
        times["event to state"].append(await seen - began)
    account.session.state = State.CONNECTED


async def receive(account: Account, times: Times) -> None:
    """Let messages arrive one after the other."""
    event = f"event.{account.session.name}_message"
    for number in range(MESSAGES):
        shown, began = next_state(account.hass, event), time.time()
        chat_id = f"{NUMBER}{PERSON}"
        await account.gateway.deliver(account.session, chat_id, f"Message {number}")
        times["message to event entity"].append(await shown - began)


async def send_messages(account: Account, times: Times) -> None:
    """Send messages one after the other."""
    device = device_named(account.hass, account.entry, account.session.name)
    data = {"device_id": device.id, "to": [f"+{NUMBER}"]}
    for number in range(MESSAGES):
        began = time.perf_counter()
        await send(account.hass, **data, message=f"Message {number}")
        times["action that sends a message"].append(time.perf_counter() - began)
