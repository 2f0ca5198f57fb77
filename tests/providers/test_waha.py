"""WAHA: what only this gateway does, against its simulated server."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from itertools import pairwise
import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from custom_components.whatsapp_gateway.pairing.engine import Phase, pair
from custom_components.whatsapp_gateway.pairing.qr_code import QrCodeFeed
from custom_components.whatsapp_gateway.providers.http import MAX_WEBSOCKET_FRAME
from custom_components.whatsapp_gateway.providers.messages import (
    IncomingMessage,
    Media,
    MessageEvent,
    MessageKind,
    OutgoingMessage,
    SentMessage,
)
from custom_components.whatsapp_gateway.providers.models import (
    Action,
    BadResponse,
    CodeRejected,
    Feature,
    InstanceChanged,
    InstanceStatus,
    NotFound,
    Refused,
    Rejected,
    Skipped,
    TooLarge,
    Unauthorized,
    Unreachable,
)
from custom_components.whatsapp_gateway.providers.waha.client import Waha
from custom_components.whatsapp_gateway.providers.waha.messages import (
    parse_check,
    send_request,
)
from tests.gateways import GATEWAYS, VirtualPhone
from tests.gateways.machine import BOOT, State
from tests.gateways.waha_session import WahaSession
from tests.harness.calls import answer
from tests.harness.helpers import state_of, until
from tests.harness.pairings import first_code

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.gateways.waha import WahaGateway
    from tests.harness.clock import Clock

NUMBER = "4915112345678"
PERSON = "@s.whatsapp.net"
CHAT = f"{NUMBER}{PERSON}"
PN = f"1{PERSON}"
GROUP = "120363025246125486@g.us"
KINDS = [kind for kind in MessageKind if kind is not MessageKind.OTHER]


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "waha"


@pytest.fixture
def waha(session: ClientSession, gateway: WahaGateway) -> Waha:
    """Return a client with an administrator's key."""
    return Waha(session, gateway.url, gateway.key)


async def listed(waha: Waha) -> InstanceStatus | None:
    """Return the status of the only session in the list."""
    [one] = await waha.instances()
    return one.status


# Keys


@pytest.mark.parametrize("no_auth", [True, False])
async def test_no_key(
    gateway: WahaGateway, session: ClientSession, *, no_auth: bool
) -> None:
    """Without a key no header is sent; only a server without keys accepts that."""
    gateway.no_auth = no_auth
    waha = Waha(session, gateway.url, "")

    if no_auth:
        assert await waha.instances() == []
        assert (await waha.create("home")).id == "home"
        assert Feature.CREATE in waha.features
    else:
        with pytest.raises(Unauthorized):
            await waha.instances()
        gateway.no_auth = True
        assert await waha.instances() == []
    assert all("X-Api-Key" not in asked.headers for asked in gateway.asked)


async def test_wrong_key(gateway: WahaGateway, session: ClientSession) -> None:
    """A wrong key is told from a key that may not do something."""
    with pytest.raises(Unauthorized):
        await Waha(session, gateway.url, "wrong").instances()

    assert await Waha(session, gateway.url, gateway.key).instances() == []


async def test_session_key(gateway: WahaGateway, session: ClientSession) -> None:
    """A session key has one session, which it may start but not delete."""
    gateway.session_keys["key_of_home"] = "home", None
    gateway.add("home", State.STOPPED)
    gateway.add("shop", State.CONNECTED)
    waha = Waha(session, gateway.url, "key_of_home")

    assert [one.id for one in await waha.instances()] == ["home"]
    assert Feature.CREATE not in waha.features
    await waha.perform(Action.CONNECT, "home")
    assert await waha.server_version() == "2026.7.1"
    for refused in (
        waha.create("new"),
        waha.delete("home"),
        waha.instance("shop"),
        waha.instance("ghost"),
    ):
        with pytest.raises(Rejected, match="API key is not allowed"):
            await refused

    await waha.instances()
    assert gateway.count("health") == 1
    assert not {"/api/keys", "/api/server/environment"} & {
        asked.path for asked in gateway.asked
    }


async def test_scopes(gateway: WahaGateway, session: ClientSession) -> None:
    """A key that may only read shows sessions, and cannot link or stop them."""
    gateway.session_keys["reader"] = "home", frozenset({"read"})
    gateway.add("home", State.WAITING)
    waha = Waha(session, gateway.url, "reader")

    assert await listed(waha) is InstanceStatus.SCAN_QR
    for action in Action:
        if action is not Action.CONNECT:
            with pytest.raises(Rejected, match="not allowed"):
                await waha.perform(action, "home")
    with pytest.raises(CodeRejected, match="not allowed"):
        await waha.link_state("home", with_code=True)
    with pytest.raises(Rejected, match="not allowed"):
        await waha.pairing_codes.code("home", NUMBER)
    state = await waha.link_state("home", with_code=False)
    assert (state.status, state.code) == (InstanceStatus.SCAN_QR, None)


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 401}, {"status": 422}, {"hang": True}],
    ids=str,
)
async def test_health_unknown(
    gateway: WahaGateway, waha: Waha, fault: dict[str, Any]
) -> None:
    """Whatever is wrong with the server's health, sessions are listed."""
    gateway.add("home", State.CONNECTED)
    gateway.fail("health", **fault)
    began = time.time()

    assert await listed(waha) is InstanceStatus.CONNECTED

    assert time.time() - began < 6
    assert Feature.CREATE in waha.features
    gateway.heal()
    assert await listed(waha) is InstanceStatus.CONNECTED


