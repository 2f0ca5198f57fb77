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
import shutil
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

CAMERA = "camera.front_door"
"""Entity ID of the camera that `add_camera` adds."""
PICTURE = ROOT / "custom_components/whatsapp_gateway/brand/icon.png"
BLUEPRINTS = Path("blueprints/automation/whatsapp_gateway")
CONFIGURATION = """\
homeassistant:
  name: Demo
  country: US
  auth_mfa_modules: []
  auth_providers:
    - type: trusted_networks
      trusted_networks: ["127.0.0.1", "::1"]
      allow_bypass_login: true
    - type: homeassistant
frontend:
history:
logbook:
# where the user interface saves automations
automation: !include automations.yaml
"""
LOGGER = """\
logger:
  default: {level}
  logs:
    # both miss a program or library of the machine that nothing here needs
    haffmpeg: critical
    homeassistant.components.camera.img_util: critical
    # Decides whether accounts show "Debug logging enabled". Nothing logs under this
    # name: the loggers of a custom integration begin with `custom_components`.
    homeassistant.components.whatsapp_gateway: warning
"""
RECORDER = """\
recorder:
  commit_interval: 1
"""
HTTP = """\
http:
  server_port: {port}
"""


class StartFailed(Exception):
    """A process died or did not answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveHomeAssistant:
    """Its address and a token of its only user, which lasts 30 minutes."""

    url: str
    token: str
    log: Path
    process: Process


def prepare(config: Path, *, port: int, debug: bool = False) -> None:
    """Write the configuration, and keep what Home Assistant itself has stored.

    With `debug` everything is logged, and the database is written at once.
    """
    storage = config / ".storage"
    storage.mkdir(parents=True, exist_ok=True)
    configuration = CONFIGURATION + LOGGER.format(level="debug" if debug else "warning")
    if debug:
        configuration += RECORDER
    if not Path(homeassistant.__path__[0], "components/http/config.py").exists():
        configuration += HTTP.format(port=port)
    (config / "configuration.yaml").write_text(configuration)
    (config / "automations.yaml").touch()
    # copied, as the user interface can delete blueprints
    shutil.copytree(ROOT / BLUEPRINTS, config / BLUEPRINTS, dirs_exist_ok=True)
    # Newer versions revert a port from YAML after 5 minutes, unless somebody confirms
    # it: this is what they store of a confirmed one.
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
    """Run Home Assistant with a prepared folder, and sign its owner in."""
    check_free(port)
    url, log = f"http://127.0.0.1:{port}", config / "output.log"
    arguments = ("homeassistant", "--config", str(config), "--skip-pip")
    ready = partial(_sign_in, url)
    async with started(*arguments, log=log, ready=ready) as (process, token):
        yield LiveHomeAssistant(url=url, token=token, log=log, process=process)


async def _sign_in(url: str) -> str:
    """Create the owner if there is none; return a token once all is set up."""
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


async def add_camera(config: Path, api: ClientSession) -> None:
    """Add a camera named Front door that shows a picture, unless it is there."""
    picture = config / "www/front_door.png"
    picture.parent.mkdir(exist_ok=True)
    shutil.copy(PICTURE, picture)
    flows = "/api/config/config_entries/flow"
    handler = {"handler": "local_file"}
    async with api.post(flows, json=handler, raise_for_status=True) as response:
        flow_id = (await response.json())["flow_id"]
    values = {"name": "Front door", "file_path": str(picture)}
    async with api.post(
        f"{flows}/{flow_id}", json=values, raise_for_status=True
    ) as response:
        result = await response.json()
    # Home Assistant aborts if it shows this file already
    if result.get("reason", "already_configured") != "already_configured":
        raise StartFailed(f"The camera could not be added: {result}")


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
    """Run a Python module from when it answers; then end it and its children."""
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
    """Call `ready` until it succeeds."""
    while process.returncode is None:
        with suppress(ClientConnectionError):
            return await ready()
        await asyncio.sleep(0.1)
    raise ProcessLookupError(f"stopped with exit code {process.returncode}")


async def _stop(process: Process) -> None:
    """Terminate a process, and kill what is left of its session."""
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
