"""Link an instance in any Home Assistant dialog, with a QR code that refreshes."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import aclosing, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, override

import voluptuous as vol

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.const import CONF_NAME, CONF_TYPE
from homeassistant.core import callback
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    AbortFlow,
    FlowHandler,
)
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN, ERROR_KEYS
from .forms import TEXT, select_one
from .pairing.engine import ONGOING, Pairing, Phase, pair
from .pairing.qr import blank
from .providers.models import (
    Closed,
    Feature,
    GatewayError,
    InstanceStatus,
    Unauthorized,
)
from .texts import escape_markdown

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE

    from .coordinator import GatewayConfigEntry, GatewayCoordinator
    from .providers.models import Instance

CONF_INSTANCE = "instance"
# all in seconds
FIRST_LOOK = 1.5
"""How long the first response waits for a QR code, which often exists already."""
LISTEN_TIME = 2.0
"""From the first response until the browser surely listens for changes."""
FETCH_TIME = 1.0
"""From announcing a change until the browser has fetched the step."""
RELOAD_TIME = 30.0
"""How long a dialog waits for an account that is being reloaded."""


class PairingFlow(FlowHandler[ConfigFlowContext, ConfigFlowResult, str]):
    """The steps from an account to a linked instance.

    A progress step shows the QR code. Its task runs until the linking ends. After each
    change it fires an event, and the browser fetches the step again. It fires only for
    a real change, because the picture disappears while the browser fetches. It never
    fires after the end: the flow no longer exists, and the browser would show an error.
    """

    entry: GatewayConfigEntry
    """The account."""
    _instance: Instance
    _pairing = Pairing(phase=Phase.WAITING)
    _task: asyncio.Task[None] | None = None
    _changed: asyncio.Event
    _closed = False
    _listening_at = 0.0
    _announced_at = 0.0
    _cancel_repeat: CALLBACK_TYPE | None = None

    @property
    def coordinator(self) -> GatewayCoordinator:
        """Return the account's present coordinator; abort if there is none."""
        if self.entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("account_unavailable")
        return self.entry.runtime_data

    @property
    def link_options(self) -> list[str]:
        """Return the menu options that are possible now."""
        coordinator = self.coordinator
        waiting = any(one.needs_link for one in coordinator.data.values())
        create = Feature.CREATE in coordinator.provider.features
        return ["link"] * waiting + ["create"] * create

    async def async_step_link(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Choose the instance to link, if there is a choice."""
        waiting = {
            one.id: one for one in self.coordinator.data.values() if one.needs_link
        }
        if not waiting:
            return self.async_abort(reason="nothing_to_do")
        if user_input is None and len(waiting) > 1:
            names = [instance.name for instance in waiting.values()]
            options = {
                key: one.name if names.count(one.name) == 1 else f"{one.name} ({key})"
                for key, one in waiting.items()
            }
            schema = {vol.Required(CONF_INSTANCE): select_one(options)}
            return self._show("link", schema)
        chosen = user_input[CONF_INSTANCE] if user_input else next(iter(waiting))
        if chosen not in waiting:
            return self.async_abort(reason="instance_gone")
        self._instance = waiting[chosen]
        return await self.async_step_pair()

    async def async_step_create(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Create an instance, then link it."""
        coordinator = self.coordinator
        provider = coordinator.provider
        errors: dict[str, str] = {}
        message = ""
        if user_input is not None and not (name := user_input[CONF_NAME].strip()):
            errors = {CONF_NAME: "name_required"}
        elif user_input is not None:
            instance_type = user_input.get(CONF_TYPE)
            try:
                self._instance = await provider.create(
                    name, instance_type=instance_type
                )
            except GatewayError as err:
                errors = {"base": error_key(coordinator, err)}
                message = str(err)
            else:
                if self._instance.linkable:
                    return await self.async_step_pair()
                return await self.async_step_finish()
        schema: dict[vol.Marker, Any] = {vol.Required(CONF_NAME): TEXT}
        if len(types := provider.instance_types) > 1:
            default = next(iter(types))
            schema[vol.Required(CONF_TYPE, default=default)] = select_one(types)
        return self._show(
            "create",
            schema,
            user_input,
            errors,
            provider=provider.name,
            message=message,
        )

    async def async_step_pair(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the QR code. A browser fetches this step again after each change."""
        # before the check: two browsers that open the step at once share one task
        empty = await self.hass.async_add_executor_job(blank)
        self._raise_if_closed()
        if first := self._task is None:
            self._pairing = Pairing(phase=Phase.WAITING)
            self._changed = asyncio.Event()
            self._listening_at = monotonic() + FIRST_LOOK + LISTEN_TIME
            # in the background: neither shutdown nor tests may wait for a person
            self._task = self.hass.async_create_background_task(
                self._async_link(self._instance.id), f"{DOMAIN} pairing"
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
                next_step_id="finish" if done else "pairing_ended"
            )
        phase = self._pairing.phase
        return self.async_show_progress(
            step_id="pair",
            progress_action=phase if phase in ONGOING else Phase.LINKING,
            description_placeholders={
                "name": escape_markdown(self._instance.name),
                "qr": _data_uri(self._pairing.png or empty),
            },
            progress_task=self._task,
        )

    async def async_step_pairing_ended(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say why the instance was not linked, and offer to try again."""
        self._async_stop_repeating()
        phase = self._pairing.phase
        if phase in {Phase.GONE, Phase.ACCOUNT_GONE}:
            await self._async_refresh()
            return self.async_abort(reason=phase)
        texts = await async_get_translations(
            self.hass, self.hass.config.language, "exceptions", {DOMAIN}
        )
        reason = texts[f"component.{DOMAIN}.exceptions.{phase}.message"]
        return self.async_show_menu(
            step_id="pairing_ended",
            menu_options=["pair", "finish"],
            description_placeholders={
                "name": escape_markdown(self._instance.name),
                "reason": reason.format(message=escape_markdown(self._pairing.message)),
            },
        )

    async def async_step_finish(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """End the dialog and say whether the instance is linked."""
        reason = await self._async_end()
        if reason != "instance_gone" and not self._instance.linkable:
            reason = "created"
        elif reason == "not_linked" and self.entry.state is ConfigEntryState.LOADED:
            self.coordinator.async_expect_disconnected(self._instance.id)
        return self.async_abort(
            reason=reason,
            description_placeholders={"name": escape_markdown(self._instance.name)},
        )

    async def _async_end(self) -> str:
        """Refresh the account, and return the reason with which the dialog ends.

        Another dialog may have linked or deleted the instance meanwhile.
        """
        self._async_stop_repeating()
        linked = self._pairing.phase is Phase.LINKED
        if self.entry.state is ConfigEntryState.LOADED:
            await self._async_refresh()
            known = self.entry.runtime_data.data.get(self._instance.id)
            if known is None:
                return "instance_gone"
            linked = linked or known.status is InstanceStatus.CONNECTED
        return "linked" if linked else "not_linked"

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
        while coordinator := await self._async_wait_for_account():
            pairings = pair(coordinator.live_code(instance_id))
            with coordinator.linking(instance_id), suppress(Closed):
                async with aclosing(pairings):
                    async for pairing in pairings:
                        self._async_show_pairing(pairing)
                rejected = self._pairing.phase is Phase.UNAUTHORIZED
                if rejected and coordinator.provider.closed:
                    # the account may have another API key by now
                    continue
                if rejected:
                    coordinator.async_start_reauth()
                return
        self._async_show_pairing(Pairing(phase=Phase.ACCOUNT_GONE))

    async def _async_wait_for_account(self) -> GatewayCoordinator | None:
        """Return the account's coordinator, None if the account is gone."""
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
    def _async_show_pairing(self, pairing: Pairing) -> None:
        self._pairing = pairing
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

    async def _async_refresh(self) -> None:
        """Show in Home Assistant what has been done."""
        if self.entry.state is ConfigEntryState.LOADED:
            await self.entry.runtime_data.async_refresh()

    def _show(
        self,
        step_id: str,
        schema: dict[vol.Marker, Any],
        values: dict[str, Any] | None = None,
        errors: dict[str, str] | None = None,
        **placeholders: str,
    ) -> ConfigFlowResult:
        """Show a form, filled in with what the user entered before."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(schema), values or {}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


def error_key(coordinator: GatewayCoordinator, err: GatewayError) -> str:
    """Return the translation key of an error; start reauth if that helps."""
    if isinstance(err, Unauthorized):
        coordinator.async_start_reauth()
    return ERROR_KEYS[type(err)]
