"""The simulated gateways against the documents, without the integration."""

from __future__ import annotations

import json
from pathlib import Path
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateways import ExpiredCodeError, Gateway, VirtualPhone
from tests.gateways.machine import BOOT, CODE_LIVES, NEW_CODE, Session, State

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.harness.clock import Clock
FIXTURES = Path(__file__).parents[1] / "fixtures"
TIME = re.compile(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}(\.\d{3})?Z")


def shape(value: Any) -> Any:
    """Return what an answer looks like: its keys in order, and its kinds of values."""
    if isinstance(value, dict):
        return [(key, shape(one)) for key, one in value.items()]
    if isinstance(value, list):
        return [shape(one) for one in value]
    if isinstance(value, str):
        if match := TIME.fullmatch(value):
            return "time", match.group(3) is not None
        return value.partition(",")[0] if value.startswith("data:") else "text"
    return type(value)


class Caller:
    """Somebody who calls a gateway by hand, as the documents' examples do."""

    def __init__(self, session: ClientSession, gateway: Gateway) -> None:
        """Use the account of the tests."""
        self.session, self.gateway, self.key = session, gateway, gateway.key

    async def __call__(
        self, method: str, path: str = "", base_path: str | None = None, **body: Any
    ) -> Any:
        """Return the status, the headers and the JSON of an answer."""
        if base_path is None:
            base_path = self.gateway.base_path
        async with self.session.request(
            method,
            f"{self.gateway.url}{base_path}{path}",
            json=body or None,
            headers=self.gateway.headers(self.key),
        ) as response:
            text = await response.text()
            return response.status, response.headers, json.loads(text or "null")


@pytest.fixture
def call(session: ClientSession, gateway: Gateway) -> Caller:
    """Return a caller of the gateway."""
    return Caller(session, gateway)


@pytest.mark.parametrize(
    ("provider_key", "route"),
    [
        ("wappfy", "create"),
        ("wappfy", "connect"),
        ("wappfy", "qr"),
        ("wappfy", "one"),
        ("wappfy", "list"),
        ("whatisup", "qr"),
        ("whatisup", "list"),
    ],
)
async def test_examples(
    gateway: Gateway, provider_key: str, call: Caller, route: str
) -> None:
    """Where a document gives an example, the answer looks just like it."""
    document = json.loads((FIXTURES / provider_key / f"{route}.json").read_text())
    one = gateway.add("My WhatsApp", State.CONNECTED, scale=1)
    if provider_key == "wappfy":
        gateway.add("Support Line", State.STOPPED)
    if route == "connect":
        one.state = State.STOPPED
    if route == "qr":
        one.state = State.WAITING
    calls = {
        "create": ("POST", ""),
        "connect": ("POST", f"/{one.id}/connect"),
        "qr": ("GET", f"/{one.id}/qr"),
        "one": ("GET", f"/{one.id}/status"),
        "list": ("GET", ""),
    }
    body = {"name": "My WhatsApp", "type": "waha"} if route == "create" else {}

    _, _, answer = await call(*calls[route], **body)

    assert shape(answer) == shape(document)


async def test_refusals(gateway: Gateway, call: Caller) -> None:
    """Other customers' instances and wrong keys are refused."""
    theirs = gateway.add("Theirs", owner="somebody else")
    paths = {route.kwargs["name"]: route.path for route in gateway.routes()}

    one = paths["one"].format(id=theirs.id)
    assert (await call("GET", one, base_path=""))[0] == 404
    await call("DELETE", paths["delete"].format(id=theirs.id), base_path="")
    assert gateway.sessions == {theirs.id: theirs}
    call.key = "wrong"
    assert (await call("GET"))[0] == 401


@pytest.mark.parametrize("provider_key", ["wappfy", "whatisup"])
async def test_bad_requests(gateway: Gateway, call: Caller) -> None:
    """Bad bodies are refused, and so is to delete another customer's instance."""
    theirs = gateway.add("Theirs", owner="somebody else")

    assert (await call("POST", nothing=1))[0] == 422
    assert (await call("DELETE", f"/{theirs.id}"))[0] == 404


@pytest.mark.parametrize("provider_key", ["wappfy"])
async def test_conflicts(gateway: Gateway, call: Caller) -> None:
    """An instance that is already as requested is a conflict."""
    one = gateway.add("Home", State.CONNECTED)
    assert (await call("POST", f"/{one.id}/connect"))[0] == 409
    assert (await call("POST", f"/{one.id}/disconnect"))[0] == 200
    assert (await call("POST", f"/{one.id}/disconnect"))[0] == 409


@pytest.mark.parametrize(
    ("provider_key", "allowed", "header"),
    [("wappfy", 100, "X-RateLimit-Reset"), ("whatisup", 60, "Retry-After")],
)
async def test_limits(
    gateway: Gateway, call: Caller, allowed: int, header: str
) -> None:
    """Too many requests are refused, with the documented header."""
    gateway.scale = 1
    answers = [await call("GET") for _ in range(allowed + 5)]
    refused = [headers for status, headers, _ in answers if status == 429]

    assert answers[allowed - 1][0] == 200
    assert refused
    assert all(header in headers for headers in refused)


@pytest.mark.parametrize("provider_key", ["whatisup"])
async def test_lazy_start(gateway: Gateway, call: Caller) -> None:
    """Asking for the code starts the session, and waits for it."""
    one = gateway.add("Home")

    status, _, answer = await call("GET", f"/{one.id}/qr")

    assert (status, one.starts) == (200, 1)
    assert one.code is not None
    assert answer["raw"] == one.code.text
    assert (await call("DELETE", f"/{one.id}"))[0] == 204


async def test_round(clock: Clock) -> None:
    """Six codes, 60 s and 5 times 20 s, then the instance has failed."""
    session = Session("one", "Home", "me")
    session.start()
    assert session.state is State.BOOTING
    await clock.run(BOOT)
    codes = []
    for life in CODE_LIVES:
        assert session.code is not None
        assert session.code.text.startswith(NEW_CODE)
        assert session.code.text.count(",") == 4
        assert 240 < len(session.code.text) < 300
        assert session.code.expires - time.time() == pytest.approx(life)
        codes.append(session.code.text)
        await clock.run(life)

    assert len(set(codes)) == 6
    assert session.state is State.FAILED
    assert sum(CODE_LIVES) == 160


async def test_phone(gateway: Gateway) -> None:
    """The phone links what shows this very code now, and refuses an expired one."""
    phone = VirtualPhone(gateway)
    home = gateway.add("Home", State.WAITING, scale=1)
    shop = gateway.add("Shop", State.WAITING, scale=1)
    assert home.code is not None
    text = home.code.text

    assert phone.scan(text) is home
    assert home.state is State.LINKING
    assert shop.state is State.WAITING
    with pytest.raises(ExpiredCodeError):
        phone.scan(text)

    home.state = State.CONNECTED
    phone.unlink(home.id)
    assert home.state is gateway.unlinked
    assert (home.linked, home.phone_number) == (False, None)
