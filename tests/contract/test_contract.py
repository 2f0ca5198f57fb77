"""The check of a provider, against the simulated gateways."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.models import Action
from tests.gateways.machine import NEW_CODE, PHONE_NUMBER, State, new_pairing_code
from tests.harness.facts import lacks, needs
from tests.harness.helpers import until
from tests.harness.leaks import PICTURE, leaked

from .__main__ import parse, run
from .check import AGREES, DIFFERS, SKIPPED
from .masking import Masker

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from pathlib import Path

    from tests.gateways import Gateway
    from tests.harness.authority import Authority

type Options = Callable[..., Namespace]

NAMES = ["Maria", "Bakery"]
KEY = "the_key_of_the_tests"
OWN = "contract-check-abcdefgh"


@pytest.fixture
def options(provider_key: str, gateway: Gateway, tmp_path: Path) -> Options:
    """Return a function that adds arguments to those that are always needed."""
    gateway.add(NAMES[0], State.CONNECTED)
    gateway.add(NAMES[1], State.STOPPED)
    fixed = ("--provider", provider_key, "--output", str(tmp_path / "contract.json"))

    def parsed(*arguments: str) -> Namespace:
        account = ("--url", gateway.url, "--api-key", gateway.key)
        return parse([*fixed, *account, *arguments])

    return parsed


def results(options: Namespace) -> dict[str, tuple[str, str]]:
    """Return the result and the detail of each call, as the file has them."""
    rows = json.loads(options.output.read_text())["results"]
    return {row["call"]: (row["result"], row["detail"]) for row in rows}


def nothing_left(gateway: Gateway) -> bool:
    """Return whether the gateway has the instances that it had before."""
    return sorted(session.name for session in gateway.sessions.values()) == sorted(
        NAMES
    )


async def test_read(gateway: Gateway, options: Options) -> None:
    """Without --write, everything is read and nothing is changed."""
    assert await run(options()) == 0

    found = results(options())
    assert {result for result, _ in found.values()} == {AGREES}
    assert found["instances"] == (AGREES, "2 found")
    details = {
        found[f"{call} {n}"][1] for call in ("instance", "link state") for n in (1, 2)
    }
    assert "status connected" in details
    assert {asked.method for asked in gateway.asked} == {"GET"}
    assert gateway.count("connect") == gateway.count("qr") == 0
    assert nothing_left(gateway)


async def test_traffic(gateway: Gateway, options: Options) -> None:
    """The file has every request with its answer, but no secrets."""
    await run(options("--write"))

    traffic = json.loads(options().output.read_text())["traffic"]
    assert len(traffic) == len(gateway.asked)
    first = traffic[[asked.route for asked in gateway.asked].index("list")]
    assert first["method"] == "GET"
    assert first["path"].partition("?")[0] == gateway.base_path
    assert first["status"] == 200
    assert first["headers"]["content-type"].startswith("application/json")
    body = first["body"]
    instances = body["data"] if isinstance(body, dict) else body
    lengths = {f"<text of {len(name)} characters>" for name in NAMES}
    assert {instance["name"] for instance in instances} == lengths
    created = traffic[[asked.route for asked in gateway.asked].index("create")]
    name = results(options())["create"][1].partition(",")[0]
    assert name in created["request"].values()


async def test_write(provider_key: str, gateway: Gateway, options: Options) -> None:
    """With --write, an instance goes through everything and is deleted."""
    assert await run(options("--write")) == 0

    found = results(options())
    provider = PROVIDERS[provider_key]
    for action in Action:
        expected = AGREES if action in provider.actions else SKIPPED
        assert found[action][0] == expected
    for call in ("create", "QR code", "delete", "gone"):
        assert found[call][0] == AGREES
    assert found["pairing code"][0] == SKIPPED
    assert gateway.count("create") == gateway.count("delete") == 1
    assert nothing_left(gateway)


@needs("pairing_code")
async def test_pairing_code(gateway: Gateway, options: Options) -> None:
    """With --phone-number, a pairing code is requested as well."""
    assert await run(options("--write", "--phone-number", f"+{PHONE_NUMBER}")) == 0

    assert results(options())["pairing code"] == (AGREES, "received")
    assert leaked(options().output.read_text()) == []
    assert nothing_left(gateway)


@needs("stale_links")
async def test_failure_after_a_restart(gateway: Gateway, options: Options) -> None:
    """A failure that follows a restart is seen, and what the logout makes of it."""
    assert await run(options("--write")) == 0
    assert results(options())["restart"][1].endswith("starting, then scan_qr")

    assert await run(options("--write", "--phone-number", PHONE_NUMBER)) == 0
    found = results(options())
    assert found["restart"][1] == "status starting, then failed"
    assert found["logout"][1] == "status starting, then scan_qr"


@needs("says_failed", actions=["logout"])
async def test_failure_after_a_logout(gateway: Gateway, options: Options) -> None:
    """A logout that leaves a failed instance is a difference."""
    task = asyncio.create_task(run(options("--write")))
    await until(lambda: gateway.count("restart"))
    gateway.say(gateway.statuses[State.FAILED])

    assert await task == 1
    assert results(options())["logout"] == (DIFFERS, "status failed")
    assert nothing_left(gateway)

    gateway.say(None)
    assert await run(options("--write")) == 0


@lacks("pairing_code")
async def test_no_pairing_code(gateway: Gateway, options: Options) -> None:
    """A gateway without pairing codes is not asked for one."""
    assert await run(options("--write", "--phone-number", PHONE_NUMBER)) == 0

    assert results(options())["pairing code"][0] == SKIPPED


async def test_failure_in_the_middle(gateway: Gateway, options: Options) -> None:
    """A failing call is reported, and the others are made all the same."""
    route = gateway.actions["connect"]
    gateway.fail(route, status=500)

    assert await run(options("--write")) == 1
    found = results(options())
    assert found["connect"] == (DIFFERS, "Unreachable: HTTP 500")
    assert found["gone"][0] == AGREES
    assert nothing_left(gateway)

    gateway.heal()
    assert await run(options("--write")) == 0


@pytest.mark.parametrize("times", [1, 2])
async def test_failed_deletion(gateway: Gateway, options: Options, times: int) -> None:
    """A deletion that fails is tried again, so that nothing is left behind."""
    gateway.fail("delete", status=500, times=times)

    assert await run(options("--write")) == 1
    found = results(options())
    assert found["delete"][0] == DIFFERS
    assert found["clean up"][0] == AGREES
    assert nothing_left(gateway)


async def test_impossible_deletion(gateway: Gateway, options: Options) -> None:
    """If the instance can't be deleted, its name is reported."""
    gateway.fail("delete", status=500)

    assert await run(options("--write")) == 1
    created = {one.name for one in gateway.sessions.values()} - {*NAMES}
    assert created.pop() in results(options())["clean up"][1]

    gateway.heal()
    for session in list(gateway.sessions.values()):
        if session.name not in NAMES:
            del gateway.sessions[session.id]
    assert await run(options("--write")) == 0