async def test_key_checked_again(gateway: WahaGateway, session: ClientSession) -> None:
    """What an API key may do is asked again after a failure, a few times."""
    gateway.session_keys["key_of_home"] = "home", None
    gateway.add("home", State.CONNECTED)
    waha = Waha(session, gateway.url, "key_of_home")
    gateway.fail("health", status=503)
    await listed(waha)
    assert Feature.CREATE in waha.features
    gateway.heal()
    await listed(waha)
    assert Feature.CREATE not in waha.features

    gateway.fail("health", status=503)
    waha = Waha(session, gateway.url, "key_of_home")
    asked = gateway.count("health")
    for _ in range(5):
        await listed(waha)
    assert gateway.count("health") == asked + 3


# The server


async def test_address(session: ClientSession) -> None:
    """The dashboard belongs to the server."""
    waha = Waha(session, "http://192.168.1.10:3000/", "")

    assert waha.dashboard_url == "http://192.168.1.10:3000/dashboard"
    assert waha.default_url is None
    assert not waha.instance_types


async def test_server_version(gateway: WahaGateway, waha: Waha) -> None:
    """The version is also found where old servers have it."""
    assert await waha.server_version() == "2026.7.1"
    gateway.fail("version", status=404)
    gateway.version = "2024.2.3"
    assert await waha.server_version() == "2024.2.3"
    gateway.fail("old_version", body=b"{}")
    assert await waha.server_version() is None
    gateway.fail("old_version", body=b"[]")
    with pytest.raises(BadResponse):
        await waha.server_version()
    gateway.fail("version", body=b"{}", status=206)
    with pytest.raises(BadResponse):
        await waha.server_version()
    gateway.heal()
    assert await waha.server_version() == "2024.2.3"


@pytest.mark.parametrize(("no_auth", "ping"), [(0, 0), (0, 1), (1, 0)])
async def test_recognized(
    gateway: WahaGateway, session: ClientSession, no_auth: int, ping: int
) -> None:
    """A server is recognized with and without keys, and is never sent one."""
    gateway.no_auth, gateway.ping_needs_key = bool(no_auth), bool(ping)

    assert await Waha.recognizes(session, gateway.url)
    assert all("X-Api-Key" not in asked.headers for asked in gateway.asked)


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        ("ping", {"body": b'{"message": "hello"}'}),
        ("ping", {"body": b"[]"}),
        ("ping", {"status": 404}),
        ("ping", {"html": True}),
        ("ping", {"hang": True}),
        ("version", {"body": b'{"version": "2.3.0"}'}),
        ("version", {"status": 401, "body": b'{"message": "Unauthorized"}'}),
        ("version", {"hang": True}),
        ("version", {"redirect": "https://elsewhere.example/"}),
    ],
    ids=str,
)
async def test_not_recognized(
    gateway: WahaGateway, session: ClientSession, route: str, fault: dict[str, Any]
) -> None:
    """Anything else is not taken for WAHA, and costs ten seconds at most."""
    gateway.fail(route, **fault)
    began = time.time()

    assert not await Waha.recognizes(session, gateway.url)

    assert time.time() - began < 10.1
    gateway.heal()
    assert await Waha.recognizes(session, gateway.url)


@pytest.mark.parametrize("other", ["wappfy", "whatisup", "evolution"])
async def test_others_not_recognized(session: ClientSession, other: str) -> None:
    """Other gateways are not taken for WAHA, and neither is nothing."""
    async with GATEWAYS[other]().running() as running:
        assert not await Waha.recognizes(session, running.url)
    assert not await Waha.recognizes(session, running.url)


async def test_single_session(gateway: WahaGateway, waha: Waha, clock: Clock) -> None:
    """An old free server tells what it lacks, and its only session works."""
    default = gateway.downgrade()

    with pytest.raises(Rejected) as raised:
        await waha.create("home")
    assert str(raised.value) == (
        "This WAHA version only supports one session named default. "
        "Update WAHA to 2026.6.1 or newer."
    )
    assert await listed(waha) is InstanceStatus.DISCONNECTED
    for _ in range(2):
        await waha.perform(Action.CONNECT, "default")
    await clock.run(BOOT)
    code = await waha.qr("default")
    assert code is not None
    assert code.raw is not None
    VirtualPhone(gateway).scan(code.raw)
    default.state = State.FAILED
    await waha.perform(Action.CONNECT, "default")
    assert default.starts == 2


# Sessions


async def test_phone_number(gateway: WahaGateway, waha: Waha) -> None:
    """The phone number is that of a session that works, not of the last account."""
    home = gateway.add("home", State.CONNECTED, phone_number=NUMBER)
    [one] = await waha.instances()
    assert (one.name, one.type) == ("home", None)
    assert one.phone_number == f"+{NUMBER}"
    assert (await waha.instance("home")).phone_number == f"+{NUMBER}"

    for state in (State.STOPPED, State.FAILED):
        home.state = state
        assert home.account == NUMBER
        [one] = await waha.instances()
        assert one.phone_number is None
        assert (await waha.instance("home")).phone_number is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"me": None, "config": None}, None),
        ({"me": {"id": f"{NUMBER}:7@s.whatsapp.net"}, "apps": []}, f"+{NUMBER}"),
        ({"me": {"id": None, "pushName": "Home"}}, None),
        ({"me": {}}, None),
        ({"me": [], "engine": {}}, None),
        ({}, None),
    ],
    ids=str,
)
async def test_odd_sessions(
    gateway: WahaGateway, waha: Waha, given: dict[str, Any], expected: str | None
) -> None:
    """Fields may be missing, null or new."""
    answer(gateway, "list", [{"name": "home", "status": "WORKING", **given}])

    [one] = await waha.instances()

    assert one.phone_number == expected
    assert one.status is InstanceStatus.CONNECTED


