"""The providers against their gateways, without Home Assistant."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from custom_components.whatsapp_gateway.providers import PROVIDERS, parsing
from custom_components.whatsapp_gateway.providers.base import (
    MAX_STATUS,
    MAX_UNKNOWN_STATUSES,
)
from custom_components.whatsapp_gateway.providers.http import (
    ACTION_TIME_LIMIT,
    READ_TIME_LIMIT,
)
from custom_components.whatsapp_gateway.providers.models import (
    Action,
    BadResponse,
    Closed,
    GatewayError,
    Instance,
    InstanceStatus,
    NotFound,
    RateLimited,
    Refused,
    Rejected,
    TooManyInstances,
    Unauthorized,
    Unreachable,
)
from custom_components.whatsapp_gateway.providers.redact import (
    MAX_LENGTH,
    without_numbers,
)
from tests.gateways.machine import BOOT, State
from tests.gateways.picture import data_uri
from tests.harness.calls import CALLS, READS, answer
from tests.harness.facts import ROUTES, lacks, needs
from tests.harness.helpers import status_of

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways import Gateway
    from tests.harness.clock import Clock

PNG = data_uri("text")

EVERY_ROUTE = [
    (key, route) for key, routes in ROUTES.items() for route in routes if route in CALLS
]
EVERY_READ = [(key, route) for key, route in EVERY_ROUTE if route in READS]


async def test_life_of_an_instance(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """Create, start, show a code, and delete for good."""
    created = await provider.create("Home")
    assert [one.name for one in await provider.instances()] == ["Home"]
    assert created.status == status_of(gateway, State.NEW)
    assert created.needs_link

    await provider.perform(Action.CONNECT, created.id)
    await clock.run(BOOT)
    assert (await provider.instance(created.id)).status is InstanceStatus.SCAN_QR
    code = await provider.qr(created.id)
    assert code is not None
    assert code.raw or code.png

    await provider.delete(created.id)
    # some gateways delete in the background
    await clock.run(BOOT)
    assert await provider.instances() == []
    with pytest.raises(NotFound):
        await provider.instance(created.id)


@needs("metadata")
async def test_metadata(gateway: Gateway, provider: Provider) -> None:
    """Metadata is sent, if there is any."""
    await provider.create("Home", metadata={"team": "support"})

    [one] = gateway.sessions.values()
    assert one.metadata == {"team": "support"}


async def test_actions(gateway: Gateway, provider: Provider) -> None:
    """The actions of the provider are those of the gateway."""
    assert {str(action) for action in provider.actions} == gateway.actions.keys()


async def test_lost_answer(gateway: Gateway, provider: Provider) -> None:
    """An instance is created once, and a lost answer is an ordinary error."""
    gateway.fail("create", truncate=True, times=1)

    with pytest.raises(Unreachable):
        await provider.create("Home")

    assert gateway.count("create") == 1
    assert (await provider.create("Shop")).name == "Shop"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 206}, BadResponse),
        ({"status": 400}, Rejected),
        ({"status": 401}, Unauthorized),
        ({"status": 403}, Rejected),
        ({"status": 404, "html": True}, BadResponse),
        ({"status": 404}, BadResponse),
        ({"status": 404, "body": b"404 page not found"}, BadResponse),
        ({"status": 408}, Unreachable),
        ({"status": 408, "html": True}, Unreachable),
        ({"status": 429, "html": True}, RateLimited),
        ({"status": 422, "body": b'{"error": "No"}'}, Rejected),
        ({"status": 429}, RateLimited),
        ({"status": 500}, Unreachable),
        ({"status": 502, "html": True}, Unreachable),
        ({"redirect": "https://elsewhere.example/"}, BadResponse),
        ({"hang": True}, Unreachable),
        ({"drop": True}, Unreachable),
        ({"huge": True}, BadResponse),
    ],
    ids=str,
)
@pytest.mark.parametrize(("provider_key", "route"), EVERY_ROUTE)
async def test_failures(
    gateway: Gateway,
    provider: Provider,
    route: str,
    fault: dict[str, Any],
    error: type[GatewayError],
    session: ClientSession,
) -> None:
    """Every failure of every route is one of our own errors, and passes."""
    # nothing has to be asked of a session that is started
    state = State.STOPPED if route == "connect" else State.WAITING
    one = gateway.add("Home", state)
    gateway.fail(route, **fault)
    if fault == {"status": 401} and route == "create":
        error = Refused if gateway.has("keys_without_create") else error

    with pytest.raises(error) as raised:
        await CALLS[route](provider, one.id)

    assert type(raised.value) is error
    assert gateway.key not in str(raised.value)
    gateway.heal()
    fresh = PROVIDERS[gateway.provider](session, gateway.url, gateway.key)
    await CALLS[route](fresh, one.id)


@pytest.mark.parametrize(("provider_key", "route"), EVERY_ROUTE)
async def test_not_found(gateway: Gateway, provider: Provider, route: str) -> None:
    """An instance may be missing; where a route is, it is no gateway."""
    error = BadResponse if route in {"list", "create"} else NotFound
    gateway.fail(route, missing=True)
    with pytest.raises(error) as raised:
        await CALLS[route](provider, "one")
    assert type(raised.value) is error

    gateway.fail("create", missing=True)
    with pytest.raises(BadResponse):
        await provider.create("Home")


@pytest.mark.parametrize(
    "fault",
    [
        {"html": True},
        {"truncate": True},
        {"body": b'{"data": '},
        {"body": b"[1, 2]"},
        {"body": b'"text"'},
        {"body": b'{"data": {"id": 5}}'},
        {"body": b'{"data": {"items": 5}}'},
        {"body": b'{"data": [{"id": "one"}]}'},
        {"body": b'{"success": false, "error": {"code": "X", "message": "No"}}'},
        {"body": b'{"qr": 5}'},
    ],
    ids=str,
)
@pytest.mark.parametrize(("provider_key", "route"), EVERY_READ)
async def test_strange_answers(
    gateway: Gateway, provider: Provider, route: str, fault: dict[str, Any]
) -> None:
    """Whatever comes with status 200 is a model, no code, or one of our errors."""
    one = gateway.add("Home", State.WAITING)
    gateway.fail(route, **fault)

    with suppress(BadResponse, Rejected, Unreachable):
        result = await CALLS[route](provider, one.id)
        assert result is None or isinstance(result, Instance)


async def test_empty_answers(gateway: Gateway, provider: Provider) -> None:
    """An empty body is no list."""
    gateway.fail("*", body=b"")

    for call in ("list", "create", "one"):
        with pytest.raises(BadResponse):
            await CALLS[call](provider, "one")


async def test_other_customer(gateway: Gateway, provider: Provider) -> None:
    """Another customer's instance does not exist."""
    one = gateway.add("Secret", owner="somebody else")

    assert await provider.instances() == []
    with pytest.raises(NotFound):
        await provider.instance(one.id)


