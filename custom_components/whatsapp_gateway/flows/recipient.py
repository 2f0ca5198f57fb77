"""Add and rename the recipients of an account."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import voluptuous as vol

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.data_entry_flow import AbortFlow

from ..const import CONF_CHAT_ID, CONF_INSTANCE_ID
from ..messages.phone_number import example_of
from ..messages.recipients import parse_chat, recipients_of, subentry_unique_id
from ..providers.messages import digits_of
from ..providers.models import GatewayError
from ..texts import escape_markdown
from .forms import TEXT, choose_or_enter, select_one

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..account import Account, GatewayConfigEntry
    from ..providers.messages import Chat
    from ..providers.models import Instance

CONF_INSTANCE = "instance"
CONF_RECIPIENT = "recipient"
MIN_DIGITS = 6
"""Names with so many digits may be phone numbers."""


class RecipientFlow(ConfigSubentryFlow):
    """Choose a group or a contact by name, or enter a phone number."""

    _instance: Instance
    _chats: dict[str, Chat]
    """Chats that the gateway lists, by their ID."""
    _listed: dict[str, str]
    """IDs of the chats in the list that is shown, by what it calls them."""
    _message = ""

    @property
    def _account(self) -> Account:
        """Return the account; abort if it isn't loaded."""
        entry: GatewayConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("account_unavailable")
        return entry.runtime_data

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Choose the instance that sends the messages; a single one is taken."""
        instances = self._account.coordinator.data
        if not instances:
            return self.async_abort(reason="no_instances")
        if user_input is None and len(instances) > 1:
            names = {instance.id: instance.name for instance in instances.values()}
            schema = vol.Schema({vol.Required(CONF_INSTANCE): select_one(names)})
            return self.async_show_form(step_id="user", data_schema=schema)
        chosen = user_input[CONF_INSTANCE] if user_input else next(iter(instances))
        if chosen not in instances:
            reason = await self._account.async_reason_missing(chosen)
            return self.async_abort(reason=reason)
        self._instance = instances[chosen]
        return await self._async_list_chats()

    async def _async_list_chats(self) -> SubentryFlowResult:
        """Go on with the gateway's list of chats, if there is one."""
        account, self._chats, self._listed = self._account, {}, {}
        if (listed := account.provider.chats) is not None:
            try:
                chats = await listed.list_chats(self._instance.id)
            except GatewayError as err:
                # a phone number can be entered without the list
                self._message = await account.async_explain(err)
                return self._show("number", errors={"base": "no_chats"})
            self._chats = {chat.id: chat for chat in chats}
        if self._chats:
            return await self.async_step_chat()
        return await self.async_step_number()

    async def async_step_chat(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Choose a chat from the list, or enter a phone number."""
        return await self._async_add("chat", user_input)

    async def async_step_number(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Enter a phone number or the ID of a group."""
        return await self._async_add("number", user_input)

    async def _async_add(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        """Add a recipient if messages can be sent to it."""
        errors = {}
        if user_input is not None:
            chat_id, error = await self._async_find(user_input[CONF_RECIPIENT])
            unique_id = subentry_unique_id(self._instance.id, chat_id)
            chat = self._chats.get(chat_id)
            name = user_input.get(CONF_NAME, "").strip() or (chat and chat.name)
            if error:
                field = "base" if error == "gateway_error" else CONF_RECIPIENT
                errors = {field: error}
            elif any(
                subentry.unique_id == unique_id
                for subentry in self._get_entry().subentries.values()
            ):
                errors = {CONF_RECIPIENT: "recipient_exists"}
            elif not name:
                errors = {CONF_NAME: "name_required"}
            else:
                data = {CONF_INSTANCE_ID: self._instance.id, CONF_CHAT_ID: chat_id}
                return self.async_create_entry(
                    title=name, data=data, unique_id=unique_id
                )
        return self._show(step_id, user_input, errors)

    async def _async_find(self, entered: str) -> tuple[str, str]:
        """Return the chat ID of a chat or phone number, or the key of an error."""
        if entered in self._listed:
            return self._listed[entered], ""
        try:
            chat_id = parse_chat(entered, self.hass.config.country)
        except ValueError:
            return "", "invalid_recipient"
        account, digits = self._account, digits_of(chat_id)
        number_check = account.provider.number_check
        if digits is None or number_check is None:
            return chat_id, ""
        try:
            person = await account.memory.checked_numbers.async_check(
                number_check, self._instance.id, digits
            )
        except GatewayError as err:
            self._message = await account.async_explain(err)
            return "", "gateway_error"
        return (person, "") if person else ("", "not_on_whatsapp")

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Rename a recipient."""
        subentry = self._get_reconfigure_subentry()
        errors = {}
        if user_input is not None:
            if name := user_input[CONF_NAME].strip():
                return self.async_update_and_abort(
                    self._get_entry(), subentry, title=name
                )
            errors = {CONF_NAME: "name_required"}
        schema = vol.Schema({vol.Required(CONF_NAME): TEXT})
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or {CONF_NAME: subentry.title}
            ),
            errors=errors,
            description_placeholders={"name": escape_markdown(subentry.title)},
        )

    def _show(
        self,
        step_id: str,
        values: dict[str, Any] | None = None,
        errors: dict[str, str] | None = None,
    ) -> SubentryFlowResult:
        """Show the form of a new recipient."""
        name = vol.Optional if step_id == "chat" else vol.Required
        present = {
            recipient.chat_id
            for recipient in recipients_of(self._get_entry())
            if recipient.instance_id == self._instance.id
        }
        chats = (chat for chat in self._chats.values() if chat.id not in present)
        country = self.hass.config.country
        self._listed = ids_by_label(chats, country)
        recipient = choose_or_enter(self._listed) if step_id == "chat" else TEXT
        schema = vol.Schema(
            {vol.Required(CONF_RECIPIENT): recipient, name(CONF_NAME): TEXT}
        )
        return self.async_show_form(
            step_id=step_id,
            # without a value the frontend would choose the first chat
            data_schema=self.add_suggested_values_to_schema(
                schema, values or {CONF_RECIPIENT: ""}
            ),
            errors=errors or {},
            description_placeholders={
                "name": escape_markdown(self._instance.name),
                "message": self._message,
                "example": example_of(country),
            },
        )


def ids_by_label(chats: Iterable[Chat], country: str | None) -> dict[str, str]:
    """Return the IDs of chats by what the list calls them, the groups first."""
    named = [
        (not chat.is_group, (chat.name or _address(chat)).casefold(), chat)
        for chat in chats
    ]
    named.sort(key=lambda item: item[:2])
    counts = Counter(text for _, text, _ in named)
    chat_ids = {}
    for _, text, chat in named:
        label = address = _address(chat)
        if name := chat.name:
            # people choose their names: "Ben (+1…)" must not hide the real Ben
            ambiguous = counts[text] > 1 or name.endswith(")")
            ambiguous |= _is_of_another(name, chat.id, country)
            label = f"{name} ({address})" if ambiguous else name
        chat_ids[label] = chat.id
    return chat_ids


def _is_of_another(name: str, chat_id: str, country: str | None) -> bool:
    """Return whether the name of a chat may be the phone number or ID of another."""
    try:
        return parse_chat(name, country) != chat_id
    except ValueError:
        # an unclear number must not select a chat that only has this number as its name
        has_letters = any(sign.isalpha() for sign in name)
        digits = sum(sign.isdecimal() for sign in name)
        return digits >= MIN_DIGITS and not has_letters


def _address(chat: Chat) -> str:
    """Return the phone number of a person, or the ID of another chat."""
    digits = digits_of(chat.id)
    return f"+{digits}" if digits else chat.id
