"""Run a real Home Assistant, the gateways, the phone, and Chromium."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from functools import partial
import os
from pathlib import Path
import random
import re
import shutil
import socket
from typing import TYPE_CHECKING

from aiohttp import ClientSession
from playwright.async_api import async_playwright, expect
import pytest

from tests.gateways import GATEWAYS
from tests.harness.leaks import leaked
from tests.harness.live import prepare, running, started

from .home import LOOKS, PATIENCE, GatewayProcess, Home

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from playwright.async_api import Browser, ViewportSize

ARTIFACTS = Path(__file__).parent / "artifacts"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=PATIENCE * 1000)

ANSWERS = re.compile(r'"response":{"messages":\[[^\]]*\]}')
"""What the user interface is told of the messages that a person has sent with it.

The log of Home Assistant itself has it, and some IDs contain the number that sends.
"""

ENTRY = re.compile(r"^(?=\d{4}-\d\d-\d\d )", re.MULTILINE)
"""The start of an entry in the log of Home Assistant."""

OURS = re.compile(r"custom_components[/.]whatsapp_gateway")
"""A file of the integration in a traceback, or its logger."""

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
FIRST_PORT = 20_000 + 500 * WORKER
PORTS = iter(random.sample(range(FIRST_PORT, FIRST_PORT + 500), 500))
"""Ports of this worker alone; the system doesn't give them to clients either."""


def free_port() -> int:
    """Return a port that nothing uses, and that is not returned again."""
    for port in PORTS:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("No port is free")


@pytest.fixture(autouse=True)
def _integration() -> None:
    """Replace the fixture for tests that run Home Assistant in their process."""


@pytest.fixture(autouse=True)
def clock() -> None:
    """Use the real time."""


@pytest.fixture(autouse=True)
def mock_zeroconf_resolver() -> None:
    """Use the real resolver."""


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Replace the fixture for tests that run Home Assistant in their process."""


@pytest.fixture
def scale() -> float:
    """Return how much faster than the clock WhatsApp's time runs."""
    return 2.0


@pytest.fixture
async def gateways(tmp_path: Path, scale: float) -> AsyncGenerator[GatewayProcess]:
    """Run all gateways and the phone's page."""
    ports = {name: free_port() for name in ("page", *GATEWAYS)}
    arguments = [f"--{name}-port={port}" for name, port in ports.items()]
    async with ClientSession(f"http://127.0.0.1:{ports['page']}") as phone:

        async def answers() -> None:
            async with phone.get("/instances"):
                pass

        async with started(
            "tests.demo.servers",
            *arguments,
            f"--scale={scale}",
            # a person is slower than a test
            "--unlimited",
            log=tmp_path / "gateways.log",
            ready=answers,
        ):
            yield GatewayProcess(phone, ports)


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Run Chromium."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "Chromium is needed: install it, or name one with CHROMIUM"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=CHROMIUM_ARGUMENTS
        )
        yield browser
        await browser.close()


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest) -> str:
    """Return the theme and the size of the screen."""
    look: str = request.param
    return look


@pytest.fixture
async def home(
    tmp_path: Path,
    browser: Browser,
    gateways: GatewayProcess,
    look: str,
    request: pytest.FixtureRequest,
) -> AsyncGenerator[Home]:
    """Run Home Assistant, with its owner signed in; it ends before the gateways."""
    port = free_port()
    config = tmp_path / "config"
    config.mkdir()
    prepare(config, port=port, debug=True)
    theme, size = look.split("-")
    phone = size == "phone"
    async with AsyncExitStack() as stack:
        live = await stack.enter_async_context(running(config, port=port))
        page = await browser.new_page(
            viewport=PHONE if phone else DESKTOP,
            color_scheme="dark" if theme == "dark" else "light",
            device_scale_factor=2 if phone else 1,
            # menus that move lose clicks
            reduced_motion="reduce",
            # it reloads the page on the first visit, which closes dialogs
            service_workers="block",
        )
        page.set_default_timeout(PATIENCE * 1000)
        api = await stack.enter_async_context(
            ClientSession(live.url, headers={"Authorization": f"Bearer {live.token}"})
        )
        home = Home(page, api, live.url)
        artifacts = ARTIFACTS / request.node.name
        artifacts.mkdir(parents=True, exist_ok=True)
        shot = partial(page.screenshot, animations="disabled")
        home.shot = lambda name: shot(path=artifacts / f"{name}.png")
        try:
            yield home
        finally:
            await home.shot("last")
    assert [*tracebacks(live.log)] == []
    assert list(leaks_in(config)) == []


def tracebacks(log: Path) -> Iterator[str]:
    """Return the entries of a log that hold a traceback through the integration.

    Others are Home Assistant's own: it interrupts its threads while it stops. For
    debugging, it also logs where a poll failed: a busy machine may have been too slow.
    """
    for entry in ENTRY.split(log.read_text()):
        wrong = "Traceback" in entry and " DEBUG " not in entry.partition("\n")[0]
        if wrong and OURS.search(entry):
            yield entry


def leaks_in(config: Path) -> Iterator[str]:
    """Return the secrets in the files of Home Assistant, also its database and log.

    The only place for an API key is the account's own data.
    """
    for path in config.rglob("*"):
        # the linked folder of the integration is left out
        if path.is_file():
            text = path.read_bytes().decode(errors="replace")
            found = set(leaked(ANSWERS.sub("", text)))
            if path.name == "core.config_entries":
                assert found
                found -= {kind.key for kind in GATEWAYS.values()}
            yield from (f"{path}: {secret}" for secret in found)
