"""How soon a change is seen that a gateway reports, what that saves, and its price."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from threading import Thread
import time
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from aiohttp.web import Response
import freezegun
import freezegun.api
from freezegun.api import FrozenDateTimeFactory

from homeassistant.components import webhook
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import callback
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.patch_time import (
    HAFakeDatetime,
    ha_datetime_to_fakedatetime,
)

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways import GATEWAYS, Gateway
from tests.gateways.machine import LINK, State
from tests.harness.clock import Clock
from tests.harness.helpers import PUBLIC, until

from .home import home_assistant
from .linking import Account

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Iterable,
    )

    from aiohttp.web import Request

    from homeassistant.core import Event, HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.gateways.machine import Session

EVENTS = 50
SCANS = 50
AT_ONCE = 20
FLOOD = 10_000
BASELINE = "baseline"
# all in seconds
APART = (2.1, 2.6)
"""Between two events: an account is polled at most once a second, and where one event
is several calls, once more a second after the first one."""
SCAN = (2.0, 6.0)
"""That a person takes to scan."""
SETTLED = 3.0
HOUR = 3600.0


@dataclass(frozen=True)
class Push:
    """What was measured; all times in seconds."""

    reported: list[float] = field(default_factory=list)
    """From an event at the gateway to the state in Home Assistant."""
    polled: list[float] = field(default_factory=list)
    """The same in an account that is only polled, meanwhile."""
    reported_scans: list[float] = field(default_factory=list)
    """From the scan to the end of the dialog, without the gateway's own time."""
    polled_scans: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Flood:
    """What 10,000 events cost."""

    loop: float
    """Seconds of the processor in the thread of Home Assistant."""
    baseline: float
    """The same for as many calls of a webhook that does nothing."""
    seconds: float
    polls: int


def has_push(key: str) -> bool:
    """Tell whether a gateway reports changes."""
    return GATEWAYS[key].has("events") or GATEWAYS[key].has("webhooks")


@asynccontextmanager
async def reachable_home() -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant that gateways can call, also by a public address."""
    async with home_assistant() as hass:
        # no view can be added to a server that runs
        assert await async_setup_component(hass, DOMAIN, {})
        async with TestServer(hass.http.app) as server:
            hass.config.internal_url = str(server.make_url("")).rstrip("/")
            hass.config.external_url = PUBLIC
            yield hass
            await unload(hass)


async def unload(hass: HomeAssistant) -> None:
    """Unload all accounts."""
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)


async def set_up(
    hass: HomeAssistant, key: str, gateway: Gateway, state: State, *, push: bool
) -> Account:
    """Set up an account with one instance, with or without push."""
    gateway.events.on = push and gateway.has("events")
    gateway.webhooks.proxies[PUBLIC] = str(hass.config.internal_url)
    one = await Account.add(hass, key, gateway, state)
    if push:
        await report(one.entry, gateway)
    return one


async def report(entry: MockConfigEntry, gateway: Gateway) -> None:
    """Wait until the gateway reports changes; where it calls, turn that on."""
    coordinator = entry.runtime_data
    if not gateway.has("events"):
        assert await coordinator.webhook.async_turn_on() == set()
        return
    await until(lambda: coordinator.push.connected)


async def measure_push(keys: Iterable[str]) -> dict[str, Push]:
    """Change instances and scan codes, in accounts with push and in others."""
    results = {key: Push() for key in keys}
    async with reachable_home() as hass, AsyncExitStack() as stack:

        async def account(key: str, state: State, *, push: bool) -> Account:
            gateway = GATEWAYS[key]()
            await stack.enter_async_context(gateway.running())
            return await set_up(hass, key, gateway, state, push=push)

        # they are idle most of the time
        await asyncio.gather(
            *(
                _change(hass, partial(account, key), Random(key), result)  # noqa: S311
                for key, result in results.items()
            )
        )
        await unload(hass)
        for key, result in results.items():
            await _scan(partial(account, key), Random(key), result)  # noqa: S311
            await unload(hass)
    return results


async def _change(
    hass: HomeAssistant,
    account: Callable[..., Awaitable[Account]],
    random: Random,
    result: Push,
) -> None:
    """Change one instance with push again and again, and each of many without."""
    pushed = await account(State.CONNECTED, push=True)
    polled = await account(State.CONNECTED, push=False)
    others = [
        polled.gateway.add(f"Other{number}", State.CONNECTED)
        for number in range(EVENTS)
    ]
    await polled.entry.runtime_data.async_refresh()
    await hass.async_block_till_done()
    waits = []
    for number, other in enumerate(others):
        await asyncio.sleep(random.uniform(*APART))
        connected = bool(number % 2)
        waits += [
            _seen(hass, pushed, pushed.session, result.reported, connected=connected),
            _seen(hass, polled, other, result.polled, connected=False),
        ]
    await asyncio.gather(*waits)


def _seen(
    hass: HomeAssistant,
    account: Account,
    session: Session,
    times: list[float],
    *,
    connected: bool,
) -> asyncio.Future[None]:
    """Change an instance; note how long Home Assistant takes to show it."""
    entity_id = account.entity_id("sensor", "status", session)
    changed_at = time.perf_counter()
    done: asyncio.Future[None] = hass.loop.create_future()

    @callback
    def note(event: Event[Any]) -> None:
        new = event.data["new_state"]
        if event.data["entity_id"] == entity_id and (
            (new.state == "connected") is connected
        ):
            times.append(time.perf_counter() - changed_at)
            done.set_result(None)
            stop()

    stop = hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    if connected:
        session.state = State.CONNECTED
    else:
        session.unlink()
    return done


async def _scan(
    account: Callable[..., Awaitable[Account]], random: Random, result: Push
) -> None:
    """Link instances in dialogs, a few at a time, with and without push in turn."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def scan(times: list[float], *, push: bool) -> None:
        async with turns:
            one = await account(State.STOPPED, push=push)
            _, finished = await one.scan(random.uniform(*SCAN))
            times.append(finished - LINK)

    await asyncio.gather(
        *(
            scan(times, push=push)
            for _ in range(SCANS)
            for times, push in (
                (result.reported_scans, True),
                (result.polled_scans, False),
            )
        )
    )


