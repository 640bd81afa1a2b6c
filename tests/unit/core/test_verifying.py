"""Everything that can be handed to `verify`: it holds, or is refused as a VerificationError that says why."""

from __future__ import annotations

from email.message import Message
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers as StarletteHeaders

from ringback import verify
from ringback.core.clock import SECOND, HandWound
from ringback.core.errors import VerificationError
from ringback.core.keytext import base64_bytes
from ringback.core.signing import Signer
from support.signed import (
    BODY,
    CLOCK,
    ED25519_SIGNATURE,
    ID,
    OTHER,
    PUBLIC_KEY,
    SECRET,
    SIGNATURE,
    SIGNING_KEY,
    STAMP,
    headers,
)

PAIRS = [(name.encode(), value.encode()) for name, value in headers().items()]


class Shouting(dict[str, str]):
    """A mapping of a framework's own."""


def message() -> Message:
    """What `http.server` gives."""
    told = Message()
    for name, value in headers().items():
        told[name.title()] = value
    return told


# ── What holds ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "told",
    [
        headers(),
        {name.title(): value for name, value in headers().items()},
        Shouting({name.upper(): value for name, value in headers().items()}),
        dict(PAIRS),
        PAIRS,
        iter(headers().items()),
        StarletteHeaders(raw=PAIRS),
        message(),
        {**headers(), "x": None, "y": 7},
        {**headers(), "webhook-id": f" {ID}\t"},
    ],
    ids=["dict", "title", "subclass", "bytes", "asgi", "pairs", "starlette", "http.server", "others", "spaces"],
)
def test_headers_come_as_the_framework_gives_them(told: Any) -> None:
    assert verify(BODY, told, SECRET, clock=CLOCK) == {"test": 2432232314}


@pytest.mark.parametrize("body", [BODY, BODY.decode(), bytearray(BODY), memoryview(BODY)])
def test_the_body_may_be_anything_that_is_bytes(body: Any) -> None:
    assert verify(body, headers(), SECRET, clock=CLOCK) == {"test": 2432232314}


@pytest.mark.parametrize(
    "signature", [f"nonsense {SIGNATURE}", f"v1,AAAA v2,x {SIGNATURE}", f"{SIGNATURE} v1,!", SIGNATURE.rstrip("=")]
)
def test_one_good_entry_is_enough(signature: str) -> None:
    assert verify(BODY, headers(signature=signature), SECRET, clock=CLOCK)


def test_the_edge_of_the_tolerance_holds() -> None:
    for skew in (-300, 300):
        assert verify(BODY, headers(), SECRET, clock=HandWound((STAMP + skew) * SECOND))


def test_the_machine_s_clock_is_taken_when_none_is_given() -> None:
    with pytest.raises(VerificationError, match=r"s behind this machine's clock; at most 300 s are allowed"):
        verify(BODY, headers(), SECRET)


