"""Evolution API: what only this gateway does, against its simulated server."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
import json
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.whatsapp_gateway.messages.recipients import recipients_of
from custom_components.whatsapp_gateway.pairing.engine import Phase, pair
from custom_components.whatsapp_gateway.pairing.qr_code import QrCodeFeed
from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.evolution.client import Evolution
from custom_components.whatsapp_gateway.providers.evolution.messages import send_request
from custom_components.whatsapp_gateway.providers.messages import (
    IncomingMessage,
    OutgoingMessage,
    Poll,
    SentMessage,
)
from custom_components.whatsapp_gateway.providers.models import (
    Action,
    BadResponse,
    CodeRejected,
    Feature,
    InstanceChanged,
    InstanceStatus,
    MaybeSent,
    NotActivated,
    NotFound,
    Refusal,
    Refused,
    Rejected,
    Skipped,
    Unauthorized,
    Unreachable,
    UnsupportedServer,
)
from tests.gateways.client import Client
from tests.gateways.evolution import EvolutionGateway
from tests.gateways.evolution_instance import BOOT, CODE_LIFE
from tests.gateways.evolution_server import REMOVAL
from tests.gateways.machine import State
from tests.gateways.webhooks import Endpoint
from tests.harness.calls import CALLS, MESSAGE_CALLS, answer, present
from tests.harness.helpers import until
from tests.harness.pairings import first_code, phases
from tests.harness.recipients import BEN, device_named, send

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiohttp import ClientSession

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.providers.capabilities import Report
    from custom_components.whatsapp_gateway.providers.models import Instance
    from tests.gateways import VirtualPhone
    from tests.gateways.evolution_instance import EvolutionInstance
    from tests.harness.clock import Clock
    from tests.harness.dialog import Dialog

NUMBER = "4915112345678"
CHAT = f"{NUMBER}@s.whatsapp.net"
GROUP = "120363025246125486@g.us"
POLL = 30.0
HIDDEN_ERROR = b'{"error": true, "message": "[object Object]"}'
both_versions = pytest.mark.parametrize("version", ["2.3.7", "2.4.0"])


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "evolution"


@pytest.fixture
def version() -> str:
    """Return the version of the server where a test does not choose one."""
    return "2.3.7"


@pytest.fixture
async def gateway(version: str) -> AsyncGenerator[EvolutionGateway]:
    """Run a server of this version."""
    gateway = EvolutionGateway(version=version)
    async with gateway.running():
        yield gateway


@pytest.fixture
def provider(session: ClientSession, gateway: EvolutionGateway) -> Evolution:
    """Return the integration's client with the global key."""
    return Evolution(session, gateway.url, gateway.key)


async def listed(provider: Evolution) -> Instance:
    """Return the only instance in the list."""
    [instance] = await provider.instances()
    return instance


async def status_of(provider: Evolution) -> InstanceStatus | None:
    """Return the status of the only instance in the list."""
    return (await listed(provider)).status


def linked(gateway: EvolutionGateway, **values: Any) -> EvolutionInstance:
    """Return a connected instance."""
    return gateway.add("home", State.CONNECTED, phone_number=NUMBER, **values)


async def pairing_code_of(provider: Evolution, number: str) -> str:
    """Return the code to enter on a phone, as soon as there is one."""
    for _ in range(20):
        if code := await provider.pairing_codes.code("home", number):
            assert len(code) == 8
            return code
        await asyncio.sleep(0.2)
    raise AssertionError


def unloaded(instance: EvolutionInstance, row: str | None = None) -> None:
    """Take an instance out of the server's memory, as at its start."""
    instance.loaded, instance.row = False, row


def states(gateway: EvolutionGateway, name: str, word: Any) -> None:
    """Let the live state be this word."""
    answer(gateway, "one", {"instance": {"instanceName": name, "state": word}})


# instances


@both_versions
async def test_life_of_an_instance(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock, phone: VirtualPhone
) -> None:
    """Create, link, restart, log out, link again and delete."""
    created = await provider.create("home")
    assert (created.id, created.name, created.status) == (
        "home",
        "home",
        InstanceStatus.CREATED,
    )
    assert created.type == "WHATSAPP-BAILEYS"
    assert created.needs_link
    assert gateway.sessions["home"].starts == 0
    assert await listed(provider) == created

    await provider.perform(Action.CONNECT, "home")
    assert await status_of(provider) is InstanceStatus.SCAN_QR
    code = await provider.qr("home")
    assert code is not None
    assert code.raw is not None
    assert code.raw not in repr(code)
    phone.scan(code.raw)
    await clock.run(5)
    one = await listed(provider)
    assert one.status is InstanceStatus.CONNECTED
    assert one.phone_number == f"+{phone.number}"
    assert await provider.instance("home") == one
    assert await provider.qr("home") is None

    await provider.perform(Action.RESTART, "home")
    assert await status_of(provider) is InstanceStatus.STARTING
    await clock.run(BOOT)
    assert await status_of(provider) is InstanceStatus.CONNECTED

    # the gateway answers before it has finished
    await provider.perform(Action.LOGOUT, "home")
    one = await listed(provider)
    assert (one.status, one.phone_number) == (InstanceStatus.DISCONNECTED, None)
    # nothing left to do
    await provider.perform(Action.LOGOUT, "home")

    async with aclosing(pair(QrCodeFeed(provider, "home"))) as shown:
        phone.scan(await first_code(shown))
        assert (await phases(shown))[-1] is Phase.LINKED
    assert await status_of(provider) is InstanceStatus.CONNECTED

    await provider.delete("home")
    await clock.run(REMOVAL)
    assert await provider.instances() == []
    with pytest.raises(NotFound):
        await provider.instance("home")
    with pytest.raises(NotFound):
        await provider.delete("home")


async def test_facts(provider: Evolution) -> None:
    """The account offers what the gateway can do, and nothing that it can't."""
    assert Action.DISCONNECT not in provider.actions
    assert Feature.CREATE in provider.features
    assert not provider.features & (Feature.METADATA | Feature.LAST_SEEN)
    assert provider.events is None
    assert provider.dashboard_url == f"{provider.url}/manager"


async def test_no_secret(gateway: EvolutionGateway, provider: Evolution) -> None:
    """Tokens and numbers aren't kept."""
    one = linked(gateway, given_number="491701234567")
    await provider.instances()
    await provider.create("shop")

    sessions = provider._sessions
    histories = map(vars, sessions.histories.values())
    kept = repr([vars(provider), vars(sessions), *histories])
    tokens = [session.token for session in (one, gateway.find("shop")) if session]
    assert not any(text in kept for text in [*tokens, "491701234567", NUMBER])


@pytest.mark.parametrize("kind", ["WHATSAPP-BUSINESS", "EVOLUTION"])
@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.CONNECTED, InstanceStatus.CONNECTED),
        (State.BOOTING, InstanceStatus.STARTING),
        (State.STOPPED, InstanceStatus.DISCONNECTED),
    ],
)
async def test_other_types(
    gateway: EvolutionGateway,
    provider: Evolution,
    kind: str,
    state: State,
    status: InstanceStatus,
) -> None:
    """Instances without a phone are shown, but can't be linked."""
    gateway.add("home", state, type=kind)

    one = await listed(provider)

    assert (one.type, one.status, one.needs_link) == (kind, status, False)
    assert kind in provider.other_types
    link = await provider.link_state("home", with_code=True)
    assert (link.status, link.code) == (status, None)
    assert gateway.count("connect") == 0


async def test_odd_rows(gateway: EvolutionGateway, provider: Evolution) -> None:
    """Only the name of a row is needed; an unknown word is shown as it is."""
    answer(gateway, "list", [{"name": "home"}, {"name": "shop"}])
    states(gateway, "home", "dreaming")

    assert [(one.status, one.raw_status) for one in await provider.instances()] == [
        (None, "dreaming")
    ] * 2

    answer(gateway, "list", [{"id": "1"}])
    with pytest.raises(BadResponse):
        await provider.instances()


async def test_ignored_filter(gateway: EvolutionGateway, provider: Evolution) -> None:
    """A server that ignores the name of the filter returns the right instance."""
    gateway.ignores_filter = True
    gateway.add("other", State.CONNECTED)
    gateway.add("home")

    assert (await provider.instance("home")).status is InstanceStatus.CREATED
    answer(gateway, "list", [])
    with pytest.raises(NotFound):
        await provider.instance("home")


# the live state


async def test_list_is_late(gateway: EvolutionGateway, provider: Evolution) -> None:
    """The live state counts, not the database's."""
    one = linked(gateway)
    one.row = "close"

    assert await status_of(provider) is InstanceStatus.CONNECTED


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ("open", InstanceStatus.STARTING),
        ("connecting", InstanceStatus.STARTING),
        ("close", InstanceStatus.DISCONNECTED),
    ],
)
@pytest.mark.parametrize("fault", [{}, {"missing": True}])
async def test_not_loaded(
    gateway: EvolutionGateway,
    provider: Evolution,
    row: str,
    status: InstanceStatus,
    fault: dict[str, Any],
) -> None:
    """While the server starts, what it will reconnect is starting."""
    unloaded(linked(gateway), row)
    if fault:
        gateway.fail("one", **fault)

    assert await status_of(provider) is status
    if not fault:
        # with a name the server doesn't list it
        assert (await provider.instance("home")).status is status
        with pytest.raises(Unreachable):
            await provider.perform(Action.CONNECT, "home")


async def test_failing_state(gateway: EvolutionGateway, provider: Evolution) -> None:
    """A live state that fails leaves the one that was known before, if any."""
    one = linked(gateway)
    gateway.fail("one", status=500)
    assert await status_of(provider) is InstanceStatus.CONNECTED

    gateway.heal()
    one.state, one.linked = State.STOPPED, False
    one.row = "open"
    assert await status_of(provider) is InstanceStatus.STARTING
    gateway.fail("one", status=500)
    assert await status_of(provider) is InstanceStatus.STARTING


