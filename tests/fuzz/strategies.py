"""What a gateway might answer: any JSON, its document gone wrong, any bytes."""

from __future__ import annotations

import json
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hypothesis import strategies as st

from custom_components.whatsapp_gateway.providers.message_types import (
    COMPANIONS,
    SHOWN,
    WRAPPERS,
)
from custom_components.whatsapp_gateway.providers.message_types import (
    WORDS as TYPE_WORDS,
)

from .assertions import API_KEY, NUMBER, PICTURE, RAW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    type Mutation = Callable[[st.DrawFn, Any], Any]

FIXTURES = Path(__file__).parents[1] / "fixtures"
DOCUMENTS = {path: json.loads(path.read_text()) for path in FIXTURES.glob("*/*.json")}
LISTS = [document for path, document in DOCUMENTS.items() if path.stem == "list"]


def parts(value: Any) -> Iterator[Any]:
    """Return a value and all that is in it."""
    yield value
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for child in children:
            yield from parts(child)


_PARTS = [part for document in DOCUMENTS.values() for part in parts(document)]
WORDS = sorted(
    {key for part in _PARTS if isinstance(part, dict) for key in part}
    | {"items", "success", "error", "code", "message"}
    | {"total", "page", "limit", "totalPages"}
    | {*SHOWN, *WRAPPERS, *COMPANIONS, "message", "contextInfo", "mentionedJid"}
    | {"participantAlt", "remoteJidAlt", "senderPn", "pn", "albumMessage"}
)
VALUES = sorted(
    {part for part in _PARTS if isinstance(part, str)}
    | {"created", "scan_qr", "failed", "pending", "qr", "connecting", "cloud_api"}
    | {"no_qr", "rate_limited", "channel_scoped_key", "3", "-1", "nan", "1e999"}
    | {*TYPE_WORDS, "1@hosted", "2@hosted.lid", "3@broadcast", "status@broadcast"}
)


def _grouped(text: str) -> str:
    """Write as phone numbers are written."""
    return f"+{text[:2]} ({text[2:4]}) {text[4:9]}-{text[9:]}"


SECRETS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "Bearer ", "No: ", "x" * 190, "no " * 63, "\n\0"]),
    st.sampled_from([API_KEY, RAW, NUMBER, PICTURE]).flatmap(
        lambda secret: st.sampled_from(
            [
                secret,
                quote(secret, safe=""),
                secret.upper(),
                json.dumps(secret),
                secret[:19],
            ]
        )
    )
    | st.just(_grouped(NUMBER)),
    st.sampled_from(["", " is refused", ",", "y" * 300]),
)
ANY_CHARACTER = st.characters(exclude_categories=())
TEXTS = st.one_of(
    st.text(ANY_CHARACTER),
    st.text(ANY_CHARACTER, min_size=1, max_size=4).map(lambda text: text * 2000),
    st.sampled_from(VALUES),
    st.integers(min_value=0).map(str),
    st.integers(min_value=1, max_value=9).map(lambda digit: str(digit) * 400),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]),
    SECRETS,
)
KEYS = st.one_of(*[st.sampled_from(WORDS)] * 2, st.text(ANY_CHARACTER), SECRETS)
NUMBERS = st.one_of(
    st.integers(), st.integers(-2, 120), st.floats(), st.just(10**400), st.just(2**53)
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)
    ),
    max_leaves=12,
)


def _delete(draw: st.DrawFn, value: Any) -> Any:
    if not value or not isinstance(value, dict | list):
        return None
    if isinstance(value, list):
        return value[: draw(st.integers(0, len(value) - 1))]
    gone = draw(st.sampled_from(sorted(value)))
    return {key: child for key, child in value.items() if key != gone}


def _double(draw: st.DrawFn, value: Any) -> Any:
    return value * 2 if isinstance(value, list | str) else [value, value]


def _rename(draw: st.DrawFn, value: Any) -> Any:
    if not value or not isinstance(value, dict):
        return {draw(KEYS): value}
    old, new = draw(st.sampled_from(sorted(value))), draw(KEYS)
    return {new if key == old else key: child for key, child in value.items()}


def _add(draw: st.DrawFn, value: Any) -> Any:
    key, more = draw(KEYS), draw(JSON)
    return value | {key: more} if isinstance(value, dict) else [value, more]


