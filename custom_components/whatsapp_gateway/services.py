"""Register the actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.core import SupportsResponse, callback

from .actions.ask import ASK_SCHEMA, async_ask_question
from .actions.calls import DEVICE_SCHEMA
from .actions.fields import SEND_SCHEMA
from .actions.instances import (
    CREATE_SCHEMA,
    DOWNLOAD_SCHEMA,
    async_create_instance,
    async_delete_instance,
    async_download_media,
    async_list_chats,
)
from .actions.send import async_send_message
from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

ACTIONS = (
    ("ask_question", async_ask_question, ASK_SCHEMA, SupportsResponse.OPTIONAL),
    (
        "create_instance",
        async_create_instance,
        CREATE_SCHEMA,
        SupportsResponse.OPTIONAL,
    ),
    ("delete_instance", async_delete_instance, DEVICE_SCHEMA, SupportsResponse.NONE),
    (
        "download_media",
        async_download_media,
        DOWNLOAD_SCHEMA,
        SupportsResponse.OPTIONAL,
    ),
    ("list_chats", async_list_chats, DEVICE_SCHEMA, SupportsResponse.ONLY),
    ("send_message", async_send_message, SEND_SCHEMA, SupportsResponse.OPTIONAL),
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions, which are available without an account."""
    for name, perform, schema, response in ACTIONS:
        hass.services.async_register(DOMAIN, name, perform, schema, response)
