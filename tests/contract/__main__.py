"""Check a provider against a real gateway, and keep its answers with masked secrets.

Without --write nothing is changed at the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
import json
import os
from pathlib import Path
import re
import secrets
import signal
import string
import sys
from typing import TYPE_CHECKING

from aiohttp import ClientSession, TCPConnector
from yarl import URL

from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.http import session_options

from .check import DIFFERS, Check
from .masking import Masker
from .traffic import Traffic

if TYPE_CHECKING:
    from .check import Result


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the arguments; exit with 2 if they are wrong."""
    parser = argparse.ArgumentParser(prog="scripts/contract", description=__doc__)
    add = parser.add_argument
    add("--provider", choices=PROVIDERS, required=True, help="kind of gateway")
    add("--url", help="address of the gateway; default: the hosted service's")
    add("--api-key", help="default: the environment variable API_KEY")
    add("--instance-id", help="for an API key that only gives access to one instance")
    add(
        "--write",
        action="store_true",
        help="create an instance, request its QR code, restart it and delete it",
    )
    add("--phone-number", help="also request a pairing code for it; needs --write")
    add("--insecure", action="store_true", help="accept any TLS certificate")
    add("--output", type=Path, help="file to write; default: contract-PROVIDER.json")
    options = parser.parse_args(arguments)

    provider = PROVIDERS[options.provider]
    options.url = options.url or provider.default_url or ""
    if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s?#]*)?", options.url):
        parser.error("--url must be an address such as https://gateway.example.com")
    if options.api_key is None:
        options.api_key = os.environ.get("API_KEY", "")
    if provider.key_required and not options.api_key:
        parser.error("--api-key or the environment variable API_KEY is required")
    if options.phone_number is not None:
        options.phone_number = re.sub(r"[\s()+-]", "", options.phone_number)
        if not re.fullmatch(r"[0-9]{7,15}", options.phone_number):
            parser.error("--phone-number must be in international format")
        if not options.write:
            parser.error("--phone-number needs --write")
    options.output = options.output or Path(f"contract-{options.provider}.json")
    if options.output.is_dir() or not os.access(options.output.parent, os.W_OK):
        parser.error(f"{options.output} can't be written")
    return options


async def run(options: argparse.Namespace) -> int:
    """Check the gateway, write the file, and return the exit code."""
    letters = (secrets.choice(string.ascii_lowercase) for _ in range(8))
    name = f"contract-check-{''.join(letters)}"
    secret = (options.instance_id, options.phone_number)
    masker = Masker(options.api_key, own=name, secret=tuple(filter(None, secret)))
    traffic = Traffic(URL(options.url).raw_path, masker)
    session_arguments = session_options()
    session_arguments["trace_configs"].append(traffic)
    connector = TCPConnector(ssl=not options.insecure)
    async with ClientSession(connector=connector, **session_arguments) as session:
        check = Check(
            lambda: PROVIDERS[options.provider](
                session, options.url, options.api_key, options.instance_id
            ),
            _print_row,
            traffic.message,
        )
        print(f"{'call':<20} {'result':<8} detail")
        try:
            if await check.read() and options.write:
                await check.write(name, options.phone_number)
        except asyncio.CancelledError:
            check.add("other calls", DIFFERS, "interrupted")
        finally:
            _write(options, check, traffic)
    return 0 if check.agrees else 1


def _print_row(row: Result) -> None:
    print(f"{row.call:<20} {row.result:<8} {row.detail}".rstrip(), flush=True)


def _write(options: argparse.Namespace, check: Check, traffic: Traffic) -> None:
    report = {
        "provider": options.provider,
        "results": [asdict(row) for row in check.results],
        "traffic": traffic.masked(),
    }
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nThe answers are in {options.output.resolve()}. Secrets are masked.")


async def main(options: argparse.Namespace) -> int:
    """Run the check; a signal ends it in order, and further signals are ignored."""
    task = asyncio.create_task(run(options))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: task.cancelling() or task.cancel())
    return await task


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse())))
