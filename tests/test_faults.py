"""Every route, every fault, every place that asks: what becomes of it, and healing.

`faults.csv` has what is expected. A word is `ok`, the key of the error that a person
is told (with its field in a form), the phase that ends a pairing (`goes_on` where none
does), the state of an account that is not set up, or how the instance is shown after
a poll: `unavailable`, `kept` as it was, `gone`, a number `unknown`, no picture.
`+reauth` is added where Home Assistant asks for another key.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession, TCPConnector
import pytest

from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util.ssl import get_default_context

from custom_components.whatsapp_gateway import coordinator
from custom_components.whatsapp_gateway.providers import PROVIDERS

from .authority import HOST, Authority
from .faults import FAULTS, Trouble, read_table
from .gateways import GATEWAYS, Gateway
from .places import ENGINE, PLACES, Place, Stage
from .test_entities import BUTTONS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Generator
    from datetime import timedelta
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from .dialog import Dialog
    from .names import Names

TABLE = read_table()
AT_HOME = [key for key in TABLE if key[1] not in ENGINE]
NOT_AT = {
    "wappfy": {"flow_instance"},
    "whatisup": {"phone_number", "repair_restart"},
}
"""Places that a provider has no use for, apart from buttons."""


@pytest.fixture(autouse=True)
def _polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be polled but by a place."""
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
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority that Home Assistant trusts."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    get_default_context().load_verify_locations(cadata=authority.pem)
    return authority


@pytest.fixture(scope="module")
def leaves(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Return a certificate that is trusted, and one that nobody trusts."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"))
    return authority.leaf(), stranger.leaf()


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
def trouble(
    gateway: Gateway,
    names: Names,
    context: ssl.SSLContext,
    leaves: tuple[Path, Path],
    elsewhere: Gateway,
) -> Callable[[ClientSession], Trouble]:
    """Return what makes trouble between a session and the gateway."""
    good, bad = leaves

    def between(session: ClientSession) -> Trouble:
        assert isinstance(session.connector, TCPConnector)
        return Trouble(gateway, names, context, good, bad, elsewhere, session.connector)

    return between


def test_nothing_is_left_out() -> None:
    """The table has each route, place and fault, and no cell of it is empty."""
    wanted = {
        (key, route.kwargs["name"])
        for key, kind in GATEWAYS.items()
        for route in kind().routes()
    }
    assert {(key, route) for key, _, route in TABLE} == wanted
    for key, buttons in BUTTONS.items():
        elsewhere = NOT_AT[key] | {
            place
            for place in PLACES
            if place.startswith("button_")
            and place.removeprefix("button_") not in buttons
        }
        places = {place for at, place, _ in TABLE if at == key}
        assert places == {*PLACES, *ENGINE} - elsewhere
    for row in TABLE.values():
        assert row.keys() == FAULTS
        assert all(row.values())


async def walk(place: Place, trouble: Trouble, expected: dict[str, str]) -> None:
    """Let one fault after the other happen at a place, each healed by the next answer.

    What is wrong is collected: one fault must not hide the others.
    """
    wrong = []
    await place.open()
    for fault, outcome in expected.items():
        await place.prepare()
        await trouble.begin(fault, place.route, place.after)
        seen = await place.seen()
        await trouble.end(fault)
        healed = await place.again()
        if (seen, healed) != (outcome, "ok"):
            wrong.append(f"{fault}: expected {outcome}, seen {seen}, then {healed}")
    await place.close()
    assert not wrong, "\n" + "\n".join(wrong)


def assert_discreet(place: Place, elsewhere: Gateway, said: str) -> None:
    """Check that no secret got out, and nothing to another host."""
    codes = [
        code.text for one in place.gateway.sessions.values() for code in one._codes
    ]
    assert not [secret for secret in (place.gateway.key, *codes) if secret in said]
    assert elsewhere.asked == []


@pytest.mark.parametrize(("provider_key", "place", "route"), AT_HOME)
async def test_home_assistant(
    hass: HomeAssistant,
    gateway: Gateway,
    elsewhere: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    hass_client_no_auth: ClientSessionGenerator,
    trouble: Callable[[ClientSession], Trouble],
    provider_key: str,
    place: str,
    route: str,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """Each fault has the outcome of the table, and the next healthy answer heals it."""
    stage = Stage(
        hass=hass,
        gateway=gateway,
        entry=entry,
        dialog=dialog,
        hass_client=hass_client_no_auth,
    )
    expected = TABLE[provider_key, place, route]
    record_property("cells", len(expected))
    played = PLACES[place](stage, route)
    await walk(played, trouble(async_get_clientsession(hass)), expected)
    assert_discreet(played, elsewhere, played.said + caplog.text)


@pytest.mark.parametrize(
    ("provider_key", "place", "route"), [key for key in TABLE if key[1] in ENGINE]
)
async def test_engine(
    gateway: Gateway,
    elsewhere: Gateway,
    names: Names,
    authority: Authority,
    trouble: Callable[[ClientSession], Trouble],
    provider_key: str,
    place: str,
    route: str,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """So it is for the pairing engine without Home Assistant."""
    expected = TABLE[provider_key, place, route]
    record_property("cells", len(expected))
    trusting = ssl.create_default_context(cadata=authority.pem)
    connector = TCPConnector(resolver=names, ssl=trusting)
    async with ClientSession(connector=connector) as session:
        provider = PROVIDERS[provider_key](session, gateway.url, gateway.key)
        played = ENGINE[place](gateway, provider, route)
        await walk(played, trouble(session), expected)
    assert_discreet(played, elsewhere, played.said + caplog.text)
