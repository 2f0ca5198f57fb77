"""The simulated Evolution API server against what is known about the Evolution API.

The numbers in the comments are the sections of the description of its interface.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateways import ExpiredCodeError, VirtualPhone
from tests.gateways.client import Answer, Client
from tests.gateways.evolution import EvolutionGateway
from tests.gateways.evolution_instance import CODE_LIFE, CODE_LIMIT, CODES_PER_SOCKET
from tests.gateways.machine import NEW_CODE, State

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiohttp import ClientSession

    from tests.harness.clock import Clock

NUMBER = "4915112345678"
BAILEYS = "WHATSAPP-BAILEYS"
NEW = {"instanceName": "new", "integration": BAILEYS}
LIST = "/instance/fetchInstances"
HIDDEN_ERROR = {"error": True, "message": "[object Object]"}
both_versions = pytest.mark.parametrize("version", ["2.3.7", "2.4.0"])


@pytest.fixture
def version() -> str:
    """Return the version of the server where a test does not choose one."""
    return "2.3.7"


@pytest.fixture
async def evolution(version: str) -> AsyncGenerator[EvolutionGateway]:
    """Run a server."""
    gateway = EvolutionGateway(version=version)
    async with gateway.running():
        yield gateway


@pytest.fixture
def call(session: ClientSession, evolution: EvolutionGateway) -> Client:
    """Return a client with the global key."""
    return Client(session, evolution, "apikey")


def error(answer: Answer) -> tuple[int, Any]:
    """Return the status and the message of an error, whose parts must agree."""
    body = answer.body
    assert set(body) == {"status", "error", "response"}
    assert body["status"] == answer.status
    return answer.status, body["response"]["message"]


async def live(call: Client, name: str = "home") -> str | None:
    """Return the live state of an instance."""
    answer = await call("GET", f"/instance/connectionState/{name}")
    assert answer.status == 200
    state: str | None = answer.body["instance"].get("state")
    return state


async def row(call: Client, name: str = "home") -> dict[str, Any]:
    """Return the row of an instance in the database."""
    rows = (await call("GET", LIST)).body
    found: dict[str, Any] = next(row for row in rows if row["name"] == name)
    return found


# 1 Auth


@both_versions
async def test_guard_order(evolution: EvolutionGateway, call: Client) -> None:
    """The existence comes first, then the name in use, then the key (0.1, 1)."""
    evolution.add("home", State.CONNECTED)
    for key in (None, "wrong"):
        call.key = key
        answer = await call("GET", "/instance/connectionState/ghost")
        assert error(answer) == (404, ['The "ghost" instance does not exist'])
        taken = await call("POST", "/instance/create", {"instanceName": "home"})
        assert error(taken) == (403, ['This name "home" is already in use.'])
        new = await call("POST", "/instance/create", {"instanceName": "new"})
        assert error(new) == (401, "Unauthorized")
        answer = await call("GET", "/instance/connectionState/home")
        assert error(answer) == (401, "Unauthorized")
        assert error(await call("GET", LIST)) == (401, "Unauthorized")


async def test_token(evolution: EvolutionGateway, call: Client) -> None:
    """The token of an instance opens that instance only (1)."""
    home = evolution.add("home", State.CONNECTED)
    evolution.add("shop", State.CONNECTED)
    call.key = home.token

    listed = await call("GET", LIST)
    assert [one["name"] for one in listed.body] == ["home"]
    assert (await call("GET", f"{LIST}?instanceName=home")).status == 200
    answer = await call("GET", f"{LIST}?instanceName=shop")
    assert error(answer) == (401, "Unauthorized")
    assert await live(call) == "open"
    assert (await call("GET", "/instance/connectionState/shop")).status == 401
    body = EvolutionGateway.create_body("new")
    assert (await call("POST", "/instance/create", body)).status == 401
    evolution.saves_instances = False
    assert (await call("GET", LIST)).status == 401


async def test_routes(evolution: EvolutionGateway, call: Client) -> None:
    """Unknown routes and methods are a 404, also without a key (0.7, 1, 4)."""
    evolution.add("home", State.CONNECTED)
    call.key = None
    for method, path in (
        ("GET", "/ping"),
        ("GET", "/health"),
        ("PUT", "/instance/restart/home"),
        ("GET", "/instance/qrcode/home"),
        ("GET", "/license/status"),
    ):
        assert error(await call(method, path)) == (404, [f"Cannot {method} {path}"])


async def test_origin(evolution: EvolutionGateway, call: Client) -> None:
    """A server may refuse requests without an origin (1)."""
    evolution.needs_origin = "http://ha"
    assert error(await call("GET", LIST)) == (500, "Not allowed by CORS")
    headers = {"Origin": "http://ha"}
    assert (await call("GET", LIST, headers=headers)).status == 200


# 2 Server information


@both_versions
async def test_information(call: Client, version: str) -> None:
    """The server tells its version without a key (2)."""
    call.key = None
    body = (await call("GET", "/")).body
    assert body["message"] == "Welcome to the Evolution API, it is working!"
    assert (body["status"], body["version"]) == (200, version)
    assert "whatsappWebVersion" in body


@pytest.mark.parametrize("version", ["2.4.0"])
async def test_licence(evolution: EvolutionGateway, call: Client) -> None:
    """Until it is activated 2.4 answers 503, before it looks at the key (0.2, 2)."""
    evolution.licensed = False
    for key in (evolution.key, "wrong"):
        call.key = key
        for path in (LIST, "/instance/connectionState/ghost", "/nothing"):
            answer = await call("GET", path)
            assert (answer.status, answer.body["code"]) == (503, "LICENSE_REQUIRED")
    assert (await call("GET", "/")).status == 200
    status = (await call("GET", "/license/status")).body
    assert status["status"] == "inactive"
    evolution.version = "2.3.7"
    call.key = evolution.key
    assert (await call("GET", LIST)).status == 200


# 3 Instances


async def test_row(evolution: EvolutionGateway, call: Client) -> None:
    """A row has the names of the documents, and the token (3.1)."""
    home = evolution.add("home", State.CONNECTED, phone_number=NUMBER)
    evolution.add("spare")
    listed = await row(call)
    assert " ".join(listed) == (
        "id name connectionStatus ownerJid profileName profilePicUrl integration "
        "number businessId token clientName disconnectionReasonCode "
        "disconnectionObject disconnectionAt createdAt updatedAt Chatwoot Proxy "
        "Rabbitmq Nats Sqs Websocket Setting _count"
    )
    assert (listed["id"], listed["token"]) == (home.uuid, home.token)
    assert listed["connectionStatus"] == "open"
    assert listed["ownerJid"] == f"{NUMBER}@s.whatsapp.net"
    assert listed["number"] is None
    spare = await row(call, "spare")
    assert (spare["connectionStatus"], spare["ownerJid"]) == ("close", None)


async def test_filters(evolution: EvolutionGateway, call: Client) -> None:
    """A filter that finds nothing is a 404; some builds ignore the name (3.1)."""
    assert (await call("GET", LIST)).body == []
    home = evolution.add("home", State.CONNECTED, given_number=NUMBER)
    evolution.add("shop")
    for query in ("instanceName=home", f"instanceId={home.uuid}", f"number={NUMBER}"):
        listed = await call("GET", f"{LIST}?{query}")
        assert [one["name"] for one in listed.body] == ["home"]
    answer = await call("GET", f"{LIST}?instanceName=ghost")
    assert error(answer) == (404, ['Instance "ghost" not found'])
    for query in ("instanceId=ghost", "number=1"):
        assert (await call("GET", f"{LIST}?{query}")).status == 404
    evolution.ignores_filter = True
    assert len((await call("GET", f"{LIST}?instanceName=home")).body) == 2


@both_versions
async def test_not_loaded(evolution: EvolutionGateway, call: Client) -> None:
    """An instance that is not in memory has no live state (0.8, 3.1, 3.3)."""
    evolution.add("home", State.CONNECTED, loaded=False)
    assert await live(call) is None
    assert (await row(call))["connectionStatus"] == "open"
    assert (await call("GET", f"{LIST}?instanceName=home")).status == 404
    for method, path in (("GET", "connect"), ("POST", "restart")):
        answer = await call(method, f"/instance/{path}/home")
        assert (answer.status, answer.body) == (200, HIDDEN_ERROR)


@pytest.mark.parametrize("qrcode", [True, False])
async def test_create(
    evolution: EvolutionGateway, call: Client, *, qrcode: bool
) -> None:
    """An instance is created with its secret, and with a code if asked (3.3)."""
    body = {**EvolutionGateway.create_body("home"), "qrcode": qrcode}
    answer = await call("POST", "/instance/create", body)
    assert answer.status == 201
    home: Any = evolution.sessions["home"]
    assert answer.body["hash"] == home.token
    status = answer.body["instance"]["status"]
    if not qrcode:
        assert (status, answer.seconds < 1) == ("close", True)
        assert "qrcode" not in answer.body
        return
    assert status == "connecting"
    assert answer.seconds == pytest.approx(5, abs=0.1)
    code = answer.body["qrcode"]
    assert (code["count"], code["pairingCode"]) == (1, None)
    assert code["code"] == home.code.text
    assert code["base64"].startswith("data:image/png;base64,iVBOR")


async def test_create_without_code(evolution: EvolutionGateway, call: Client) -> None:
    """Five seconds may not be enough for the first code (3.3)."""
    evolution.offline = True
    body = {**EvolutionGateway.create_body("home"), "qrcode": True, "token": "own"}
    answer = await call("POST", "/instance/create", body)
    assert (answer.status, answer.body["qrcode"]) == (201, {"count": 0})
    assert answer.body["hash"] == "own"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"integration": BAILEYS}, 403, 'This name "undefined" is already in use.'),
        ({"instanceName": "new"}, 400, "Invalid integration"),
        ({"instanceName": "new", "integration": "x"}, 400, "Invalid integration"),
        (NEW | {"number": "+49"}, 400, None),
        (NEW | {"qrcode": "yes"}, 400, None),
        (NEW | {"webhook": {"url": "http://ha"}}, 400, None),
    ],
)
async def test_refused(
    call: Client, body: dict[str, Any], status: int, message: str | None
) -> None:
    """Bad bodies are refused, and leave nothing behind (3.3)."""
    answer = await call("POST", "/instance/create", body)
    refused, messages = error(answer)
    assert refused == status
    assert message in {None, messages[0]}
    assert (await call("GET", LIST)).body == []


@both_versions
async def test_blanks(evolution: EvolutionGateway, call: Client, version: str) -> None:
    """Only 2.4 removes blanks around a name (3.3)."""
    body = EvolutionGateway.create_body(" home ")
    assert (await call("POST", "/instance/create", body)).status == 201
    assert [*evolution.sessions] == ["home" if version == "2.4.0" else " home "]


@both_versions
async def test_restart(evolution: EvolutionGateway, call: Client) -> None:
    """A restart answers what was before; a closed instance is an error (3.3)."""
    home = evolution.add("home", State.CONNECTED)
    evolution.add("closed", State.STOPPED)
    answer = await call("POST", "/instance/restart/home")
    state = {"instance": {"instanceName": "home", "state": "open"}}
    assert (answer.status, answer.body, home.starts) == (200, state, 1)
    assert await live(call) == "connecting"
    answer = await call("POST", "/instance/restart/closed")
    assert (answer.status, answer.body) == (200, HIDDEN_ERROR)
    home.state = State.WAITING
    assert (await call("POST", "/instance/restart/home")).body["count"] == 1


@both_versions
async def test_logout(
    evolution: EvolutionGateway, call: Client, clock: Clock, version: str
) -> None:
    """A logout works on after its answer, and is refused twice by 2.3 only (0.10)."""
    evolution.add("home", State.CONNECTED, phone_number=NUMBER)
    path = "/instance/logout/home"
    success = {"status": "SUCCESS", "error": False}
    answer = await call("DELETE", path)
    message = {"message": "Instance logged out"}
    assert (answer.status, answer.body) == (200, success | {"response": message})
    # 2.4 forces the row, 2.3 does not
    word = "close" if version == "2.4.0" else "open"
    assert (await live(call), (await row(call))["connectionStatus"]) == ("open", word)
    await clock.run(1.5)
    assert await live(call) == "close"
    assert (await row(call))["connectionStatus"] == word
    await clock.run(3)
    listed = await row(call)
    assert listed["connectionStatus"] == "close"
    # the number stays, and a logout is no reason
    assert listed["ownerJid"] == f"{NUMBER}@s.whatsapp.net"
    assert listed["disconnectionReasonCode"] is None

    answer = await call("DELETE", path)
    if version == "2.4.0":
        message = {"message": "Instance was already disconnected"}
        assert (answer.status, answer.body) == (200, success | {"response": message})
    else:
        assert error(answer) == (400, ['The "home" instance is not connected'])


@pytest.mark.parametrize("version", ["2.4.0"])
async def test_broken_logout(
    evolution: EvolutionGateway, call: Client, clock: Clock
) -> None:
    """After a logout a scan may never complete, until it is created anew (0.11)."""
    evolution.breaks_logout = True
    home = evolution.add("home", State.CONNECTED)
    phone = VirtualPhone(evolution)
    await call("DELETE", "/instance/logout/home")
    await clock.run(2)
    await call("GET", "/instance/connect/home")
    assert home.code is not None
    phone.scan(home.code.text)
    await clock.run(30)
    assert await live(call) == "connecting"

    await call("DELETE", "/instance/delete/home")
    await clock.run(3)
    body = {**EvolutionGateway.create_body("home"), "qrcode": True}
    created = await call("POST", "/instance/create", body)
    phone.scan(created.body["qrcode"]["code"])
    await clock.run(10)
    assert await live(call) == "open"


@both_versions
async def test_delete(evolution: EvolutionGateway, call: Client, clock: Clock) -> None:
    """A deleted instance is listed and in use for a while, then a 404 (3.3)."""
    evolution.add("home", State.CONNECTED)
    path, body = "/instance/delete/home", EvolutionGateway.create_body("home")
    answer = await call("DELETE", path)
    assert answer.body["response"] == {"message": "Instance deleted"}
    assert (await row(call))["name"] == "home"
    taken = await call("POST", "/instance/create", body)
    assert error(taken) == (403, ['This name "home" is already in use.'])
    await clock.run(3)
    assert (await call("GET", LIST)).body == []
    answer = await call("DELETE", path)
    assert error(answer) == (404, ['The "home" instance does not exist'])
    assert (await call("POST", "/instance/create", body)).status == 201
    assert (await row(call))["ownerJid"] is None


# 4 Pairing


async def test_connect(evolution: EvolutionGateway, call: Client) -> None:
    """To connect starts a closed instance and waits two seconds, only once (4)."""
    home = evolution.add("home", State.STOPPED)
    path = "/instance/connect/home"
    first = await call("GET", path)
    assert first.seconds == pytest.approx(2, abs=0.1)
    assert home.code is not None
    assert first.body["code"] == home.code.text
    assert [*first.body] == ["pairingCode", "code", "base64", "count"]
    again = await call("GET", path)
    assert (again.seconds < 0.1, again.body, home.starts) == (True, first.body, 1)
    home.state = State.CONNECTED
    state = {"instance": {"instanceName": "home", "state": "open"}}
    assert (await call("GET", path)).body == state


async def test_polling(evolution: EvolutionGateway, call: Client) -> None:
    """The state and the list start nothing (3.2)."""
    home = evolution.add("home", State.STOPPED)
    assert await live(call) == "close"
    await row(call)
    assert (home.starts, await live(call)) == (0, "close")


async def test_not_ready(evolution: EvolutionGateway, call: Client) -> None:
    """A code that takes its time is a count of zero (0.5)."""
    home = evolution.add("home", State.STOPPED, boot=10)
    for _ in range(2):
        answer = await call("GET", "/instance/connect/home")
        assert (answer.status, answer.body) == (200, {"count": 0})
    assert (await live(call), home.starts) == ("connecting", 1)


async def test_stale_code(
    evolution: EvolutionGateway, call: Client, clock: Clock
) -> None:
    """A linked instance that connects again shows its old code (0.6)."""
    home, phone = evolution.add("home"), VirtualPhone(evolution)
    shown = (await call("GET", "/instance/connect/home")).body
    phone.scan(shown["code"])
    await clock.run(5)
    assert await live(call) == "open"

    await call("POST", "/instance/restart/home")
    assert await live(call) == "connecting"
    assert (await call("GET", "/instance/connect/home")).body == shown
    with pytest.raises(ExpiredCodeError):
        phone.scan(shown["code"])
    await clock.run(5)
    assert home.state is State.CONNECTED


async def test_long_round(
    evolution: EvolutionGateway, call: Client, clock: Clock
) -> None:
    """2.3.7 goes on with 45 s codes, socket after socket, up to the limit (4)."""
    home = evolution.add("home", State.WAITING)
    path, pauses = "/instance/connect/home", 0
    codes: dict[str, int] = {}
    for number in range(CODE_LIMIT):
        if home.code is None:
            # between two sockets the last code is still in memory
            stale = (await call("GET", path)).body
            assert (stale["count"], codes[stale["code"]]) == (number, number)
            pauses += 1
            await clock.run(1)
        answer = (await call("GET", path)).body
        assert home.code is not None
        assert answer["code"] == home.code.text
        codes[answer["code"]] = answer["count"]
        assert await live(call) == "connecting"
        await clock.run(home.code.expires - time.time())
    assert [*codes.values()] == [*range(1, CODE_LIMIT + 1)]
    assert pauses == CODE_LIMIT // CODES_PER_SOCKET - 1

    assert await live(call) == "close"
    await clock.run(5)
    listed = await row(call)
    assert listed["connectionStatus"] == "close"
    assert listed["disconnectionReasonCode"] is None
    # the limit sets the count back
    assert (await call("GET", path)).body["count"] == 1


@pytest.mark.parametrize("version", ["2.4.0"])
async def test_short_round(
    evolution: EvolutionGateway, call: Client, clock: Clock
) -> None:
    """2.4 closes with 408 after six codes; the count goes on (4)."""
    evolution.add("home", State.WAITING)
    path = "/instance/connect/home"
    assert (await call("GET", path)).body["count"] == 1
    await clock.run(CODE_LIFE * CODES_PER_SOCKET + 5)
    assert await live(call) == "close"
    listed = await row(call)
    assert listed["connectionStatus"] == "close"
    assert listed["disconnectionReasonCode"] == 408
    assert listed["disconnectionAt"] is not None
    for count in (7, 13, 19, 25):
        assert (await call("GET", path)).body["count"] == count
        await clock.run(CODE_LIFE * CODES_PER_SOCKET + 5)
    # the limit ends the next attempt
    assert (await call("GET", path)).body == {"count": 0}
    assert await live(call) == "close"
    assert (await call("GET", path)).body["count"] == 1


@pytest.mark.parametrize(
    ("version", "states"),
    [
        ("2.3.7", ["connecting", "open", "open"]),
        ("2.4.0", ["close", "connecting", "open"]),
    ],
)
async def test_scan(
    evolution: EvolutionGateway, call: Client, clock: Clock, states: list[str]
) -> None:
    """A scan closes the socket with 515; then it connects again (4)."""
    home = evolution.add("home", State.WAITING)
    assert home.code is not None
    VirtualPhone(evolution, number=NUMBER).scan(home.code.text)
    seen, rows = [], []
    for seconds in (0.5, 2.8, 2):
        await clock.run(seconds)
        seen.append(await live(call))
        rows.append((await row(call))["connectionStatus"])
    assert seen == states
    # the database is late
    assert rows[states.index("open")] == "connecting"
    await clock.run(3)
    listed = await row(call)
    assert listed["connectionStatus"] == "open"
    assert listed["ownerJid"] == f"{NUMBER}@s.whatsapp.net"


@both_versions
async def test_pairing_code(
    evolution: EvolutionGateway, call: Client, clock: Clock
) -> None:
    """A pairing code comes a second after its QR code, and changes with it (4)."""
    home, phone = evolution.add("home", State.STOPPED), VirtualPhone(evolution)
    path = "/instance/connect/home"
    first = (await call("GET", f"{path}?number={NUMBER}")).body
    assert first["code"].startswith(NEW_CODE)
    assert "pairingCode" not in first
    await clock.run(1)
    code = (await call("GET", path)).body["pairingCode"]
    assert (len(code), code.isalnum()) == (8, True)

    # a number does not count while it is connecting
    assert (await call("GET", f"{path}?number=1")).body["pairingCode"] == code
    await clock.run(CODE_LIFE - 0.8)
    # a second long the old pairing code is in memory
    late = (await call("GET", path)).body
    assert (late["count"], late["pairingCode"]) == (2, code)
    await clock.run(1)
    renewed = (await call("GET", path)).body["pairingCode"]
    assert renewed != code
    with pytest.raises(ExpiredCodeError):
        phone.enter(code)
    assert phone.enter(f"{renewed[:4]}-{renewed[4:]}") is home
    await clock.run(10)
    assert (await row(call))["ownerJid"] == f"{NUMBER}@s.whatsapp.net"


async def test_pairing_code_at_creation(call: Client) -> None:
    """The number of a new instance makes pairing codes, and is kept (3.3, 4)."""
    body = {**EvolutionGateway.create_body("home"), "number": NUMBER, "qrcode": True}
    answer = await call("POST", "/instance/create", body)
    assert len(answer.body["qrcode"]["pairingCode"]) == 8
    assert (await row(call))["number"] == NUMBER


@both_versions
async def test_offline(evolution: EvolutionGateway, call: Client, version: str) -> None:
    """Without internet 2.3 flickers and 2.4 stays closed; no code comes (4)."""
    evolution.offline = True
    evolution.add("home", State.STOPPED)
    assert (await call("GET", "/instance/connect/home")).body == {"count": 0}
    seen = {await live(call) for _ in range(6)}
    assert seen == ({"close"} if version == "2.4.0" else {"close", "connecting"})


# 8 Behaviour over time


@both_versions
async def test_network_loss(
    evolution: EvolutionGateway, call: Client, clock: Clock, version: str
) -> None:
    """An instance connects again by itself; the row stays open (8)."""
    home = evolution.add("home", State.CONNECTED)
    home.drop()
    first = "close" if version == "2.4.0" else "connecting"
    words = []
    for _ in range(12):
        words.append(await live(call))
        assert (await row(call))["connectionStatus"] == "open"
        await clock.run(0.5)
    assert words[0] == first
    assert "connecting" in words
    assert words[-1] == "open"


@pytest.mark.parametrize("version", ["2.4.0"])
async def test_final_timeout(evolution: EvolutionGateway, call: Client) -> None:
    """For 2.4 a 408 is final (8)."""
    home = evolution.add("home", State.CONNECTED)
    home.drop(408)
    listed = await row(call)
    assert listed["connectionStatus"] == await live(call) == "close"
    assert (listed["disconnectionReasonCode"], home.linked) == (408, False)


async def test_unlinked(
    evolution: EvolutionGateway, call: Client, clock: Clock
) -> None:
    """An instance that the phone unlinks closes with 401, which stays (3.1, 8)."""
    home = evolution.add("home", State.CONNECTED, phone_number=NUMBER)
    phone = VirtualPhone(evolution)
    phone.unlink("home")
    listed = await row(call)
    assert listed["connectionStatus"] == await live(call) == "close"
    assert listed["disconnectionReasonCode"] == 401
    assert listed["ownerJid"] == f"{NUMBER}@s.whatsapp.net"

    phone.scan((await call("GET", "/instance/connect/home")).body["code"])
    await clock.run(10)
    assert home.state is State.CONNECTED
    assert (await row(call))["disconnectionReasonCode"] == 401


async def test_frozen_row(evolution: EvolutionGateway, call: Client) -> None:
    """The database may contradict the live state for as long as a test likes (0.8)."""
    home = evolution.add("home", State.CONNECTED, row="close")
    assert await live(call) == "open"
    assert (await row(call))["connectionStatus"] == "close"
    home.row = None
    assert (await row(call))["connectionStatus"] == "open"


async def test_parallel(evolution: EvolutionGateway, call: Client) -> None:
    """Two calls to connect start an instance once."""
    home = evolution.add("home", State.STOPPED)
    path = "/instance/connect/home"
    one, other = await asyncio.gather(call("GET", path), call("GET", path))
    assert home.starts == 1
    assert one.body["count"] in {0, 1}
    assert other.status == 200


async def test_headers_of_a_webhook(evolution: EvolutionGateway, call: Client) -> None:
    """The headers of a webhook are kept unless others are given."""
    evolution.add("home", State.CONNECTED)
    settings: dict[str, Any] = {"url": "http://ha", "enabled": True, "events": []}
    secret = {"X-Secret": "s"}

    async def headers_after(**more: Any) -> Any:
        body = {"webhook": settings | more}
        return (await call("POST", "/webhook/set/home", body)).body["headers"]

    assert await headers_after(headers=secret) == secret
    assert await headers_after() == secret
    assert await headers_after(headers={}) == {}