async def test_wrong_key(gateway: Gateway, session: ClientSession) -> None:
    """A wrong key is refused, and so is one that cannot stand in a header."""
    for key in ("wrong", "wro\nng"):
        provider = PROVIDERS[gateway.provider](session, gateway.url, key)
        with pytest.raises(Unauthorized):
            await provider.instances()


async def test_key_stays_here(gateway: Gateway, provider: Provider) -> None:
    """The key goes into one header, and with no redirect to anybody else."""
    async with type(gateway)().running() as other:
        gateway.fail("list", redirect=other.url + gateway.base_path, times=1)
        with pytest.raises(BadResponse):
            await provider.instances()
        assert other.asked == []

    await provider.instances()
    for asked in gateway.asked:
        assert gateway.key not in asked.path
        holding = [name for name, text in asked.headers.items() if gateway.key in text]
        assert holding == [provider.auth_header[0]]


async def test_message_without_key(gateway: Gateway, provider: Provider) -> None:
    """A gateway that repeats the key in its message does not leak it."""
    message = f"Key {gateway.key}\nmay not " + "x " * 1000
    gateway.fail("list", status=400, code="denied", message=message)

    with pytest.raises(Rejected, match="Key … may not x x") as raised:
        await provider.instances()

    code = "denied" if gateway.has("error_codes") else "none"
    assert str(raised.value.code).lower() == code
    assert len(str(raised.value)) == MAX_LENGTH


CODE = "2@" + ",".join(["Zq7Wn3Xk9Lp2VdT5"] * 4)