async def test_lost_creation(gateway: Gateway, options: Options) -> None:
    """An instance whose creation seemed to fail is deleted as well."""
    gateway.fail("create", body=b"[]", times=1)
    assert await run(options("--write")) == 1
    assert results(options())["create"][0] == DIFFERS

    gateway.fail("create", truncate=True, times=1)
    await run(options("--write"))
    assert nothing_left(gateway)


async def test_interruption(gateway: Gateway, options: Options) -> None:
    """Ctrl-C deletes the instance and keeps what is known."""
    task = asyncio.create_task(run(options("--write")))
    await until(lambda: gateway.count(gateway.actions["connect"]))
    task.cancel()

    assert await task == 1
    found = results(options())
    assert found["clean up"][0] == AGREES
    assert found["other calls"] == (DIFFERS, "interrupted")
    assert nothing_left(gateway)


async def test_no_code(gateway: Gateway, options: Options) -> None:
    """The wait for a code ends, and the reason is reported."""
    task = asyncio.create_task(run(options("--write")))
    await until(lambda: gateway.count(gateway.actions["connect"]))
    gateway.fail("one", status=503)

    assert await task == 1
    detail = "not within 60 s; last answer: Unreachable: HTTP 503"
    assert results(options())["QR code"] == (DIFFERS, detail)
    assert nothing_left(gateway)

    gateway.heal()
    assert await run(options("--write")) == 0


