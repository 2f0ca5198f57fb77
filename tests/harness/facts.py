"""Choose gateways by what they can do, never by their name.

The facts are class variables of the simulated gateways (`tests/gateways/server.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from custom_components.whatsapp_gateway.providers import PROVIDERS
from tests.gateways import GATEWAYS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.gateways import Gateway

SUPPORTED = {key: kind for key, kind in GATEWAYS.items() if key in PROVIDERS}
"""The simulated gateways that the integration has a provider for."""
ROUTES = {
    key: [route.kwargs["name"] for route in kind().routes()]
    for key, kind in SUPPORTED.items()
}
"""Names of the routes of each gateway."""


def needs(*features: str, actions: Iterable[str] = ()) -> pytest.MarkDecorator:
    """Run a test only for gateways that have all these features and actions."""
    return _for_each(
        kind
        for kind in SUPPORTED.values()
        if kind.has(*features) and kind.actions.keys() >= {*actions}
    )


def lacks(*features: str) -> pytest.MarkDecorator:
    """Run a test only for gateways that have none of these features."""
    return _for_each(
        kind
        for kind in SUPPORTED.values()
        if not any(kind.has(feature) for feature in features)
    )


def offers(*actions: str) -> pytest.MarkDecorator:
    """Run a test only for gateways that have all these actions."""
    return _for_each(
        kind for kind in SUPPORTED.values() if kind.actions.keys() >= {*actions}
    )


def _for_each(kinds: Iterable[type[Gateway]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("provider_key", [kind.provider for kind in kinds])


def any_gateway() -> type[Gateway]:
    """Return one of the gateways, for a test that is about none in particular."""
    return next(iter(SUPPORTED.values()))


def with_and_without(feature: str) -> list[str]:
    """Return the key of one gateway that has a feature, and of one that lacks it."""
    by_fact = {kind.has(feature): key for key, kind in reversed(SUPPORTED.items())}
    return [by_fact[True], by_fact[False]]