async def test_slow_states(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """Hanging live states don't delay a list for long, 8 are asked for at once."""
    for number in range(60):
        gateway.add(f"number{number}", State.CONNECTED)
    gateway.fail("one", hang=True)
    start = clock.time()

    instances = await provider.instances()

    assert len(instances) == 60
    assert {one.status for one in instances} == {InstanceStatus.CONNECTED}
    assert clock.time() - start < 11
    assert gateway.count("one") <= 24


async def test_many_instances(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """Each list looks at 50: those that move, and those that have waited longest."""
    for number in range(60):
        gateway.add(f"number{number}", State.CONNECTED)
    moving = gateway.add("moving", State.BOOTING)
    for _ in range(3):
        gateway.asked.clear()
        await provider.instances()
        asked = [one.path.rpartition("/")[2] for one in gateway.asked[1:]]
        assert len(asked) == 50
        assert moving.id in asked
        moving.state = State.BOOTING
        await clock.run(1)

    gateway.asked.clear()
    names = set()
    for _ in range(2):
        await provider.instances()
        await clock.run(1)
        names |= {one.path.rpartition("/")[2] for one in gateway.asked}
    assert len(names & gateway.sessions.keys()) == 61


# status over time


@both_versions
async def test_reconnects(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """A lost connection is starting, although the old code is still in memory."""
    one = gateway.add("home", State.WAITING, account=None)
    assert await status_of(provider) is InstanceStatus.SCAN_QR
    one.scan(NUMBER)
    await clock.run(5)
    assert await status_of(provider) is InstanceStatus.CONNECTED
    one.drop()
    one.link = 20.0

    link = await provider.link_state("home", with_code=True)
    assert (link.status, link.code) == (InstanceStatus.STARTING, None)
    await clock.run(10)
    link = await provider.link_state("home", with_code=True)
    assert (link.status, link.code) == (InstanceStatus.STARTING, None)
    assert await status_of(provider) is InstanceStatus.STARTING
    assert await provider.qr("home") is None
    await clock.run(20)
    assert await provider.link_state("home", with_code=True)
    assert await status_of(provider) is InstanceStatus.CONNECTED


async def test_lost_for_long(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """A linked instance that changes between two words is disconnected after 30 s."""
    one = linked(gateway)
    await provider.instances()
    one.offline = True
    one.drop()
    one.state = State.BOOTING
    seen = []
    for _ in range(20):
        seen.append(await listed(provider))
        await clock.run(5)

    assert [instance.status for instance in seen] == [
        *[InstanceStatus.STARTING] * 6,
        *[InstanceStatus.DISCONNECTED] * 14,
    ]
    assert {instance.raw_status for instance in seen[6:]} == {"close"}
    one.offline = False
    await clock.run(BOOT)
    assert await status_of(provider) is InstanceStatus.CONNECTED


async def test_odd_list_while_it_is_lost(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """A list that lacks an instance doesn't make its lost connection a new one."""
    one = linked(gateway)
    await provider.instances()
    one.offline = True
    one.drop()
    one.state = State.BOOTING
    for status in (InstanceStatus.STARTING, InstanceStatus.DISCONNECTED):
        assert await status_of(provider) is status
        answer(gateway, "list", [])
        assert await provider.instances() == []
        gateway.heal()
        assert await status_of(provider) is status
        await clock.run(31)


async def test_offline(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """A new instance of a server without internet settles on starting."""
    gateway.offline = True
    await provider.create("home")
    await provider.perform(Action.CONNECT, "home")
    seen = []
    words = ["connecting", "close", "close", "connecting", "connecting", "close"]
    for word in words * 3:
        states(gateway, "home", word)
        seen.append(await listed(provider))
        await clock.run(POLL)

    assert seen[0].status is InstanceStatus.SCAN_QR
    assert {(one.status, one.raw_status) for one in seen[5:]} == {
        (InstanceStatus.STARTING, "connecting")
    }
    await clock.run(5 * POLL)
    assert await status_of(provider) is InstanceStatus.CREATED
    states(gateway, "home", "connecting")
    assert await status_of(provider) is InstanceStatus.SCAN_QR


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("reason", [401, 403])
async def test_unlinked(
    gateway: EvolutionGateway,
    provider: Evolution,
    clock: Clock,
    reason: int,
    *,
    known: bool,
) -> None:
    """An unlinked instance is disconnected at once, and its next code counts."""
    one = linked(gateway)
    if known:
        await provider.instances()
    one.give_up(reason)
    assert await status_of(provider) is InstanceStatus.DISCONNECTED

    await provider.perform(Action.CONNECT, "home")
    assert await status_of(provider) is InstanceStatus.SCAN_QR
    link = await provider.link_state("home", with_code=True)
    assert link.code is not None
    one.scan(NUMBER)
    await clock.run(5)
    assert await status_of(provider) is InstanceStatus.CONNECTED
    # the reason is still there, but of the past
    one.drop()
    assert await status_of(provider) is InstanceStatus.STARTING


async def test_old_reason(gateway: EvolutionGateway, provider: Evolution) -> None:
    """The reason of an instance that was linked again since then means nothing."""
    one = linked(gateway, reason=401, gave_up_at=1.0)
    one.drop()
    one.row = "open"

    assert await status_of(provider) is InstanceStatus.STARTING


async def test_closed_for_long(gateway: EvolutionGateway, provider: Evolution) -> None:
    """A linked instance that was closed before the first look is disconnected."""
    gateway.add("home", State.STOPPED, account=NUMBER)

    assert await status_of(provider) is InstanceStatus.DISCONNECTED


# linking


async def test_first_code_of_linked(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """The code of an instance that may be linked counts once it is replaced."""
    gateway.add("home", State.WAITING, account=NUMBER)

    link = await provider.link_state("home", with_code=True)
    assert (link.status, link.code) == (InstanceStatus.STARTING, None)
    await clock.run(CODE_LIFE)
    link = await provider.link_state("home", with_code=True)
    assert link.status is InstanceStatus.SCAN_QR
    assert link.code is not None
    assert await status_of(provider) is InstanceStatus.SCAN_QR


async def test_closed_before(gateway: EvolutionGateway, provider: Evolution) -> None:
    """The first code counts if the server had closed the instance for good."""
    gateway.add("home", State.STOPPED, account=NUMBER)
    await provider.instances()
    await provider.perform(Action.CONNECT, "home")

    link = await provider.link_state("home", with_code=True)
    assert link.status is InstanceStatus.SCAN_QR
    assert link.code is not None


async def test_no_code_yet(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """Without a code, a session is starting."""
    one = gateway.add("home")
    one.start()

    link = await provider.link_state("home", with_code=True)
    assert (link.status, link.code) == (InstanceStatus.STARTING, None)
    await clock.run(BOOT)
    link = await provider.link_state("home", with_code=True)
    assert link.code is not None
    # a look without a code doesn't ask for it
    asked = gateway.count("connect")
    again = await provider.link_state("home", with_code=False)
    assert (again.status, again.code) == (InstanceStatus.SCAN_QR, None)
    assert gateway.count("connect") == asked


async def test_first_look(
    gateway: EvolutionGateway, provider: Evolution, phone: VirtualPhone
) -> None:
    """Everything works without a list before it."""
    one = gateway.add("home", State.WAITING)
    assert await provider.pairing_codes.code("home", phone.number) is None
    await provider.perform(Action.CONNECT, "home")
    one.state = State.CONNECTED
    link = await provider.link_state("home", with_code=True)
    assert link.status is InstanceStatus.CONNECTED
    await provider.perform(Action.LOGOUT, "home")


async def test_picture_only(gateway: EvolutionGateway, provider: Evolution) -> None:
    """A picture will do, if the server doesn't send the text of the code."""
    one = gateway.add("home", State.WAITING)
    code = await gateway._code(one)
    answer(gateway, "connect", {"base64": code["base64"], "count": 1})

    shown = await provider.qr("home")

    assert shown is not None
    assert shown.png is not None


@both_versions
async def test_pairing(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock, phone: VirtualPhone
) -> None:
    """All codes that are shown can be scanned, also those after the first."""
    gateway.add("home")
    async with aclosing(pair(QrCodeFeed(provider, "home"))) as shown:
        for _ in range(3):
            text = await first_code(shown)
            session = gateway.sessions["home"]
            assert session.code is not None
            assert session.code.text == text
        phone.scan(text)
        assert (await phases(shown))[-1] is Phase.LINKED


async def test_rejected_code(gateway: EvolutionGateway, provider: Evolution) -> None:
    """A failure of the code says nothing about the instance."""
    gateway.add("home", State.WAITING)
    faults: tuple[dict[str, Any], ...] = ({"status": 400}, {"missing": True})
    for fault in faults:
        gateway.fail("connect", **fault)
        with pytest.raises(CodeRejected):
            await provider.link_state("home", with_code=True)
    gateway.heal()
    assert (await provider.link_state("home", with_code=True)).code


async def test_given_up(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """2.4 gives up after six codes, and starts again when it is asked to."""
    gateway.version = "2.4.0"
    gateway.add("home", State.WAITING)
    assert await status_of(provider) is InstanceStatus.SCAN_QR
    await clock.run(6 * CODE_LIFE)
    assert await status_of(provider) is InstanceStatus.DISCONNECTED
    await provider.perform(Action.CONNECT, "home")
    assert await status_of(provider) is InstanceStatus.SCAN_QR


async def test_pairing_code(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock, phone: VirtualPhone
) -> None:
    """A phone is linked by a code, also if the session waits for a scan already."""
    gateway.add("home", State.WAITING)

    await provider.pairing_codes.start("home", phone.number)
    code = await pairing_code_of(provider, phone.number)
    assert gateway.count("logout") == 1
    # this doesn't begin again
    await provider.pairing_codes.start("home", phone.number)
    assert gateway.count("logout") == 1
    phone.enter(code)
    await clock.run(5)
    assert await status_of(provider) is InstanceStatus.CONNECTED
    await provider.pairing_codes.start("home", phone.number)
    assert await provider.pairing_codes.code("home", phone.number) is None


async def test_other_number(
    gateway: EvolutionGateway, provider: Evolution, phone: VirtualPhone
) -> None:
    """The code for another number, which stays in memory for long, isn't shown."""
    gateway.add("home")
    await provider.pairing_codes.start("home", "4917000000")
    before = await pairing_code_of(provider, "4917000000")
    await provider.pairing_codes.start("home", phone.number)

    code = await pairing_code_of(provider, phone.number)

    assert code != before
    assert phone.enter(code).id == "home"


async def test_pairing_code_of_linked(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """The link of an instance that reconnects isn't given up for a code."""
    one = linked(gateway)
    await provider.instances()
    one.drop()

    with pytest.raises(Rejected):
        await provider.pairing_codes.start("home", NUMBER)
    assert gateway.count("logout") == 0
    assert one.linked


async def test_slow_logout(gateway: EvolutionGateway, provider: Evolution) -> None:
    """A session that doesn't close can't take a phone number."""
    gateway.add("home", State.WAITING)
    states(gateway, "home", "connecting")

    with pytest.raises(Unreachable):
        await provider.pairing_codes.start("home", NUMBER)
    # only the code in memory was read
    assert gateway.count("connect") == 1


# actions and failures


async def test_restart_of_closed(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """A closed instance, which can't be restarted, is started."""
    one = gateway.add("home", State.STOPPED, account=NUMBER, linked=True)

    await provider.perform(Action.RESTART, "home")

    assert one.state is State.CONNECTED


@pytest.mark.parametrize("route", ["connect", "restart", "logout", "delete"])
async def test_hidden_errors(
    gateway: EvolutionGateway, provider: Evolution, route: str
) -> None:
    """An answer with the status 200 may be a failure."""
    linked(gateway)
    calls = {
        "connect": lambda: provider.perform(Action.CONNECT, "home"),
        "restart": lambda: provider.perform(Action.RESTART, "home"),
        "logout": lambda: provider.perform(Action.LOGOUT, "home"),
        "delete": lambda: provider.delete("home"),
    }
    if route == "restart":
        gateway.fail("connect", body=HIDDEN_ERROR)
    gateway.fail(route, body=HIDDEN_ERROR)
    with pytest.raises(Unreachable):
        await calls[route]()
    answer(gateway, route, {"error": True, "message": "Not for you"})
    with pytest.raises(Rejected, match="Not for you"):
        await calls[route]()
    gateway.heal()
    await calls[route]()


async def test_failing_logout(gateway: EvolutionGateway, provider: Evolution) -> None:
    """Only the logout of a closed instance may be rejected."""
    linked(gateway)
    gateway.fail("logout", status=400)

    with pytest.raises(Rejected):
        await provider.perform(Action.LOGOUT, "home")


async def test_unconfirmed_delete(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """An instance stays listed until the gateway confirms that it is deleted."""
    linked(gateway)
    await provider.instances()
    answer(gateway, "delete", {"message": "Instance deleted"})
    with pytest.raises(BadResponse):
        await provider.delete("home")
    assert (await listed(provider)).id == "home"

    gateway.heal()
    await provider.delete("home")
    await clock.run(REMOVAL)
    assert await provider.instances() == []


async def test_created_again(
    gateway: EvolutionGateway, provider: Evolution, clock: Clock
) -> None:
    """The name of a deleted instance is free a little later, and it is another one."""
    linked(gateway)
    await provider.instances()
    await provider.delete("home")

    created = await provider.create("home")

    assert created.status is InstanceStatus.CREATED
    assert await listed(provider) == created
    with pytest.raises(Rejected, match="already in use"):
        await provider.create("home")
    gateway.asked.clear()
    with pytest.raises(Rejected, match="already in use"):
        await provider.create("home")
    assert gateway.count("create") == 1


# keys and the server


async def test_instance_key(gateway: EvolutionGateway, session: ClientSession) -> None:
    """The token of an instance opens that instance only, and can't create others."""
    one = linked(gateway)
    gateway.add("other")
    provider = Evolution(session, gateway.url, one.token)

    assert (await listed(provider)).status is InstanceStatus.CONNECTED
    assert Feature.CREATE not in provider.features
    with pytest.raises(Rejected) as raised:
        await provider.create("new")
    assert not isinstance(raised.value, Unauthorized)
    with pytest.raises(Unauthorized):
        await provider.instance("other")
    await provider.perform(Action.RESTART, "home")


async def test_bound_instance(
    gateway: EvolutionGateway, session: ClientSession
) -> None:
    """An account of one instance has that one only."""
    linked(gateway)
    gateway.add("other")
    provider = Evolution(session, gateway.url, gateway.key, "home")

    assert (await listed(provider)).id == "home"
    assert Feature.CREATE not in provider.features


async def test_wrong_key(gateway: EvolutionGateway, session: ClientSession) -> None:
    """The list tells a wrong key; an unknown instance tells nothing about the key."""
    gateway.add("home")
    gateway.saves_instances = False
    provider = Evolution(session, gateway.url, "wrong")

    with pytest.raises(Unauthorized):
        await provider.instances()
    with pytest.raises(Unauthorized):
        await provider.instance("home")
    with pytest.raises(NotFound):
        await provider.instance("ghost")


async def test_licence(
    gateway: EvolutionGateway, provider: Evolution, session: ClientSession
) -> None:
    """A server without a licence says where to activate it."""
    gateway.version, gateway.licensed = "2.4.0", False

    with pytest.raises(NotActivated) as raised:
        await provider.instances()
    assert str(raised.value) == f"{gateway.url}/manager/login"
    assert await provider.server_version() == "2.4.0"
    assert await Evolution.recognizes(session, gateway.url)

    gateway.licensed = True
    assert await provider.instances() == []


async def test_licence_of_each_call(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """Every call says so, also if the server had a licence before."""
    gateway.version = "2.4.0"
    linked(gateway)
    await provider.instances()
    gateway.licensed = False
    for call in ({**CALLS, **MESSAGE_CALLS}).values():
        with suppress(NotImplementedError, KeyError):
            with pytest.raises(NotActivated) as raised:
                await call(provider, "home")
            assert str(raised.value) == f"{gateway.url}/manager/login"
    with pytest.raises(NotActivated):
        await provider.webhooks.register("https://example.com/a", "secret", ["home"])

    gateway.licensed = True
    await MESSAGE_CALLS["send"](provider, "home")


@pytest.mark.parametrize("chosen", PROVIDERS)
async def test_licence_in_the_dialog(
    gateway: EvolutionGateway, dialog: Dialog, chosen: str
) -> None:
    """The dialog says so, or which gateway it is if another one was chosen."""
    gateway.version, gateway.licensed = "2.4.0", False
    await dialog.open()
    await dialog.give(provider=chosen)
    await dialog.give(url=f"{gateway.url}/manager/", api_key=gateway.key)
    if chosen == gateway.provider:
        assert dialog.errors == {"base": "not_activated"}
        assert dialog.message == f"{gateway.url}/manager/login"
        gateway.licensed = True
        await dialog.give(url=gateway.url, api_key=gateway.key)
        assert dialog.step == "no_instances"
    else:
        assert dialog.errors == {"url": "other_gateway"}
        assert dialog.message == gateway.title


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://u:p@example.org/a?secret=1#2", "https://example.org/a"),
        ("javascript:alert(1)", "Ask the owner."),
        ("https://example.org/" + 200 * "a", "Ask the owner."),
        ("http://[", "Ask the owner."),
        (None, "Ask the owner."),
    ],
)
async def test_odd_licence(
    gateway: EvolutionGateway, provider: Evolution, address: Any, shown: str
) -> None:
    """Nothing but the address of a page is shown of it."""
    body = {"code": "LICENSE_REQUIRED", "message": "Ask the owner."}
    body |= {"register_url": address}
    gateway.fail("list", status=503, body=json.dumps(body).encode())

    with pytest.raises(NotActivated) as raised:
        await provider.instances()
    assert str(raised.value) == shown


async def test_old_server(gateway: EvolutionGateway, provider: Evolution) -> None:
    """Version 1 isn't supported."""
    answer(gateway, "list", [{"instance": {"instanceName": "home"}}])
    with pytest.raises(UnsupportedServer):
        await provider.instances()

    answer(gateway, "version", {"version": "1.8.2"})
    with pytest.raises(UnsupportedServer, match=r"1\.8\.2"):
        await provider.server_version()
    answer(gateway, "version", {})
    assert await provider.server_version() is None


async def test_recognition(
    gateway: EvolutionGateway, session: ClientSession, clock: Clock
) -> None:
    """A server is recognised without its key, and within 5 s."""
    assert await Evolution.recognizes(session, gateway.url)
    assert "apikey" not in gateway.asked[-1].headers
    answer(gateway, "version", {"version": "2.3.7"})
    assert not await Evolution.recognizes(session, gateway.url)
    gateway.fail("version", hang=True)
    start = clock.time()
    assert not await Evolution.recognizes(session, gateway.url)
    assert clock.time() - start < 6.1  # aiohttp rounds up


async def test_webhook(gateway: EvolutionGateway, provider: Evolution) -> None:
    """The webhook of an instance is only replaced if nobody uses it."""
    home, shop, gone = (gateway.add(name) for name in ("Home", "Shop", "Gone"))
    url = "http://192.168.1.2:8123/api/webhook/1"
    other = Endpoint(shop.uuid, "http://other.example.com", "me")
    unused = Endpoint(home.uuid, "http://other.example.com", "me", active=False)
    gateway.webhooks.set(other)
    gateway.webhooks.set(unused)
    del gateway.sessions[gone.id]
    names = [home.id, shop.id, gone.id]
    expected = {home.id: True, shop.id: False, gone.id: True}
    for _ in range(2):
        assert await provider.webhooks.register(url, "secret", names) == expected
    endpoint = gateway.webhooks.endpoints[home.uuid]
    assert endpoint.url == url
    assert endpoint.active
    assert [*endpoint.headers.values()] == ["secret"]
    assert "MESSAGES_UPSERT" not in endpoint.events

    gateway.fail("webhook_set", status=403)
    await provider.webhooks.unregister(url, names)
    gateway.heal()
    await provider.webhooks.unregister(url, names)
    assert gateway.webhooks.active == [other]


async def test_webhook_of_an_instance_that_is_not_loaded(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """An instance that the server has not loaded does not hinder the others."""
    unloaded, home = gateway.add("Unloaded"), gateway.add("Home")
    unloaded.loaded = False
    url = "http://192.168.1.2:8123/api/webhook/1"
    names = [unloaded.id, home.id]
    assert await provider.webhooks.register(url, "secret", names) == {home.id: True}
    with pytest.raises(Unreachable):
        await provider.webhooks.register(url, "secret", names[:1])
    gateway.fail("webhook_find", status=500, times=1)
    await provider.webhooks.unregister(url, names)
    assert gateway.webhooks.active == []

    gateway.fail("webhook_find", hang=True)
    for call, count in (
        (provider.webhooks.register(url, "secret", [*names, "more"]), 2),
        (provider.webhooks.unregister(url, names), 1),
    ):
        asked = gateway.count("webhook_find")
        with pytest.raises(Unreachable):
            await call
        assert gateway.count("webhook_find") == asked + count
    gateway.heal()
    gateway.fail("webhook_find", hang=True, times=1)
    unloaded.loaded = True
    assert await provider.webhooks.register(url, "secret", names) == {home.id: True}
    gateway.heal()
    unloaded.loaded = True
    assert len(await provider.webhooks.register(url, "secret", names)) == 2


@pytest.mark.parametrize(
    ("body", "event"),
    [
        (
            {"event": "qrcode.updated", "instance": "Home", "data": {}},
            InstanceChanged(instance_id="Home", has_code=True),
        ),
        (
            {"event": "connection.update", "instance": "Home"},
            InstanceChanged(instance_id="Home"),
        ),
        ({"event": "connection.update", "instance": 1}, InstanceChanged()),
        ([], Skipped("unparsable")),
    ],
)
def test_parse_webhook(provider: Evolution, body: Any, event: Report) -> None:
    """A call tells which instance has changed, and whether it has a new code."""
    assert provider.webhooks.read(json.dumps(body).encode()) == event


async def test_webhook_routes(
    gateway: EvolutionGateway, session: ClientSession
) -> None:
    """The simulated server refuses settings as the real one does."""
    home = gateway.add("Home")
    ask = Client(session, gateway, "apikey")
    assert (await ask("GET", "/webhook/find/Home")).body is None
    for settings in (
        {},
        {"enabled": True, "url": "nowhere", "events": []},
        {"enabled": True, "url": "http://a.test", "events": ["HUNGER"]},
    ):
        answered = await ask("POST", "/webhook/set/Home", {"webhook": settings})
        assert answered.status == 400
    settings = {"enabled": True, "url": gateway.url, "events": [], "byEvents": True}
    await ask("POST", "/webhook/set/Home", {"webhook": settings})
    home.start()
    await until(lambda: gateway.webhooks.statuses)
    assert gateway.asked[-1].path.startswith("/connection-update")


# Messages


TEXT = OutgoingMessage(text="Hello")


@both_versions
async def test_not_on_whatsapp(gateway: EvolutionGateway, provider: Evolution) -> None:
    """The server looks for the number or the group first, and says what is wrong."""
    linked(gateway)

    for chat, reason in (
        ("4930123456@s.whatsapp.net", Refusal.NOT_ON_WHATSAPP),
        ("1203@g.us", Refusal.GROUP_UNKNOWN),
    ):
        with pytest.raises(Refused) as raised:
            await provider.messages.send("home", chat, TEXT)
        assert raised.value.reason is reason
    with pytest.raises(Rejected, match="does not meet minimum"):
        await provider.messages.send(
            "home", CHAT, OutgoingMessage(poll=Poll(question="?", options=("a",)))
        )
    assert not gateway.sent


@both_versions
@pytest.mark.parametrize("kind", ["WHATSAPP-BUSINESS", "EVOLUTION"])
async def test_check_without_phone(
    hass: HomeAssistant,
    gateway: EvolutionGateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    kind: str,
) -> None:
    """An instance that can't check numbers believes them, also in the dialog."""
    gateway.add("home", State.CONNECTED, type=kind)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_recipient(entry)
    await dialog.give(recipient="+1 202 555 0123", name="Ben")
    assert [one.chat_id for one in recipients_of(entry)] == [BEN]

    device_id = device_named(hass, entry, "home").id
    data = {"device_id": device_id, "to": "+1 202 555 0123", "message": "Hello"}
    [sent] = await send(hass, **data)
    assert sent["to"] == BEN

    # any other failure still is one
    gateway.fail("check_number", status=400, body=b'{"message": ["Failed"]}')
    with pytest.raises(Rejected, match="Failed"):
        await entry.runtime_data.provider.messages.find_person("home", "12025550123")
    gateway.heal()
    assert (
        await entry.runtime_data.provider.messages.find_person("home", "12025550123")
        == BEN
    )


@both_versions
async def test_no_answer_about_a_number(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """An empty answer doesn't say that a number has no WhatsApp."""
    linked(gateway)
    gateway.fail("check_number", body=b"[]")
    with pytest.raises(BadResponse, match="No answer about the number"):
        await present(provider.number_check).find_person("home", "12025550123")


@both_versions
async def test_sent_chat(gateway: EvolutionGateway, provider: Evolution) -> None:
    """The server tells where a message went."""
    linked(gateway)
    other = "5215530000000@s.whatsapp.net"
    gateway.people["5215530000000"] = "Rosa"
    gateway.other_numbers["525530000000"] = "5215530000000"
    for chat, went_to in {
        CHAT: CHAT,
        GROUP: GROUP,
        "525530000000@s.whatsapp.net": other,
    }.items():
        sent = await provider.messages.send("home", chat, TEXT)
        assert sent == SentMessage(id=gateway.sent[-1].id, chat_id=went_to)

    key = {"id": "3EB0", "remoteJid": "5@lid", "remoteJidAlt": other}
    gateway.fail("send_text", body=json.dumps({"key": key}).encode())
    sent = await provider.messages.send("home", CHAT, TEXT)
    assert sent == SentMessage(id="3EB0", chat_id=other)


@both_versions
async def test_check_as_lid(gateway: EvolutionGateway, provider: Evolution) -> None:
    """A LID is kept: messages to it arrive, unlike those to an unchecked number."""
    linked(gateway)
    gateway.checks_as_lid = True
    gateway.people["5215530000000"] = "Rosa"
    gateway.lids["5215530000000"] = "211100000000077"
    gateway.other_numbers["525530000000"] = "5215530000000"
    chat = await provider.messages.find_person("home", "525530000000")
    assert chat == "211100000000077@lid"
    await provider.messages.send("home", chat, TEXT)
    assert [one.chat_id for one in gateway.sent] == [chat]

    gateway.checks_as_lid = False
    chat = await provider.messages.find_person("home", "525530000000")
    assert chat == "5215530000000@s.whatsapp.net"


async def test_groups_without_people(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """The groups are listed even if the people can't be."""
    linked(gateway)
    gateway.fail("contacts", status=500)
    assert {
        chat.id for chat in await provider.messages.list_chats("home")
    } == gateway.groups.keys()
    gateway.heal()
    assert len(await provider.messages.list_chats("home")) > len(gateway.groups)


async def test_connection_closed(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """Each error of a closed instance is told from others, which may be anything."""
    instance = linked(gateway)
    await provider.messages.send("home", CHAT, TEXT)
    instance.state = State.STOPPED
    for chat in (CHAT, "12025550123@s.whatsapp.net"):
        with pytest.raises(Refused, match="not connected"):
            await provider.messages.send("home", chat, TEXT)
        with pytest.raises(Refused, match="not connected"):
            await provider.messages.list_chats("home")
    gateway.fail("send", status=500, code="internal", message="Out of memory")
    with pytest.raises(MaybeSent):
        await provider.messages.send("home", CHAT, TEXT)
    gateway.heal()
    instance.state = State.CONNECTED
    await provider.messages.send("home", CHAT, TEXT)


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        # the server answers 400 to whatever fails in a send, also after it
        (["PrismaClientKnownRequestError: Can't reach the database"], True),
        (["AxiosError: Request failed with status code 500"], True),
        (["Text is required"], False),
        (["[object Object]"], False),
    ],
)
async def test_refused_or_unclear(
    gateway: EvolutionGateway, provider: Evolution, message: list[str], *, sent: bool
) -> None:
    """An exception may follow the sending, and other refusals precede it."""
    linked(gateway)
    gateway.fail("send", status=400, code="bad", message=message)
    with pytest.raises(MaybeSent if sent else Rejected):
        await provider.messages.send("home", CHAT, TEXT)
    # that answer has a meaning for messages alone
    gateway.fail("chats", status=400, code="bad", message=message)
    with pytest.raises(Rejected) as raised:
        await provider.messages.list_chats("home")
    assert "group" not in str(raised.value)
    gateway.fail("send", status=500, code="bad", message=["[object Object]"])
    with pytest.raises(MaybeSent):
        await provider.messages.send("home", CHAT, TEXT)

    gateway.heal()
    await provider.messages.send("home", CHAT, TEXT)
    await provider.messages.list_chats("home")


async def test_keys_of_reactions(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """A reaction repeats what is known of the message, which phones need in groups."""
    provider.webhooks.receives = True
    sent = linked(gateway) and await provider.messages.send("home", GROUP, TEXT)
    sent_id = sent.id if sent else None
    received = {
        "key": {"remoteJid": GROUP, "id": "3EB0", "participant": "9@lid"},
        "message": {"conversation": "hi"},
    }
    provider.webhooks.parse(webhook_body(received))

    for message_id, known in (
        (sent_id, {"remoteJid": GROUP, "fromMe": True}),
        ("3EB0", {"remoteJid": GROUP, "fromMe": False, "participant": "9@lid"}),
        ("unknown", {"remoteJid": CHAT, "fromMe": False}),
    ):
        key = provider.messages._keys.get(("home", message_id or "", GROUP))
        message = OutgoingMessage(reaction="👍", reply_to=message_id)
        call = send_request("my home", CHAT, message, key)
        assert call.path == "/message/sendReaction/my%20home"
        assert call.body == {"key": {**known, "id": message_id}, "reaction": "👍"}


async def test_key_of_another_message(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """A reaction doesn't go to whoever repeats the ID of a message in another chat."""
    provider.webhooks.receives = True
    linked(gateway)
    for chat in (CHAT, "12025550199@s.whatsapp.net"):
        key = {"remoteJid": chat, "id": "3EB0"}
        data = {"key": key, "message": {"conversation": "hi"}}
        provider.webhooks.parse(webhook_body(data))

    await provider.messages.send(
        "home", CHAT, OutgoingMessage(reaction="👍", reply_to="3EB0")
    )

    assert [one.chat_id for one in gateway.sent] == [CHAT]


def webhook_body(data: Any) -> bytes:
    """Return what the server calls with when a message has arrived."""
    event = {"event": "messages.upsert", "instance": "home", "data": data}
    return json.dumps(event).encode()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"key": {}},
        {"key": {"remoteJid": CHAT, "id": "1"}},
        {"key": {"remoteJid": CHAT, "id": "1"}, "message": {"protocolMessage": {}}},
        {"key": {"remoteJid": CHAT}, "message": {"conversation": "hi"}},
        {"key": {"remoteJid": "status@broadcast"}, "message": {"conversation": "hi"}},
        {
            "key": {"remoteJid": "status@broadcast", "remoteJidAlt": CHAT, "id": "1"},
            "message": {"conversation": "hi"},
        },
    ],
    ids=str,
)
def test_no_message(provider: Evolution, data: Any) -> None:
    """What is incomplete or invisible is no message."""
    provider.webhooks.receives = True
    assert isinstance(provider.webhooks.read(webhook_body(data)), Skipped)

    good = {"key": {"remoteJid": CHAT, "id": "1"}, "message": {"conversation": "hi"}}
    for one in (good, [good]):
        message = provider.webhooks.parse(webhook_body(one))
        assert isinstance(message, IncomingMessage)
        assert (message.text, message.sender_id) == ("hi", CHAT)
    provider.webhooks.receives = False
    assert provider.webhooks.parse(webhook_body(good)) is None


async def test_lid_and_number(provider: Evolution) -> None:
    """What a message tells about LIDs and numbers is reported with it."""
    provider.webhooks.receives = True
    pair = (("7@lid", CHAT),)
    for key, chat, pairs in (
        ({"remoteJid": "7@lid", "remoteJidAlt": CHAT}, CHAT, pair),
        ({"remoteJid": "7@lid", "senderPn": CHAT}, CHAT, pair),
        ({"remoteJid": CHAT, "previousRemoteJid": "7@lid"}, CHAT, pair),
        ({"remoteJid": GROUP, "participant": "7@lid"}, GROUP, ()),
        (
            {"remoteJid": GROUP, "participant": "7@lid", "participantPn": CHAT},
            GROUP,
            pair,
        ),
    ):
        message = {"conversation": "hi"}
        event = {"key": key | {"id": "1", "fromMe": False}, "message": message}
        parsed = provider.webhooks.parse(webhook_body(event))
        assert isinstance(parsed, IncomingMessage)
        assert (parsed.chat_id, parsed.same_people) == (chat, pairs)


@pytest.mark.parametrize("timestamp", [0, None, "", "missing", -5])
@pytest.mark.parametrize("hours", [-3, 0, 5.5])
def test_no_time(provider: Evolution, timestamp: Any, hours: float) -> None:
    """A message without a time is one of now; the event has a local time."""
    provider.webhooks.receives = True
    data = {"key": {"remoteJid": CHAT, "id": "1"}, "message": {"conversation": "hi"}}
    if timestamp != "missing":
        data["messageTimestamp"] = timestamp
    now = datetime.now(UTC)
    local = (now + timedelta(hours=hours)).isoformat()[:23] + "Z"
    event = {"event": "messages.upsert", "instance": "home", "date_time": local}
    body = json.dumps(event | {"data": data}).encode()
    message = provider.webhooks.parse(body)
    assert isinstance(message, IncomingMessage)
    assert abs((message.sent_at - now).total_seconds()) < 60


def test_own_ids(provider: Evolution) -> None:
    """The event tells the linked number, and a mention may stand beside the message."""
    provider.webhooks.receives = True
    data = {
        "key": {"remoteJid": CHAT, "id": "1"},
        "message": {"conversation": "hi"},
        "contextInfo": {"mentionedJid": [CHAT]},
    }
    event = {"event": "messages.upsert", "instance": "home", "sender": CHAT}
    message = provider.webhooks.parse(json.dumps(event | {"data": data}).encode())
    assert isinstance(message, IncomingMessage)
    assert (message.own_ids, message.mentions) == ((CHAT,), {CHAT})


def test_own_number_beside_lid(provider: Evolution) -> None:
    """The own number beside the LID of the receiver says nothing about the receiver."""
    provider.webhooks.receives = True
    key = {"remoteJid": "7@lid", "remoteJidAlt": CHAT, "fromMe": True, "id": "1"}
    data = {"key": key, "message": {"conversation": "hi"}}
    event = {"event": "messages.upsert", "instance": "home", "sender": CHAT}
    message = provider.webhooks.parse(json.dumps(event | {"data": data}).encode())
    assert isinstance(message, IncomingMessage)
    assert (message.chat_id, message.own_ids) == ("7@lid", (CHAT,))


async def test_reaction_to_one_of_two(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """Two people may use the same ID: a reaction goes to the right one."""
    linked(gateway)
    provider.webhooks.receives = True
    for number in ("4915100000010", "4915100000099"):
        gateway.people[number] = "X"
        chat = f"{number}@s.whatsapp.net"
        key = {"remoteJid": chat, "id": "3F1", "fromMe": False}
        message = {"key": key, "message": {"conversation": "hi"}}
        provider.webhooks.parse(webhook_body(message))
    reaction = OutgoingMessage(reaction="👍", reply_to="3F1")
    await provider.messages.send("home", "4915100000099@s.whatsapp.net", reaction)
    assert gateway.sent[-1].chat_id == "4915100000099@s.whatsapp.net"


async def test_webhook_of_messages(
    gateway: EvolutionGateway, provider: Evolution
) -> None:
    """A webhook of ours also gets messages, as long as the user wants them."""
    home = gateway.add("Home")
    url = "http://192.168.1.2:8123/api/webhook/1"
    for provider.webhooks.receives in (False, True, False):
        assert all(
            (await provider.webhooks.register(url, "secret", [home.id])).values()
        )
        events = gateway.webhooks.endpoints[home.uuid].events
        assert ("MESSAGES_UPSERT" in events) is provider.webhooks.receives
        assert "CONNECTION_UPDATE" in events


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"base64": ""}', b'{"base64": "?"}'], ids=str
)
async def test_odd_file(
    gateway: EvolutionGateway, provider: Evolution, body: bytes
) -> None:
    """An answer without a file is an error that doesn't show it."""
    provider.webhooks.receives = True
    data = {"key": {"remoteJid": CHAT, "id": "1"}, "message": {"imageMessage": {}}}
    message = provider.webhooks.parse(webhook_body(data))
    assert isinstance(message, IncomingMessage)
    linked(gateway)
    gateway.fail("download", body=body)

    with pytest.raises(BadResponse):
        await provider.messages.download(message)