class Elsewhere:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run[T](self, task: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Run a task there."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(task, self._loop))

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def measure_flood(key: str) -> Flood:
    """Send many events about one instance from another thread."""
    elsewhere, gateway = Elsewhere(), GATEWAYS[key]()
    running = gateway.running()
    await elsewhere.run(running.__aenter__())
    async with reachable_home() as hass:
        one = await set_up(hass, key, gateway, State.CONNECTED, push=True)
        await asyncio.sleep(SETTLED)
        polls, began, loop = gateway.count("list"), time.time(), time.thread_time()
        if gateway.has("events"):
            await elsewhere.run(_send(gateway, one.session))
            events = one.entry.runtime_data.push.events
            await until(lambda: events.total() >= FLOOD)
        else:
            [endpoint] = gateway.webhooks.active
            [(_, body), *_] = gateway.reports(endpoint, one.session)
            address = endpoint.url.replace(PUBLIC, str(hass.config.internal_url))
            await elsewhere.run(_call(address, body, endpoint.headers))
        loop, seconds = time.thread_time() - loop, time.time() - began
        await asyncio.sleep(SETTLED)
        polls = gateway.count("list") - polls
        baseline = 0.0 if gateway.has("events") else await _baseline(hass, elsewhere)
    await elsewhere.run(running.__aexit__(None, None, None))
    elsewhere.stop()
    return Flood(loop=loop, baseline=baseline, seconds=seconds, polls=polls)


async def _send(gateway: Gateway, session: Session) -> None:
    frame = gateway.event_of(session)
    for _ in range(FLOOD):
        await gateway.events.send(frame)


async def _call(address: str, body: Any, headers: dict[str, str]) -> None:
    async with ClientSession() as client:
        for _ in range(FLOOD):
            async with client.post(address, json=body, headers=headers) as answer:
                assert answer.status == 200


async def _baseline(hass: HomeAssistant, elsewhere: Elsewhere) -> float:
    """Return what as many calls cost Home Assistant itself."""

    async def handle(_hass: HomeAssistant, _id: str, request: Request) -> Response:
        await request.read()
        return Response()

    webhook.async_register(hass, DOMAIN, BASELINE, BASELINE, handle)
    path = webhook.async_generate_path(BASELINE)
    began = time.thread_time()
    await elsewhere.run(_call(f"{hass.config.internal_url}{path}", {}, {}))
    return time.thread_time() - began


def measure_idle(key: str) -> dict[bool, int]:
    """Return the requests of an idle account in an hour, with and without push.

    The hour is simulated.
    """
    # Home Assistant compares times with its own class
    vars(freezegun.api).update(
        datetime_to_fakedatetime=ha_datetime_to_fakedatetime,
        FakeDatetime=HAFakeDatetime,
    )
    with freezegun.freeze_time() as freezer:
        assert isinstance(freezer, FrozenDateTimeFactory)
        return asyncio.run(_idle(key, freezer))


async def _idle(key: str, freezer: FrozenDateTimeFactory) -> dict[bool, int]:
    requests = {}
    run = Clock(asyncio.get_running_loop(), freezer).run
    async with reachable_home() as hass, AsyncExitStack() as stack:
        for push in (True, False):
            gateway = GATEWAYS[key]()
            await stack.enter_async_context(gateway.running())
            await set_up(hass, key, gateway, State.CONNECTED, push=push)
            await run(SETTLED)
            asked = len(gateway.asked)
            await run(HOUR)
            requests[push] = len(gateway.asked) - asked
            await unload(hass)
    return requests
