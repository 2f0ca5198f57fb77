"""A long life of an account leaves nothing behind, and one log line for each outage.

It takes two days at every run, and 30 days with FULL=1 in the environment; DAYS=10
takes 10.
"""

from __future__ import annotations

from collections import Counter
import logging
import os
from typing import TYPE_CHECKING, Any, Self, override

from aiohttp import ClientSession
import pytest

from homeassistant.setup import async_setup_component

from tests.harness.facts import SUPPORTED
from tests.harness.helpers import make_reachable
from tests.harness.inventory import blocks, difference, take_inventory
from tests.harness.leaks import LISTENER

from .month import Month

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway, VirtualPhone
    from tests.harness.clock import Clock

DAYS = float(os.environ.get("DAYS") or (30 if os.environ.get("FULL") else 2))
WARM_UP = 2.0
"""Days after which all that is only made once has been made."""
SEED = int(os.environ.get("SEED", "30"))
CASES = [
    (key, push)
    for key, kind in SUPPORTED.items()
    for push in (True, False)
    if push is kind.has("events") or (os.environ.get("FULL") and not push)
]
"""Gateways, and whether they report changes: if they can, and with FULL=1 also not."""
STEP = 0.0 if os.environ.get("EVERY_POLL") else 900.0
"""Seconds from poll to poll while nothing happens; with 0 there are all polls."""
GROWTH = 6000
"""Blocks of memory by which the process may grow in the month.

Caches that fill make 1300 to 4200 of them, however many polls there are; one object
kept at each poll makes 7000 more with the fewest polls, and 90000 with all. So fewer
than 30 days only find what grows faster.
"""


class Log(logging.Handler):
    """Counts the lines that an outage makes, and keeps all others that warn."""

    EXPECTED = (
        "Error fetching",
        "Authentication failed while fetching",
        "data recovered",
    )
    CORES_OWN = "not ready yet"
    """Said of a setup without the gateway: by some versions once, as a warning."""

    def __init__(self) -> None:
        """Have heard nothing."""
        super().__init__()
        self.lines: Counter[str] = Counter()
        self.others: list[str] = []

    def __enter__(self) -> Self:
        """Hear all; pytest, which keeps every line, hears nothing."""
        self.before, logging.root.handlers = logging.root.handlers, [self, LISTENER]
        return self

    def __exit__(self, *_: object) -> None:
        """Let pytest hear again."""
        logging.root.handlers = self.before

    @override
    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        expected = [one for one in self.EXPECTED if one in text]
        if self.CORES_OWN in text:
            return
        if record.levelno >= logging.WARNING or "data recovered" in expected:
            self.lines.update(expected)
            self.others += [] if expected else [f"{record.name}: {text}"]


@pytest.fixture
async def month(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    phone: VirtualPhone,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    hass_client_no_auth: ClientSessionGenerator,
    *,
    push: bool,
) -> Month:
    """Return an account with all instances of the pool, which receives messages."""
    gateway.events.on = push
    assert await async_setup_component(hass, "repairs", {})
    gateway.owners = {gateway.key: "me"}
    month = Month(hass, clock, gateway, entry, SEED)
    # a connection needs its signs of life
    month.phone, month.step = phone, 0.0 if push else STEP
    monkeypatch.setattr(gateway, "new_id", lambda: month.next_id)
    for one in month.pool:
        month.add(one)
    # the others need no webhook, or bring no messages by it
    calls = gateway.has("webhooks", "receiving")
    if gateway.has("receiving") and (push or calls):
        month.receive()
    assert await hass.config_entries.async_setup(entry.entry_id)
    if calls:
        await make_reachable(hass, gateway, hass_client_no_auth)
        assert await entry.runtime_data.webhook.async_turn_on() == set()
    return month


@pytest.mark.parametrize(("provider_key", "push"), CASES)
async def test_long_run(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    month: Month,
    hass_client_no_auth: ClientSessionGenerator,
    *,
    push: bool,
) -> None:
    """After days of all that can happen nothing is left of it."""
    print(f"SEED={SEED}")
    server = (await hass_client_no_auth()).make_url("/")
    async with ClientSession(server) as month.browser:
        with Log() as log:
            await month.live(WARM_UP)
            await month.begin_anew()
            before: dict[str, Any] = take_inventory(hass, entry)
            size = blocks()

            await month.live(DAYS)
            await month.begin_anew()
            growth = blocks() - size
            after = take_inventory(hass, entry)

    print(f"{growth=} {month.written=} {month.read=}")
    assert month.written
    assert bool(month.read) is month.receives
    assert push is bool(
        entry.runtime_data.stream and entry.runtime_data.stream.connected
    )
    assert difference(before, after) == {}
    assert growth < GROWTH
    assert log.lines == month.expected
    assert log.others == []
