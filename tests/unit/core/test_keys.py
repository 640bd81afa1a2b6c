"""Keys: making them, their forms, and the usual wrong forms with their cures."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringback import new_secret, new_signing_key, public_key, verify
from ringback.core.errors import SpecError, VerificationError
from ringback.core.keys import SharedKey, key_to_sign, key_to_verify, public_keys
from ringback.core.keytext import SHARED, SIGNING, decode
from ringback.core.signing import Signer
from support.signed import BODY, CLOCK, ED25519_SIGNATURE, ID, PUBLIC_KEY, SECRET, SIGNING_KEY, STAMP, headers

HEX = "0123456789abcdef" * 4


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_new_keys_are_whole_and_never_twice_the_same() -> None:
    secrets, signing_keys = ({make() for _ in range(20)} for make in (new_secret, new_signing_key))

    assert len(secrets) == len(signing_keys) == 20
    assert {len(decode(each, SHARED)) for each in secrets} == {32}
    assert {len(decode(each, SIGNING)) for each in signing_keys} == {64}


def test_what_a_new_signing_key_signs_its_public_key_verifies() -> None:
    ours, others = new_signing_key(), new_signing_key()
    told = headers(signature=Signer(ours).sign(ID, STAMP, BODY))

    assert verify(BODY, told, public_key(ours), clock=CLOCK)
    with pytest.raises(VerificationError, match="no signature matches"):
        verify(BODY, told, public_key(others), clock=CLOCK)


def test_a_signing_key_may_be_its_seed_alone() -> None:
    seed = SIGNING + b64(decode(SIGNING_KEY, SIGNING)[:32])

    assert public_key(seed) == public_key(f" {SIGNING_KEY}\n") == PUBLIC_KEY
    assert Signer(seed).sign(ID, STAMP, BODY) == ED25519_SIGNATURE


def test_public_keys_are_those_of_the_signing_keys_among_the_secrets() -> None:
    assert public_keys(f"{SECRET} {SIGNING_KEY}") == (PUBLIC_KEY,)
    assert public_keys([SECRET]) == public_keys("") == ()


@pytest.mark.parametrize("length", [24, 64])
def test_a_secret_may_have_24_to_64_bytes(length: int) -> None:
    assert decode(SHARED + b64(b"k" * length), SHARED) == b"k" * length


def test_an_unpadded_key_is_the_same_key() -> None:
    padded = SHARED + b64(b"k" * 25)
    assert decode(padded, SHARED) == decode(padded.rstrip("="), SHARED)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not start with whsec_, but looks like .*; write whsec_ in front"),
        ("v1,g0hM9SsE", r"is a signature \(v1,…\); give the key it was made with"),
        ("v1a,g0hM9SsE", r"is a signature \(v1a,…\)"),
        (f"v1,{SECRET}", "starts with 'v1,' as a signature does; leave that out"),
        (f"v1a,{PUBLIC_KEY}", "starts with 'v1a,' as a signature does; leave that out"),
        (SECRET.upper(), "has its prefix in capitals; write it in lower case"),
        (f'"{SECRET}"', "begins with a quotation mark; leave the quotation marks out"),
        (f"{SECRET}'", "ends with a quotation mark; leave the quotation marks out"),
        ("-----BEGIN", "is a PEM file; expected whsec_ and the base64"),
        (HEX, "is hexadecimal; write whsec_ and those bytes in base64"),
        (SHARED + HEX, "the secret after whsec_ is hexadecimal; write those bytes in base64"),
        (SHARED + HEX.upper(), "is hexadecimal"),
        (SHARED + HEX + "ab", "is hexadecimal"),
        ("whsec_", "is nothing: a space may have slipped in, or a variable was empty"),
        (f"whsec_{SECRET}", "has a second prefix; write one of the two"),
        ("whsec_" + b64(b"\xff" * 32).replace("/", "_"), "URL-safe alphabet; write . for each - and / for each _"),
        (f"{SECRET},{SECRET}", "has a ',' in it; write a space between one secret and the next"),
        ("whsec_AAAA\u200bAAAA", "is not base64: character 5 of it is not of that alphabet"),
        ("whsec_AAAAA", "is not base64: a part is missing, or two were joined"),
        ("whsec_AA==AAAA", "is not base64: a part is missing, or two were joined"),
        ("whsec_" + b64(b"k" * 23), "holds 23 bytes, too few to be safe; expected whsec_ and the base64 of 24 to 64"),
        ("whsec_" + b64(b"k" * 65), "holds 65 bytes, more than Standard Webhooks allows"),
        (
            "hunter2-hunter2",
            "does not start with whsec_ or wh[sp]k_; expected whsec_ and .*, or wh[sp]k_ and the base64",
        ),
    ],
)
def test_a_malformed_key_is_named_by_its_usual_form_and_not_repeated(key: str, words: str) -> None:
    for read in (key_to_sign, key_to_verify):
        with pytest.raises(SpecError, match=words) as caught:
            read(key)
        assert key[-5:] not in str(caught.value) or key in {"whsec_", "-----BEGIN"}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (PUBLIC_KEY, r"is a public key \(whpk_\), which cannot sign; it belongs to the receiver"),
        ("whsk_" + b64(b"k" * 33), "holds 33 bytes; expected whsk_ and the base64 of an Ed25519 seed"),
        (SIGNING_KEY[:-5] + "AAA==", r"the signing key \(whsk_\) is damaged"),
    ],
)
def test_what_cannot_sign(key: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        key_to_sign(key)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (SIGNING_KEY, r"is the sender's signing key \(whsk_\); a receiver needs whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACe"),
        ("whsk_AAAA", "the secret holds 3 bytes; expected whsk_ and the base64 of an Ed25519 seed"),
        ("whpk_" + b64(b"k" * 64), r"holds 64 bytes, as a signing key \(whsk_\) does; expected whpk_"),
        ("whpk_" + b64(b"k" * 31), "holds 31 bytes; expected whpk_"),
        ("whpk_" + b64(bytes(32)), "anyone can sign"),
        ("whpk_" + b64((2**255 - 20).to_bytes(32, "little")), "anyone can sign"),
        ("whpk_" + b64((2**255 - 18).to_bytes(32, "little")), "anyone can sign"),
        ("whpk_" + b64(b"\x01" + bytes(30) + b"\x80"), "anyone can sign"),
    ],
)
def test_what_cannot_verify(key: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        key_to_verify(key)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "the secret is empty"),
        (SECRET, r"is shared \(whsec_\), which has no public key"),
        (PUBLIC_KEY, "is a public key"),
        (SIGNING_KEY.removeprefix("whsk_"), "write whsk_ in front"),
    ],
)
def test_what_has_no_public_key(key: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        public_key(key)


def test_only_a_signing_key_may_not_be_taken_for_a_public_one() -> None:
    with pytest.raises(SpecError, match=r"is a signing key \(whsk_\), which belongs to the sender alone"):
        decode(SIGNING_KEY, "whpk_")


@settings(max_examples=60)
@given(st.text(max_size=80) | st.text(max_size=80).map(lambda text: f"whsec_{text}"))
@example("whpk_" + b64(b"\xff" * 32))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    for read in (key_to_sign, key_to_verify):
        try:
            read(text)
        except SpecError:
            continue


@given(st.binary(max_size=200), st.binary(max_size=1_000))
def test_a_shared_key_signs_as_the_standard_library_does(key: bytes, signed: bytes) -> None:
    made = SharedKey(key)
    assert made.sign(signed) == hmac.digest(key, signed, "sha256")
    assert made.sign(signed) == made.sign(signed)