# ── What does not ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id": ""}, "webhook-id header is missing or empty"),
        ({"timestamp": " "}, "webhook-timestamp header is missing or empty"),
        ({"signature": ""}, "webhook-signature header is missing or empty: the sender has no secret"),
        ({"id": "msg.1"}, "webhook-id has a character that no id may have: a full stop"),
        ({"id": "msg 1"}, "webhook-id has a character"),
        ({"id": "msg_\udc80"}, "webhook-id has a character"),
        ({"id": "msg_ü"}, "webhook-id has a character"),
        ({"timestamp": "soon"}, "not a whole number"),
        ({"timestamp": "-5"}, "not a whole number"),
        ({"timestamp": "1614265330.5"}, "not a whole number"),
        ({"timestamp": "²"}, "not a whole number"),
        ({"timestamp": "9" * 13}, "not a whole number"),
        ({"timestamp": "9" * 100_000}, "not a whole number"),
        ({"timestamp": "9" * 12}, "s ahead of"),
        ({"timestamp": str(STAMP - 301)}, "301 s behind"),
        ({"timestamp": str(STAMP + 301)}, "301 s ahead of"),
        ({"timestamp": str(STAMP + 1)}, "no signature matches"),
        ({"timestamp": f"0{STAMP}"}, "no signature matches"),
        ({"id": "msg_other"}, "no signature matches"),
        ({"signature": "v1,AAAA"}, "no signature matches"),
        ({"signature": "v1,"}, "no signature matches"),
        ({"signature": "v1,é"}, "no signature matches"),
        ({"signature": "nonsense"}, "has no entry of the form v1,<base64>"),
        ({"signature": "ü é"}, "has no entry of the form v1,<base64>"),
        ({"signature": "v2," + SIGNATURE.removeprefix("v1,")}, "no entry .* that this secret could verify"),
        ({"signature": ED25519_SIGNATURE}, r"signed as v1a \(Ed25519\), which a public key"),
        ({"signature": "v1,A " * 65}, "has 65 entries; at most 64 are read"),
    ],
)
def test_a_header_that_does_not_hold_is_said_why(changed: dict[str, str], words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        verify(BODY, headers(**changed), SECRET, clock=CLOCK)


@pytest.mark.parametrize("signature", ["v1a,AAAA", "v1a,", "v1a,é", ED25519_SIGNATURE.replace("hn", "hm", 1)])
def test_a_wrong_ed25519_signature_does_not_match(signature: str) -> None:
    with pytest.raises(VerificationError, match="no signature matches"):
        verify(BODY, headers(signature=signature), PUBLIC_KEY, clock=CLOCK)


def test_a_public_key_is_told_that_the_signature_is_of_the_other_kind() -> None:
    with pytest.raises(VerificationError, match=r"signed as v1 \(HMAC-SHA256\), which a whsec_ secret verifies"):
        verify(BODY, headers(), PUBLIC_KEY, clock=CLOCK)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "the headers, of type NoneType, are neither a mapping nor pairs"),
        (7, "of type int, are neither"),
        ("webhook-id: x", "of type str, are neither"),
        ([("webhook-id",)], "of type list, are neither"),
        ({}, "the webhook-id header is missing"),
        ({**headers(), "webhook-id": None}, "the webhook-id header is missing"),
        ({**headers(), "webhook-id": [ID]}, "the webhook-id header is of type list; expected text or bytes"),
        ({**headers(), "webhook-timestamp": STAMP}, "the webhook-timestamp header is of type int; expected text"),
        ({**headers(), None: "x"}, "a header's name is of type NoneType"),
        ({**headers(), "Webhook-Id": ID}, "the webhook-id header is there more than once"),
        ([*PAIRS, PAIRS[2]], "the webhook-signature header is there more than once"),
        ([(b"webhook-id", b"\xff"), *PAIRS[1:]], "webhook-id has a character"),
    ],
)
def test_malformed_headers_are_said_so(told: Any, words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        verify(BODY, told, SECRET, clock=CLOCK)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "the body is of type NoneType; give the bytes as received, not parsed"),
        ({"test": 2432232314}, "the body is of type dict"),
        ("\ud800", "no UTF-8 decodes to"),
        (BODY + b" ", "no signature matches"),
    ],
)
def test_a_body_that_is_not_what_was_received(body: Any, words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        verify(body, headers(), SECRET, clock=CLOCK)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"plain", "the signature is good, but the body is not JSON: Expecting value"),
        (b"", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"9" * 5_000, "is not JSON"),
        (b'"\xff"', "is not UTF-8"),
        (b'"\xed\xa0\x80"', "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_a_body_that_was_signed_and_cannot_be_read(body: bytes, words: str) -> None:
    signature = Signer(SECRET).sign(ID, STAMP, body)
    with pytest.raises(VerificationError, match=words):
        verify(body, headers(signature=signature), SECRET, clock=CLOCK)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (None, "the secret is None; is the variable it comes from set"),
        ("", "the secret is empty"),
        ([], "the secret is empty"),
        (SECRET.encode(), "the secret is of type bytes; give a text such as whsec_"),
        (7, "the secret is of type int"),
        ([SECRET, None], "one of the secrets is no text"),
        (OTHER, "no signature matches"),
        (f"{SECRET} nonsense", "does not start with whsec_ or whpk_"),
        (SIGNING_KEY, "is the sender's signing key"),
    ],
)
def test_a_secret_that_cannot_verify(secret: Any, words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        verify(BODY, headers(), secret, clock=CLOCK)


# ── Anything at all ─────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from(["webhook-id", "Webhook-Timestamp", b"webhook-signature", "x", 7])
VALUES = (
    st.text(max_size=40)
    | st.binary(max_size=40)
    | st.none()
    | st.integers()
    | st.sampled_from([ID, str(STAMP), "v1a,AAAA", SIGNATURE[:-2]])
)
ANY_HEADERS = (
    st.dictionaries(NAMES, VALUES, max_size=4)
    | st.lists(st.tuples(NAMES, VALUES), max_size=4)
    | st.lists(st.text(max_size=3), max_size=3)
    | st.none()
)
ANY_SECRET = (
    st.sampled_from([SECRET, PUBLIC_KEY, SIGNING_KEY, f"{SECRET} {PUBLIC_KEY}"])
    | st.text(max_size=60)
    | st.lists(st.text(max_size=9) | st.none(), max_size=2)
    | st.binary(max_size=9)
)


@settings(max_examples=80)
@given(st.binary(max_size=60) | st.text(max_size=60) | st.none(), ANY_HEADERS, ANY_SECRET)
def test_nothing_but_a_verification_error_ever_comes_out(body: Any, told: Any, secret: Any) -> None:
    with pytest.raises(VerificationError) as caught:
        verify(body, told, secret, clock=CLOCK)
    assert str(caught.value)


@settings(max_examples=60)
@given(st.sampled_from(["id", "timestamp", "signature", "body"]), st.integers(0, 1_000), st.integers(1, 255))
@example("signature", 141, ord("=") ^ ord("\t"))
@example("signature", 45, ord("E") ^ ord("F"))
def test_one_changed_byte_anywhere_is_found(part: str, place: int, change: int) -> None:
    for key, secret in ((SECRET, SECRET), (SIGNING_KEY, PUBLIC_KEY)):
        told = headers(signature=Signer(key).sign(ID, STAMP, BODY))
        altered = bytearray(BODY if part == "body" else told[f"webhook-{part}"].encode())
        altered[place % len(altered)] ^= change
        text = altered.decode("latin-1")
        if part == "signature" and spelled_alike(text, told["webhook-signature"]):
            continue
        changed = told if part == "body" else {**told, f"webhook-{part}": text}
        with pytest.raises(VerificationError):
            verify(bytes(altered) if part == "body" else BODY, changed, secret, clock=CLOCK)


def spelled_alike(one: str, other: str) -> bool:
    """Whether two entries are the same bytes: padding may be absent, and the last digit has bits that mean nothing."""
    (version, _, code), (same_version, _, same_code) = (text.strip(" \t").partition(",") for text in (one, other))
    return version == same_version and base64_bytes(code) == base64_bytes(same_code)
