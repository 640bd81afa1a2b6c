"""What a request says of an endpoint to be registered or changed, read key by key. Pure but for new keys.

The keys are those of the file's `webhook`, and mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from ringback.core.errors import InvalidPayload, SpecError
from ringback.core.headers import header_lines
from ringback.core.keys import new_secret, new_signing_key
from ringback.core.keytext import SIGNING
from ringback.core.quantities import parse_duration, parse_rate, parse_size
from ringback.core.signing import Signer
from ringback.core.spec import BodyFormat, Endpoint, Event, Order

ALL_APIS: Final = "*"

_MOST_HEADERS: Final = 32
_MOST_HEADER_CHARACTERS: Final = 8_192
_MOST_RETRIES: Final = 100
_LONGEST_SECONDS: Final = 900.0
_LARGEST_CONCURRENCY: Final = 1_000
_SIGNATURES: Final = ("v1", "v1a")

Reader = Callable[[Any], Any]
"""From a key's value to a field's; raises ValueError with what was expected."""


# ── Values ──────────────────────────────────────────────────────────────────────────────────────


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected a text, found an empty one" if value == "" else "expected a text")
    return value


def _words(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) for each in texts):
        raise ValueError("expected a list of texts, or one text")
    return texts


def _events(value: Any) -> frozenset[Event]:
    return frozenset(_member(Event, word) for word in _words(value))


def _word(kind: type[StrEnum]) -> Reader:
    return lambda value: _member(kind, _text(value))


def _member(kind: type[StrEnum], word: str) -> Any:
    try:
        return kind(word)
    except ValueError:
        raise ValueError(f"{word[:40]!r} is none of {', '.join(kind)}") from None


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("expected an object of texts")
    if len(value) > _MOST_HEADERS or sum(len(name) + len(text) for name, text in value.items()) > (
        _MOST_HEADER_CHARACTERS
    ):
        raise ValueError(f"expected {_MOST_HEADERS} headers of {_MOST_HEADER_CHARACTERS} characters in all, at most")
    return value


def _quantity(value: Any) -> str:
    """A number, or a text with a unit, as the text that the readers of the file take."""
    match value:
        case bool():
            pass
        case str() | int() | float():
            return str(value)
    raise ValueError("expected a text with a unit, or a number")


def _timeout(value: Any) -> float:
    seconds = parse_duration(_quantity(value))
    if not 0.001 <= seconds <= _LONGEST_SECONDS:
        raise ValueError(f"expected 1ms to {_LONGEST_SECONDS:g}s, found {seconds:g}s")
    return seconds


def _retry(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) > _MOST_RETRIES:
        raise ValueError(f"expected a list of durations, {_MOST_RETRIES} at most")
    return tuple(parse_duration(_quantity(each)) for each in value)


def _concurrency(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST_CONCURRENCY:
        raise ValueError(f"expected a whole number from 1 to {_LARGEST_CONCURRENCY}")
    return value


_FIELDS: Final[Mapping[str, tuple[str, Reader]]] = {
    "events": ("events", _events),
    "format": ("format", _word(BodyFormat)),
    "headers": ("headers", _headers),
    "timeout": ("timeout_seconds", _timeout),
    "retry": ("retry_seconds", _retry),
    "concurrency": ("concurrency", _concurrency),
    "rate_limit": ("rate_per_second", lambda value: parse_rate(_text(value))),
    "inline_limit": ("inline_limit_bytes", lambda value: parse_size(_quantity(value))),
    "order": ("order", _word(Order)),
}
_DEFAULTS: Final = Endpoint(key="", url="")

CHANGE_KEYS: Final = frozenset({"url", "api", *_FIELDS})
"""What may be said of an endpoint that is registered."""
NEW_KEYS: Final = CHANGE_KEYS | {"secret", "signature"}
"""What may be said of a new one."""


# ── Keys ────────────────────────────────────────────────────────────────────────────────────────


def url_of(body: Mapping[str, Any]) -> str:
    """The URL as it was sent, which is still to be judged.

    Raises:
        InvalidPayload: there is none.
    """
    if body.get("url") is None:
        raise InvalidPayload('the key url is missing; send for example {"url": "https://example.com/hook"}')
    return str(_read("url", _text, body["url"]))


def apis_of(body: Mapping[str, Any], served: Iterable[str]) -> frozenset[str] | None:
    """The APIs that `api` names, by name; None when it is absent, null or `*`: all there are.

    Raises:
        InvalidPayload: one of them is not served.
    """
    value = body.get("api")
    if value is None:
        return None
    names = _read("api", _words, value)
    if ALL_APIS in names:
        return None
    known = frozenset(served)
    for name in names:
        if name not in known:
            told = ", ".join(sorted(known)) or "none"
            raise InvalidPayload(f"the key api: there is no API {name[:80]!r}; served are {told}, and * means all")
    return frozenset(names)


def shaped(endpoint: Endpoint, body: Mapping[str, Any]) -> Endpoint:
    """The endpoint as the body wants it; a key that is null has its default again.

    Raises:
        InvalidPayload: a value cannot be read; the message names its key.
    """
    fields: dict[str, Any] = {}
    for key, (field, reader) in _FIELDS.items():
        if key in body:
            fields[field] = getattr(_DEFAULTS, field) if body[key] is None else _read(key, reader, body[key])
    changed = replace(endpoint, **fields)
    try:
        header_lines(changed)
    except SpecError as error:
        raise InvalidPayload(f"the key headers: {error}") from None
    return changed


def secret_of(body: Mapping[str, Any], like: str | None = None) -> str:
    """The secret that the body gives, or a new one of the kind it names, or of the same kind as another.

    Raises:
        InvalidPayload: it is malformed; the message has the cure, and never the secret.
    """
    given, kind = body.get("secret"), body.get("signature")
    if kind is not None and kind not in _SIGNATURES:
        raise InvalidPayload(f"the key signature: expected {' or '.join(_SIGNATURES)}")
    if given is None:
        wants_pair = kind == "v1a" if kind is not None else (like or "").startswith(SIGNING)
        return new_signing_key() if wants_pair else new_secret()
    text = str(_read("secret", _text, given)).strip()
    try:
        Signer(text)
    except SpecError as error:
        raise InvalidPayload(f"the key secret: {error}") from None
    if kind is not None and (kind == "v1a") != text.startswith(SIGNING):
        raise InvalidPayload(f"the key signature: {kind} is not how the given secret signs; leave one of the two out")
    return text


def _read(key: str, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except ValueError as error:
        raise InvalidPayload(f"the key {key}: {error}") from None