@needs("plain_json")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The key {key} is refused", "The key … is refused"),
        ("Unknown key: {upper}", "Unknown key: …"),
        ("See /keys?key={quoted}", "See …"),
        ("The key {cut}... is refused", "The key … is refused"),
        ("密钥{key}无效", "密钥…无效"),
        (f"{CODE} ran out", "… ran out"),
        (f"No PNG: {PNG}", "No PNG: …"),
        ("+55 (11) 99999-8888 is linked already", "… is linked already"),
        ("5511999998888@c.us is linked already", "…@c.us is linked already"),
        (
            "At most 3 instances until 2026-05-01",
            "At most 3 instances until 2026-05-01",
        ),
        ("\x1b[31mNo\x00\u202e", "[31mNo"),
        ("WAITING_FOR_VERIFICATION", "WAITING_FOR_VERIFICATION"),
        ("See https://gateway.example/plans", "See https://gateway.example/plans"),
        ("Closed until 2026-07-01 12:30:00.", "Closed until 2026-07-01 12:30:00."),
        ("Since 2026-07-01T12:30Z", "Since 2026-07-01T12:30Z"),
        ("On 2026-07-01 5511999998888", "On 2026-07-01 …"),
        (
            "See (https://gateway.example/pricing).",
            "See (https://gateway.example/pricing).",
        ),
        ("InstanceLimitExceededException", "InstanceLimitExceededException"),
        ("No 5b8ff1a2-94a4-4a4b-8b1e-5a5a5a5a5a5a here", "No … here"),
        ("Call +55\u201111\u201199999\u20118888", "Call …"),
    ],
    ids=range(20),
)
async def test_masked(
    gateway: Gateway,
    session: ClientSession,
    text: str,
    expected: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No secret that a gateway repeats is told again, whatever it looks like there."""
    key = "live_a/b+c=d"
    forms = {"upper": key.upper(), "quoted": quote(key, safe=""), "cut": key[:9]}
    provider = PROVIDERS[gateway.provider](session, gateway.url, key)
    told = text.format(key=key, **forms)
    answer(gateway, "list", {"success": False, "error": {"message": told}})
    answer(gateway, "one", {"id": "one", "status": told})

    with pytest.raises(Rejected) as raised:
        await provider.instances()
    one = await provider.instance("one")

    assert str(raised.value) == expected
    assert one.status is None
    if len(told) <= MAX_STATUS:
        assert one.raw_status == expected
    assert one.raw_status in expected or one.raw_status == "…"
    unknown = f"{provider.name} reports an unknown status: {one.raw_status}"
    assert unknown in caplog.messages


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "7", "X-RateLimit-Reset": "1"}, 7),
        ({"X-RateLimit-Reset": "1"}, 30),
        ({"X-RateLimit-Reset": "many"}, 30),
        ({"Retry-After": "99999"}, 120),
        ({"Retry-After": "-1"}, 1),
        ({"Retry-After": "nan"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00"}, 30),
        ({}, 30),
    ],
    ids=str,
)
async def test_rate_limit(
    gateway: Gateway, provider: Provider, headers: dict[str, str], expected: int
) -> None:
    """The gateway's word counts within reason, and it is left alone until then."""
    gateway.fail("list", status=429, headers=headers)

    with pytest.raises(RateLimited) as raised:
        await provider.instances()

    assert raised.value.retry_after == expected
    for call in ("list", "qr"):
        with pytest.raises(RateLimited):
            await CALLS[call](provider, "one")
    assert len(gateway.asked) == 1


@needs("rate_limit")
async def test_documented_rate_limit(gateway: Gateway, provider: Provider) -> None:
    """The gateways' own limits are understood."""

    async def ask_for_ever() -> None:
        while True:
            await provider.instances()

    with pytest.raises(RateLimited) as raised:
        await ask_for_ever()

    assert 0 < raised.value.retry_after <= 61


@needs("plain_json")
@pytest.mark.parametrize("success", [False, None, 0, "no"])
async def test_no_success(gateway: Gateway, provider: Provider, success: Any) -> None:
    """A list in an envelope that tells of no success is none."""
    answer(gateway, "list", {"success": success, "data": []})

    with pytest.raises(Rejected):
        await provider.instances()


@pytest.mark.parametrize("instance_id", [".", ".."])
async def test_relative_ids(
    gateway: Gateway, provider: Provider, instance_id: str
) -> None:
    """An id that is a relative path reaches no other route."""
    with pytest.raises(BadResponse):
        await provider.delete(instance_id)

    assert gateway.asked == []


@needs("metadata")
async def test_not_json(provider: Provider) -> None:
    """Metadata that is no JSON is refused by ourselves."""
    with pytest.raises(Rejected):
        await provider.create("Home", metadata={"what": object()})


@needs("plain_json")
async def test_same_id_twice(gateway: Gateway, provider: Provider) -> None:
    """An id that stands twice in the list is one instance."""
    one = {"id": "one", "name": "Home", "status": "connected"}
    answer(gateway, "list", [one, one])

    assert len(await provider.instances()) == 1


@needs("plain_json")
async def test_strange_instances(gateway: Gateway, provider: Provider) -> None:
    """Missing, unknown and odd fields break nothing."""
    one = {"id": "a/b c", "status": "connected", "more": [{}], "type": 5}
    answer(gateway, "list", [one, {"id": "two", "name": "", "status": "connected"}])

    instances = await provider.instances()

    assert [(i.id, i.name) for i in instances] == [("a/b c", "a/b c"), ("two", "two")]
    with pytest.raises(NotFound):
        await provider.instance("a/b c")
    assert "/a%2Fb%20c" in gateway.asked[-1].path


@needs("plain_json")
async def test_unknown_status(
    gateway: Gateway, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """A status that nobody knows is unknown, and logged once."""
    answer(gateway, "list", [{"id": "one", "status": "dreaming"}])

    for _ in range(3):
        [one] = await provider.instances()

    assert (one.status, one.raw_status) == (None, "dreaming")
    assert one.needs_link
    assert caplog.text.count("dreaming") == 1


@needs("plain_json")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("5511999998888", "+5511999998888"),
        ("+5511999998888", "+5511999998888"),
        (5511999998888, "+5511999998888"),
        ("5511999998888@c.us", "+5511999998888"),
        ("5511999998888:12@s.whatsapp.net", "+5511999998888"),
        ("somebody", None),
        ("", None),
        (None, None),
        (True, None),
        ("1" * 16, None),
        ({}, None),
    ],
)
async def test_phone_numbers(
    gateway: Gateway, provider: Provider, given: Any, expected: str | None
) -> None:
    """A number comes in many forms."""
    answer(gateway, "one", {"id": "1", "status": "connected", "phone_number": given})

    assert (await provider.instance("1")).phone_number == expected


