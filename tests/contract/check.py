"""The calls of the check, in the order in which they are made."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from custom_components.whatsapp_gateway.providers.models import (
    Action,
    CodeRejected,
    Feature,
    GatewayError,
    InstanceStatus,
    NotFound,
    RateLimited,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from custom_components.whatsapp_gateway.providers.base import Provider
    from custom_components.whatsapp_gateway.providers.capabilities import PairingCodes
    from custom_components.whatsapp_gateway.providers.models import (
        Instance,
        LinkState,
        QrCode,
    )

AGREES, DIFFERS, SKIPPED = "agrees", "differs", "skipped"
MAX_INSTANCES = 5
CLEAN_UP_ATTEMPTS = 3
# all in seconds
PATIENCE = 60.0
"""How long to wait for a code, or for the end of a deleted instance."""
INTERVAL = 3.0
"""Between two looks, so that no gateway's rate limit is reached."""
WATCH_TIME = 9.0
"""How long the status is watched after an action: a session that has started may fail
again a moment later."""


class Difference(Exception):
    """Something that the provider does not expect."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row of the table."""

    call: str
    result: str
    detail: str


class Check:
    """Make the calls and keep the results."""

    def __init__(
        self,
        new_provider: Callable[[], Provider],
        report: Callable[[Result], None],
        mask: Callable[[str], str],
    ) -> None:
        """Report each result at once; `mask` removes secrets from its detail."""
        self._new_provider = new_provider
        self._provider = new_provider()
        self._report = report
        self._mask = mask
        self.results: list[Result] = []

    @property
    def agrees(self) -> bool:
        """Whether nothing differed."""
        return all(result.result != DIFFERS for result in self.results)

    def add(self, call: str, result: str, detail: str) -> None:
        """Add a row to the table."""
        row = Result(call=call, result=result, detail=self._mask(detail))
        self.results.append(row)
        self._report(row)

    async def _step[T](
        self,
        call: str,
        ask: Callable[[], Awaitable[T]],
        describe: Callable[[T], str] = lambda _: "",
    ) -> T | None:
        """Make a call and add its result; None if it differs."""
        try:
            try:
                value = await ask()
            except RateLimited as err:
                await asyncio.sleep(err.retry_after)
                value = await ask()
            detail = describe(value)
        except Difference as err:
            self.add(call, DIFFERS, str(err))
        except GatewayError as err:
            self.add(call, DIFFERS, _error(err))
        except Exception as err:  # noqa: BLE001
            # a provider raises no other errors; the text may hold a secret
            self.add(call, DIFFERS, f"{type(err).__name__}: an error in the provider")
        else:
            self.add(call, AGREES, detail)
            return value
        return None

    async def read(self) -> bool:
        """Read what is there; return whether the list of instances could be read."""
        provider = self._provider
        await self._step(
            "server version",
            provider.server_version,
            _describe_version,
        )
        instances = await self._step("instances", provider.instances, _describe_list)
        for number, instance in enumerate((instances or [])[:MAX_INSTANCES], 1):
            await self._step(
                f"instance {number}",
                partial(provider.instance, instance.id),
                partial(_describe, instance.id),
            )
            await self._step(
                f"link state {number}",
                partial(provider.link_state, instance.id, with_code=False),
                _describe_state,
            )
        return instances is not None

    async def write(self, name: str, phone_number: str | None) -> None:
        """Create an instance, use it, and delete it whatever happens."""
        if Feature.CREATE not in self._provider.features:
            self.add("create", SKIPPED, "this API key can't create instances")
            return
        gone = None
        try:
            created = await self._step(
                "create",
                partial(self._provider.create, name),
                lambda instance: f"{name}, status {_status(instance.status)}",
            )
            if created is not None:
                await self._use(created.id, phone_number)
                delete = partial(self._provider.delete, created.id)
                await self._step("delete", delete)
                gone = await self._step("gone", partial(self._gone, created.id))
        finally:
            if gone is None:
                await self._clean_up(name)

    async def _use(self, instance_id: str, phone_number: str | None) -> None:
        provider = self._provider
        await self._act(Action.CONNECT, instance_id)
        qr = partial(provider.link_state, instance_id, with_code=True)
        await self._step(
            "QR code", partial(_wait_for, qr, lambda state: state.code), _describe_code
        )
        if (codes := provider.pairing_codes) is None:
            self.add("pairing code", SKIPPED, "not offered by this gateway")
        elif phone_number is None:
            self.add("pairing code", SKIPPED, "needs --phone-number")
        else:
            start = partial(codes.start, instance_id, phone_number)
            await self._step("start code pairing", start)
            code = partial(self._pairing_code, codes, instance_id, phone_number)
            await self._step(
                "pairing code", partial(_wait_for, code, bool), lambda _: "received"
            )
        for action in (Action.RESTART, Action.LOGOUT, Action.DISCONNECT):
            await self._act(action, instance_id)

    async def _act(self, action: Action, instance_id: str) -> None:
        """Perform an action, and watch the status after it."""
        provider = self._provider
        if action not in provider.actions:
            self.add(action, SKIPPED, "not offered by this gateway")
            return

        async def act() -> list[str]:
            await provider.perform(action, instance_id)
            return await self._watch(instance_id)

        def describe(seen: list[str]) -> str:
            detail = f"status {', then '.join(seen)}"
            if action is Action.LOGOUT and seen[-1] is InstanceStatus.FAILED:
                # a logout is what helps an instance that fails after each start
                raise Difference(detail)
            return detail

        await self._step(action, act, describe)

    async def _watch(self, instance_id: str) -> list[str]:
        """Return the statuses of an instance in the next seconds, without repeats."""
        seen: list[str] = []
        deadline = monotonic() + WATCH_TIME
        while True:
            state = await self._provider.link_state(instance_id, with_code=False)
            if (status := _status(state.status)) not in seen[-1:]:
                seen.append(status)
            if monotonic() >= deadline:
                return seen
            await asyncio.sleep(INTERVAL)

    async def _pairing_code(
        self, codes: PairingCodes, instance_id: str, phone_number: str
    ) -> str | None:
        """Return the pairing code; asked for only while the instance waits for it."""
        state = await self._provider.link_state(instance_id, with_code=False)
        if state.status is not InstanceStatus.SCAN_QR:
            return None
        return await codes.code(instance_id, phone_number)

    async def _gone(self, instance_id: str) -> bool:
        """Wait until a client that knows nothing of the deletion finds no instance."""
        provider = self._new_provider()

        async def gone() -> bool:
            ids = {instance.id for instance in await provider.instances()}
            return instance_id not in ids

        await _wait_for(gone, bool)
        with suppress(NotFound):
            await provider.instance(instance_id)
            raise Difference("not listed any more, but can still be read")
        return True

    async def _clean_up(self, name: str) -> None:
        """Delete what an interrupted or failed check has left behind."""
        for _ in range(CLEAN_UP_ATTEMPTS):
            # the gateway may still be busy with the call that failed
            await asyncio.sleep(INTERVAL)
            provider = self._new_provider()
            with suppress(GatewayError):
                for instance in await provider.instances():
                    if instance.name == name:
                        with suppress(NotFound):
                            await provider.delete(instance.id)
                self.add("clean up", AGREES, f"no instance {name} is left")
                return
        self.add("clean up", DIFFERS, f"failed: delete the instance {name} yourself")