@needs("bound_key")
async def test_bound_key(gateway: Gateway, options: Options) -> None:
    """A key of one instance reads that instance, and creates none."""
    instance_id = next(iter(gateway.sessions))
    gateway.bound[gateway.key] = instance_id
    assert await run(options("--write")) == 1

    assert await run(options("--write", "--instance-id", instance_id)) == 0
    found = results(options())
    assert found["instances"] == (AGREES, "1 found")
    assert found["create"][0] == SKIPPED


async def test_wrong_key(gateway: Gateway, options: Options) -> None:
    """If the list can't be read, nothing is changed."""
    assert await run(options("--write", "--api-key", "wrong_key")) == 1

    found = results(options())
    assert found["instances"][0] == DIFFERS
    assert found["instances"][1].startswith("Unauthorized")
    assert "create" not in found

    assert await run(options()) == 0


async def test_rate_limit(gateway: Gateway, options: Options) -> None:
    """A call that comes too early is repeated."""
    gateway.fail("one", status=429, headers={"Retry-After": "5"}, times=1)

    assert await run(options()) == 0
    traffic = json.loads(options().output.read_text())["traffic"]
    limited = [one for one in traffic if one["status"] == 429]
    assert [one["headers"]["retry-after"] for one in limited] == ["5"]


async def test_bug(
    gateway: Gateway,
    provider_key: str,
    options: Options,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error that a provider must not raise is reported without its text."""

    async def broken(*_: object) -> None:
        raise KeyError(gateway.key)

    monkeypatch.setattr(PROVIDERS[provider_key], "server_version", broken)
    assert await run(options()) == 1
    detail = "KeyError: an error in the provider"
    assert results(options())["server version"] == (DIFFERS, detail)


@needs("plain_json")
async def test_unknown_status(gateway: Gateway, options: Options) -> None:
    """A status word that the provider doesn't know is a difference."""
    gateway.statuses = {**gateway.statuses, State.STOPPED: "hibernating"}
    for session in gateway.sessions.values():
        session.state = State.STOPPED

    assert await run(options()) == 1
    assert (DIFFERS, "unknown status hibernating") in results(options()).values()


async def test_no_secrets(
    gateway: Gateway, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the file nor the table contains a secret or personal data."""
    message = f"{NAMES[0]} of {PHONE_NUMBER}@c.us with {gateway.key} is busy"
    gateway.fail(gateway.actions["connect"], status=400, code="busy", message=message)
    ids = [session.id for session in gateway.sessions.values()]

    assert await run(options("--write", "--phone-number", PHONE_NUMBER)) == 1
    text = options().output.read_text() + capsys.readouterr().out
    assert "busy" in text
    assert leaked(text) == []
    assert [secret for secret in [*NAMES, *ids] if secret in text] == []


async def test_certificate(
    gateway: Gateway, provider_key: str, authority: Authority, options: Options
) -> None:
    """A self-signed certificate is accepted with --insecure only."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.leaf())
    other = type(gateway)()
    async with other.running(ssl=context):
        assert await run(options("--url", other.url)) == 1
        errors = json.loads(options().output.read_text())["traffic"]
        assert "Certificate" in errors[-1]["error"]

        assert await run(options("--url", other.url, "--insecure")) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--provider", "nobody"],
        ["--url", "example.com"],
        ["--url", "https://user:password@example.com"],
        ["--phone-number", PHONE_NUMBER],
        ["--write", "--phone-number", "Maria"],
        ["--output", "/nowhere/contract.json"],
    ],
)
def test_wrong_arguments(provider_key: str, arguments: list[str]) -> None:
    """Wrong arguments end with the exit code 2."""
    fixed = ["--provider", provider_key, "--url", "https://example.com"]
    with pytest.raises(SystemExit, match="2"):
        parse([*fixed, "--api-key", KEY, *arguments])


