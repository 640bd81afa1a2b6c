"""Standard Webhooks, both sides: the published vectors, the official library both ways, several keys at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from ringback import new_secret, new_signing_key, public_key, verify
from ringback.core.clock import SECOND, HandWound, SystemClock
from ringback.core.errors import SpecError, VerificationError
from ringback.core.signing import MOST_KEYS, Signer
from support.signed import (
    BODY,
    CLOCK,
    ED25519_SIGNATURE,
    ID,
    OTHER,
    OTHER_BODY,
    OTHER_ID,
    OTHER_SIGNATURE,
    OTHER_STAMP,
    PUBLIC_KEY,
    SECRET,
    SIGNATURE,
    SIGNING_KEY,
    STAMP,
    headers,
)


@pytest.mark.parametrize(
    ("signs", "verifies", "message_id", "stamp", "body", "signature"),
    [
        (SECRET, SECRET, ID, STAMP, BODY, SIGNATURE),
        (OTHER, OTHER, OTHER_ID, OTHER_STAMP, OTHER_BODY, OTHER_SIGNATURE),
        (SIGNING_KEY, PUBLIC_KEY, ID, STAMP, BODY, ED25519_SIGNATURE),
    ],
)
def test_the_published_vectors(
    signs: str, verifies: str, message_id: str, stamp: int, body: bytes, signature: str
) -> None:
    assert Signer(signs).sign(message_id, stamp, body) == signature
    told = {"webhook-id": message_id, "webhook-timestamp": str(stamp), "webhook-signature": signature}
    assert verify(body, told, verifies, clock=HandWound(stamp * SECOND)) == json.loads(body)


@settings(max_examples=30)
@given(st.text(max_size=200), st.booleans())
def test_the_official_library_reads_what_we_sign(text: str, with_ed25519: bool) -> None:
    body = json.dumps({"id": text}).encode()
    stamp = SystemClock().now() // SECOND
    signer = Signer([SIGNING_KEY, SECRET] if with_ed25519 else SECRET)
    told = headers(timestamp=str(stamp), signature=signer.sign(ID, stamp, body))

    assert Webhook(SECRET).verify(body, told) == json.loads(body)


@settings(max_examples=30)
@given(st.text(max_size=200))
def test_we_read_what_the_official_library_signs(text: str) -> None:
    body = json.dumps({"id": text}, ensure_ascii=False).encode("utf-8", "replace").decode()
    signature = Webhook(SECRET).sign(ID, datetime.fromtimestamp(STAMP, UTC), body)

    for given_body in (body, body.encode()):
        assert verify(given_body, headers(signature=signature), SECRET, clock=CLOCK) == json.loads(body)


def test_several_keys_sign_side_by_side_in_their_order_and_each_verifies() -> None:
    all_three = Signer(f"{OTHER} {SIGNING_KEY}\n{SECRET}").sign(ID, STAMP, BODY)

    assert [entry.partition(",")[0] for entry in all_three.split(" ")] == ["v1", "v1a", "v1"]
    assert all_three == Signer([OTHER, SIGNING_KEY, SECRET, OTHER]).sign(ID, STAMP, BODY)
    for secret in (SECRET, OTHER, PUBLIC_KEY, f"{new_secret()} {PUBLIC_KEY}", [public_key(new_signing_key()), OTHER]):
        assert verify(BODY, headers(signature=all_three), secret, clock=CLOCK)


def test_what_other_keys_signed_holds_under_none() -> None:
    signature = Signer([new_secret(), new_signing_key()]).sign(ID, STAMP, BODY)

    for secret in (SECRET, PUBLIC_KEY, [SECRET, PUBLIC_KEY]):
        with pytest.raises(VerificationError, match="no signature matches"):
            verify(BODY, headers(signature=signature), secret, clock=CLOCK)


def test_a_signer_needs_a_key_and_takes_ten() -> None:
    keys = [new_secret() for _ in range(MOST_KEYS + 1)]

    assert len(Signer(keys[1:]).sign(ID, STAMP, BODY).split(" ")) == MOST_KEYS
    with pytest.raises(SpecError, match="there are 11 secrets; at most 10 sign side by side"):
        Signer(keys)
    with pytest.raises(SpecError, match="the secret is empty"):
        Signer(" ")
