"""Prepare texts for the places in Home Assistant that show them."""

from __future__ import annotations

from contextlib import contextmanager
import re
from typing import TYPE_CHECKING, Any
from unicodedata import category

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import slugify

from .const import DOMAIN, ERROR_KEYS
from .providers.models import GatewayError, MaybeSent, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from homeassistant.core import HomeAssistant

MAX_NAME = 100
MAX_SLUG = 180
"""Leaves room in an entity ID of at most 255 characters for the other parts."""
FORMAT_CHARACTER = "Cf"
"""Unicode category of marks of writing direction and the like."""
_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")


def device_name(name: str) -> str:
    """Return a name that is short enough for entity IDs.

    A wide character can become more than five characters of an entity ID.
    """
    name = name[:MAX_NAME]
    while len(slugify(name)) > MAX_SLUG:
        name = name[: len(name) * 3 // 4]
    return name


def without_invisible(text: str) -> str:
    """Return a text without format characters, which come along with copied texts."""
    return "".join(
        character for character in text if category(character) != FORMAT_CHARACTER
    )


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, without links and pictures."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


async def async_explain(hass: HomeAssistant, key: str, **placeholders: str) -> str:
    """Return the text of an exception, in the language of the server."""
    texts = await async_get_translations(
        hass, hass.config.language, "exceptions", {DOMAIN}
    )
    return texts[f"component.{DOMAIN}.exceptions.{key}.message"].format(**placeholders)


async def async_explain_error(
    hass: HomeAssistant, err: GatewayError, start_reauth: Callable[[], None]
) -> str:
    """Return the text of a gateway error; start reauth if that helps."""
    if isinstance(err, Unauthorized):
        start_reauth()
    return await async_explain(hass, ERROR_KEYS[type(err)], message=str(err))


@contextmanager
def translated_errors(start_reauth: Callable[[], None]) -> Iterator[None]:
    """Raise gateway errors translated; start reauth if the API key is rejected."""
    try:
        yield
    except GatewayError as err:
        if isinstance(err, Unauthorized):
            start_reauth()
        raise HomeAssistantError(**translation_of(err)) from err


def translation_of(err: GatewayError) -> dict[str, Any]:
    """Return the translation of an error as arguments of Home Assistant's errors."""
    return {
        "translation_domain": DOMAIN,
        "translation_key": ERROR_KEYS[type(err)],
        "translation_placeholders": {"message": str(err)},
    }


def invalid(key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error that an action is called with wrong data."""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )


def is_maybe_sent(err: object) -> bool:
    """Return whether the message may have been sent despite this error."""
    return getattr(err, "translation_key", None) == ERROR_KEYS[MaybeSent]


def failed(key: str, **placeholders: str) -> HomeAssistantError:
    """Return the error that an action can't be performed, at least now."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )
