"""Standard Webhooks 1.0.0, the receiver's side: whatever comes in is either verified or refused with a reason.

Nothing but `VerificationError` comes out for anything a sender, a framework or a configuration can hand over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from ringback.core.clock import SECOND, Clock, SystemClock
from ringback.core.errors import SpecError, VerificationError
from ringback.core.keys import Accepts, key_to_verify
from ringback.core.keytext import base64_bytes, separate

TOLERANCE_SECONDS: Final = 300
"""How far, either way, a timestamp may be from the receiver's clock. Every official library uses five minutes."""

_MOST_ENTRIES: Final = 64
"""More than any sender's rotation makes; an Ed25519 entry costs some 60 µs to check."""
_MOST_DIGITS: Final = 12
_NAMES: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


class HasItems(Protocol):
    """A mapping, or what web frameworks and `http.server` have in its place."""

    def items(self) -> Iterable[tuple[str | bytes, str | bytes | None]]: ...


Headers = HasItems | Iterable[tuple[str | bytes, str | bytes | None]]


def verify(body: bytes | str, headers: Headers, secret: str | Iterable[str], *, clock: Clock | None = None) -> Any:
    """Check a received webhook and return its parsed JSON body.

    Args:
        body: the request's body, byte for byte as received.
        headers: the request's headers, as a mapping or as pairs, of text or of bytes; names in any case.
        secret: `whsec_…` or `whpk_…`. Of several, space-separated or as a list, any may verify (rotation).
        clock: what tells the time; the machine's clock by default.

    Raises:
        VerificationError: an argument, a header or the secret is missing or malformed, the timestamp is more
            than five minutes off, no signature matches, or the body is not JSON. The message says which.
    """
    raw = _raw(body)
    keys = _keys(secret)
    message_id, stamp, signatures = own_headers(headers)
    check_id(message_id)
    _check_timestamp(stamp, (clock or SystemClock()).now() // SECOND)
    check_signatures(signatures, keys, b"%b.%b.%b" % (message_id.encode(), stamp.encode(), raw))
    return _parsed(raw)


def _raw(body: object) -> bytes:
    if isinstance(body, str):
        try:
            return body.encode()
        except UnicodeEncodeError:
            raise VerificationError("the body is a text that no UTF-8 decodes to; give the bytes as received") from None
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    raise VerificationError(f"the body is of type {type(body).__name__}; give the bytes as received, not parsed")


def _keys(secret: object) -> list[Accepts]:
    if secret is None:
        raise VerificationError("the secret is None; is the variable it comes from set?")
    if not isinstance(secret, str):
        if isinstance(secret, bytes | bytearray) or not isinstance(secret, Iterable):
            raise VerificationError(f"the secret is of type {type(secret).__name__}; give a text such as whsec_…")
        secret = tuple(secret)
        if not all(isinstance(each, str) for each in secret):
            raise VerificationError("one of the secrets is no text; each is whsec_… or whpk_…")
    texts = separate(secret)
    if not texts:
        raise VerificationError("the secret is empty; expected whsec_… or whpk_…")
    try:
        return [key_to_verify(text) for text in texts]
    except SpecError as error:
        raise VerificationError(str(error)) from None


# ── Headers ─────────────────────────────────────────────────────────────────────────────────────


def own_headers(headers: object) -> tuple[str, str, str]:
    """`webhook-id`, `webhook-timestamp` and `webhook-signature`.

    Raises:
        VerificationError: one is missing, empty or there twice, or the headers cannot be read.
    """
    found: dict[str, str] = {}
    for name, value in _pairs(headers):
        known = _text(name, "a header's name").lower()
        if known not in _NAMES:
            continue
        if known in found:
            raise VerificationError(f"the {known} header is there more than once")
        found[known] = "" if value is None else _text(value, f"the {known} header").strip(" \t")
    for name in _NAMES:
        if not found.get(name):
            raise VerificationError(f"the {name} header is missing{_hint(name, found)}")
    return found[_NAMES[0]], found[_NAMES[1]], found[_NAMES[2]]


def _pairs(headers: Any) -> Iterable[tuple[object, object]]:
    """A mapping's items, which for the mappings of web frameworks may name a header twice; or the pairs given."""
    items = getattr(headers, "items", None)
    try:
        return [(name, value) for name, value in (items() if callable(items) else headers)]
    except (TypeError, ValueError):
        raise VerificationError(
            f"the headers, of type {type(headers).__name__}, are neither a mapping nor pairs of name and value"
        ) from None


def _text(value: object, what: str) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    if isinstance(value, str):
        return value
    raise VerificationError(f"{what} is of type {type(value).__name__}; expected text or bytes")


def _hint(name: str, found: Mapping[str, str]) -> str:
    if name == "webhook-signature" and len(found) > 1:
        return " or empty: the sender has no secret for this endpoint"
    return " or empty"


def check_id(text: str) -> None:
    """See that an id can be signed.

    Raises:
        VerificationError: it has a character that no id may have.
    """
    # A full stop would let the same signed bytes be cut in another place.
    if "." in text or not (text.isascii() and text.isprintable()) or " " in text:
        raise VerificationError("webhook-id has a character that no id may have: a full stop, a space, no ASCII")


def skew_seconds(text: str, now: int) -> int:
    """How far a timestamp is ahead of `now`; negative when it is behind.

    Raises:
        VerificationError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise VerificationError("webhook-timestamp is not a whole number of seconds since 1970")
    return int(text) - now


def _check_timestamp(text: str, now: int) -> None:
    skew = skew_seconds(text, now)
    if abs(skew) > TOLERANCE_SECONDS:
        side = "ahead of" if skew > 0 else "behind"
        raise VerificationError(
            f"webhook-timestamp is {abs(skew)} s {side} this machine's clock; at most {TOLERANCE_SECONDS} s are allowed"
        )


# ── Signatures ──────────────────────────────────────────────────────────────────────────────────


def check_signatures(text: str, keys: Sequence[Accepts], signed: bytes) -> None:
    """See that one of the entries holds under one of the keys.

    Raises:
        VerificationError: none does; the message says what kinds of entries and keys there are.
    """
    entries = [entry.partition(",") for entry in text.split(" ")]
    if len(entries) > _MOST_ENTRIES:
        raise VerificationError(f"webhook-signature has {len(entries)} entries; at most {_MOST_ENTRIES} are read")
    given = [(version, base64_bytes(code)) for version, comma, code in entries if comma]
    for version, signature in given:
        if signature and any(key.version == version and key.accepts(signature, signed) for key in keys):
            return
    raise VerificationError(_mismatch({version for version, _ in given}, {key.version for key in keys}))


def _mismatch(given: set[str], wanted: set[str]) -> str:
    if not given:
        return "webhook-signature has no entry of the form v1,<base64>"
    if given & wanted:
        return "no signature matches: the secret is another one, or the body was altered"
    if given == {"v1a"}:
        return "it is signed as v1a (Ed25519), which a public key (whpk_) verifies and a whsec_ secret does not"
    if given == {"v1"}:
        return "it is signed as v1 (HMAC-SHA256), which a whsec_ secret verifies and a public key (whpk_) does not"
    return "webhook-signature has no entry of the form v1,<base64> or v1a,<base64> that this secret could verify"


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode())
    except UnicodeDecodeError:
        raise VerificationError("the signature is good, but the body is not UTF-8") from None
    except RecursionError:
        raise VerificationError("the signature is good, but the body is nested too deeply to be read") from None
    except ValueError as error:
        raise VerificationError(f"the signature is good, but the body is not JSON: {error}") from None
