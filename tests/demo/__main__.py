"""The demo: a real Home Assistant beside simulated gateways, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from functools import partial
import shutil
import signal
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

from aiohttp import ClientSession

from homeassistant.const import __version__

from tests.harness.facts import SUPPORTED
from tests.harness.live import ROOT, StartFailed, check_free, prepare, running, started

from .servers import PORTS

if TYPE_CHECKING:
    from asyncio.subprocess import Process

DEMO = ROOT / ".demo"

say = partial(print, flush=True)


async def _answers(url: str) -> None:
    """Get a page."""
    async with ClientSession() as session, session.get(url):
        pass


def _check_ports(port: int) -> None:
    """Raise StartFailed if a port is taken, saying what to do."""
    for needed, advice in (
        (port, "Choose another with --port, or stop what uses it."),
        *((taken, "Stop what uses it.") for taken in PORTS.values()),
    ):
        try:
            check_free(needed)
        except StartFailed as err:
            raise StartFailed(f"{err} {advice} Is another demo running?") from err


async def _demo(port: int, *, reset: bool) -> None:
    """Start everything, print what to try, and wait until something stops."""
    _check_ports(port)
    if reset:
        shutil.rmtree(DEMO, ignore_errors=True)
    # an older Home Assistant can't read what a newer one has stored
    config = DEMO / __version__
    prepare(config, port=port)
    gateways = (
        "tests.demo.servers",
        f"--state={DEMO / 'gateways.json'}",
    )
    page = f"http://127.0.0.1:{PORTS['page']}"
    async with AsyncExitStack() as stack:
        say("Starting the simulated gateways ...")
        gateway_process, _ = await stack.enter_async_context(
            started(*gateways, log=DEMO / "gateways.log", ready=partial(_answers, page))
        )
        say(f"Starting Home Assistant {__version__} ...")
        home = await stack.enter_async_context(running(config, port=port))
        say(_explanation(home.url, page))
        await _first_to_stop(
            {"The simulated gateways": gateway_process, "Home Assistant": home.process}
        )


async def _first_to_stop(processes: dict[str, Process]) -> None:
    """Raise StartFailed with the name of the process that stopped."""
    waits = [asyncio.create_task(p.wait(), name=n) for n, p in processes.items()]
    done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    task = done.pop()
    raise StartFailed(f"{task.get_name()} stopped with exit code {task.result()}.")


def _explanation(url: str, page: str) -> str:
    """Return the addresses, the accounts, and what to try."""
    add = f"{url}/config/integrations/dashboard/add?domain=whatsapp_gateway"
    first, *_, last = (kind.title for kind in SUPPORTED.values())
    accounts = "\n".join(
        f"          {kind.title:<15} http://127.0.0.1:{PORTS[key]}    {kind.key}"
        for key, kind in SUPPORTED.items()
    )
    return dedent(f"""
        Ready.

          Home Assistant       {url}
          Add the integration  {add}
          Phone                {page}

          Gateway         Address                  API key
{accounts}

        What to try

          1. Open "Add the integration", choose {first}, and enter its address and key.
          2. Create an instance. Its QR code appears and refreshes automatically.
          3. Scan the code on the phone's page. The dialog says that the number is linked.
          4. Unlink the number on the phone's page. After a minute, a repair appears
             under Settings. Fix it with the QR code.
          5. Link or create more instances: select Configure (the gear) next to the
             account.
          6. Create an automation from a blueprint: Settings > Automations & scenes >
             Blueprints. History and Activity show what happened to your numbers.
          7. Try a wrong API key, and add {last} as well.

        Press Ctrl-C to stop. What you did is kept; start with --reset to begin again.
        The logs are in {DEMO}.
    """)


async def _main(port: int, *, reset: bool) -> None:
    """Run the demo until it is stopped; a second Ctrl-C is ignored."""
    task = asyncio.create_task(_demo(port, reset=reset))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: task.cancelling() or task.cancel())
    try:
        await task
    except asyncio.CancelledError:
        say("Stopped.")
    except StartFailed as err:
        sys.exit(f"{err}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8123, help="of Home Assistant")
    parser.add_argument("--reset", action="store_true", help="forget earlier runs")
    options = parser.parse_args()
    asyncio.run(_main(options.port, reset=options.reset))