@pytest.mark.parametrize(
    "body",
    [None, {}, {"sessions": []}, [None], [{"name": "home"}], [{"status": "WORKING"}]],
    ids=str,
)
async def test_bad_list(gateway: WahaGateway, waha: Waha, body: Any) -> None:
    """What is no list of sessions removes no device."""
    gateway.add("home", State.CONNECTED)
    answer(gateway, "list", body)
    with pytest.raises(BadResponse):
        await waha.instances()
    gateway.heal()
    assert await listed(waha) is InstanceStatus.CONNECTED


async def test_config_is_dropped(gateway: WahaGateway, waha: Waha) -> None:
    """The configuration has secrets, of which nothing is kept."""
    home = gateway.add("home", State.CONNECTED)
    home.config = {"webhooks": [{"hmac": {"key": "confidential"}}]}

    [one] = await waha.instances()

    assert "confidential" not in repr((one, vars(waha)))


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PASSKEY_REQUIRED", InstanceStatus.PASSKEY),
        ("PASSKEY_CONFIRMATION_REQUIRED", InstanceStatus.PASSKEY),
        ("SOMETHING_NEW", None),
    ],
)
async def test_words(
    gateway: WahaGateway, waha: Waha, word: str, status: InstanceStatus | None
) -> None:
    """A passkey has a status of its own, and a new word is no status."""
    answer(gateway, "list", [{"name": "home", "status": word}])

    [one] = await waha.instances()

    assert (one.status, one.raw_status) == (status, word)


async def test_create(gateway: WahaGateway, waha: Waha) -> None:
    """A session is created stopped, with its metadata, and only once."""
    created = await waha.create("home", metadata={"team": "support"})

    assert (created.id, created.status) == ("home", InstanceStatus.DISCONNECTED)
    home = gateway.sessions["home"]
    assert isinstance(home, WahaSession)
    assert (home.metadata, home.config) == ({"team": "support"}, {})
    assert home.starts == 0
    with pytest.raises(Rejected, match="already exists"):
        await waha.create("home")
    with pytest.raises(Rejected, match="Session name can only contain"):
        await waha.create("my home")


async def test_unknown_session(gateway: WahaGateway, waha: Waha) -> None:
    """An unknown session is told by most calls; two have nothing to do then."""
    for action in set(Action) - {Action.DISCONNECT}:
        with pytest.raises(NotFound):
            await waha.perform(action, "ghost")
    await waha.perform(Action.DISCONNECT, "ghost")
    await waha.delete("ghost")
    for with_code in (True, False):
        with pytest.raises(NotFound):
            await waha.link_state("ghost", with_code=with_code)
    with pytest.raises(NotFound):
        await waha.qr("ghost")
    assert await waha.pairing_codes.code("ghost", NUMBER) is None
    with pytest.raises(BadResponse):
        await waha.instance("..")


@pytest.mark.parametrize(
    ("state", "starts"),
    [
        (State.STOPPED, 1),
        (State.FAILED, 1),
        (State.BOOTING, 0),
        (State.WAITING, 0),
        (State.CONNECTED, 0),
    ],
)
async def test_connect(
    gateway: WahaGateway, waha: Waha, state: State, starts: int
) -> None:
    """Connect restarts a failed session, and does not disturb one that runs."""
    home = gateway.add("home", state, linked=True)

    await waha.perform(Action.CONNECT, "home")

    assert home.starts == starts
    assert home.linked
    assert gateway.count("restart") == (state is State.FAILED)


async def test_connect_new_word(gateway: WahaGateway, waha: Waha) -> None:
    """A session with an unknown status is started, which is harmless."""
    home = gateway.add("home")
    answer(gateway, "one", {"name": "home", "status": "SOMETHING_NEW"})

    await waha.perform(Action.CONNECT, "home")

    assert home.starts == 1


async def test_actions(gateway: WahaGateway, waha: Waha, clock: Clock) -> None:
    """A session is disconnected, connected, restarted, logged out and deleted."""
    home = gateway.add("home", State.CONNECTED)

    await waha.perform(Action.DISCONNECT, "home")
    assert await listed(waha) is InstanceStatus.DISCONNECTED
    assert home.linked
    await waha.perform(Action.CONNECT, "home")
    await clock.run(BOOT)
    assert await listed(waha) is InstanceStatus.CONNECTED
    await waha.perform(Action.RESTART, "home")
    # nobody is told that it is connected still
    assert await listed(waha) is InstanceStatus.STARTING
    await clock.run(BOOT)
    assert await listed(waha) is InstanceStatus.CONNECTED
    await waha.perform(Action.LOGOUT, "home")
    await clock.run(BOOT)
    assert await listed(waha) is InstanceStatus.SCAN_QR
    await waha.delete("home")
    assert await waha.instances() == []