@needs("plain_json")
@pytest.mark.parametrize(
    "given",
    [
        PNG,
        PNG.partition(",")[2],
        PNG.replace("image/png", "image/jpeg"),
        PNG[:60] + "\r\n" + PNG[60:],
        PNG.replace("+", "-").replace("/", "_").replace("image_png", "image/png"),
        PNG.rstrip("="),
    ],
    ids=range(6),
)
async def test_pictures(gateway: Gateway, provider: Provider, given: str) -> None:
    """A picture comes in many forms."""
    answer(gateway, "qr", {"qr": given})

    code = await provider.qr("one")

    assert code is not None
    assert code.png is not None
    assert data_uri("text").endswith(b64encode(code.png).decode())


@needs("plain_json")
@pytest.mark.parametrize(
    "given",
    [
        "data:image/png;base64,not base64!",
        "data:image/png;base64,A",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/png;base64," + "A" * 2 * 1024 * 1024,
        "\N{SNOWMAN}",
        ["list"],
    ],
    ids=range(6),
)
async def test_no_pictures(gateway: Gateway, provider: Provider, given: Any) -> None:
    """What is not a PNG of a sane size is refused."""
    answer(gateway, "qr", {"qr": given})

    with pytest.raises(BadResponse) as raised:
        await provider.qr("one")

    assert raised.value.__context__ is None


@needs("plain_json")
@pytest.mark.parametrize("given", [{}, {"qr": None}, {"qr": ""}], ids=str)
async def test_no_code(gateway: Gateway, provider: Provider, given: Any) -> None:
    """An answer without a code means: not now."""
    answer(gateway, "qr", {"data": given})

    assert await provider.qr("one") is None


@pytest.mark.parametrize(
    ("left", "expected"), [(None, None), (30, 30), (-2, -2), (-60, None), (600, None)]
)
@pytest.mark.parametrize("ahead", [None, 0, 1000, -1000])
def test_lifetime(
    left: float | None, expected: float | None, ahead: float | None
) -> None:
    """The end of a code counts by the gateway's own clock, within reason."""
    gateway_time = datetime.now(UTC) + timedelta(seconds=ahead or 0)
    expires_at = left and (gateway_time + timedelta(seconds=left)).isoformat()

    lifetime = parsing.lifetime(expires_at, None if ahead is None else gateway_time)

    assert lifetime == (expected and pytest.approx(expected, abs=1))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "Plan limit reached", "error": "Conflict"}, "Plan limit reached"),
        ({"message": ["No name", "No type"]}, "No name; No type"),
        ({"error": {"message": "No"}, "message": "Failed"}, "No"),
        ({"error": "Not today"}, "Not today"),
        ({"response": {"message": ["In use"]}, "error": "Forbidden"}, "In use"),
        ("Not like this", "Not like this"),
        ({"message": {}, "error": 5}, "HTTP 422"),
        ({}, "HTTP 422"),
    ],
    ids=str,
)
async def test_messages(
    gateway: Gateway, provider: Provider, body: Any, message: str
) -> None:
    """The message of a rejection is found wherever the gateway puts it."""
    gateway.fail("list", status=422, body=json.dumps(body).encode())

    with pytest.raises(Rejected) as raised:
        await provider.instances()

    assert str(raised.value) == message


@needs("plain_json")
async def test_no_reason(gateway: Gateway, provider: Provider) -> None:
    """A rejection without a reason still says something."""
    answer(gateway, "list", {"success": False})

    with pytest.raises(Rejected, match="success: false"):
        await provider.instances()


@needs("plain_json")
async def test_byte_order_mark(gateway: Gateway, provider: Provider) -> None:
    """JSON may start with a byte order mark."""
    gateway.fail("list", body=b'\xef\xbb\xbf{"data": []}')

    assert await provider.instances() == []


async def test_retry_after_date(gateway: Gateway, provider: Provider) -> None:
    """A date counts by the gateway's own clock."""
    headers = {
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
        "Retry-After": "Wed, 21 Oct 2015 07:28:09 GMT",
    }
    gateway.fail("list", status=429, headers=headers)

    with pytest.raises(RateLimited) as raised:
        await provider.instances()

    assert raised.value.retry_after == 9


@needs("plain_json")
async def test_too_many_instances(gateway: Gateway, provider: Provider) -> None:
    """More instances than can be handled are an error of their own."""
    instances = [{"id": str(n), "status": "connected"} for n in range(5001)]
    answer(gateway, "list", instances)

    with pytest.raises(TooManyInstances):
        await provider.instances()


@needs("plain_json")
async def test_many_unknown_statuses(
    gateway: Gateway, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """However many unknown words there are, few are logged."""
    words = [{"id": str(n), "status": f"word {n} " * 1000} for n in range(900)]
    answer(gateway, "list", words)

    instances = await provider.instances()

    assert {one.status for one in instances} == {None}
    assert max(len(one.raw_status) for one in instances) <= MAX_STATUS
    warnings = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(warnings) == MAX_UNKNOWN_STATUSES


async def test_sessions_ask_for_plain_answers(
    gateway: Gateway, provider: Provider
) -> None:
    """No gateway is asked for compressed answers."""
    await provider.instances()

    assert gateway.asked[-1].headers["Accept-Encoding"] == "identity"


async def test_closed(gateway: Gateway, provider: Provider) -> None:
    """A closed client sends nothing more."""
    provider.close()

    with pytest.raises(Closed):
        await provider.instances()
    assert provider.closed
    assert gateway.asked == []


def test_time_limits() -> None:
    """Reading is limited to 10 s, all else to 30 s."""
    assert (READ_TIME_LIMIT, ACTION_TIME_LIMIT) == (10, 30)


async def test_no_secret_in_the_log(
    gateway: Gateway, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even the debug log holds the key or a code."""
    caplog.set_level(logging.DEBUG)
    one = gateway.add("Home", State.WAITING)

    code = await provider.qr(one.id)

    assert code is not None
    assert one.code is not None
    # digits of a random id can look like a phone number
    path = without_numbers(gateway.asked[-1].path.partition("?")[0])
    assert f" GET {path}: 200" in caplog.text
    for secret in (gateway.key, one.code.text, data_uri(one.code.text)[30:90]):
        assert secret not in caplog.text


async def test_recognition(gateway: Gateway, session: ClientSession) -> None:
    """Only its own provider recognizes a server, and nobody one that is down."""
    recognized = {
        key
        for key, provider in PROVIDERS.items()
        if await provider.recognizes(session, gateway.url)
    }
    assert recognized == {gateway.provider}

    gateway.fail("*", status=502)
    assert not await PROVIDERS[gateway.provider].recognizes(session, gateway.url)
    gateway.heal()
    assert await PROVIDERS[gateway.provider].recognizes(session, gateway.url)


CAPABILITIES = {
    "events": "events",
    "webhooks": "webhooks",
    "pairing_code": "pairing_codes",
    "messages": "messages",
    "chats": "chats",
    "number_check": "number_check",
    "downloads": "downloads",
}
"""The attribute of a provider for each fact about a gateway."""


def test_capabilities(gateway: Gateway, provider: Provider) -> None:
    """A provider has what its gateway can do, and None for all else."""
    for fact, attribute in CAPABILITIES.items():
        assert (getattr(provider, attribute) is not None) is gateway.has(fact)
    assert provider.has_messages is gateway.has("messages")
    assert provider.has_pairing_codes is gateway.has("pairing_code")


@lacks("pairing_code")
async def test_without_a_version(gateway: Gateway, provider: Provider) -> None:
    """A gateway that doesn't report its version is not asked for it."""
    assert await provider.server_version() is None
    assert gateway.asked == []
