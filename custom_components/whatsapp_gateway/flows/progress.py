"""Show a code in a Home Assistant dialog while an instance is being linked."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import aclosing, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    AbortFlow,
    FlowHandler,
)
from homeassistant.helpers.event import async_call_later

from ..const import CONF_PROVIDER, DOMAIN
from ..pairing.drawing import blank
from ..pairing.engine import ONGOING, Pairing, Phase, pair
from ..providers import PROVIDERS
from ..providers.models import Closed
from ..texts import escape_markdown

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE

    from ..account import Account, GatewayConfigEntry
    from ..providers.base import Provider
    from ..providers.models import Instance

FIRST_LOOK = 1.5
"""Seconds that the first response waits for a QR code, which often exists already."""
LISTEN_TIME = 2.0
"""Seconds from the first response until the browser surely listens for changes."""
FETCH_TIME = 1.0
"""Seconds from announcing a change until the browser has fetched the step."""
RELOAD_TIME = 30.0
"""Seconds that a dialog waits for an account that is being reloaded."""


class LinkProgress(FlowHandler[ConfigFlowContext, ConfigFlowResult, str]):
    """The step that shows the code, and what happens behind it.

    It is a progress step. Its task runs until the linking ends. After each change it
    fires an event, and the browser fetches the step again. It fires only for a real
    change, because the picture disappears while the browser fetches. It never fires
    after the end: the flow no longer exists, and the browser would show an error.
    """

    entry: GatewayConfigEntry
    """The account."""
    _instance: Instance
    _phone_number: str | None = None
    """The phone to link by a pairing code; None: by a QR code."""
    _may_log_out = True
    """Whether an instance that fails again after its start may be logged out."""
    _dashboard_url = ""
    _pairing = Pairing(phase=Phase.WAITING)
    _task: asyncio.Task[None] | None = None
    _changed: asyncio.Event
    _closed = False
    _listening_at = 0.0
    _announced_at = 0.0
    _cancel_repeat: CALLBACK_TYPE | None = None

    @property
    def account(self) -> Account:
        """Return the account; abort if it isn't loaded."""
        if self.entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("account_unavailable")
        return self.entry.runtime_data

    @property
    def _provider_class(self) -> type[Provider]:
        return PROVIDERS[self.entry.data[CONF_PROVIDER]]

    async def async_step_link_phone(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the code. A browser fetches this step again after each change."""
        # before the check: two browsers that open the step at once share one task
        empty = await self.hass.async_add_executor_job(blank)
        self._raise_if_closed()
        if first := self._task is None:
            self._pairing = Pairing(phase=Phase.WAITING)
            self._changed = asyncio.Event()
            self._listening_at = monotonic() + FIRST_LOOK + LISTEN_TIME
            # in the background: neither shutdown nor tests may wait for a person
            self._task = self.hass.async_create_background_task(
                self._async_link(self._instance.id), f"{DOMAIN} linking"
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LOOK):
                    await self._changed.wait()
            self._async_stop_repeating()
            self._listening_at = monotonic() + LISTEN_TIME
        if self._task.done() and not first:
            self._task = None
            done = self._pairing.phase is Phase.LINKED
            return self.async_show_progress_done(
                next_step_id="finish" if done else "link_ended"
            )
        phase = self._pairing.phase
        return self.async_show_progress(
            step_id="link_phone",
            progress_action=phase if phase in ONGOING else Phase.LINKING,
            description_placeholders={
                "name": escape_markdown(self._instance.name),
                "qr": _data_uri(self._pairing.png or empty),
                "code": self._pairing.code,
                "provider": self._provider_class.name,
                "dashboard": self._dashboard_url,
            },
            progress_task=self._task,
        )

    async def _async_link(self, instance_id: str) -> None:
        """Link the instance, then wait until the browser is ready for the end.

        Home Assistant announces the end itself, once, when the progress task ends.
        """
        await self._async_follow(instance_id)
        self._async_stop_repeating()
        # twice: the first response of the step may come meanwhile
        for _ in range(2):
            ready_at = max(self._listening_at, self._announced_at + FETCH_TIME)
            await asyncio.sleep(ready_at - monotonic())

    async def _async_follow(self, instance_id: str) -> None:
        """Show each change of the linking, also across reloads of the account."""
        while account := await self._async_wait_for_account():
            self._dashboard_url = account.provider.dashboard_url or ""
            pairings = pair(
                account.qr_codes.of(instance_id, with_code=not self._phone_number),
                self._phone_number,
                may_log_out=self._may_log_out,
            )
            with account.problems.linking(instance_id), suppress(Closed):
                async with aclosing(pairings):
                    async for pairing in pairings:
                        self._async_show(pairing)
                if self._pairing.phase is not Phase.UNAUTHORIZED:
                    return
                works = await account.coordinator.async_check_key()
                if account.provider.closed:
                    # the account may have another API key by now
                    continue
                if works:
                    self._async_show(Pairing(phase=Phase.NOT_ALLOWED))
                return
        self._async_show(Pairing(phase=Phase.ACCOUNT_GONE))

    async def _async_wait_for_account(self) -> Account | None:
        """Return the account when it is loaded, None if it is gone."""
        deadline = monotonic() + RELOAD_TIME
        entry_id = self.entry.entry_id
        while monotonic() < deadline and self.hass.config_entries.async_get_entry(
            entry_id
        ):
            if self.entry.state is ConfigEntryState.LOADED:
                return self.entry.runtime_data
            await asyncio.sleep(0.2)
        return None

    @callback
    def _async_show(self, pairing: Pairing) -> None:
        self._pairing = pairing
        if pairing.phase in {Phase.SCAN, Phase.ENTER_CODE}:
            # an instance that shows codes has no link to lose
            self._may_log_out = True
        if pairing.phase is not Phase.WAITING:
            self._changed.set()
        if pairing.phase in ONGOING:
            self._async_announce()

    @callback
    def _async_announce(self, _now: datetime | None = None) -> None:
        """Ask the browser to fetch the step again.

        The flow manager does so by itself only when a progress task ends. Replace this
        by `async_notify_flow_changed`, which Home Assistant 2025.4 does not have.
        """
        self.hass.bus.async_fire(
            EVENT_DATA_ENTRY_FLOW_PROGRESSED,
            {"handler": self.handler, "flow_id": self.flow_id, "refresh": True},
        )
        self._announced_at = monotonic()
        self._async_stop_repeating()
        if self._announced_at < self._listening_at:
            self._cancel_repeat = async_call_later(
                self.hass, LISTEN_TIME, self._async_announce
            )

    @callback
    def _async_stop_repeating(self) -> None:
        if self._cancel_repeat:
            self._cancel_repeat()
            self._cancel_repeat = None

    @callback
    @override
    def async_remove(self) -> None:
        """Stop what the dialog started.

        Home Assistant cancels the task only once a step has returned it.
        """
        self._closed = True
        self._listening_at = 0.0
        self._async_stop_repeating()
        if self._task:
            self._task.cancel()

    def _raise_if_closed(self) -> None:
        """Abort a step during which the dialog was closed."""
        if self._closed:
            raise AbortFlow("account_unavailable")


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