async def test_busy(
    gateway: WahaGateway, waha: Waha, caplog: pytest.LogCaptureFixture
) -> None:
    """A session that is busy is asked again later; the error shows no request."""
    gateway.add("home", State.CONNECTED)
    gateway.durations["restart"] = 8
    first = asyncio.create_task(waha.perform(Action.RESTART, "home"))
    await asyncio.sleep(1)
    with pytest.raises(Unreachable, match=r"^async-lock timed out in queue home$"):
        await waha.perform(Action.LOGOUT, "home")
    await first

    assert "async-lock" not in caplog.text
    await waha.perform(Action.LOGOUT, "home")
    assert not gateway.sessions["home"].linked


async def test_not_implemented(gateway: WahaGateway, waha: Waha) -> None:
    """What the engine lacks will not get better by waiting."""
    gateway.add("home", State.WAITING)
    message = "The method is not implemented by 'GOWS' engine."
    gateway.fail("pairing_code", status=501, code="x", message=message)
    with pytest.raises(Rejected, match="engine of this server"):
        await waha.pairing_codes.code("home", NUMBER)
    gateway.heal()
    assert await waha.pairing_codes.code("home", NUMBER)


# Linking


async def test_qr(gateway: WahaGateway, waha: Waha) -> None:
    """The code is a text, and is never asked for while no code waits."""
    home = gateway.add("home", State.WAITING)
    assert home.code is not None

    state = await waha.link_state("home", with_code=True)
    assert state.code is not None
    assert (state.code.raw, state.code.png) == (home.code.text, None)
    for other in (State.STOPPED, State.FAILED, State.CONNECTED, State.BOOTING):
        home.state = other
        assert (await waha.link_state("home", with_code=True)).code is None
    assert gateway.count("qr") == 1


@pytest.mark.parametrize("version", ["2026.7.1", "2024.10.8"])
@pytest.mark.parametrize("state", [State.STOPPED, State.CONNECTED, State.FAILED])
async def test_no_qr(
    gateway: WahaGateway, waha: Waha, version: str, state: State
) -> None:
    """A session that does not wait for a scan has no code; that is no error."""
    gateway.version, gateway.tier = version, "PLUS"
    home = gateway.add("home", state)
    home.linked = True
    began = time.time()

    assert await waha.qr("home") is None
    assert time.time() - began < 16
    assert home.starts == 0

    assert await waha.pairing_codes.code("home", NUMBER) is None


async def test_odd_qr(gateway: WahaGateway, waha: Waha) -> None:
    """An answer without the text of a code is an error."""
    gateway.add("home", State.WAITING)
    for body in (b'{"value": null}', b'{"value": 7}', b"", b"\x89PNG\r\n\x1a\n"):
        gateway.fail("qr", body=body)
        with pytest.raises(BadResponse):
            await waha.qr("home")
    gateway.heal()
    assert await waha.qr("home")


async def test_pair(gateway: WahaGateway, waha: Waha) -> None:
    """A failed session is restarted, shows a code, and is linked."""
    gateway.add("home", State.FAILED)
    async with aclosing(pair(QrCodeFeed(waha, "home"))) as pairings:
        VirtualPhone(gateway, number=NUMBER).scan(await first_code(pairings))
        phases = [pairing.phase async for pairing in pairings]

    assert phases[-1] is Phase.LINKED
    [one] = await waha.instances()
    assert (one.status, one.phone_number) == (InstanceStatus.CONNECTED, f"+{NUMBER}")


async def test_pairing_code(gateway: WahaGateway, waha: Waha, clock: Clock) -> None:
    """A pairing code has eight characters, and links its number."""
    home = gateway.add("home")
    await waha.pairing_codes.start("home", NUMBER)
    await clock.run(BOOT)

    code = await waha.pairing_codes.code("home", NUMBER)

    assert code is not None
    assert len(code) == 8
    assert VirtualPhone(gateway).enter(code) is home
    assert waha.pairing_codes.interval is None


async def test_no_pairing_code(gateway: WahaGateway, waha: Waha) -> None:
    """A refusal is told in the words of the server; an odd code is no code."""
    gateway.add("home", State.WAITING)
    gateway.fail("pairing_code", status=400, code="x", message="Too many attempts")
    with pytest.raises(Rejected, match="Too many attempts"):
        await waha.pairing_codes.code("home", NUMBER)
    gateway.heal()
    # the server has no better word for a number that does not exist
    with pytest.raises(Unreachable) as raised:
        await waha.pairing_codes.code("home", "1")
    assert str(raised.value) == "invalid phone number"
    for body in ({"code": None}, {"code": "ABC-DEF"}, {}, None):
        gateway.fail("pairing_code", body=json.dumps(body).encode())
        with pytest.raises(BadResponse) as odd:
            await waha.pairing_codes.code("home", NUMBER)
        assert "ABC" not in str(odd.value)
    gateway.heal()
    assert await waha.pairing_codes.code("home", NUMBER)


async def test_passkey(gateway: WahaGateway, waha: Waha) -> None:
    """A passkey that is demanded has a status of its own, and no code."""
    home = gateway.add("home", State.WAITING, demands_passkey=True)
    assert home.code is not None
    VirtualPhone(gateway).scan(home.code.text)

    state = await waha.link_state("home", with_code=True)

    assert (state.status, state.code) == (InstanceStatus.PASSKEY, None)
    assert gateway.count("qr") == 0


