"""Actions to send messages and to list chats."""

from __future__ import annotations

import asyncio
from functools import partial
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.components.notify import DATA_COMPONENT
from homeassistant.const import (
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
)
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN
from ..messages.media import (
    async_load_file,
    async_load_media_source,
    async_load_url,
    for_gateway,
    send_as,
)
from ..messages.replies import SkipReason
from ..providers.models import Feature
from ..texts import async_explain, failed, invalid
from .calls import (
    DEVICE_SCHEMA,
    async_check_control,
    instance_of,
    targets_by_address,
    targets_by_entity,
)
from .fields import (
    ATTR_AUTOMATIC_REPLY,
    ATTR_FILE,
    ATTR_FILENAME,
    ATTR_MEDIA,
    ATTR_MEDIA_CONTENT_ID,
    ATTR_SEND_AS,
    ATTR_TO,
    ATTR_URL,
    SEND_SCHEMA,
    check_content,
    check_features,
    mentioned,
    message_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..messages.media_view import MediaView
    from ..messages.sent import Sending
    from ..providers.messages import Media, OutgoingMessage, SentMessage
    from .calls import Target

_LOGGER = logging.getLogger(__name__)


@callback
def async_setup_message_services(hass: HomeAssistant, view: MediaView) -> None:
    """Register the actions."""
    hass.services.async_register(
        DOMAIN,
        "send_message",
        partial(_async_send_message, view),
        SEND_SCHEMA,
        SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN, "list_chats", _async_list_chats, DEVICE_SCHEMA, SupportsResponse.ONLY
    )


async def _async_list_chats(call: ServiceCall) -> ServiceResponse:
    """Return the groups and contacts of an instance, sorted by name."""
    await async_check_control(call)
    coordinator, instance = instance_of(call.hass, call.data[ATTR_DEVICE_ID])
    provider = coordinator.provider
    if Feature.CHATS not in provider.features:
        raise invalid("no_chats", provider=provider.name)
    with coordinator.translated_errors():
        chats = await provider.chats(instance.id)
    chats.sort(key=lambda chat: ((chat.name or "").casefold(), chat.id))
    return {
        "chats": [
            {
                "id": chat.id,
                "name": chat.name,
                "type": "group" if chat.is_group else "contact",
            }
            for chat in chats
        ]
    }


async def _async_send_message(view: MediaView, call: ServiceCall) -> ServiceResponse:
    """Send a message to all recipients, then raise if some of them don't get it."""
    await async_check_control(call)
    targets = _targets(call.hass, call.data)
    check_content(call.data)
    mentions = mentioned(call.data, call.hass.config.country)
    for target in targets:
        check_features(target.coordinator.provider, call.data)
    media = await _async_load_media(view, call.hass, call.data, targets)
    message = message_of(call.data, media, mentions)
    send = _async_reply if call.data[ATTR_AUTOMATIC_REPLY] else _async_send
    results = await asyncio.gather(*(send(view, target, message) for target in targets))
    failures = [
        f"{target.name}: {await async_reason(call.hass, result)}"
        for target, result in zip(targets, results, strict=True)
        if isinstance(result, HomeAssistantError)
    ]
    if failures:
        raise failed("not_sent", failures=" ".join(failures))
    return {
        "messages": [
            {
                **({"entity_id": target.entity_id} if target.entity_id else {}),
                **_outcome(target, result),
            }
            for target, result in zip(targets, results, strict=True)
            if not isinstance(result, HomeAssistantError)
        ]
    }


def _targets(hass: HomeAssistant, data: Mapping[str, Any]) -> list[Target]:
    """Return where the message goes to; raise if that isn't clear."""
    entity_ids, device_id = data.get(ATTR_ENTITY_ID), data.get(ATTR_DEVICE_ID)
    addresses = data.get(ATTR_TO)
    if entity_ids and not device_id and not addresses:
        return targets_by_entity(hass, entity_ids)
    if device_id and addresses and not entity_ids:
        return targets_by_address(hass, device_id, addresses)
    raise invalid("recipient_required")


async def _async_load_media(
    view: MediaView,
    hass: HomeAssistant,
    data: Mapping[str, Any],
    targets: list[Target],
) -> Media | None:
    """Return the file of the message, None if it has none."""
    all_features = [target.coordinator.provider.features for target in targets]
    takes_content = [Feature.MEDIA_CONTENT in features for features in all_features]
    if ATTR_URL in data:
        media = await async_load_url(hass, data[ATTR_URL], download=any(takes_content))
    elif ATTR_FILE in data or ATTR_MEDIA in data:
        if not all(takes_content):
            # raises if a gateway couldn't fetch the file
            view.async_base_url()
        if ATTR_FILE in data:
            media = await async_load_file(hass, data[ATTR_FILE])
        else:
            media_id = data[ATTR_MEDIA][ATTR_MEDIA_CONTENT_ID]
            media = await async_load_media_source(hass, media_id)
    else:
        return None
    return send_as(media, data[ATTR_SEND_AS], data.get(ATTR_FILENAME))


def _outcome(target: Target, result: SentMessage | SkipReason) -> dict[str, str | None]:
    """Return what the response tells of one message."""
    if isinstance(result, SkipReason):
        return {"to": target.chat_id, "message_id": None, "skipped": result}
    return {"to": result.chat_id, "message_id": result.id}


async def _async_reply(
    view: MediaView, target: Target, message: OutgoingMessage
) -> SentMessage | SkipReason | HomeAssistantError:
    """Send an automatic reply to one recipient, unless that could go on forever."""
    coordinator = target.coordinator
    result = await coordinator.memory.replies.async_send(
        (coordinator.config_entry.entry_id, target.instance_id),
        target.chat_id,
        message,
        partial(_async_send, view, target, message),
    )
    if isinstance(result, SkipReason):
        _LOGGER.debug("%s: automatic reply skipped: %s", coordinator.name, result)
    return result


async def _async_send(
    view: MediaView,
    target: Target,
    message: OutgoingMessage,
    started: Callable[[Sending], None] = lambda _: None,
) -> SentMessage | HomeAssistantError:
    """Send a message to one recipient; return what was sent or what went wrong."""
    features = target.coordinator.provider.features
    return await async_send(
        target, lambda: for_gateway(message, features, view), started
    )


async def async_send(
    target: Target,
    build: Callable[[], OutgoingMessage],
    started: Callable[[Sending], None] = lambda _: None,
) -> SentMessage | HomeAssistantError:
    """Send what is built just before; return what was sent or what went wrong."""
    coordinator = target.coordinator
    try:
        sent = await coordinator.outbox.async_send(
            target.instance_id,
            target.chat_id,
            build,
            to_check=target.to_check,
            started=started,
        )
    except HomeAssistantError as err:
        return err
    if target.entity_id:
        entity = coordinator.hass.data[DATA_COMPONENT].get_entity(target.entity_id)
        # the state is the time of the last message, with Home Assistant 2026.5 or newer
        # and unless the entity is disabled
        if record := getattr(entity, "_async_record_notification", None):
            record()
    return sent


async def async_reason(hass: HomeAssistant, err: HomeAssistantError) -> str:
    """Return the text of an error, in the language of the server."""
    placeholders = err.translation_placeholders or {}
    return await async_explain(hass, str(err.translation_key), **placeholders)