async def _wait_for[T](
    ask: Callable[[], Awaitable[T]], found: Callable[[T], object]
) -> T:
    """Ask until something is found."""
    deadline = monotonic() + PATIENCE
    while True:
        try:
            value = await ask()
        except (CodeRejected, RateLimited, Unreachable) as err:
            last = f"; last answer: {_error(err)}"
        else:
            if found(value):
                return value
            last = ""
        if monotonic() > deadline:
            raise Difference(f"not within {PATIENCE:.0f} s{last}")
        await asyncio.sleep(INTERVAL)


def _error(err: GatewayError) -> str:
    return f"{type(err).__name__}: {err}"


def _status(status: InstanceStatus | None, word: str = "") -> str:
    if status is None:
        raise Difference(f"unknown status {word}".rstrip())
    return status


def _describe_version(version: str | None) -> str:
    return version or "not reported"


def _describe_list(instances: list[Instance]) -> str:
    for instance in instances:
        _status(instance.status, instance.raw_status)
    return f"{len(instances)} found"


def _describe(instance_id: str, instance: Instance) -> str:
    if instance.id != instance_id:
        raise Difference("the answer has another ID")
    return f"status {_status(instance.status, instance.raw_status)}"


def _describe_state(state: LinkState) -> str:
    return f"status {_status(state.status)}"


def _describe_code(state: LinkState) -> str:
    code: QrCode | None = state.code
    assert code is not None
    form = f"a text of {len(code.raw)} characters" if code.raw else "a picture"
    expiry = "" if code.lifetime is None else f", expires in {code.lifetime:.0f} s"
    return f"{form}{expiry}"