# Changes of the status that pass


async def test_reconnects(gateway: WahaGateway, waha: Waha, clock: Clock) -> None:
    """A short reconnection is not shown, but to who links the session."""
    home = gateway.add("home", State.CONNECTED, boot=20, phone_number=NUMBER)
    before = await waha.instances()
    home.start()
    for _ in range(3):
        [one] = await waha.instances()
        assert one.status is InstanceStatus.CONNECTED
        assert one.phone_number == f"+{NUMBER}"
        assert one.raw_status == "STARTING"
        assert (await waha.instance("home")).status is InstanceStatus.STARTING
        await clock.run(5)
    await clock.run(5)
    assert await waha.instances() == before


async def test_odd_list_while_it_reconnects(
    gateway: WahaGateway, waha: Waha, clock: Clock
) -> None:
    """A list that lacks a session doesn't end its reconnection, but two do."""
    home = gateway.add("home", State.CONNECTED, boot=25)
    await waha.instances()
    home.start()
    for lists, status in (
        (1, InstanceStatus.CONNECTED),
        (2, InstanceStatus.STARTING),
    ):
        assert await listed(waha) is InstanceStatus.CONNECTED
        answer(gateway, "list", [])
        for _ in range(lists):
            assert await waha.instances() == []
            await clock.run(5)
        gateway.heal()
        assert await listed(waha) is status


async def test_name_of_a_deleted_session(gateway: WahaGateway, waha: Waha) -> None:
    """Nothing is known of a new session with the name of a deleted one."""
    gateway.add("home", State.CONNECTED)
    await waha.instances()
    await waha.delete("home")
    gateway.add("home", State.BOOTING)

    assert await listed(waha) is InstanceStatus.STARTING


async def test_long_reconnection(
    gateway: WahaGateway, waha: Waha, clock: Clock
) -> None:
    """A reconnection that lasts half a minute is shown until it ends."""
    home = gateway.add("home", State.CONNECTED, boot=100)
    await waha.instances()
    home.start()
    seen = []
    for _ in range(10):
        seen.append(await listed(waha))
        await clock.run(5)

    assert seen[:6] == [InstanceStatus.CONNECTED] * 6
    assert seen[6:] == [InstanceStatus.STARTING] * 4
    await clock.run(50)
    assert await listed(waha) is InstanceStatus.CONNECTED