def test_key(provider_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API key may be in the environment."""
    arguments = ["--provider", provider_key, "--url", "https://example.com"]
    monkeypatch.setenv("API_KEY", KEY)
    assert parse(arguments).api_key == KEY

    monkeypatch.delenv("API_KEY")
    if PROVIDERS[provider_key].key_required:
        with pytest.raises(SystemExit, match="2"):
            parse(arguments)
    else:
        assert not parse(arguments).api_key


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ({"name": "Maria"}, {"name": "<text of 5 characters>"}),
        ({"name": OWN, "empty": ""}, {"name": OWN, "empty": ""}),
        ({"status": "WORKING"}, {"status": "WORKING"}),
        ({"status": "Call 4915112345678"}, {"status": "<text of 18 characters>"}),
        (
            {"status": KEY, "type": KEY.upper()},
            dict.fromkeys(("status", "type"), "<text of 20 characters>"),
        ),
        ({"version": "2026.7.1"}, {"version": "2026.7.1"}),
        ({"expires_at": "2026-10-01T12:00:00.000Z"},) * 2,
        ({"code": "ABCD-EFGH"}, {"code": "<text of 9 characters>"}),
        ({"message": "Hello"}, {"message": "<text of 5 characters>"}),
        ({"message": "Too late", "error": True},) * 2,
        ({"success": False, "error": {"code": "not_found", "message": "No"}},) * 2,
        ({"number": 4915112345678}, {"number": "<number of 13 characters>"}),
        ({"count": 3, "open": True, "me": None, "share": 0.5},) * 2,
        ({"123@c.us": 1}, {"<key 1 of 8 characters>": 1}),
        ({"metadata": {"team": 1}}, {"metadata": {"<key 1 of 4 characters>": 1}}),
        ({KEY: 1}, {"<key 1 of 20 characters>": 1}),
        ([1] * 22, [*[1] * 20, "<2 more items>"]),
        (PICTURE, f"<text of {len(PICTURE)} characters>"),
    ],
)
def test_masked_body(body: Any, masked: Any) -> None:
    """Only structure and harmless words are kept."""
    masker = Masker(KEY, own=OWN)
    assert masker.body(json.dumps(body).encode(), failed=False) == masked


def test_masked_other_bodies() -> None:
    """Only the size is kept of what isn't JSON."""
    masker = Masker(KEY, own=OWN)
    assert masker.body(b"", failed=False) == "<no body>"
    assert masker.body(b"<html>", failed=True) == "<6 bytes that are not JSON>"
    nested = b"[" * 200_000
    assert masker.body(nested, failed=True) == "<200000 bytes that are not JSON>"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Session 'Maria's phone' isn't there", "Session … isn't there"),
        (f"Session {OWN} is there", f"Session {OWN} is there"),
        ("See https://example.com/hook?token=1 now", "See … now"),
        ("Ask 4915112345678@s.whatsapp.net or 12@lid", "Ask … or …"),
        (f"The key {KEY} is wrong", "The key … is wrong"),
        ("Bakery has no phone", "… has no phone"),
        (f"The code {NEW_CODE}x is old", "The code … is old"),
    ],
)
def test_masked_message(text: str, masked: str) -> None:
    """Messages keep their words, but no names, addresses and keys."""
    assert Masker(KEY, own=OWN, secret=("Bakery",)).message(text) == masked


def test_masked_path() -> None:
    """Paths keep the words of the gateway, but no IDs and values."""
    masker = Masker(KEY, own=OWN, secret=("bakery",))
    assert masker.path("/v1/bakery/qr") == "/v1/<text of 6 characters>/qr"
    assert masker.path(f"/api/Maria%20M/{OWN}") == f"/api/<text of 7 characters>/{OWN}"
    assert masker.path("/list?all=true&page=2") == "/list?all=true&page=2"
    code = new_pairing_code()
    assert masker.path(f"/x?code={code}") == "/x?code=<text of 8 characters>"
