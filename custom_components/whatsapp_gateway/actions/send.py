"""The action that sends messages."""

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
from homeassistant.exceptions import HomeAssistantError

from ..messages.media import (
    async_load_file,
    async_load_media_source,
    async_load_url,
    for_gateway,
    send_as,
)
from ..messages.media_view import MEDIA_VIEW
from ..messages.replies import SkipReason
from ..providers.models import Feature
from ..texts import async_explain, failed, invalid
from .calls import (
    async_check_control,
    destinations_by_address,
    destinations_by_entity,
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
    check_content,
    check_features,
    mentioned,
    message_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse

    from ..messages.sent import Sending
    from ..providers.messages import Media, OutgoingMessage, SentMessage
    from .calls import Destination

_LOGGER = logging.getLogger(__name__)


async def async_send_message(call: ServiceCall) -> ServiceResponse:
    """Send a message to all recipients, then raise if some of them don't get it."""
    await async_check_control(call)
    destinations = _destinations(call.hass, call.data)
    check_content(call.data)
    mentions = mentioned(call.data, call.hass.config.country)
    for destination in destinations:
        check_features(destination.account.provider, call.data)
    media = await _async_load_media(call.hass, call.data, destinations)
    message = message_of(call.data, media, mentions)
    send = _async_reply if call.data[ATTR_AUTOMATIC_REPLY] else _async_send
    results = await asyncio.gather(
        *(send(destination, message) for destination in destinations)
    )
    failures: list[str] = []
    messages: list[Any] = []
    for destination, result in zip(destinations, results, strict=True):
        if isinstance(result, HomeAssistantError):
            reason = await async_reason(call.hass, result)
            failures.append(f"{destination.name}: {reason}")
        else:
            messages.append(_outcome(destination, result))
    if failures:
        raise failed("not_sent", failures=" ".join(failures))
    return {"messages": messages}


def _destinations(hass: HomeAssistant, data: Mapping[str, Any]) -> list[Destination]:
    """Return where the message goes to; raise if that isn't clear."""
    entity_ids, device_id = data.get(ATTR_ENTITY_ID), data.get(ATTR_DEVICE_ID)
    addresses = data.get(ATTR_TO)
    if entity_ids and not device_id and not addresses:
        return destinations_by_entity(hass, entity_ids)
    if device_id and addresses and not entity_ids:
        return destinations_by_address(hass, device_id, addresses)
    raise invalid("recipient_required")


async def _async_load_media(
    hass: HomeAssistant, data: Mapping[str, Any], destinations: list[Destination]
) -> Media | None:
    """Return the file of the message, None if it has none."""
    takes_content = [
        Feature.MEDIA_CONTENT in destination.account.provider.features
        for destination in destinations
    ]
    if ATTR_URL in data:
        media = await async_load_url(hass, data[ATTR_URL], download=any(takes_content))
    elif ATTR_FILE in data or ATTR_MEDIA in data:
        if not all(takes_content):
            # raises if a gateway couldn't fetch the file
            hass.data[MEDIA_VIEW].async_base_url()
        if ATTR_FILE in data:
            media = await async_load_file(hass, data[ATTR_FILE])
        else:
            media_id = data[ATTR_MEDIA][ATTR_MEDIA_CONTENT_ID]
            media = await async_load_media_source(hass, media_id)
    else:
        return None
    return send_as(media, data[ATTR_SEND_AS], data.get(ATTR_FILENAME))


def _outcome(
    destination: Destination, result: SentMessage | SkipReason
) -> dict[str, str | None]:
    """Return what the response tells of one message."""
    entity_id = {"entity_id": destination.entity_id} if destination.entity_id else {}
    if isinstance(result, SkipReason):
        skipped = {"message_id": None, "skipped": result}
        return {**entity_id, "to": destination.chat_id, **skipped}
    return {**entity_id, "to": result.chat_id, "message_id": result.id}


async def _async_reply(
    destination: Destination, message: OutgoingMessage
) -> SentMessage | SkipReason | HomeAssistantError:
    """Send an automatic reply to one recipient, unless that could go on forever."""
    account = destination.account
    result = await account.memory.replies.async_send(
        (account.entry.entry_id, destination.instance_id),
        destination.chat_id,
        message,
        partial(_async_send, destination, message),
    )
    if isinstance(result, SkipReason):
        title = account.entry.title
        _LOGGER.debug("%s: automatic reply skipped: %s", title, result)
    return result


async def _async_send(
    destination: Destination,
    message: OutgoingMessage,
    started: Callable[[Sending], None] = lambda _: None,
) -> SentMessage | HomeAssistantError:
    """Send a message to one recipient; return what was sent or what went wrong."""
    account = destination.account
    features, view = account.provider.features, account.hass.data[MEDIA_VIEW]
    return await async_send(
        destination, lambda: for_gateway(message, features, view), started
    )


async def async_send(
    destination: Destination,
    build: Callable[[], OutgoingMessage],
    started: Callable[[Sending], None] = lambda _: None,
) -> SentMessage | HomeAssistantError:
    """Send what is built just before; return what was sent or what went wrong."""
    account = destination.account
    try:
        sent = await account.outbox.async_send(
            destination.instance_id,
            destination.chat_id,
            build,
            to_check=destination.to_check,
            started=started,
        )
    except HomeAssistantError as err:
        return err
    if destination.entity_id:
        entity = account.hass.data[DATA_COMPONENT].get_entity(destination.entity_id)
        # the state is the time of the last message, with Home Assistant 2026.5 or newer
        # and unless the entity is disabled
        if record := getattr(entity, "_async_record_notification", None):
            record()
    return sent


async def async_reason(hass: HomeAssistant, err: HomeAssistantError) -> str:
    """Return the text of an error, in the language of the server."""
    placeholders = err.translation_placeholders or {}
    return await async_explain(hass, str(err.translation_key), **placeholders)
