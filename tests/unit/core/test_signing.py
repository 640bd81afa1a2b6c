"""Standard Webhooks: the published vectors, the official library both ways, and everything malformed."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from ringback import verify
from ringback.core.clock import SECOND, HandWound, SystemClock
from ringback.core.errors import SpecError, VerificationError
from ringback.core.signing import Signer, decode_secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"test": 2432232314}'
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP = 1614265330
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
CLOCK = HandWound(STAMP * SECOND)


def headers(**changed: str) -> dict[str, str]:
    told = {"webhook-id": ID, "webhook-timestamp": str(STAMP), "webhook-signature": SIGNATURE}
    return told | {f"webhook-{name}": value for name, value in changed.items()}


@pytest.mark.parametrize(
    ("secret", "message_id", "stamp", "body", "signature"),
    [
        (SECRET, ID, STAMP, BODY, SIGNATURE),
        (
            OTHER,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ],
)
def test_the_published_vectors(secret: str, message_id: str, stamp: int, body: bytes, signature: str) -> None:
    assert Signer(secret).sign(message_id, stamp, body) == signature
    told = {"webhook-id": message_id, "webhook-timestamp": str(stamp), "webhook-signature": signature}
    assert verify(body, told, secret, clock=HandWound(stamp * SECOND)) == json.loads(body)


@given(st.text(max_size=200))
def test_the_official_library_reads_what_we_sign(text: str) -> None:
    body = json.dumps({"id": text}).encode()
    stamp = SystemClock().now() // SECOND
    told = {
        "webhook-id": ID,
        "webhook-timestamp": str(stamp),
        "webhook-signature": Signer(SECRET).sign(ID, stamp, body),
    }

    assert Webhook(SECRET).verify(body, told) == json.loads(body)


def test_we_read_what_the_official_library_signs() -> None:
    signature = Webhook(SECRET).sign(ID, datetime.fromtimestamp(STAMP, UTC), BODY.decode())
    assert verify(BODY.decode(), headers(signature=signature), SECRET, clock=CLOCK) == {"test": 2432232314}


def test_several_secrets_sign_side_by_side_and_either_verifies() -> None:
    both = Signer(f"{OTHER} {SECRET}").sign(ID, STAMP, BODY)

    assert len(both.split()) == 2
    for secret in (SECRET, OTHER, f"{SECRET} {OTHER}"):
        assert verify(BODY, headers(signature=both), secret, clock=CLOCK)
    assert verify(BODY, headers(), f"{OTHER} {SECRET}", clock=CLOCK)


def test_header_names_may_come_in_any_case() -> None:
    assert verify(BODY, {name.title(): value for name, value in headers().items()}, SECRET, clock=CLOCK)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id": ""}, "webhook-id header is missing"),
        ({"signature": ""}, "webhook-signature header is missing"),
        ({"timestamp": "soon"}, "not a whole number"),
        ({"timestamp": "-5"}, "not a whole number"),
        ({"timestamp": "1614265330.5"}, "not a whole number"),
        ({"timestamp": "²"}, "not a whole number"),
        ({"timestamp": "9" * 13}, "not a whole number"),
        ({"timestamp": str(STAMP - 301)}, "301 s behind"),
        ({"timestamp": str(STAMP + 301)}, "301 s ahead of"),
        ({"timestamp": str(STAMP + 1)}, "no signature matches"),
        ({"id": "msg_other"}, "no signature matches"),
        ({"signature": "v1,AAAA"}, "no signature matches"),
        ({"signature": "nonsense"}, "no signature matches"),
        ({"signature": "v2," + SIGNATURE.removeprefix("v1,")}, "no signature matches"),
        ({"signature": "ü é"}, "no signature matches"),
    ],
)
def test_what_does_not_hold_is_said_why(changed: dict[str, str], words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        verify(BODY, headers(**changed), SECRET, clock=CLOCK)


def test_an_altered_body_and_a_wrong_secret_do_not_hold() -> None:
    with pytest.raises(VerificationError, match="no signature matches"):
        verify(BODY + b" ", headers(), SECRET, clock=CLOCK)
    with pytest.raises(VerificationError, match="no signature matches"):
        verify(BODY, headers(), OTHER, clock=CLOCK)


def test_a_signed_body_that_is_not_json_is_said() -> None:
    signature = Signer(SECRET).sign(ID, STAMP, b"plain")
    with pytest.raises(VerificationError, match="signature is good, but the body is not JSON"):
        verify(b"plain", headers(signature=signature), SECRET, clock=CLOCK)


def test_the_edge_of_the_tolerance_holds() -> None:
    signature = Signer(SECRET).sign(ID, STAMP, BODY)
    for skew in (-300, 300):
        assert verify(BODY, headers(signature=signature), SECRET, clock=HandWound((STAMP + skew) * SECOND))


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "empty"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not start with whsec_"),
        ("whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "public key"),
        ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "Ed25519"),
        ("v1,g0hM9SsE", "like a signature"),
        ("whsec_not!base64", "not base64"),
        ("whsec_" + base64.b64encode(b"short").decode(), "5 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "65 bytes"),
    ],
)
def test_a_malformed_secret_is_named_by_its_usual_form(secret: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Signer(secret)
    if secret:
        with pytest.raises(VerificationError, match=words):
            verify(BODY, headers(), secret, clock=CLOCK)


def test_an_unpadded_secret_is_the_same_secret() -> None:
    padded = "whsec_" + base64.b64encode(b"k" * 25).decode()
    assert decode_secret(padded) == decode_secret(padded.rstrip("="))


@given(
    st.binary(max_size=100) | st.text(max_size=100),
    st.dictionaries(
        st.sampled_from(["webhook-id", "Webhook-Timestamp", "webhook-signature", "x"]), st.text(max_size=60), max_size=4
    ),
    st.text(max_size=60) | st.just(SECRET),
)
def test_nothing_but_a_verification_error_ever_comes_out(body: bytes | str, told: dict[str, str], secret: str) -> None:
    with pytest.raises(VerificationError):
        verify(body, told, secret, clock=CLOCK)
