"""Real gateways on loopback, and a real Home Assistant before them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
import logging
import os
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from zlib import crc32

from aiohttp import ClientSession
import freezegun
from hypothesis import HealthCheck, settings
import pytest

from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.http import session_options

from .gateways import GATEWAYS, Gateway, VirtualPhone
from .gateways.machine import State
from .harness.authority import Authority
from .harness.clock import Clock
from .harness.dialog import Dialog
from .harness.facts import SUPPORTED
from .harness.helpers import pass_polls, raised_issues, remember_linked
from .harness.leaks import LISTENER, told
from .harness.names import Internet, Names, adapter

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Generator,
        Iterable,
        Iterator,
    )

    from freezegun.api import FrozenDateTimeFactory
    from ifaddr import Adapter

    from homeassistant.core import HomeAssistant

    from custom_components.whatsapp_gateway.providers.base import Provider

    from .gateways.machine import Session

    type Open = Callable[..., Awaitable[Session]]

SLOWEST = ("long_run", "faults", "fuzz")
"""Folders whose tests take longest, the slowest first."""
THREAD_TIME_LIMIT = 120.0
"""Seconds for a thread to end after a test."""

# freezegun looks through all modules at each test; nothing in these depends on time
freezegun.configure(
    extend_ignore_list=[
        "_pytest",
        "acme",
        "aiogithubapi",
        "bleak",
        "boto3",
        "botocore",
        "cryptography",
        "dbus_fast",
        "habluetooth",
        "hass_nabucasa",
        "PIL",
        "pygments",
        "requests",
        "syrupy",
        "urllib3",
        "zeroconf",
    ]
)
settings.register_profile(
    "each_run",
    max_examples=40,
    derandomize=True,
    # a gateway and a Home Assistant serve all examples of a test, at their own pace
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "nightly",
    settings.get_profile("each_run"),
    max_examples=4000,
    derandomize=False,
    print_blob=True,
)
settings.load_profile("each_run")


def pytest_sessionstart() -> None:
    """Let Home Assistant log all it can, and listen to it."""
    logging.getLogger().addHandler(LISTENER)
    logging.getLogger().setLevel(logging.DEBUG)
    # does not bear frozen time
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what a run of all tests need not check, and start with the slowest.

    Slow tests at the end would run alone.
    """
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if is_whole and not (config.option.keyword or os.environ.get("FULL")):
        left_out = [*not_due(items)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]

    def turn(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return SLOWEST.index(folder) if folder in SLOWEST else len(SLOWEST)

    items.sort(key=turn)


def not_due(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Return the tests that are left out.

    Each test runs with each gateway and with all its other parameters, but not with
    every pair of them.
    """
    tests: defaultdict[str, dict[pytest.Item, tuple[str, tuple[str, ...]]]]
    tests = defaultdict(dict)
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            if "provider_key" not in item.callspec.params:
                continue
            gateway = str(item.callspec.params["provider_key"])
            rest = (part for part in item.callspec.id.split("-") if part != gateway)
            tests[f"{item.path}::{item.originalname}"][item] = gateway, (*rest,)
    for name, test in tests.items():
        gateways = [*dict.fromkeys(gateway for gateway, _ in test.values())]
        others = [*dict.fromkeys(other for _, other in test.values())]
        if len(test) != len(gateways) * len(others):
            # the pairs were chosen
            continue
        first = crc32(name.rpartition("::")[2].encode())
        for item, (gateway, other) in test.items():
            number = gateways.index(gateway) + others.index(other) + first
            if number % min(len(gateways), len(others)):
                yield item


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    """Let workers report what they have logged: half an emoji can't be sent."""
    report = yield
    report.sections = [
        (name, text.encode(errors="replace").decode()) for name, text in report.sections
    ]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None]:
    """Look for secrets at the end of each test, while its Home Assistant is there."""
    yield
    hass: Any = item.funcargs.get("hass")
    assert (told(hass) if hass else []) == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Look for secrets in all that was logged from set-up to teardown."""
    yield
    heard = LISTENER.heard.copy()
    LISTENER.heard.clear()
    assert heard == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cells of the fault matrix have been checked."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports(
        "failed"
    )
    cells = [
        value for one in reports for key, value in one.user_properties if key == "cells"
    ]
    if cells:
        terminalreporter.write_line(f"fault matrix: {sum(cells)} cells")


@pytest.fixture(autouse=True)
async def verify_cleanup(verify_cleanup: None) -> AsyncGenerator[None]:
    """Let the threads of the executor end before the plugin looks for them.

    Home Assistant interrupts each thread that hasn't ended after a fraction of a
    second. On a busy machine that hits a thread that is just about to wake the next one
    up, so the others never end and the test fails.
    """
    yield
    loop: Any = asyncio.get_running_loop()
    executor = loop._default_executor
    ThreadPoolExecutor.shutdown(executor, wait=False, cancel_futures=True)
    for thread in executor._threads:
        thread.join(THREAD_TIME_LIMIT)


@pytest.fixture(autouse=True)
def _integration(enable_custom_integrations: None, socket_enabled: None) -> None:
    """Let Home Assistant find the integration, and the gateways be reached."""


@pytest.fixture(autouse=True)
async def clock(freezer: FrozenDateTimeFactory) -> Clock:
    """Let time jump over what would have to be waited for."""
    return Clock(asyncio.get_running_loop(), freezer)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority, made before time stands still."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def names() -> Names:
    """Return the resolver of all who ask for a name."""
    return Names()


@pytest.fixture(autouse=True)
def mock_zeroconf_resolver(names: Names) -> Generator[Any]:
    """Give Home Assistant and the system our resolver.

    The plugin has one of its own in this place.
    """
    patcher = patch(
        "homeassistant.helpers.aiohttp_client._async_make_resolver", return_value=names
    )
    with patcher, patch("socket.getaddrinfo", names.getaddrinfo):
        yield patcher


@pytest.fixture
def adapters() -> Generator[list[Adapter]]:
    """Give Home Assistant's machine network adapters that can change.

    The plugin has one that can't.
    """
    adapters = [adapter("10.10.10.10", 24)]
    path = "homeassistant.components.network.util.ifaddr.get_adapters"
    with patch(path, return_value=adapters):
        yield adapters


@pytest.fixture
async def internet(names: Names) -> Internet:
    """Return a network with hosts that are servers on loopback."""
    return Internet(asyncio.get_running_loop(), names)


@pytest.fixture(params=SUPPORTED)
def provider_key(request: pytest.FixtureRequest) -> str:
    """Return the key of each provider in turn."""
    key: str = request.param
    return key


@pytest.fixture
async def gateway(provider_key: str) -> AsyncGenerator[Gateway]:
    """Run the gateway of the provider."""
    async with GATEWAYS[provider_key]().running() as running:
        yield running


@pytest.fixture
def phone(gateway: Gateway) -> VirtualPhone:
    """Return a phone that scans what the gateway shows."""
    return VirtualPhone(gateway)


@pytest.fixture
async def session() -> AsyncGenerator[ClientSession]:
    """Return a session for tests without Home Assistant."""
    async with ClientSession(**session_options()) as session:
        yield session


@pytest.fixture
def provider(provider_key: str, gateway: Gateway, session: ClientSession) -> Provider:
    """Return the integration's client of the gateway."""
    return PROVIDERS[provider_key](session, gateway.url, gateway.key)


@pytest.fixture
async def dialog(hass: HomeAssistant) -> AsyncGenerator[Dialog]:
    """Return a dialog that is not opened yet; close it if it is still open."""
    assert await async_setup_component(hass, "repairs", {})
    dialog = Dialog(hass)
    yield dialog
    for flow in dialog.manager.async_progress():
        dialog.manager.async_abort(flow["flow_id"])


@pytest.fixture
def entry(hass: HomeAssistant, provider_key: str, gateway: Gateway) -> MockConfigEntry:
    """Return an account that is added but not set up."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=PROVIDERS[provider_key].name,
        data={
            "provider": provider_key,
            "gateway": gateway.url.partition("://")[2],
            "url": gateway.url,
            "api_key": gateway.key,
        },
    )
    entry.add_to_hass(hass)
    return entry


@pytest.fixture(params=["setup", "configure", "repair"])
def place(request: pytest.FixtureRequest) -> str:
    """Return each kind of dialog that links an instance in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def open_linking(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
    place: str,
) -> Open:
    """Return a function that opens the dialog at its QR code, for a new instance.

    With `how="phone"` it is opened at the form for a phone number.
    """

    async def show(how: str) -> None:
        if how == "scan":
            await dialog.scan()
        else:
            await dialog.choose(how)

    async def open_it(
        state: State, *, name: str = "Home", how: str = "scan", **fault: Any
    ) -> Session:
        session = gateway.add(name, state, scale=0.1 if state is State.WAITING else 1)
        if place == "setup":
            await hass.config_entries.async_remove(entry.entry_id)
            await dialog.sign_in(gateway)
        else:
            remember_linked(hass, entry, session)
            assert await hass.config_entries.async_setup(entry.entry_id)
        if place == "repair":
            await pass_polls(clock, 3)
            [issue] = raised_issues(hass)
            gateway.fail("*", **fault)
            await dialog.open_fix(issue)
            await show(how)
            return session
        if place == "configure":
            await dialog.open_options(entry)
        gateway.fail("*", **fault)
        await dialog.choose("link")
        await show(how)
        return session

    return open_it
