"""The pairing engine against the gateways, without Home Assistant."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import accumulate
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.whatsapp_gateway.pairing import engine as pairing
from custom_components.whatsapp_gateway.pairing.engine import Pairing, Phase
from custom_components.whatsapp_gateway.pairing.qr_code import LOOK_SECONDS, QrCodes
from custom_components.whatsapp_gateway.providers.models import Closed
from custom_components.whatsapp_gateway.providers.parsing import PNG_SIGNATURE
from tests.gateways import ExpiredCodeError, Gateway, VirtualPhone
from tests.gateways.machine import State
from tests.harness.facts import lacks, needs
from tests.harness.helpers import until
from tests.harness.pairings import first_code, pair, phases
from tests.harness.qr_reader import read_qr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways.machine import Session
    from tests.harness.clock import Clock

CORRUPT = "data:image/png;base64," + b64encode(PNG_SIGNATURE + b"x").decode()
STOPPED = [State.NEW, State.STOPPED, State.FAILED]


@pytest.mark.parametrize("state", STOPPED)
async def test_linked(
    gateway: Gateway,
    provider: Provider,
    phone: VirtualPhone,
    state: State,
    clock: Clock,
) -> None:
    """A stopped instance is started, shows a code, and is linked by a scan of it."""
    one = gateway.add("Home", state)
    async with aclosing(pair(provider, one.id)) as pairings:
        assert phone.scan(await first_code(pairings)) is one
        scanned = clock.time()

        assert await phases(pairings) in (
            [Phase.LINKING, Phase.LINKED],
            [Phase.LINKED],
        )
    assert clock.time() - scanned < 3
    assert one.state is State.CONNECTED
    assert one.starts == 1


async def test_running_session(
    gateway: Gateway, provider: Provider, phone: VirtualPhone
) -> None:
    """A session that waits for a scan already is not started again."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        phone.scan(await first_code(pairings))

        assert (await phases(pairings))[-1] is Phase.LINKED
    assert one.starts == 0


async def test_already_connected(gateway: Gateway, provider: Provider) -> None:
    """There is nothing to do for a connected instance."""
    one = gateway.add("Home", State.CONNECTED)

    assert await phases(pair(provider, one.id)) == [Phase.LINKED]
    assert gateway.count(gateway.qr_route) == 0


@needs("stop")
async def test_linked_before(gateway: Gateway, provider: Provider) -> None:
    """An instance that was only disconnected comes back without a scan."""
    one = gateway.add("Home", State.STOPPED, linked=True)

    assert await phases(pair(provider, one.id)) == [Phase.WAITING, Phase.LINKED]


def codes_shown(gateway: Gateway) -> int:
    """Return how many codes a pairing shows until its round or itself is over."""
    starts = accumulate(gateway.code_lives[:-1], initial=0.0)
    return sum(start < pairing.DEADLINE_SECONDS for start in starts)


async def test_whole_round(
    gateway: Gateway, provider: Provider, phone: VirtualPhone, clock: Clock
) -> None:
    """All codes, each replaced in time, none shown when it is over; then the end."""
    one = gateway.add("Home")
    late = 0
    codes: list[str] = []
    outcome = None
    async for shown in pair(provider, one.id):
        outcome = shown.phase
        if shown.png and (text := read_qr(shown.png)):
            late += one.code is None or one.code.text != text
            codes.append(text)

    assert outcome is Phase.EXPIRED
    assert len(set(codes)) == len(codes) == codes_shown(gateway)
    assert late == 0
    # the gateway may go on without the pairing
    await clock.run(max(gateway.code_lives))
    for code in codes:
        with pytest.raises(ExpiredCodeError):
            phone.scan(code)


async def stay(pairings: AsyncIterator[Pairing], one: Session) -> list[float]:
    """Return for each code by how many seconds it left the screen too late."""
    late: list[float] = []
    end: float | None = None
    async for shown in pairings:
        if end:
            late.append(time.time() - end)
        showing = shown.png and read_qr(shown.png)
        end = one.code.expires if showing and one.code else None
    return late


@pytest.mark.parametrize("state", [*STOPPED, State.WAITING])
async def test_expired_code_goes(
    gateway: Gateway, provider: Provider, state: State
) -> None:
    """A code that has expired is on screen until the next look at most."""
    late = await stay(pair(provider, (one := gateway.add("Home", state)).id), one)

    assert len(late) == codes_shown(gateway)
    assert max(late) < LOOK_SECONDS + gateway.returns_expired + 0.1


