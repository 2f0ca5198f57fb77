"""A real Home Assistant in its own process, for the demo and the browser tests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
import json
import os
from pathlib import Path
import secrets
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from aiohttp import ClientConnectionError, ClientError, ClientSession

import homeassistant

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Awaitable, Callable

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 120  # seconds; a slow machine's first start compiles everything
STOP_TIMEOUT = 30  # seconds

CONFIGURATION: dict[str, Any] = {
    "homeassistant": {
        "name": "Demo",
        "country": "US",
        "auth_mfa_modules": [],
        "auth_providers": [
            {
                "type": "trusted_networks",
                "trusted_networks": ["127.0.0.1", "::1"],
                "allow_bypass_login": True,
            },
            {"type": "homeassistant"},
        ],
    },
    "frontend": {},
    "logger": {
        "default": "warning",
        "logs": {
            # both miss a program or library of the machine that nothing here needs
            "haffmpeg": "critical",
            "homeassistant.components.camera.img_util": "critical",
        },
    },
}


class StartFailed(Exception):
    """A process died or did not answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveHomeAssistant:
    """What its users need to know; the token is its only user's and lasts 30 min."""

    url: str
    token: str
    log: Path
    process: Process


def prepare(config: Path, *, port: int, debug: bool = False) -> None:
    """Write what Home Assistant reads at its start, keeping what it wrote itself."""
    storage = config / ".storage"
    storage.mkdir(parents=True, exist_ok=True)
    configuration = json.loads(json.dumps(CONFIGURATION))
    if debug:
        configuration["logger"]["default"] = "debug"
        configuration["recorder"] = {"commit_interval": 1}
    if not Path(homeassistant.__path__[0], "components/http/config.py").exists():
        configuration["http"] = {"server_port": port}
    # JSON is YAML
    (config / "configuration.yaml").write_text(json.dumps(configuration, indent=2))
    # Newer versions take a port in YAML for a trial and revert it after 5 min: this is
    # what they store of a confirmed one.
    _store(storage / "http", version=1, data={"server_port": port})
    if not (onboarding := storage / "onboarding").exists():
        # core_config would set up integrations that call home
        steps = ["core_config", "analytics", "integration"]
        _store(onboarding, version=4, data={"done": steps})
    components = config / "custom_components"
    components.unlink(missing_ok=True)
    components.symlink_to(ROOT / "custom_components", target_is_directory=True)


def _store(path: Path, *, version: int, data: dict[str, Any]) -> None:
    """Write a file as Home Assistant's storage does."""
    stored = {"version": version, "minor_version": 1, "key": path.name, "data": data}
    path.write_text(json.dumps(stored))


@asynccontextmanager
async def running(config: Path, *, port: int) -> AsyncIterator[LiveHomeAssistant]:
    """Run Home Assistant on a prepared folder, with its owner signed in."""
    check_free(port)
    url, log = f"http://127.0.0.1:{port}", config / "output.log"
    arguments = ("homeassistant", "--config", str(config), "--skip-pip")
    ready = partial(_sign_in, url)
    async with started(*arguments, log=log, ready=ready) as (process, token):
        yield LiveHomeAssistant(url=url, token=token, log=log, process=process)


async def _sign_in(url: str) -> str:
    """Return an access token once everything is set up, creating the owner first."""
    client = {"client_id": f"{url}/"}
    async with ClientSession(url, raise_for_status=True) as session:
        async with session.get("/api/onboarding", raise_for_status=False) as response:
            # gone when Home Assistant was started onboarded
            steps = await response.json() if response.ok else []
        if not all(step["done"] for step in steps):
            owner = {"name": "Demo", "username": "demo", "language": "en"}
            owner["password"] = secrets.token_urlsafe()
            await session.post("/api/onboarding/users", json=client | owner)
        login = {"handler": ["trusted_networks", None], "redirect_uri": f"{url}/"}
        async with session.post("/auth/login_flow", json=client | login) as response:
            code = (await response.json())["result"]
        grant = {"grant_type": "authorization_code", "code": code}
        async with session.post("/auth/token", data=client | grant) as response:
            token: str = (await response.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        while True:
            async with session.get("/api/config", headers=headers) as response:
                if (await response.json())["state"] == "RUNNING":
                    return token
            await asyncio.sleep(0.2)


def check_free(port: int) -> None:
    """Raise StartFailed if nothing can listen on this port."""
    try:
        socket.create_server(("", port)).close()
    except OSError as err:
        raise StartFailed(f"Port {port} is taken.") from err


@asynccontextmanager
async def started[T](
    *arguments: str, log: Path, ready: Callable[[], Awaitable[T]]
) -> AsyncIterator[tuple[Process, T]]:
    """Run a Python module, wait until it answers, end it and all that it started."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                answer = await _answer(process, ready)
        except (TimeoutError, ProcessLookupError, ClientError) as err:
            why = str(err) or f"did not come up in {START_TIMEOUT} s"
            raise StartFailed(f"{arguments[0]} {why}. {_end_of(log)}") from err
        yield process, answer
    finally:
        await _stop(process)


def _end_of(log: Path) -> str:
    """Return the last lines of a log."""
    lines = log.read_text(errors="replace").splitlines()[-20:]
    return "\n".join([f"The end of {log}:", *lines])


async def _answer[T](process: Process, ready: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer."""
    while process.returncode is None:
        with suppress(ClientConnectionError):
            return await ready()
        await asyncio.sleep(0.1)
    raise ProcessLookupError(f"stopped with exit code {process.returncode}")


async def _stop(process: Process) -> None:
    """End a process and its session, gently at first."""
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
