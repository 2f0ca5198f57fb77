"""Check every fault on every route, wherever the integration asks, and that it heals.

The table `outcomes.csv` has the expected outcomes, and `gateways/<provider>_faults.csv`
those in which a gateway differs; tests/README.md explains their columns. An outcome is:

- `ok`: as if nothing had gone wrong
- the key of the error that a person is shown, in a form with its field before it, and
  with the key of the reason behind it if the error gives one
- the phase that ends a pairing, or `goes_on` where it continues
- the state of an account that is not set up
- `retried`: the connection for events; `given_up` if it isn't tried again for an hour
- how the instance is shown after a poll: `unavailable`, `kept` as it was, `gone`, a
  phone number `unknown`, or `no_picture`
- `0 chats`: a list without any

`maybe_sent` stands where the gateway may have taken a message. With any other error it
has not, and it never gets a message twice.

`+reauth` is added where Home Assistant asks for another API key.

Of the faults that have the same outcome in a scenario, one is checked. With FULL=1 in
the environment all of them are.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession, TCPConnector
import pytest

from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util.ssl import get_default_context

from custom_components.whatsapp_gateway import coordinator
from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.http import session_options
from tests.gateways import GATEWAYS, Gateway
from tests.gateways.fault import TRICKLE
from tests.gateways.server import FEATURES
from tests.harness.authority import HOST, Authority
from tests.harness.calls import CALLS, MESSAGE_CALLS
from tests.harness.facts import ROUTES, SUPPORTED
from tests.harness.helpers import BUTTONS

from .injector import FAULTS, LIKE, FaultInjector
from .scenarios import ENGINE, SCENARIOS, Environment, Scenario
from .table import COMMON, read_exceptions, read_rows, read_table, select

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from datetime import timedelta
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.harness.dialog import Dialog
    from tests.harness.names import Names

EXPECTED = read_table()
TABLE = EXPECTED if os.environ.get("FULL") else select(EXPECTED)
IN_HOME_ASSISTANT = [key for key in TABLE if key[1] not in ENGINE]


@pytest.fixture(autouse=True)
def _polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be polled but by a scenario."""
    for name in ("POLL_INTERVAL", "FAST_POLL_INTERVAL"):
        interval: timedelta = getattr(coordinator, name)
        monkeypatch.setattr(coordinator, name, 1000 * interval)


