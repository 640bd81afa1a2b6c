"""Why a received webhook verifies or does not: what `verify` would say, and the likely cause behind it. Pure.

A signature that does not match tells nothing by itself. What is known besides does: the body that was sent, if it was
sent from here; the keys that were in use before; and what a body is commonly turned into on its way.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ringback.core.clock import SECOND, isoformat
from ringback.core.errors import SpecError, VerificationError
from ringback.core.inbox import header
from ringback.core.keys import Accepts, SharedKey, key_to_verify, public_key
from ringback.core.keytext import SHARED, SIGNING, base64_bytes, separate
from ringback.core.rotation import EndpointKey
from ringback.core.verifying import TOLERANCE_SECONDS, check_id, check_signatures, own_headers, skew_seconds

_MOST_RESHAPED_BYTES: Final = 256 * 1024
"""Larger bodies are not written anew to see whether a signature holds for that."""


class Reason(StrEnum):
    """What came out, for machines."""

    GOOD = "good"
    OLD_KEY = "old_key"
    CLOCK_SKEW = "clock_skew"
    WRONG_KEY = "wrong_key"
    BODY_ALTERED = "body_altered"
    NO_MATCH = "no_match"  # wrong key or altered body: nothing tells which
    WRONG_VERSION = "wrong_version"  # v1 against a public key, v1a against a shared secret
    UNSIGNED = "unsigned"
    MALFORMED = "malformed"  # a header of Standard Webhooks is missing, doubled or unreadable
    CUT = "cut"  # too little of the body was kept
    MALFORMED_SECRET = "malformed_secret"  # noqa: S105 - a word
    NO_SECRET = "no_secret"  # noqa: S105 - a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The verdict on one signature."""

    reason: Reason
    sentence: str
    skew_seconds: int | None = None
    """How far the timestamp was ahead of the clock at arrival, where that decided."""

    @property
    def is_good(self) -> bool:
        return self.reason is Reason.GOOD

    @property
    def is_judged(self) -> bool:
        """Whether there was a secret to judge by, and all of the body."""
        return self.reason not in {Reason.NO_SECRET, Reason.CUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A received webhook, and what is known of it."""

    head: bytes
    """As `inbox.Arrival.head`."""
    body: bytes
    received_at_seconds: int
    is_cut: bool = False
    sent: bytes | None = None
    """The body under this `webhook-id` as it left its sender, where that is known."""


def diagnose(evidence: Evidence, secrets: Sequence[str], former: Sequence[EndpointKey] = ()) -> Finding:
    """The verdict.

    Args:
        evidence: what came.
        secrets: what it should verify with: `whsec_…`, `whpk_…`, or the sender's own `whsk_…`; any may.
        former: what `secrets` were before, and until when each signs on.
    """
    texts = separate(secrets)
    if not texts:
        return Finding(reason=Reason.NO_SECRET, sentence="this inbox has no secret to verify with")
    try:
        keys = [_key(text) for text in texts]
    except SpecError as error:
        return Finding(reason=Reason.MALFORMED_SECRET, sentence=str(error))
    return _judged(evidence, texts, keys, former)


def _judged(
    evidence: Evidence, texts: Sequence[str], keys: Sequence[Accepts], former: Sequence[EndpointKey]
) -> Finding:
    if header(evidence.head, "webhook-signature") is None:
        return Finding(reason=Reason.UNSIGNED, sentence="there is no webhook-signature header: it is not signed")
    try:
        lines = [line.partition(b": ") for line in evidence.head.split(b"\r\n") if line]
        message_id, stamp, signature = own_headers([(name, value) for name, _, value in lines])
        check_id(message_id)
        skew = skew_seconds(stamp, evidence.received_at_seconds)
    except VerificationError as error:
        return Finding(reason=Reason.MALFORMED, sentence=str(error))
    if evidence.is_cut:
        sentence = f"only the first {len(evidence.body)} bytes of the body were kept, and the signature is over all"
        return Finding(reason=Reason.CUT, sentence=sentence)
    signed = _Signed(message_id, stamp, signature)
    if (mismatch := signed.mismatch(keys, evidence.body)) is None:
        return _timely(skew)
    return signed.cause(evidence, texts, keys, former) or _unexplained(signed, mismatch, keys)


def _timely(skew: int) -> Finding:
    if abs(skew) <= TOLERANCE_SECONDS:
        return Finding(reason=Reason.GOOD, sentence="the signature is good")
    side = "ahead of" if skew > 0 else "behind"
    return Finding(
        reason=Reason.CLOCK_SKEW,
        sentence=f"the signature is good, but its timestamp is {abs(skew)} s {side} this machine's clock; "
        f"at most {TOLERANCE_SECONDS} s are allowed",
        skew_seconds=skew,
    )


def _unexplained(signed: _Signed, mismatch: str, keys: Sequence[Accepts]) -> Finding:
    versions = {key.version for key in keys}
    given = signed.versions
    reason = Reason.NO_MATCH
    if not given:
        reason = Reason.MALFORMED
    elif not given & versions:
        reason = Reason.WRONG_VERSION
    return Finding(reason=reason, sentence=mismatch)


def _key(text: str) -> Accepts:
    return key_to_verify(public_key(text) if text.startswith(SIGNING) else text)


def _of_old_key(key: EndpointKey, now_seconds: int) -> str:
    """What is to be said of a signature under a key that has been replaced."""
    told = "it is signed with a key that has been replaced, and with that one alone"
    if key.signs_until is None:
        return f"{told}: the sender still uses the old one"
    until = f"{isoformat(key.signs_until)[:16].replace('T', ' ')} UTC"
    if key.signs_until // SECOND > now_seconds:
        return f"{told}; that one signs on beside the new one until {until}"
    return f"{told}; its time was over at {until}"


# ── Causes ──────────────────────────────────────────────────────────────────────────────────────


class _Signed:
    """The three headers of one webhook, tried against keys and bodies."""

    def __init__(self, message_id: str, stamp: str, signature: str) -> None:
        self._signature = signature
        self._head = b"%b.%b." % (message_id.encode(), stamp.encode())
        self._stamp = stamp
        self._entries = [entry.partition(",")[2] for entry in signature.split(" ")]
        self.versions = {version for version, comma, _ in (e.partition(",") for e in signature.split(" ")) if comma}

    def mismatch(self, keys: Sequence[Accepts], body: bytes) -> str | None:
        """Why the signature does not hold for a body; None if it does."""
        try:
            check_signatures(self._signature, keys, self._head + body)
        except VerificationError as error:
            return str(error)
        return None

    def cause(
        self, evidence: Evidence, texts: Sequence[str], keys: Sequence[Accepts], former: Sequence[EndpointKey]
    ) -> Finding | None:
        """What lies behind a mismatch, as far as it shows."""
        body, sent = evidence.body, evidence.sent
        for key in former:
            if any(self._holds_under(text, body) for text in separate(key.secret)):
                return Finding(reason=Reason.OLD_KEY, sentence=_of_old_key(key, evidence.received_at_seconds))
        if sent is not None and sent != body and self.mismatch(keys, sent) is None:
            sentence = f"the key is right, but the body was altered on its way: {_difference(sent, body)}"
            return Finding(reason=Reason.BODY_ALTERED, sentence=sentence)
        for how, reshaped in _reshaped(body):
            if self.mismatch(keys, reshaped) is None:
                sentence = f"the key is right, but the body was altered on its way: the signature holds for {how}"
                return Finding(reason=Reason.BODY_ALTERED, sentence=sentence)
        if (slip := self._slip(texts, body)) is not None:
            return Finding(reason=Reason.WRONG_KEY, sentence=slip)
        if sent is not None and sent == body and self.versions & {key.version for key in keys}:
            sentence = (
                "the body is the one that was sent, byte for byte: it is signed with another key than this secret"
            )
            return Finding(reason=Reason.WRONG_KEY, sentence=sentence)
        return None

    def _holds_under(self, text: str, body: bytes) -> bool:
        try:
            return self.mismatch([_key(text)], body) is None
        except SpecError:
            return False

    def _slip(self, texts: Sequence[str], body: bytes) -> str | None:
        """A known way to sign wrongly with the right secret."""
        for text in texts:
            if not text.startswith(SHARED):
                continue
            code = text.removeprefix(SHARED)
            raw = base64_bytes(code) or b""
            for key, words in (
                (code.encode(), "the text after whsec_ was taken for the key; its base64 must be decoded first"),
                (text.encode(), "the whole text of the secret was taken for the key; decode the base64 after whsec_"),
            ):
                if self.mismatch([SharedKey(key)], body) is None:
                    return f"the secret is right, but {words}"
            for signed, words in (
                (body, "the body alone was signed; sign id.timestamp.body"),
                (b"%b.%b" % (self._stamp.encode(), body), "timestamp.body was signed; sign id.timestamp.body"),
            ):
                if self._has_entry(hmac.digest(raw, signed, "sha256")):
                    return f"the secret is right, but {words}"
            made = hmac.digest(raw, self._head + body, "sha256")
            if made.hex() in self._entries or base64.urlsafe_b64encode(made).decode() in self._entries:
                return "the secret is right, but the signature is written in hexadecimal or the URL-safe alphabet"
        return None

    def _has_entry(self, made: bytes) -> bool:
        written = {base64.b64encode(made).decode(), made.hex()}
        return any(entry in written for entry in (*self._entries, self._signature))


def _difference(sent: bytes, came: bytes) -> str:
    """Where two bodies part."""
    if len(came) < len(sent) and sent.startswith(came):
        return f"of {len(sent)} bytes only the first {len(came)} came"
    at = next(
        (place for place, (a, b) in enumerate(zip(sent, came, strict=False)) if a != b), min(map(len, (sent, came)))
    )
    return f"{len(sent)} bytes were sent and {len(came)} came, and they differ from byte {at + 1} on"


def _reshaped(body: bytes) -> Iterator[tuple[str, bytes]]:
    """What the body may have been before somebody well-meaning got hold of it."""
    stripped = body.rstrip(b"\r\n")
    if stripped != body:
        yield "the body without the newline at its end", stripped
    yield "the body with a newline at its end", body + b"\n"
    if b"\r\n" in body:
        yield "the body with LF where it has CR LF", body.replace(b"\r\n", b"\n")
    if body.startswith(b"\xef\xbb\xbf"):
        yield "the body without its byte order mark", body[3:]
    yield from _written_anew(body)


_WRITERS: Final[tuple[tuple[str, Callable[[Any], str]], ...]] = (
    ("without spaces", lambda value: json.dumps(value, separators=(",", ":"))),
    ("without spaces, in UTF-8", lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)),
    ("with a space after each comma and colon", json.dumps),
    ("with spaces, in UTF-8", lambda value: json.dumps(value, ensure_ascii=False)),
    ("indented by 2", lambda value: json.dumps(value, indent=2)),
    ("indented by 2, in UTF-8", lambda value: json.dumps(value, indent=2, ensure_ascii=False)),
    ("indented by 4", lambda value: json.dumps(value, indent=4)),
    ("with its keys sorted", lambda value: json.dumps(value, separators=(",", ":"), sort_keys=True)),
)


def _written_anew(body: bytes) -> Iterator[tuple[str, bytes]]:
    if len(body) > _MOST_RESHAPED_BYTES:
        return
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    for how, write in _WRITERS:
        try:
            yield f"the same JSON written {how}", write(value).encode()
        except (ValueError, RecursionError, UnicodeEncodeError, TypeError):
            continue
