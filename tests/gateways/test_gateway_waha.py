"""The simulated WAHA server against what is known about WAHA.

The numbers in the comments are the sections of the description of its interface.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateways import ExpiredCodeError, VirtualPhone
from tests.gateways.client import Answer, Client
from tests.gateways.machine import CODE_LIVES, NEW_CODE, State
from tests.gateways.waha import WahaGateway

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiohttp import ClientSession

    from tests.harness.clock import Clock

NUMBER = "4915112345678"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
async def waha() -> AsyncGenerator[WahaGateway]:
    """Run a current server."""
    gateway = WahaGateway()
    async with gateway.running():
        yield gateway


@pytest.fixture
def call(session: ClientSession, waha: WahaGateway) -> Client:
    """Return a client with the admin's key."""
    return Client(session, waha, "X-Api-Key")


def error(answer: Answer) -> tuple[int, Any]:
    """Return the status and the message of an error, whose parts must agree."""
    body = answer.body
    assert body["statusCode"] == answer.status
    return answer.status, body["message"]


# 1 Auth


@pytest.mark.parametrize("key", [None, "", "wrong"])
async def test_wrong_key(call: Client, key: str | None) -> None:
    """A missing and a wrong key get the same answer, before all other checks."""
    call.key = key
    for path in ("/api/sessions", "/api/sessions/ghost", "/api/nothing", "/health"):
        answer = await call("GET", path)
        assert answer.status == 401
        assert answer.body == {"message": "Unauthorized", "statusCode": 401}
    assert (await call("GET", "/ping")).body == {"message": "pong"}


async def test_ping_with_key(waha: WahaGateway, call: Client) -> None:
    """Some servers want a key for the ping too (1)."""
    waha.ping_needs_key, call.key = True, None
    assert (await call("GET", "/ping")).status == 401


async def test_key_in_query(waha: WahaGateway, call: Client) -> None:
    """Since 2026.4.3 the key may be in the query; the header wins (1)."""
    path = f"/api/sessions?x-api-key={waha.key}"
    call.key = None
    assert (await call("GET", path)).status == 200
    call.key = "wrong"
    assert (await call("GET", path)).status == 401
    waha.version, call.key = "2026.4.2", None
    waha.tier = "PLUS"
    assert (await call("GET", path)).status == 401


async def test_no_auth(waha: WahaGateway, call: Client) -> None:
    """A server without a key takes any key, or none (1)."""
    waha.no_auth = True
    for key in (None, "any"):
        call.key = key
        assert (await call("POST", "/api/sessions", {})).status == 201


async def test_session_key(waha: WahaGateway, call: Client) -> None:
    """A session key opens its session, and no other, also if that is unknown (1)."""
    waha.add("home", State.WAITING)
    waha.add("shop", State.CONNECTED)
    waha.session_keys["mine"] = "home", None
    call.key = "mine"

    listed = (await call("GET", "/api/sessions?all=true")).body
    assert [session["name"] for session in listed] == ["home"]
    assert (await call("GET", "/api/sessions/home")).status == 200
    assert (await call("GET", "/api/home/auth/qr")).status == 200
    assert (await call("GET", "/api/server/version")).status == 200
    for method, path in (
        ("GET", "/api/sessions/shop"),
        ("GET", "/api/sessions/ghost"),
        ("GET", "/api/ghost/auth/qr"),
        ("POST", "/api/sessions"),
        ("DELETE", "/api/sessions/home"),
        ("GET", "/health"),
    ):
        answer = await call(method, path)
        assert answer.status == 403
        assert answer.body == {"message": "Forbidden", "statusCode": 403}
        assert answer.seconds < 1


