"""The Configure menu of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import voluptuous as vol

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.network import NoURLAvailableError

from ..const import CONF_RECEIVE, CONF_WEBHOOK, Receive
from ..providers.models import Feature, GatewayError
from ..texts import escape_markdown
from .forms import BOOLEAN, RECEIVE
from .link import LinkFlow

if TYPE_CHECKING:
    from ..push.webhook import Webhook


class GatewayOptionsFlow(LinkFlow, OptionsFlow):
    """Link an instance, create one, or let the gateway report changes and messages."""

    async def async_step_init(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer what is possible now; a single option needs no menu."""
        self.entry = self.config_entry
        provider = self.account.provider
        options = [
            *self.link_options,
            *["webhook"] * (provider.webhooks is not None),
            *["messages"] * (Feature.RECEIVING in provider.features),
        ]
        if len(options) > 1:
            return self.async_show_menu(step_id="init", menu_options=options)
        # that step says that there is nothing to do
        option = options[0] if options else "link"
        step: ConfigFlowResult = await getattr(self, f"async_step_{option}")()
        return step

    async def async_step_messages(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Choose whose messages are received."""
        account, errors = self.account, {}
        receive = present = account.inbox.receive
        if user_input is not None:
            receive = Receive(user_input[CONF_RECEIVE])
            if receive is present:
                return self.async_create_entry(data=self.entry.options)
            if account.can_report_messages or receive is Receive.NO:
                options = {**self.entry.options, CONF_RECEIVE: receive}
                entries = self.hass.config_entries
                # the reload may start before the end of this dialog stores them
                entries.async_update_entry(self.entry, options=options)
                entries.async_schedule_reload(self.entry.entry_id)
                return self.async_create_entry(data=options)
            errors = {CONF_RECEIVE: "webhook_required"}
        return self._show(
            "messages",
            {vol.Required(CONF_RECEIVE): RECEIVE},
            {CONF_RECEIVE: receive},
            errors,
            provider=account.provider.name,
        )

    async def async_step_webhook(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the gateway call Home Assistant when an instance changes, or not."""
        account = self.account
        webhook = account.webhook
        error, message, names = "", "", ""
        # this step is only offered if the gateway has webhooks
        if webhook is not None and user_input is not None:
            on, in_use = user_input[CONF_WEBHOOK], set[str]()
            try:
                in_use = await self._async_turn_webhook(webhook, on=on)
            except NoURLAvailableError:
                error = "no_internal_url" if webhook.is_local else "no_external_url"
            except GatewayError as err:
                error = "gateway_error"
                message = await account.async_explain(err)
            instances = account.coordinator.data.values()
            used = (instance.name for instance in instances if instance.id in in_use)
            names = escape_markdown(", ".join(sorted(used)))
            if not error and webhook.is_on is on:
                if not in_use:
                    return self.async_create_entry(data=self.entry.options)
                return self.async_abort(
                    reason="partly_reported", description_placeholders={"names": names}
                )
            error = error or ("webhook_in_use" if in_use else "webhook_needed")
        return self._show(
            "webhook",
            {vol.Required(CONF_WEBHOOK): BOOLEAN},
            user_input or {CONF_WEBHOOK: webhook is not None and webhook.is_on},
            {"base": error} if error else {},
            provider=account.provider.name,
            message=message,
            names=names,
        )

    async def _async_turn_webhook(self, webhook: Webhook, *, on: bool) -> set[str]:
        """Turn the webhook on, or off unless messages need it.

        Returns the IDs of instances whose webhook other software uses.
        """
        account = self.account
        if on and not webhook.is_on:
            return await webhook.async_turn_on()
        receives = account.inbox.receive is not Receive.NO
        needed = account.stream is None and receives
        if webhook.is_on and not on and not needed:
            await webhook.async_turn_off()
        return set()