def _cut(draw: st.DrawFn, value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[: draw(st.integers(0, 40))]


def _unwrap(draw: st.DrawFn, value: Any) -> Any:
    return value.get("data", value) if isinstance(value, dict) else value


def _wrap(draw: st.DrawFn, value: Any) -> Any:
    value = _unwrap(draw, value)
    counts = st.integers(0, 3) | JSON
    page = {"items": value} | draw(
        st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("total", "page", "limit", "totalPages"), counts)
        )
    )
    success = draw(st.booleans() | LEAVES)
    error = {"code": draw(TEXTS), "message": draw(SECRETS | TEXTS), "details": None}
    return draw(
        st.sampled_from(
            [
                page,
                {"data": value},
                {"data": page},
                {"success": success, "data": value, "meta": {}},
                {"success": success, "data": value, "error": error},
                {"success": success, "error": error, "meta": {}},
                {"error": error, "request_id": "1"},
            ]
        )
    )


MUTATIONS: list[Mutation] = [
    lambda draw, _: draw(JSON),
    lambda draw, _: draw(LEAVES),
    *(_delete, _double, _rename, _add, _cut, _wrap, _unwrap),
]


@st.composite
def mutated(draw: st.DrawFn, documents: list[Any], *, enveloped: bool = True) -> Any:
    """Return a document's answer, maybe in another envelope, with up to 3 faults."""

    def mutate(value: Any, depth: int) -> Any:
        if not value or not isinstance(value, dict | list) or not depth:
            return draw(st.sampled_from(MUTATIONS))(draw, value)
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        key = draw(st.sampled_from(keys))
        changed = value.copy()
        changed[key] = mutate(value[key], depth - 1)
        return changed

    value = draw(st.sampled_from(documents))
    if enveloped and draw(st.booleans()):
        value = _wrap(draw, value)
    for _ in range(draw(st.integers(0, 3))):
        value = mutate(value, draw(st.integers(0, 3)))
    return value


def _damaged(body: bytes) -> st.SearchStrategy[bytes]:
    """Return a body that something happened to on its way."""
    places = st.integers(0, len(body))
    return st.one_of(
        st.just(b"\xef\xbb\xbf" + body),
        st.just(body + body),
        st.just(b'{"data": [], "success": true, "data": ' + body + b"}"),
        st.integers(1, 50_000).map(lambda depth: b"[" * depth + body + b"]" * depth),
        st.integers(1, 50_000).map(lambda depth: b'{"data":' * depth + body),
        places.map(lambda end: body[:end]),
        st.builds(
            lambda place, other: body[:place] + other + body[place + 1 :],
            places,
            st.binary(max_size=3),
        ),
    )


def bodies(documents: list[Any]) -> st.SearchStrategy[bytes]:
    """Return bodies: three of four are JSON, and half of all like a document."""
    like = mutated(documents)
    written = st.builds(
        lambda value, escaped: json.dumps(value, ensure_ascii=escaped).encode(
            "utf-8", "surrogatepass"
        ),
        st.one_of(JSON, like, like),
        st.booleans(),
    )
    return st.one_of(*[written] * 3, st.binary() | written.flatmap(_damaged))


def reports(documents: list[Any]) -> st.SearchStrategy[bytes]:
    """Return bodies of events, two of three of which are almost right."""
    like = mutated(documents, enveloped=False).map(
        lambda value: json.dumps(value).encode()
    )
    return st.one_of(like, like, bodies(documents))


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Retry-After",
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset",
        ]
    ),
    # what no server can send
    TEXTS.map(lambda text: re.sub(r"[\0-\x1f\x7f\ud800-\udfff]", "", text)[:1000]),
)
STATUSES = st.one_of(
    *[st.just(200)] * 3,
    st.integers(200, 599),
    st.sampled_from([204, 206, 400, 401, 403, 404, 409, 422, 429, 502]),
)


def answers(documents: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return answers, as the faults of a simulated gateway."""
    return st.fixed_dictionaries(
        {
            "body": bodies(documents),
            "status": STATUSES,
            "headers": st.just({}) | HEADERS,
        }
    )


ANY_ANSWER = answers(list(DOCUMENTS.values()))