@pytest.fixture(autouse=True)
def _broken_handshakes(hass: HomeAssistant) -> Generator[None]:
    """Overlook what the gateway's side says of a caller who left in the middle."""
    strict = hass.loop.get_exception_handler()
    assert strict is not None

    def overlook(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "incoming connection" not in context["message"]:
            strict(loop, context)

    hass.loop.set_exception_handler(overlook)
    yield
    hass.loop.set_exception_handler(strict)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority that Home Assistant trusts."""
    trusted = Authority(tmp_path_factory.mktemp("trusted"))
    get_default_context().load_verify_locations(cadata=trusted.pem)
    return trusted


@pytest.fixture(scope="module")
def leaves(trusted: Authority, authority: Authority) -> tuple[Path, Path]:
    """Return a certificate that is trusted, and one that nobody trusts."""
    return trusted.leaf(), authority.leaf()


@pytest.fixture
def context(leaves: tuple[Path, Path]) -> ssl.SSLContext:
    """Return the gateway's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaves[0])
    return context


@pytest.fixture
async def gateway(
    provider_key: str, context: ssl.SSLContext
) -> AsyncGenerator[Gateway]:
    """Run a gateway that is known by a name, speaks TLS, and is very patient."""
    gateway = GATEWAYS[provider_key]()
    vars(gateway).update(requests_per_minute=10**6, burst=10**6)
    async with gateway.running(ssl=context):
        gateway.url = gateway.url.replace("127.0.0.1", HOST)
        yield gateway


@pytest.fixture
async def elsewhere(provider_key: str) -> AsyncGenerator[Gateway]:
    """Run another gateway, to which nobody should go."""
    async with GATEWAYS[provider_key]().running() as elsewhere:
        yield elsewhere


@pytest.fixture
def injector(
    gateway: Gateway,
    names: Names,
    context: ssl.SSLContext,
    leaves: tuple[Path, Path],
    elsewhere: Gateway,
) -> Callable[[ClientSession], FaultInjector]:
    """Return a function that makes the fault injector of a client session."""
    good, bad = leaves

    def between(session: ClientSession) -> FaultInjector:
        assert isinstance(session.connector, TCPConnector)
        return FaultInjector(
            gateway, names, context, good, bad, elsewhere, session.connector
        )

    return between


def test_common_table() -> None:
    """The common table has each scenario and fault, and no cell of it is empty."""
    rows = read_rows(COMMON)
    assert {scenario for scenario, _, _ in rows} == {*SCENARIOS, *ENGINE}
    for *_, row in rows:
        needs = {need.removeprefix("!") for need in row["needs"].split()}
        assert needs <= FEATURES | BUTTONS.keys()
        assert row.keys() - {"scenarios", "route", "needs"} == {*FAULTS} - LIKE.keys()
        assert all(row[column] for column in row.keys() - {"needs"})


@pytest.mark.parametrize("provider_key", SUPPORTED)
def test_routes(provider_key: str) -> None:
    """Every route of a gateway that the integration asks is in the table."""
    groups = SUPPORTED[provider_key].route_groups
    routes = {groups.get(route, route) for route in ROUTES[provider_key]}
    webhooks = {route for route in routes if route.startswith("webhook_")}
    wanted = webhooks | (routes & {*CALLS, *MESSAGE_CALLS, "events"})
    assert {key[2] for key in EXPECTED if key[0] == provider_key} == wanted


@pytest.mark.parametrize("provider_key", SUPPORTED)
def test_exceptions(provider_key: str) -> None:
    """Every exception of a gateway is about a fault, and is one."""
    common = {(scenario, route): row for scenario, route, row in read_rows(COMMON)}
    for key, outcomes in read_exceptions(provider_key).items():
        for fault, outcome in outcomes.items():
            assert outcome
            assert outcome != common[key][LIKE.get(fault, fault)]


@pytest.mark.parametrize("provider_key", SUPPORTED)
def test_every_fault_is_checked(provider_key: str) -> None:
    """Every fault is checked somewhere at every run, with each gateway."""
    rows = (row for key, row in select(EXPECTED).items() if key[0] == provider_key)
    assert {fault for row in rows for fault in row} == {*FAULTS}


async def play(
    scenario: Scenario, injector: FaultInjector, expected: dict[str, str]
) -> None:
    """Play a scenario with one fault after the other, each healed by the next answer.

    What is wrong is collected: one fault must not hide the others.
    """
    wrong = []
    await scenario.open()
    for fault, outcome in expected.items():
        await scenario.prepare()
        await injector.begin(fault, scenario.route, scenario.after)
        seen = await scenario.seen()
        await injector.end(fault)
        healed = await scenario.again()
        if (seen, healed) != (outcome, "ok"):
            wrong.append(f"{fault}: expected {outcome}, seen {seen}, then {healed}")
    await scenario.close()
    # a slow answer only ends at its next byte
    await asyncio.sleep(TRICKLE)
    assert not wrong, "\n" + "\n".join(wrong)


def assert_discreet(scenario: Scenario, elsewhere: Gateway, said: str) -> None:
    """Check that no secret got out, and nothing to another host."""
    codes = [
        code.text for one in scenario.gateway.sessions.values() for code in one._codes
    ]
    assert not [secret for secret in (scenario.gateway.key, *codes) if secret in said]
    assert elsewhere.asked == []


@pytest.mark.parametrize(("provider_key", "scenario", "route"), IN_HOME_ASSISTANT)
async def test_home_assistant(
    hass: HomeAssistant,
    gateway: Gateway,
    elsewhere: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    hass_client_no_auth: ClientSessionGenerator,
    injector: Callable[[ClientSession], FaultInjector],
    provider_key: str,
    scenario: str,
    route: str,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """Each fault has the outcome of the table, and the next good answer heals it."""
    environment = Environment(
        hass=hass,
        gateway=gateway,
        entry=entry,
        dialog=dialog,
        hass_client=hass_client_no_auth,
    )
    expected = TABLE[provider_key, scenario, route]
    record_property("cells", len(expected))
    played = SCENARIOS[scenario](environment, route)
    await play(played, injector(async_get_clientsession(hass)), expected)
    assert_discreet(played, elsewhere, played.said + caplog.text)


@pytest.mark.parametrize(
    ("provider_key", "scenario", "route"), [key for key in TABLE if key[1] in ENGINE]
)
async def test_engine(
    gateway: Gateway,
    elsewhere: Gateway,
    names: Names,
    trusted: Authority,
    injector: Callable[[ClientSession], FaultInjector],
    provider_key: str,
    scenario: str,
    route: str,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """The same holds for the pairing engine without Home Assistant."""
    expected = TABLE[provider_key, scenario, route]
    record_property("cells", len(expected))
    trusting = ssl.create_default_context(cadata=trusted.pem)
    connector = TCPConnector(resolver=names, ssl=trusting)
    async with ClientSession(connector=connector, **session_options()) as session:
        provider = PROVIDERS[provider_key](session, gateway.url, gateway.key)
        played = ENGINE[scenario](gateway, provider, route)
        await play(played, injector(session), expected)
    assert_discreet(played, elsewhere, played.said + caplog.text)
