"""Standard Webhooks 1.0.0: signatures of version v1 (HMAC-SHA256), made and checked.

Source of every rule: standard-webhooks, `spec/standard-webhooks.md`, sections "Webhook headers" and
"Signature scheme". The signed bytes are `<webhook-id>.<webhook-timestamp>.<body>`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from ringback.core.clock import SECOND, Clock, SystemClock
from ringback.core.errors import SpecError, VerificationError

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the marker every secret starts with
TOLERANCE_SECONDS: Final = 300
"""How far, either way, a timestamp may be from the receiver's clock. Every official library uses five minutes."""

_SECRET_BYTES: Final = range(24, 65)


class Signer:
    """Signs with one or several secrets, decoded once.

    Raises:
        SpecError: a secret is malformed; the message names the usual wrong forms.
    """

    __slots__ = ("_keys",)

    def __init__(self, secrets: str) -> None:
        self._keys = [decode_secret(text) for text in secrets.split()]
        if not self._keys:
            raise SpecError("the secret is empty; expected whsec_ and 32 to 88 base64 characters")

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """The value of `webhook-signature`: one `v1,<base64>` per secret, space-separated."""
        signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
        return " ".join(_v1(key, signed) for key in self._keys)


def decode_secret(text: str) -> bytes:
    """The key bytes behind `whsec_<base64>`.

    Raises:
        SpecError: it is not such a secret.
    """
    if not text.startswith(SECRET_PREFIX):
        raise SpecError(f"the secret {_wrong_form(text)}; expected whsec_ and the base64 of 24 to 64 random bytes")
    try:
        key = base64.b64decode(_padded(text.removeprefix(SECRET_PREFIX)), validate=True)
    except (binascii.Error, ValueError):
        raise SpecError("the secret after whsec_ is not base64") from None
    if len(key) not in _SECRET_BYTES:
        raise SpecError(f"the secret holds {len(key)} bytes; Standard Webhooks asks for 24 to 64")
    return key


def verify(body: bytes | str, headers: Mapping[str, str], secret: str, *, clock: Clock | None = None) -> Any:
    """Check a received webhook and return its parsed JSON body.

    Args:
        body: the request's body, byte for byte as received.
        headers: the request's headers; names in any case.
        secret: `whsec_…`; several, space-separated, are all accepted (rotation).

    Raises:
        VerificationError: a header is missing or malformed, the timestamp is more than five minutes off,
            no signature matches, or the body is not JSON. The message says which.
    """
    raw = body.encode() if isinstance(body, str) else bytes(body)
    found = {name.lower(): value for name, value in headers.items()}
    message_id, stamp, signatures = (_header(found, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    timestamp = _checked_timestamp(stamp, (clock or SystemClock()).now() // SECOND)
    try:
        keys = [decode_secret(text) for text in secret.split()]
    except SpecError as error:
        raise VerificationError(str(error)) from None
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, raw)
    expected = [_v1(key, signed).encode() for key in keys]
    if not any(hmac.compare_digest(given.encode(), want) for given in signatures.split() for want in expected):
        raise VerificationError("no signature matches: the secret is another one, or the body was altered")
    try:
        return json.loads(raw)
    except ValueError:
        raise VerificationError("the signature is good, but the body is not JSON") from None


def _v1(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise VerificationError(f"the {name} header is missing")
    return value


def _checked_timestamp(text: str, now: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise VerificationError("webhook-timestamp is not a whole number of seconds since 1970")
    skew = int(text) - now
    if abs(skew) > TOLERANCE_SECONDS:
        side = "ahead of" if skew > 0 else "behind"
        raise VerificationError(
            f"webhook-timestamp is {abs(skew)} s {side} this machine's clock; at most {TOLERANCE_SECONDS} s are allowed"
        )
    return int(text)


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _wrong_form(text: str) -> str:
    match text.split("_", 1)[0]:
        case "whpk":
            return "is a public key (whpk_)"
        case "whsk":
            return "is an Ed25519 key (whsk_), which this release cannot sign with yet"
    if text.startswith("v1,"):
        return "starts with v1, like a signature"
    return "does not start with whsec_"