async def test_long_reconnection_while_changes_are_reported(
    hass: HomeAssistant, gateway: WahaGateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A reconnection that lasts is shown, although nothing is reported about it."""
    gateway.events.on = True
    home = gateway.add("home", State.CONNECTED, boot=1000)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.runtime_data.stream.connected)
    await asyncio.sleep(2)
    home.start()
    await clock.run(10)
    assert state_of(hass, "sensor.home_status") == "connected"
    await clock.run(55)
    assert state_of(hass, "sensor.home_status") == "starting"


async def test_failed(gateway: WahaGateway, waha: Waha, clock: Clock) -> None:
    """A failure counts once it has lasted, also where polls are rare."""
    home = gateway.add("home", State.CONNECTED)
    shop = gateway.add("shop", State.FAILED)
    first = {one.id: one.status for one in await waha.instances()}
    assert first["shop"] is InstanceStatus.FAILED
    home.state = State.FAILED
    seen = []
    for _ in range(4):
        statuses = {one.id: one.status for one in await waha.instances()}
        seen.append(statuses["home"])
        await clock.run(5)
    assert seen == [InstanceStatus.STARTING] * 3 + [InstanceStatus.FAILED]
    assert (await waha.instance("home")).status is InstanceStatus.FAILED
    assert statuses["shop"] is InstanceStatus.FAILED

    # somebody restarts it elsewhere
    home.start()
    shop.state = State.STOPPED
    assert [one.status for one in await waha.instances() if one.id == "home"] == [
        InstanceStatus.STARTING
    ]
    await clock.run(BOOT)
    assert {one.id: one.status for one in await waha.instances()} == {
        "home": InstanceStatus.CONNECTED,
        "shop": InstanceStatus.DISCONNECTED,
    }
    home.state = State.FAILED
    await waha.instances()
    await clock.run(30)
    assert InstanceStatus.FAILED in {one.status for one in await waha.instances()}


@pytest.mark.parametrize("interval", [5.0, 30.0])
async def test_flapping(
    gateway: WahaGateway, waha: Waha, clock: Clock, interval: float
) -> None:
    """A browser that fails every 2 s is starting all the time, for an hour."""
    chance = random.Random(interval)  # noqa: S311
    home = gateway.add("home", State.CONNECTED, boot=10**6)
    await waha.instances()
    shown = []
    began = time.time()
    while time.time() - began < 3600:
        flapped = int((time.time() - began) / 2)
        word = State.BOOTING if flapped % 2 else State.FAILED
        if home.state is not word:
            home.state = word
        shown.append(await listed(waha))
        await clock.run(interval + chance.uniform(-1, 1))

    changes = sum(a is not b for a, b in pairwise(shown))
    assert changes <= 2
    assert shown.count(InstanceStatus.FAILED) <= 1

    # once it stays failed, that is shown in the end
    home.state = State.FAILED
    await waha.instances()
    await clock.run(601)
    assert await listed(waha) is InstanceStatus.FAILED


async def follow(waha: Waha, seen: list[Any]) -> None:
    """Keep what is reported until the connection ends."""
    async for event in waha.events.follow():
        seen.append(event)  # noqa: PERF401  until it fails


async def test_events(gateway: WahaGateway, waha: Waha, clock: Clock) -> None:
    """Only events about the status of a session mean something."""
    gateway.events.on = True
    seen: list[Any] = []
    task = asyncio.create_task(follow(waha, seen))
    await clock.run(1)
    for text in (
        b'{"event":"session.status","session":"home","payload":{"status":"STOPPED"}}',
        b'{"event":"session.status","session":"b","payload":{"status":"SCAN_QR_CODE"}}',
        b'{"event":"message","session":"home","payload":{"body":"hi"}}',
        b'{"event":"session.status","payload":{}}',
        b'{"event":"session.status","session":"home"}',
        b"not JSON",
        b"[]",
    ):
        await gateway.events.send(text)
    await clock.run(130)
    assert [one for one in seen if one] == [
        InstanceChanged(instance_id="home"),
        InstanceChanged(instance_id="b", has_code=True),
    ]
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task


async def test_events_of_a_session_key(
    gateway: WahaGateway, session: ClientSession, clock: Clock
) -> None:
    """A key of one session only reports that one, and needs the right to read."""
    gateway.events.on = True
    gateway.add("home", State.CONNECTED)
    other = gateway.add("other", State.CONNECTED)
    gateway.session_keys = {
        "key_home": ("home", None),
        "key_blind": ("home", frozenset({"send"})),
    }
    seen: list[Any] = []
    task = asyncio.create_task(follow(Waha(session, gateway.url, "key_home"), seen))
    await clock.run(1)
    other.stop()
    gateway.sessions["home"].stop()
    await clock.run(1)
    assert {one.instance_id for one in seen if one} == {"home"}
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task

    with pytest.raises(Rejected):
        await follow(Waha(session, gateway.url, "key_blind"), [])
    with pytest.raises(Unauthorized):
        await follow(Waha(session, gateway.url, "wrong"), [])


async def test_events_without_a_key(
    gateway: WahaGateway, session: ClientSession, clock: Clock
) -> None:
    """A server that needs no key is followed without one."""
    gateway.events.on = gateway.no_auth = True
    seen: list[Any] = []
    task = asyncio.create_task(follow(Waha(session, gateway.url, ""), seen))
    await clock.run(1)
    assert seen == [None]
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task


async def test_huge_event(gateway: WahaGateway, waha: Waha, clock: Clock) -> None:
    """A message of more than 64 MiB ends the connection."""
    gateway.events.on = True
    task = asyncio.create_task(follow(waha, []))
    await clock.run(1)
    with suppress(ConnectionError):
        await gateway.events.send(b"x" * (MAX_WEBSOCKET_FRAME + 1))
    with pytest.raises(TooLarge):
        await task


# Messages


ENGINES = ("GOWS", "NOWEB", "WEBJS", "WPP")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chat", [CHAT, GROUP])
async def test_sent_chat(
    gateway: WahaGateway, waha: Waha, engine: str, chat: str
) -> None:
    """Each engine tells where a message went, in its own form."""
    gateway.engine = engine
    gateway.add("home", State.CONNECTED)
    other = f"5215530000000{PERSON}"
    gateway.rerouted[f"525530000000{PERSON}"] = other
    asked = {chat: chat, f"525530000000{PERSON}": other}
    for to, went_to in asked.items():
        sent = await waha.messages.send("home", to, OutgoingMessage(text="Hi"))
        assert sent == SentMessage(id=gateway.sent[-1].id, chat_id=went_to)


@pytest.mark.parametrize(
    ("answer", "chat"),
    [
        # NOWEB answers a poll in WAHA's own form
        ({"id": f"true_{NUMBER}@c.us_3EB0", "from": f"{NUMBER}@c.us"}, CHAT),
        ({"id": "true_1203@g.us_3EB0_2@c.us", "to": "2@c.us"}, "1203@g.us"),
        ({"id": {"remote": {"user": "1"}, "_serialized": "true_1@c.us_3EB0"}}, PN),
        ({"key": {"id": "3EB0", "remoteJid": "5@lid"}}, "5@lid"),
        ({"key": {"id": "3EB0", "remoteJid": "status@broadcast"}}, None),
        ({"key": {"id": "3EB0"}}, None),
        ({"id": 5}, None),
        ([], None),
    ],
)
async def test_odd_sent_chat(
    gateway: WahaGateway, waha: Waha, answer: Any, chat: str | None
) -> None:
    """The chat is known if the answer names it in any form."""
    gateway.add("home", State.CONNECTED)
    gateway.fail("send_text", body=json.dumps(answer).encode())
    sent = await waha.messages.send("home", CHAT, OutgoingMessage(text="Hi"))
    assert sent.chat_id == chat

    gateway.heal()
    sent = await waha.messages.send("home", CHAT, OutgoingMessage(text="Hi"))
    assert sent.chat_id == CHAT


@pytest.mark.parametrize(
    ("answer", "chat"),
    [
        ({"chatId": f"{NUMBER}@c.us"}, CHAT),
        ({"chatId": "5@lid", "pn": "5215530000000@c.us"}, f"5215530000000{PERSON}"),
        ({"chatId": "5@lid", "pn": None}, "5@lid"),
        ({"chatId": "5@lid"}, "5@lid"),
        ({"chatId": None, "pn": "1@c.us"}, PN),
        ({}, f"525530000000{PERSON}"),
    ],
)
def test_check(answer: dict[str, Any], chat: str) -> None:
    """A checked number is better than a LID, and a LID better than one as entered."""
    assert parse_check({"numberExists": True, **answer}, "525530000000") == chat
    assert parse_check({"numberExists": False, **answer}, "525530000000") is None


async def test_check_as_lid(gateway: WahaGateway, waha: Waha) -> None:
    """A server since 2026.8.1 names the LID of a person, with the number."""
    gateway.add("home", State.CONNECTED)
    gateway.checks_as_lid = True
    assert await waha.messages.find_person("home", NUMBER) == CHAT


@pytest.mark.parametrize("engine", ENGINES)
async def test_engines(
    gateway: WahaGateway, waha: Waha, clock: Clock, engine: str
) -> None:
    """Groups, IDs and messages are understood, whatever the engine."""
    gateway.engine = engine
    gateway.events.on = waha.events.receives = True
    home = gateway.add("home", State.CONNECTED)
    chats = await waha.messages.list_chats("home")
    groups = {chat.id: chat.name for chat in chats if chat.is_group}
    assert groups == gateway.groups
    people = {chat.name for chat in chats if not chat.is_group}
    # this engine lists chats only with a store
    assert people == (set() if engine == "NOWEB" else {*gateway.people.values()})
    seen: list[Any] = []
    task = asyncio.create_task(follow(waha, seen))
    await clock.run(1)

    answer = await waha.messages.send("home", CHAT, OutgoingMessage(text="Hi"))
    sent_id = answer.id
    assert sent_id == gateway.sent[0].id
    reaction = OutgoingMessage(reaction="👍", reply_to=sent_id)
    await waha.messages.send("home", CHAT, reaction)
    assert (gateway.sent[1].chat_id, gateway.sent[1].kind) == (CHAT, "reaction")
    for kind in (*KINDS, "other"):
        await gateway.deliver(home, GROUP, "T", kind=kind, media=b"1", sender=NUMBER)
    await gateway.deliver(home, CHAT, "mine", from_me=True)
    await gateway.react(home, CHAT, sent_id or "", "👍")
    await clock.run(1)
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task

    messages = [one for one in seen if isinstance(one, IncomingMessage)]
    if engine == "WPP":
        # it can't tell that the API has reacted
        assert messages.pop(0).from_me
    *others, own, reacted = messages
    assert [one.kind for one in others] == [*KINDS, MessageKind.OTHER] or (
        engine in {"WEBJS", "WPP"}
    )
    assert {(one.chat_id, one.sender_id) for one in others} == {(GROUP, CHAT)}
    assert {one.sender_name for one in others} == {"Anna"}
    by_kind = {one.kind: one for one in others}
    assert by_kind[MessageKind.LOCATION].text == "T"
    assert by_kind[MessageKind.IMAGE].mime_type == "image/jpeg"
    assert (own.event, own.chat_id) == (MessageEvent.SENT_BY_PHONE, CHAT)
    assert (reacted.event, reacted.reply_to) == (MessageEvent.REACTION, sent_id)


@pytest.mark.parametrize(
    ("payload", "kind", "text"),
    [
        ({"body": "hi"}, MessageKind.TEXT, "hi"),
        ({"hasMedia": True, "media": None}, MessageKind.DOCUMENT, ""),
        (
            {"hasMedia": True, "media": {"mimetype": "image/png"}, "body": "hi"},
            MessageKind.IMAGE,
            "hi",
        ),
        ({"location": {"description": "Home"}}, MessageKind.LOCATION, "Home"),
        ({"vCards": ["BEGIN:VCARD"], "body": "BEGIN:VCARD"}, MessageKind.CONTACT, ""),
        ({"_data": {"type": "ptt"}}, MessageKind.VOICE, ""),
        ({"_data": {"message": {"pollCreationMessage": {"name": "?"}}}}, "poll", "?"),
        ({"_data": {"type": "poll_creation"}, "body": "?"}, MessageKind.POLL, "?"),
    ],
    ids=str,
)
async def test_kinds(
    gateway: WahaGateway,
    waha: Waha,
    clock: Clock,
    payload: dict[str, Any],
    kind: MessageKind,
    text: str,
) -> None:
    """A message is understood without what only some engines tell."""
    [one] = await reported(
        gateway, waha, clock, {"id": "false_1@c.us_3EB0", "from": "1@c.us", **payload}
    )

    assert (one.kind, one.text) == (kind, text)
    assert (one.chat_id, one.id) == ("1@s.whatsapp.net", "false_1@c.us_3EB0")


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"id": "3EB0", "from": "1@c.us", "body": None},
        {"id": 7, "from": "1@c.us", "body": "hi"},
        {"id": "true_1@c.us_3EB0", "to": "1@c.us", "fromMe": True, "source": "api"},
        {"id": "3EB0", "body": "from nobody"},
        {"id": "false_status@broadcast_3EB0", "from": "1@c.us", "body": "my day"},
        {"id": "3EB0", "from": "status@broadcast", "to": "1@c.us", "body": "my day"},
        {
            "id": "true_status@broadcast_3EB0",
            "to": "1@c.us",
            "fromMe": True,
            "source": "app",
            "body": "my day",
        },
        {"id": "3EB0", "from": "1@c.us", "_data": {"message": {"protocolMessage": {}}}},
        {"id": "3EB0", "from": "1@c.us", "_data": {"message": {"reactionMessage": {}}}},
        {"id": "3EB0", "from": "1@c.us", "reaction": {"text": "👍"}},
    ],
    ids=str,
)
async def test_no_messages(
    gateway: WahaGateway, waha: Waha, clock: Clock, payload: dict[str, Any]
) -> None:
    """What is incomplete, sent by us or invisible is not reported."""
    [one] = await reported(gateway, waha, clock, payload)
    assert isinstance(one, Skipped)


async def reported(
    gateway: WahaGateway, waha: Waha, clock: Clock, payload: dict[str, Any]
) -> list[Any]:
    """Return what is reported of the payload of an event."""
    gateway.events.on = waha.events.receives = True
    seen: list[Any] = []
    task = asyncio.create_task(follow(waha, seen))
    await clock.run(1)
    event = {"event": "message.any", "session": "home", "payload": payload}
    await gateway.events.send(json.dumps(event).encode())
    await clock.run(1)
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task
    return [one for one in seen if one]


async def test_asked_events(gateway: WahaGateway, waha: Waha, clock: Clock) -> None:
    """Events about messages are only asked for if the user wants them."""
    gateway.events.on = True
    for waha.events.receives, events in (
        (False, "session.status"),
        (True, "session.status,message.any,message.reaction"),
    ):
        task = asyncio.create_task(follow(waha, []))
        await clock.run(1)
        gateway.hang_up()
        with pytest.raises(Unreachable):
            await task
        assert URL(gateway.asked[-1].path).query["events"] == events


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://localhost:3000/api/files/home/a.jpg", "/api/files/home/a.jpg"),
        ("https://x.test/waha/api/files/false_1@c.us_3.jpg", None),
        ("http://x.test/api/files/home/%C3%BC.jpg", "/api/files/home/%C3%BC.jpg"),
    ],
)
async def test_file_of_a_wrong_host(
    gateway: WahaGateway, waha: Waha, clock: Clock, url: str, path: str | None
) -> None:
    """A file is downloaded from the server itself, wherever it says it is."""
    [one] = await reported(gateway, waha, clock, file_at(url))
    with pytest.raises(Refused, match="file gone"):
        await waha.messages.download(one)

    asked = gateway.asked[-1].path
    assert asked == (path or "/api/files/false_1%40c.us_3.jpg")
    assert "X-Api-Key" in gateway.asked[-1].headers


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "http://[",
        "http://localhost:3000/api/sessions",
        "http://localhost:3000/api/files/",
        "http://localhost:3000/api/files/%2e%2e/sessions",
        "http://localhost:3000/api/files/home/../../sessions",
        "https://bucket.s3.example/a.jpg?signature=secret",
    ],
)
async def test_no_file(
    gateway: WahaGateway, waha: Waha, clock: Clock, url: Any
) -> None:
    """Nothing but files of messages is downloaded."""
    [one] = await reported(gateway, waha, clock, file_at(url))
    asked = len(gateway.asked)

    assert one.is_file
    assert one.media is None
    with pytest.raises(Refused, match="file not downloaded"):
        await waha.messages.download(one)
    assert len(gateway.asked) == asked


def file_at(url: Any) -> dict[str, Any]:
    """Return the payload of a picture at an address."""
    media = {"url": url, "mimetype": "image/jpeg"}
    return {"id": "3EB0", "from": "1@c.us", "hasMedia": True, "media": media}


@pytest.mark.parametrize("kind", ["image", "document"])
async def test_page_instead_of_a_file(
    gateway: WahaGateway, waha: Waha, clock: Clock, kind: str
) -> None:
    """A web page is no picture, but a document may be one."""
    gateway.events.on = waha.events.receives = True
    home = gateway.add("home", State.CONNECTED)
    seen: list[Any] = []
    task = asyncio.create_task(follow(waha, seen))
    await clock.run(1)
    await gateway.deliver(home, CHAT, kind=kind, media=b"<html>")
    await clock.run(1)
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task
    [one] = [one for one in seen if isinstance(one, IncomingMessage)]

    if kind == "document":
        assert await waha.messages.download(one) == b"<html>"
    else:
        with pytest.raises(BadResponse):
            await waha.messages.download(one)


async def test_conversion(gateway: WahaGateway, waha: Waha) -> None:
    """The server converts what phones can't play."""
    kinds = [
        (MessageKind.VOICE, "audio/mpeg", True),
        (MessageKind.VOICE, "audio/ogg; codecs=opus", False),
        (MessageKind.VIDEO, "video/quicktime", True),
        (MessageKind.VIDEO, "video/mp4", False),
    ]
    for kind, mime_type, convert in kinds:
        file = Media(kind=kind, mime_type=mime_type, filename="a", content=b"1")
        body = send_request("home", CHAT, OutgoingMessage(media=file)).body
        assert body["convert"] is convert
    file = Media(kind=MessageKind.AUDIO, mime_type="audio/mpeg", filename="a", url="@")
    call = send_request("home", CHAT, OutgoingMessage(media=file))
    assert (call.path, call.body["file"]["url"]) == ("/api/sendFile", "@")
    assert "convert" not in call.body
    assert "@" not in repr(call)
