"""Link an instance inside any Home Assistant flow, with a code that renews itself."""

from __future__ import annotations

from abc import abstractmethod
from base64 import b64encode
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import voluptuous as vol

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.const import CONF_NAME, CONF_TYPE
from homeassistant.data_entry_flow import FlowHandler
from homeassistant.helpers.selector import SelectOptionDict

from .const import DOMAIN, ERROR_KEYS
from .forms import TEXT, select_one
from .pairing import ONGOING, Pairing, Phase, pair
from .providers.models import GatewayError, Unauthorized
from .providers.shared import outcome_of, shared_task

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator
    from contextlib import AbstractContextManager

    from .coordinator import GatewayConfigEntry, GatewayCoordinator
    from .providers.base import Provider
    from .providers.models import Instance

CONF_INSTANCE = "instance"
CONF_NEXT = "next"
TRY_AGAIN = "try_again"
FINISH = "finish"


class PairingFlow(FlowHandler[ConfigFlowContext, ConfigFlowResult, str]):
    """The steps from an account to a linked instance.

    A progress step shows the code. Its task ends when what is on screen has to
    change; Home Assistant then runs the step again, which starts the next task.
    """

    entry: GatewayConfigEntry | None = None
    """The account, once it is added."""
    provider: Provider
    instances: list[Instance]
    _instance: Instance
    _pairing = Pairing(phase=Phase.WAITING)
    _pairings: AsyncGenerator[Pairing]
    _next: asyncio.Task[Pairing] | None = None
    _creation: asyncio.Task[Instance] | None = None

    @abstractmethod
    async def async_step_finish(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """End the flow, whether an instance has been linked or not."""

    @property
    def coordinator(self) -> GatewayCoordinator | None:
        """Of the account, while it is set up."""
        if self.entry and self.entry.state is ConfigEntryState.LOADED:
            return self.entry.runtime_data
        return None

    @property
    def linked(self) -> bool:
        """Whether the pairing has come to its good end."""
        return self._pairing.phase is Phase.LINKED

    async def async_step_link(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Choose the instance to link, if there is a choice."""
        waiting = {one.id: one for one in self.instances if one.awaits_link}
        if user_input is None and len(waiting) > 1:
            options = [
                SelectOptionDict(value=one.id, label=one.name)
                for one in waiting.values()
            ]
            return self._show(
                "link", {vol.Required(CONF_INSTANCE): select_one(options)}
            )
        chosen = user_input[CONF_INSTANCE] if user_input else next(iter(waiting))
        self._instance = waiting[chosen]
        return await self.async_step_pair()

    async def async_step_create(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Create an instance, then link it."""
        errors: dict[str, str] = {}
        message = ""
        if user_input is not None and not (name := user_input[CONF_NAME].strip()):
            errors = {CONF_NAME: "name_required"}
        elif user_input is not None:
            try:
                self._instance = await self._create(name, user_input.get(CONF_TYPE))
            except GatewayError as err:
                errors, message = {"base": self._error_key(err)}, str(err)
            else:
                self.instances = [*self.instances, self._instance]
                if self._instance.linkable:
                    return await self.async_step_pair()
                return await self.async_step_finish()
        schema: dict[vol.Marker, Any] = {vol.Required(CONF_NAME): TEXT}
        if types := list(self.provider.instance_types):
            selector = select_one(types, "instance_type")
            schema[vol.Required(CONF_TYPE, default=types[0])] = selector
        return self._show(
            "create",
            schema,
            user_input,
            errors,
            provider=self.provider.name,
            message=message,
        )

    async def _create(self, name: str, instance_type: str | None) -> Instance:
        """Create one instance, also for a form that is submitted twice at once."""
        if self._creation is None:
            self._creation = shared_task(
                self.provider.create_once(
                    name,
                    known={one.id for one in self.instances},
                    instance_type=instance_type,
                )
            )
        try:
            return await outcome_of(self._creation)
        except GatewayError:
            self._creation = None
            raise

    async def async_step_pair(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the code, the next code, and so on. Runs at every look of a browser."""
        if self._next is None:
            if self.coordinator:
                # it may have got another key
                self.provider = self.coordinator.provider
            self._pairing = Pairing(phase=Phase.WAITING)
            self._pairings = self._follow()
            self._wait_for_next()
        elif self._next.done():
            self._pairing = self._next.result()
            if self._pairing.phase not in ONGOING:
                self._next = None
                await self._pairings.aclose()
                if self._pairing.phase is Phase.UNAUTHORIZED:
                    self._ask_for_key()
                return self.async_show_progress_done(
                    next_step_id="finish" if self.linked else "pairing_ended"
                )
            self._wait_for_next()
        return self.async_show_progress(
            step_id="pair",
            progress_action=self._pairing.phase,
            description_placeholders={
                "name": self._instance.name,
                "qr": _data_uri(self._pairing.png),
            },
            progress_task=self._next,
        )

    async def async_step_pairing_ended(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say why it was not linked, and offer another round."""
        if user_input is None:
            options = [TRY_AGAIN, FINISH]
            return self._show(
                "pairing_ended",
                {
                    vol.Required(CONF_NEXT, default=TRY_AGAIN): select_one(
                        options, "pairing_ended"
                    )
                },
                errors={"base": self._pairing.phase},
                name=self._instance.name,
                message=self._pairing.message,
            )
        if user_input[CONF_NEXT] == TRY_AGAIN:
            return await self.async_step_pair()
        return await self.async_step_finish()

    async def _follow(self) -> AsyncGenerator[Pairing]:
        """Follow the pairing, of which the account knows so long."""
        linking: AbstractContextManager[None] = nullcontext()
        if self.coordinator:
            linking = self.coordinator.linking(self._instance.id)
        with linking:
            async for pairing in pair(self.provider, self._instance.id):
                yield pairing

    def _error_key(self, err: GatewayError) -> str:
        """Return what an error is called; ask for a new key where that helps."""
        if isinstance(err, Unauthorized):
            self._ask_for_key()
        return ERROR_KEYS[type(err)]

    def _ask_for_key(self) -> None:
        if self.entry:
            self.entry.async_start_reauth(self.hass)

    async def _async_refresh(self) -> None:
        """Let the account show what has been done."""
        if self.coordinator:
            await self.coordinator.async_refresh()

    def _wait_for_next(self) -> None:
        # in the background: neither shutdown nor tests may wait for a person
        self._next = self.hass.async_create_background_task(
            anext(self._pairings), f"{DOMAIN} pairing"
        )

    def _show(
        self,
        step_id: str,
        schema: dict[vol.Marker, Any],
        values: dict[str, Any] | None = None,
        errors: dict[str, str] | None = None,
        **placeholders: str,
    ) -> ConfigFlowResult:
        """Show a form, filled in with what the person gave before."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(schema), values or {}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )


def _data_uri(png: bytes | None) -> str:
    return f"data:image/png;base64,{b64encode(png or b'').decode()}"