async def test_scopes(waha: WahaGateway, call: Client) -> None:
    """The actions of a session key decide; old servers have no actions (1)."""
    waha.add("home", State.WAITING)
    waha.session_keys["reader"] = "home", frozenset({"read"})
    waha.session_keys["deleter"] = "home", frozenset({"delete"})
    call.key = "reader"
    assert (await call("GET", "/api/sessions/home/me")).status == 200
    assert (await call("GET", "/api/home/auth/qr")).status == 403
    assert (await call("PUT", "/api/sessions/home", {})).status == 403

    waha.version, waha.tier = "2026.1.4", "PLUS"
    assert (await call("GET", "/api/home/auth/qr")).status == 200
    assert (await call("DELETE", "/api/sessions/home")).status == 403
    waha.version = "2026.1.3"
    assert (await call("GET", "/api/sessions")).status == 401

    waha.version, call.key = "2026.7.1", "deleter"
    assert (await call("GET", "/api/sessions/home")).status == 403
    assert (await call("DELETE", "/api/sessions/home")).status == 200


# 2 Server information


async def test_server(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """The server tells its version, its age and its health (2)."""
    assert (await call("GET", "/api/server/version")).body == {
        "version": "2026.7.1",
        "engine": "GOWS",
        "tier": "CORE",
        "browser": None,
        "platform": "linux/x64",
        "worker": {"id": None},
    }
    await clock.run(60)
    status = (await call("GET", "/api/server/status")).body
    assert status["uptime"] == pytest.approx(60_000, abs=1000)
    assert (await call("GET", "/health")).body["status"] == "ok"
    waha.healthy = False
    assert (await call("GET", "/health")).status == 503
    answer = await call("GET", "/api/nothing")
    assert error(answer) == (404, "Cannot GET /api/nothing")


async def test_single_session(waha: WahaGateway, call: Client) -> None:
    """The free server before 2026.6.1 has one session, `default` (2, 3.2)."""
    waha.downgrade()
    base = "/api/sessions"
    for method, path, body in (
        ("GET", f"{base}/home", None),
        ("POST", base, {"name": "home"}),
        ("GET", "/api/home/auth/qr", None),
        ("DELETE", f"{base}/home", None),
    ):
        status, message = error(await call(method, path, body))
        assert status == 422
        assert message.startswith(
            "WAHA Core support only 'default' session. You tried to access 'home' "
            "session (base64: aG9tZQ=="
        )
    listed = (await call("GET", f"{base}?all=true")).body
    assert [(one["name"], one["status"]) for one in listed] == [("default", "STOPPED")]

    assert (await call("POST", f"{base}/default/start")).status == 201
    answer = await call("POST", f"{base}/default/start")
    assert error(answer) == (422, "Session 'default' is already started.")
    assert (await call("POST", f"{base}/default/stop")).seconds >= 3
    assert (await call("GET", "/health")).status == 422
    assert (await call("GET", f"{base}/default")).body["engine"] == {"engine": None}


# 3 Sessions


async def test_objects(waha: WahaGateway, call: Client) -> None:
    """The list has all but the engine, which only details have (3.1)."""
    waha.add("spare")
    home = waha.add("home", State.CONNECTED, phone_number=NUMBER, metadata={"k": "v"})
    home.config = {"webhooks": [], "debug": False}

    listed = (await call("GET", "/api/sessions?all=true")).body
    assert home.seen is not None
    assert {one["name"]: one for one in listed} == {
        "home": {
            "name": "home",
            "status": "WORKING",
            "config": {"metadata": {"k": "v"}, "webhooks": [], "debug": False},
            "me": {
                "id": f"{NUMBER}@c.us",
                "lid": "123123123@lid",
                "jid": f"{NUMBER}:7@s.whatsapp.net",
                "pushName": "Home",
            },
            "presence": "online",
            "timestamps": {"activity": int(home.seen * 1000)},
            "assignedWorker": "waha",
        },
        "spare": {
            "name": "spare",
            "status": "STOPPED",
            "config": None,
            "me": None,
            "presence": None,
            "timestamps": {"activity": None},
        },
    }
    details = (await call("GET", "/api/sessions/home")).body
    assert details["engine"]["gows"] == {"found": True, "connected": True}
    assert (await call("GET", "/api/sessions/spare")).body["engine"] == {}


async def test_list_filter(waha: WahaGateway, call: Client) -> None:
    """The list leaves stopped sessions out unless it is asked for all (3.1)."""
    waha.add("home", State.CONNECTED)
    waha.add("failed", State.FAILED)
    waha.add("spare", State.STOPPED)

    async def names(query: str) -> set[str]:
        listed = (await call("GET", f"/api/sessions{query}")).body
        return {one["name"] for one in listed}

    assert await names("") == await names("?all=0") == {"home", "failed"}
    for word in ("true", "True", "1"):
        assert await names(f"?all={word}") == {"home", "failed", "spare"}
    assert (await call("GET", "/api/sessions?all=yes")).status == 400


async def test_create(waha: WahaGateway, call: Client) -> None:
    """A session is created with or without a start, and never with a code (3.2)."""
    base = "/api/sessions"
    answer = await call("POST", base, WahaGateway.create_body("Home_1-a"))
    assert answer.status == 201
    assert answer.body["name"] == "Home_1-a"
    assert answer.body["status"] == "STARTING"
    assert "data:image" not in answer.data.decode()
    assert NEW_CODE not in answer.data.decode()

    body = {"name": "shop", "start": False, "config": {"metadata": {"a": "b"}}}
    answer = await call("POST", base, body)
    assert answer.body["status"] == "STOPPED"
    assert answer.body["config"] == {"metadata": {"a": "b"}}

    for generated in ({}, {"name": ""}):
        name = (await call("POST", base, generated)).body["name"]
        assert re.fullmatch(r"session_[0-9a-z]{26}", name)
    answer = await call("POST", base, {"name": "shop"})
    message = "Session 'shop' already exists. Use PUT to update it."
    assert error(answer) == (422, message)
    assert (await call("POST", base, {"name": "Shop"})).status == 201
    assert len(waha.sessions) == 5


@pytest.mark.parametrize("name", ["a b", "ä", "a.b", "a/b", "x" * 55])
async def test_bad_name(call: Client, name: str) -> None:
    """Bad names are refused, with a list for a message (0.1, 3.2)."""
    status, message = error(await call("POST", "/api/sessions", {"name": name}))
    assert status == 400
    assert isinstance(message, list)


async def test_unknown_session(call: Client) -> None:
    """Each call has its own answer for an unknown session (0.8, 3.2)."""
    one = "/api/sessions/ghost"
    for method, path in (
        ("GET", ""),
        ("PUT", ""),
        ("POST", "/start"),
        ("POST", "/restart"),
        ("POST", "/logout"),
    ):
        answer = await call(method, one + path)
        assert error(answer) == (404, "Session not found")
        assert answer.body["error"] == "Not Found"
    stopped = await call("POST", f"{one}/stop")
    assert (stopped.status, stopped.data) == (201, b"")
    deleted = await call("DELETE", one)
    assert (deleted.status, deleted.data) == (200, b"")
    status, message = error(await call("GET", f"{one}/me"))
    assert status == 404
    assert message.startswith("We didn't find a session with name 'ghost'.\nPlease")


async def test_old_stop(waha: WahaGateway, call: Client) -> None:
    """A server of 2024 does not know an unknown session when it stops it (3.2)."""
    waha.version, waha.tier = "2024.10.8", "PLUS"
    assert (await call("POST", "/api/sessions/ghost/stop")).status == 404


async def test_start_failed(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """A start does nothing to a failed session; a restart starts it (0.4)."""
    home = waha.add("home", State.FAILED, linked=True)
    answer = await call("POST", "/api/sessions/home/start")
    assert (answer.status, answer.body["status"], home.starts) == (201, "FAILED", 0)

    answer = await call("POST", "/api/sessions/home/restart")
    assert (answer.status, answer.body["status"]) == (201, "STARTING")
    await clock.run(3)
    assert (await call("GET", "/api/sessions/home")).body["status"] == "WORKING"


async def test_stop_and_start(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """A stopped session keeps its link and its account (0.12, 3.2)."""
    waha.add("home", State.CONNECTED, phone_number=NUMBER)
    for _ in range(2):
        answer = await call("POST", "/api/sessions/home/stop")
        assert (answer.status, answer.body["status"]) == (201, "STOPPED")
        assert answer.body["me"]["id"] == f"{NUMBER}@c.us"
    assert (await call("GET", "/api/sessions/home/me")).status == 404
    assert (await call("POST", "/api/sessions/home/start")).status == 201
    await clock.run(3)
    me = await call("GET", "/api/sessions/home/me")
    assert me.body["id"] == f"{NUMBER}@c.us"


async def test_me_before_login(waha: WahaGateway, call: Client) -> None:
    """A running session without an account answers with an empty body (3.1)."""
    waha.add("home", State.WAITING)
    answer = await call("GET", "/api/sessions/home/me")
    assert (answer.status, answer.data) == (200, b"")


async def test_logout(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """The logout of a running session starts a new round of codes (3.2)."""
    home = waha.add("home", State.CONNECTED, phone_number=NUMBER)
    spare = waha.add("spare", State.STOPPED, linked=True, phone_number=NUMBER)

    answer = await call("POST", "/api/sessions/home/logout")
    assert (answer.status, answer.body["status"]) == (201, "STARTING")
    assert answer.body["me"] is None
    assert answer.seconds >= 1
    await clock.run(3)
    assert home.code is not None

    answer = await call("POST", "/api/sessions/spare/logout")
    assert (answer.status, answer.body["status"]) == (201, "STOPPED")
    assert not spare.linked


async def test_update(waha: WahaGateway, call: Client) -> None:
    """A new configuration replaces the old one and restarts what runs (3.2)."""
    home = waha.add("home", State.CONNECTED, metadata={"a": "b"})
    waha.add("spare", metadata={"a": "b"})
    answer = await call("PUT", "/api/sessions/home", {"config": {"debug": True}})
    assert (answer.status, answer.body["status"], home.starts) == (200, "STARTING", 1)
    assert answer.body["config"] == {"debug": True}
    answer = await call("PUT", "/api/sessions/spare", {})
    assert (answer.body["status"], answer.body["config"]) == ("STOPPED", {})


async def test_delete(waha: WahaGateway, call: Client) -> None:
    """Deleting takes as long as a logout, and has an empty answer (3.2)."""
    waha.add("home", State.CONNECTED)
    answer = await call("DELETE", "/api/sessions/home")
    assert (answer.status, answer.data, answer.seconds >= 1) == (200, b"", True)
    assert (await call("GET", "/api/sessions/home")).status == 404
    assert (await call("POST", "/api/sessions", {"name": "home"})).status == 201


async def test_lock(waha: WahaGateway, call: Client) -> None:
    """A second call about a session waits five seconds, then fails (3.2)."""
    waha.add("home", State.CONNECTED)
    waha.add("shop", State.CONNECTED)
    waha.durations["restart"] = 8
    path = "/api/sessions/home"

    async def second() -> tuple[Answer, Answer]:
        await asyncio.sleep(1)
        busy = await call("POST", f"{path}/logout", {"apps": {"purge": False}})
        return busy, await call("POST", "/api/sessions/shop/stop")

    first, (busy, other) = await asyncio.gather(
        call("POST", f"{path}/restart"), second()
    )

    assert first.status == other.status == 201
    assert busy.status == 500
    assert busy.seconds == pytest.approx(5, abs=0.1)
    assert set(busy.body) == {
        "statusCode",
        "timestamp",
        "exception",
        "request",
        "version",
    }
    message = busy.body["exception"]["message"]
    assert message == "async-lock timed out in queue home"
    assert busy.body["request"]["body"] == {"apps": {"purge": False}}
    assert waha.sessions["home"].linked
    # after that the session is free
    assert (await call("POST", f"{path}/stop")).status == 201


async def test_too_long(waha: WahaGateway, call: Client) -> None:
    """No call may take longer than thirty seconds (3.2)."""
    home = waha.add("home")
    waha.durations["connect"] = 100
    answer = await call("POST", "/api/sessions/home/start")
    assert answer.status == 500
    assert answer.seconds == pytest.approx(30, abs=0.1)
    message = answer.body["exception"]["message"]
    assert message == "Maximum execution time is exceeded home"
    assert (home.starts, home.lock.locked()) == (0, False)


# 4 Pairing


async def test_code_formats(waha: WahaGateway, call: Client) -> None:
    """The code comes as a picture, as JSON, or raw (4.1)."""
    home = waha.add("home", State.WAITING)
    assert home.code is not None
    path = "/api/home/auth/qr"

    picture = await call("GET", path)
    assert (picture.status, picture.content_type) == (200, "image/png")
    assert picture.data.startswith(PNG)
    both = {"Accept": "application/json, */*"}
    assert (await call("GET", path, headers=both)).data == picture.data
    exact = {"Accept": "application/json"}
    answer = (await call("GET", path, headers=exact)).body
    assert set(answer) == {"mimetype", "data"}
    assert b64decode(answer["data"]) == picture.data
    raw = await call("GET", f"{path}?format=raw", headers=exact)
    assert raw.body == {"value": home.code.text}


@pytest.mark.parametrize(
    ("state", "seconds", "word"),
    [
        (State.STOPPED, 5, "STOPPED"),
        (State.NEW, 5, "STOPPED"),
        (State.FAILED, 10, "FAILED"),
        (State.CONNECTED, 10, "WORKING"),
    ],
)
async def test_qr_blocks(
    waha: WahaGateway, call: Client, state: State, seconds: float, word: str
) -> None:
    """The call waits, and then answers 422 without a `message` (4.1)."""
    waha.add("home", state)
    answer = await call("GET", "/api/home/auth/qr")
    assert answer.seconds == pytest.approx(seconds, abs=0.1)
    assert (answer.status, answer.body) == (
        422,
        {
            "error": "Session status is not as expected. Try again later or restart "
            "the session",
            "session": "home",
            "status": word,
            "expected": ["SCAN_QR_CODE"],
        },
    )


async def test_qr_unknown(call: Client) -> None:
    """An unknown session is a 422 too, after five seconds (4.1)."""
    answer = await call("GET", "/api/home/auth/qr")
    assert answer.seconds == pytest.approx(5, abs=0.1)
    body = {"error": 'Session "home" does not exist', "session": "home"}
    assert (answer.status, answer.body) == (422, body)


async def test_qr_starting(waha: WahaGateway, call: Client) -> None:
    """A starting session is waited for; it may take too long (4.1)."""
    home = waha.add("home", State.BOOTING)
    answer = await call("GET", "/api/home/auth/qr?format=raw")
    assert answer.status == 200
    assert 1.5 <= answer.seconds <= 3
    home.boot = 60
    home.start()
    answer = await call("GET", "/api/home/auth/qr")
    assert (answer.status, answer.body["status"]) == (422, "STARTING")


async def test_old_qr(waha: WahaGateway, call: Client) -> None:
    """A server of 2024 has a 404 for stopped sessions, and waits less (4.1)."""
    waha.version, waha.tier = "2024.10.8", "PLUS"
    home = waha.add("home")
    for name in ("home", "ghost"):
        status, message = error(await call("GET", f"/api/{name}/auth/qr"))
        assert status == 404
        assert message.startswith(f"We didn't find a session with name '{name}'.\n")
    home.state = State.CONNECTED
    answer = await call("GET", "/api/home/auth/qr")
    assert answer.status == 422
    assert answer.seconds == pytest.approx(5, abs=0.1)


async def test_round(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """A round has six codes, 60 s and five times 20 s; then it has failed (4.1)."""
    waha.add("home", State.WAITING)
    texts = []
    for life in CODE_LIVES:
        answer = await call("GET", "/api/home/auth/qr?format=raw")
        texts.append(answer.body["value"])
        await clock.run(life)
    assert len(set(texts)) == 6
    assert (await call("GET", "/api/sessions/home")).body["status"] == "FAILED"


async def test_scan(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """After a scan the session starts again and works (8)."""
    home = waha.add("home", State.WAITING)
    assert home.code is not None
    VirtualPhone(waha, number=NUMBER).scan(home.code.text)
    seen = await call("GET", "/api/sessions/home")
    assert (seen.body["status"], seen.body["me"]) == ("STARTING", None)
    await clock.run(2)
    seen = await call("GET", "/api/sessions/home")
    assert seen.body["status"] == "WORKING"
    assert seen.body["me"]["id"] == f"{NUMBER}@c.us"


async def fails_until_logout(call: Client, clock: Clock) -> dict[str, Any]:
    """Check that only a logout leads a session to codes, and return its account."""
    path = "/api/sessions/home"
    for _ in range(2):
        answer = await call("POST", f"{path}/restart")
        assert (answer.status, answer.body["status"]) == (201, "STARTING")
        await clock.run(0.3)
        assert (await call("GET", path)).body["status"] == "FAILED"
    account: dict[str, Any] = (await call("GET", path)).body["me"]
    answer = await call("POST", f"{path}/logout")
    assert (answer.status, answer.body["status"]) == (201, "STARTING")
    assert answer.body["me"] is None
    assert 4 <= answer.seconds < 5
    await clock.run(3)
    seen = (await call("GET", path)).body
    assert (seen["status"], seen["me"]) == ("SCAN_QR_CODE", None)
    return account


async def test_unlinked(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """A session that the phone unlinks keeps its account until a logout (8, 10)."""
    waha.add("home", State.CONNECTED, phone_number=NUMBER)
    VirtualPhone(waha).unlink("home")
    seen = (await call("GET", "/api/sessions/home")).body
    assert (seen["status"], seen["me"]["id"]) == ("FAILED", f"{NUMBER}@c.us")
    assert (await fails_until_logout(call, clock))["id"] == f"{NUMBER}@c.us"


@pytest.mark.parametrize("ended", [False, True])
async def test_abandoned_pairing_code(
    waha: WahaGateway, call: Client, clock: Clock, *, ended: bool
) -> None:
    """A pairing code that nobody enters has the same effect as an unlink (10)."""
    waha.add("home", State.WAITING)
    body = {"phoneNumber": NUMBER}
    assert (await call("POST", "/api/home/auth/request-code", body)).status == 201
    seen = (await call("GET", "/api/sessions/home")).body
    account = {"id": f"{NUMBER}@c.us", "lid": "", "pushName": "~"}
    assert (seen["status"], seen["me"]) == ("SCAN_QR_CODE", account)
    if ended:
        await clock.run(sum(CODE_LIVES))
        assert (await call("GET", "/api/sessions/home")).body["status"] == "FAILED"
    assert await fails_until_logout(call, clock) == account


async def test_expired_codes(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """A session whose QR codes expired shows codes after a restart (10)."""
    waha.add("home", State.WAITING)
    await clock.run(sum(CODE_LIVES))
    seen = (await call("GET", "/api/sessions/home")).body
    assert (seen["status"], seen["me"]) == ("FAILED", None)
    await call("POST", "/api/sessions/home/restart")
    await clock.run(3)
    assert (await call("GET", "/api/sessions/home")).body["status"] == "SCAN_QR_CODE"


async def test_pairing_code(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """A pairing code links the number that it was made for, in its round (4.2)."""
    home, phone = waha.add("home", State.WAITING), VirtualPhone(waha)
    path = "/api/home/auth/request-code"
    answer = await call("POST", path, {"phoneNumber": NUMBER})
    assert answer.status == 201
    code = answer.body["code"]
    assert re.fullmatch(r"[1-9A-Z]{4}-[1-9A-Z]{4}", code)
    with pytest.raises(ExpiredCodeError):
        phone.enter("AAAA-AAAA")

    # a new round has a new code
    home.log_out()
    home.start()
    await clock.run(3)
    with pytest.raises(ExpiredCodeError):
        phone.enter(code)
    code = (await call("POST", path, {"phoneNumber": NUMBER})).body["code"]
    assert phone.enter(code.replace("-", "")) is home
    await clock.run(2)
    me = await call("GET", "/api/sessions/home/me")
    assert me.body["id"] == f"{NUMBER}@c.us"


async def test_no_pairing_code(waha: WahaGateway, call: Client) -> None:
    """A pairing code needs a session that waits for it, and a number (4.2)."""
    home = waha.add("home", State.CONNECTED)
    path = "/api/home/auth/request-code"
    answer = await call("POST", path, {"phoneNumber": NUMBER})
    assert error(answer) == (
        422,
        "Can request code only in SCAN_QR_CODE status. The current status is WORKING",
    )
    home.state = State.STOPPED
    for name in ("home", "ghost"):
        answer = await call("POST", f"/api/{name}/auth/request-code", {})
        assert answer.status == 404
    # a starting session is waited for
    home.linked = False
    home.start()
    home.boot = 1
    assert (await call("POST", path, {"phoneNumber": NUMBER})).status == 201
    home.boot = 9
    home.log_out()
    home.start()
    answer = await call("POST", path, {"phoneNumber": NUMBER})
    assert (answer.status, 2 <= answer.seconds <= 3) == (422, True)
    home.state = State.WAITING
    answer = await call("POST", path, {"phoneNumber": "+49 151"})
    assert answer.status == 500
    assert answer.body["request"]["body"] == {"phoneNumber": "+49 151"}
    waha.engine = "NOWEB"
    body = {"phoneNumber": NUMBER, "method": "sms"}
    assert (await call("POST", path, body)).status == 422


async def test_passkey(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """A passkey interrupts the pairing, and no code is shown meanwhile (4.3)."""
    home = waha.add("home", State.WAITING, demands_passkey=True)
    path = "/api/home/auth/passkey"
    assert (await call("GET", f"{path}/challenge")).status == 422
    assert home.code is not None
    text = home.code.text
    VirtualPhone(waha, number=NUMBER).scan(text)

    answer = await call("GET", "/api/home/auth/qr")
    assert answer.status == 422
    assert answer.seconds == pytest.approx(10, abs=0.1)
    assert answer.body["status"] == "PASSKEY_REQUIRED"
    with pytest.raises(ExpiredCodeError):
        VirtualPhone(waha).scan(text)
    challenge = await call("GET", f"{path}/challenge")
    assert challenge.body["timeout"] == 60000
    assert (await call("POST", path, {"type": "public-key"})).status == 201
    seen = (await call("GET", "/api/sessions/home")).body
    assert seen["status"] == "PASSKEY_CONFIRMATION_REQUIRED"
    assert (await call("GET", f"{path}/confirmation")).body == {"code": "1234"}
    assert (await call("POST", f"{path}/confirm")).status == 201
    await clock.run(2)
    seen = (await call("GET", "/api/sessions/home")).body
    assert (seen["status"], seen["me"]["id"]) == ("WORKING", f"{NUMBER}@c.us")


async def test_passkey_times_out(waha: WahaGateway, call: Client, clock: Clock) -> None:
    """The round ends also while a passkey is pending (4.1, 4.3)."""
    home = waha.add("home", State.WAITING, demands_passkey=True)
    assert home.code is not None
    VirtualPhone(waha).scan(home.code.text)
    await clock.run(sum(CODE_LIVES))
    assert (await call("GET", "/api/sessions/home")).body["status"] == "FAILED"