async def test_another_round(
    gateway: Gateway, provider: Provider, phone: VirtualPhone
) -> None:
    """After a round another one can be started."""
    one = gateway.add("Home")
    assert (await phases(pair(provider, one.id)))[-1] is Phase.EXPIRED

    async with aclosing(pair(provider, one.id)) as pairings:
        phone.scan(await first_code(pairings))
        assert (await phases(pairings))[-1] is Phase.LINKED


async def test_redrawn_only_if_changed(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """A code that is still the same is not shown anew."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        shown = await anext(pairings)
        assert shown.png
        assert one.code is not None
        life = one.code.expires - time.time()

        started = clock.time()
        await anext(pairings)

    assert clock.time() - started > life / 2
    assert gateway.count("one") > 5


@pytest.mark.parametrize("viewers", [1, 3])
async def test_looks_are_paced(
    gateway: Gateway,
    provider: Provider,
    phone: VirtualPhone,
    clock: Clock,
    viewers: int,
) -> None:
    """A look every 2 s for all viewers; a code whose end is known is not renewed."""
    one = gateway.add("Home", State.WAITING)
    feed = QrCodes(provider).of(one.id)
    tasks = []
    for _ in range(viewers):
        tasks.append(asyncio.create_task(phases(pairing.pair(feed))))
        await clock.run(0.7)
    gateway.asked.clear()
    await clock.run(40)

    assert 19 <= gateway.count("one") <= 21
    codes = 0 if gateway.has("code_end") else gateway.count("one")
    assert gateway.count(gateway.qr_route) == codes
    assert one.code
    phone.scan(one.code.text)
    assert {(await task)[-1] for task in tasks} == {Phase.LINKED}


async def test_viewers_share_errors(gateway: Gateway, provider: Provider) -> None:
    """An error ends the pairings of all viewers, although one of them has asked."""
    feed = QrCodes(provider).of(gateway.add("Home", State.WAITING).id)
    tasks = [asyncio.create_task(phases(pairing.pair(feed))) for _ in range(2)]
    await until(lambda: feed.png)
    gateway.fail("*", status=401)

    assert [(await task)[-1] for task in tasks] == [Phase.UNAUTHORIZED] * 2


@needs("code_end")
async def test_hidden_code_stays_hidden(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """A code that the gateway still returns after its end does not come back."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        text = await first_code(pairings)
        assert one.code
        soon = datetime.fromtimestamp(one.code.expires + 30, UTC).isoformat()
        body = json.dumps({"raw": text, "expires_at": soon}).encode()
        gateway.fail("qr", body=body)
        assert await anext(pairings) == Pairing(phase=Phase.NEXT_CODE)
        task = asyncio.create_task(anext(pairings))
        await clock.run(10)
        assert not task.done()
        gateway.heal()

        shown = await task
    assert shown.png
    assert read_qr(shown.png) != text


async def test_closing_stops_all(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """Who no longer looks causes no more requests."""
    one = gateway.add("Home")
    task = asyncio.create_task(phases(pair(provider, one.id)))
    await until(lambda: gateway.count(gateway.qr_route))
    task.cancel()
    await clock.settle()
    asked = len(gateway.asked)

    await clock.run(60)

    assert len(gateway.asked) == asked


@pytest.mark.parametrize("hang", [False, True])
async def test_deadline(
    gateway: Gateway, provider: Provider, clock: Clock, *, hang: bool
) -> None:
    """A forgotten pairing ends by itself, even in the middle of a request."""
    one = gateway.add("Home", State.WAITING, scale=0.1)
    started = clock.time()
    task = asyncio.create_task(phases(pair(provider, one.id)))
    await clock.run(285)
    gateway.fail("one", hang=hang)

    assert (await task)[-1] is Phase.EXPIRED
    assert clock.time() - started == pytest.approx(290, abs=0.1)


@lacks("code_end")
async def test_unconfirmed_code_goes(gateway: Gateway, provider: Provider) -> None:
    """A code whose end nobody tells is not shown for long without the gateway."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        await first_code(pairings)
        gateway.fail("*", hang=True)

        assert await anext(pairings) == Pairing(phase=Phase.NEXT_CODE)


async def test_short_outage(
    gateway: Gateway, provider: Provider, phone: VirtualPhone
) -> None:
    """While the gateway is gone for a moment the code stays on screen."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        text = await first_code(pairings)
        gateway.fail("one", status=502, html=True, times=5)
        phone.scan(text)

        assert (await phases(pairings))[-1] is Phase.LINKED


@pytest.mark.parametrize(
    ("fault", "phase"),
    [
        ({"status": 500}, Phase.UNREACHABLE),
        ({"drop": True}, Phase.UNREACHABLE),
        ({"html": True}, Phase.UNEXPECTED),
    ],
    ids=str,
)
async def test_long_outage(
    gateway: Gateway, provider: Provider, fault: dict[str, Any], phase: Phase
) -> None:
    """A gateway that stays away ends it."""
    one = gateway.add("Home")
    gateway.fail("*", **fault)

    assert await phases(pair(provider, one.id)) == [Phase.WAITING, phase]


@pytest.mark.parametrize(
    "fault",
    [{"missing": True}, {"status": 422, "code": "no", "message": "Ask your admin"}],
    ids=str,
)
async def test_code_refused(
    gateway: Gateway, provider: Provider, fault: dict[str, Any]
) -> None:
    """Where only the code is refused, the instance is not taken for deleted."""
    one = gateway.add("Home", State.WAITING)
    gateway.fail(gateway.qr_route, **fault)
    [*_, last] = [shown async for shown in pair(provider, one.id)]

    assert last.phase is Phase.REJECTED
    assert last.message == fault.get("message", last.message) != ""


@pytest.mark.parametrize(
    ("status", "phase"), [(401, Phase.UNAUTHORIZED), (422, Phase.REJECTED)]
)
async def test_refused(
    gateway: Gateway, provider: Provider, status: int, phase: Phase
) -> None:
    """What will not pass by itself ends it at once."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        await first_code(pairings)
        gateway.fail("one", status=status, code="no", message="Ask your admin")

        [*_, last] = [shown async for shown in pairings]

    assert last.phase is phase
    assert last.message == ("Ask your admin" if phase is Phase.REJECTED else "")


async def test_deleted_meanwhile(gateway: Gateway, provider: Provider) -> None:
    """An instance that is deleted at the gateway ends it."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        await first_code(pairings)
        del gateway.sessions[one.id]

        assert (await phases(pairings))[-1] is Phase.GONE


async def test_missing_once(
    gateway: Gateway, provider: Provider, phone: VirtualPhone, clock: Clock
) -> None:
    """One answer that the instance doesn't exist does not end it, however often."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        await first_code(pairings)
        task = asyncio.create_task(phases(pairings))
        for _ in range(3):
            gateway.fail("one", missing=True, times=1)
            await clock.run(7)
            assert not task.done()
        assert one.code
        phone.scan(one.code.text)

        assert (await task)[-1] is Phase.LINKED


@pytest.mark.parametrize("body", [b"404 page not found", b"", b"{}"])
async def test_proxy_while_it_restarts(
    gateway: Gateway, provider: Provider, body: bytes
) -> None:
    """A proxy's 404 does not end it, unless it lasts."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        await first_code(pairings)
        gateway.fail("*", status=404, body=body)

        assert (await phases(pairings))[-1] is Phase.UNEXPECTED


@needs("says_failed")
async def test_failed_instance(gateway: Gateway, provider: Provider) -> None:
    """An instance that fails right after its start is told from a round over."""
    one = gateway.add("Home")
    async with aclosing(pair(provider, one.id, may_log_out=False)) as pairings:
        assert (await anext(pairings)).phase is Phase.WAITING
        task = asyncio.create_task(phases(pairings))
        await until(lambda: one.starts)
        one.state = State.FAILED
        gateway.say(gateway.statuses[State.FAILED])

        can_log_out = "logout" in gateway.actions
        assert await task == [Phase.NEEDS_LOGOUT if can_log_out else Phase.FAILED]
    # before a logout is proposed, the instance is restarted
    assert one.starts == (2 if can_log_out else 1)


@needs("says_failed", "says_starting")
async def test_failed_after_the_scan(
    gateway: Gateway, provider: Provider, phone: VirtualPhone
) -> None:
    """A scan that WhatsApp does not accept is told from a round over."""
    one = gateway.add("Home", State.WAITING, scale=0.1)
    async with aclosing(pair(provider, one.id)) as pairings:
        phone.scan(await first_code(pairings))
        assert (await anext(pairings)).phase is Phase.LINKING
        one.state = State.FAILED

        assert await phases(pairings) == [Phase.FAILED]


async def test_rate_limited(
    gateway: Gateway, provider: Provider, phone: VirtualPhone, clock: Clock
) -> None:
    """The pause that the gateway asks for is kept, then it goes on."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        text = await first_code(pairings)
        gateway.fail("one", status=429, headers={"Retry-After": "20"}, times=1)
        started = clock.time()
        phone.scan(text)

        assert (await phases(pairings))[-1] is Phase.LINKED
    assert 20 <= clock.time() - started < 20 + 2 * LOOK_SECONDS


async def test_unknown_status(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """A status that nobody knows is waited for, and nothing is started by it."""
    one = gateway.add("Home")
    gateway.say("dreaming")
    async with aclosing(pair(provider, one.id)) as pairings:
        assert (await anext(pairings)).phase is Phase.WAITING
        task = asyncio.create_task(first_code(pairings))
        await clock.run(60)
        assert one.starts == 0
        gateway.say(None)

        assert await task
    assert one.starts == 1


async def test_never_starts(gateway: Gateway, provider: Provider) -> None:
    """But not for ever."""
    one = gateway.add("Home", scale=0.001)
    gateway.statuses = {**gateway.statuses, State.BOOTING: gateway.statuses[State.NEW]}
    gateway.fail("qr", body=b"")

    assert await phases(pair(provider, one.id)) == [Phase.WAITING, Phase.FAILED]


async def test_pause_is_no_outage(gateway: Gateway, provider: Provider) -> None:
    """A pause that the gateway asks for between two errors is not time it was gone."""
    one = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, one.id)) as pairings:
        await first_code(pairings)
        gateway.fail("one", status=502, times=1)
        task = asyncio.create_task(phases(pairings))
        asked = gateway.count("one")
        await until(lambda: gateway.count("one") > asked)
        pause = str(pairing.UNREACHABLE_SECONDS + 1)
        gateway.fail("one", status=429, headers={"Retry-After": pause}, times=1)
        await until(lambda: gateway.count("one") > asked + 1)
        gateway.fail("one", status=502, times=1)
        await until(lambda: gateway.count("one") > asked + 3)
        assert one.code is not None
        VirtualPhone(gateway).scan(one.code.text)

        assert (await task)[-1] is Phase.LINKED


@needs("plain_json")
@pytest.mark.parametrize("given", ["data:image/png;base64,AAAA", None])
async def test_no_picture(gateway: Gateway, provider: Provider, given: Any) -> None:
    """A code that can't be drawn, or is not there yet, is asked for again."""
    one = gateway.add("Home", State.WAITING)
    body = json.dumps({"qr": given}).encode()
    gateway.fail("qr", body=body, times=2)
    async with aclosing(pair(provider, one.id)) as pairings:
        assert (await anext(pairings)).phase is Phase.WAITING

        assert await first_code(pairings)


@needs("plain_json")
async def test_code_that_cannot_be_drawn(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """A code that can't be drawn is reported after half a minute, like an outage."""
    session = gateway.add("Home", State.WAITING)
    gateway.fail("qr", body=json.dumps({"qr": CORRUPT, "raw": "9" * 9999}).encode())
    started = clock.time()

    assert (await phases(pair(provider, session.id)))[-1] is Phase.UNEXPECTED
    assert (
        pairing.UNREACHABLE_SECONDS
        <= clock.time() - started
        < pairing.UNREACHABLE_SECONDS + 10
    )


async def test_account_unloaded(gateway: Gateway, provider: Provider) -> None:
    """When the account is unloaded no more requests are sent."""
    session = gateway.add("Home", State.WAITING)
    async with aclosing(pair(provider, session.id)) as pairings:
        await first_code(pairings)
        provider.close()
        asked = len(gateway.asked)
        with pytest.raises(Closed):
            await first_code(pairings)

    assert len(gateway.asked) == asked
