"""How soon a QR code is on screen, and how soon its scan is seen."""

from __future__ import annotations

import asyncio
from random import uniform
import time
from typing import TYPE_CHECKING, Any

from homeassistant.core import callback
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    FlowResultType,
)

from tests.gateways import VirtualPhone
from tests.gateways.machine import State
from tests.harness.dialog import Dialog
from tests.harness.qr_reader import read_data_uri

from .home import next_state

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from homeassistant.core import Event, HomeAssistant

    from .home import Account, Times

STARTS = (1.0, 3.0)
"""Seconds that an instance takes from its start to its first code."""
PERSON = 3.1
"""Seconds that a person takes to scan."""


async def codes(hass: HomeAssistant, dialog: Dialog) -> AsyncGenerator[str | None]:
    """Yield the text of each code that a browser shows until the dialog ends."""
    changed = asyncio.Event()

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["flow_id"] == dialog.flow_id:
            changed.set()

    stop = hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, note)
    while dialog.result["type"] is FlowResultType.SHOW_PROGRESS:
        if dialog.action == "scan":
            uri = dialog.result["description_placeholders"]["qr"]
            yield await asyncio.to_thread(read_data_uri, uri)
        await changed.wait()
        changed.clear()
        await dialog.look()
    stop()


async def link(account: Account, times: Times, scanned_code: int) -> None:
    """Link an instance by the first or a later code, and note what takes how long."""
    session, dialog, shown = account.session, Dialog(account.hass), -1
    session.boot = uniform(*STARTS)  # noqa: S311
    session.state = State.STOPPED
    await dialog.open_options(account.entry)
    valid_from = time.time() + session.boot
    await dialog.link()
    async for text in codes(account.hass, dialog):
        texts = [code.text for code in session._codes]
        if text not in texts or texts.index(text) <= shown:
            continue
        shown = texts.index(text)
        times["next code to screen" if shown else "code to screen"].append(
            time.time() - valid_from
        )
        valid_from = session._codes[shown].expires
        if shown == scanned_code:
            await asyncio.sleep(PERSON)
            connected = next_state(account.hass, account.status, "connected")
            scanned = time.time()
            VirtualPhone(account.gateway).scan(text)
    times["scan to end of dialog"].append(time.time() - scanned)
    assert dialog.reason == "linked", dialog.result
    times["scan to state"].append(await connected - scanned)
