"""The verdict on a captured webhook, and the cause it names, for everything that goes wrong in practice."""

from __future__ import annotations

import base64
import hmac
import json

import pytest

from ringback.core.clock import SECOND, Instant
from ringback.core.diagnosis import Evidence, Finding, Reason, diagnose
from ringback.core.keys import new_secret, new_signing_key, public_key
from ringback.core.rotation import EndpointKey
from ringback.core.signing import Signer

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
RAW = bytes(range(32))
NOW = 1_700_000_000
BODY = b'{"id":"w1","status":"completed","result":{"price":1.5,"name":"K\xc3\xa4se"}}'


def head_of(
    body: bytes, secret: str = SECRET, *, at: int = NOW, signature: str | None = None, drop: str | None = None
) -> bytes:
    pairs = {
        "Host": "x",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "Webhook-Signature": Signer(secret).sign("msg_1", at, body) if signature is None else signature,
    }
    return "".join(f"{name}: {value}\r\n" for name, value in pairs.items() if name != drop).encode("latin-1")


def found(
    head: bytes,
    body: bytes = BODY,
    secret: str = SECRET,
    *,
    former: tuple[EndpointKey, ...] = (),
    sent: bytes | None = None,
    is_cut: bool = False,
) -> Finding:
    evidence = Evidence(head=head, body=body, received_at_seconds=NOW, is_cut=is_cut, sent=sent)
    return diagnose(evidence, (secret,), former)


@pytest.mark.parametrize("body", [BODY, b"", b"no json", b"\xff\x00"])
def test_a_good_signature_is_good_whatever_the_body(body: bytes) -> None:
    assert found(head_of(body), body) == Finding(reason=Reason.GOOD, sentence="the signature is good")


def test_any_of_several_keys_may_sign_and_any_of_several_secrets_may_verify() -> None:
    other = new_secret()

    assert found(head_of(BODY, f"{other} {SECRET}")).is_good
    assert found(head_of(BODY), secret=f"{other} {SECRET}").is_good


def test_ed25519_is_judged_by_the_public_key_and_by_the_sender_s_own() -> None:
    signing = new_signing_key()

    assert found(head_of(BODY, signing), secret=public_key(signing)).is_good
    assert found(head_of(BODY, signing), secret=signing).is_good
    assert found(head_of(BODY, new_signing_key()), secret=signing).reason is Reason.NO_MATCH
    assert found(head_of(BODY, signing)).reason is Reason.WRONG_VERSION
    assert found(head_of(BODY), secret=public_key(signing)).reason is Reason.WRONG_VERSION


@pytest.mark.parametrize(("at", "words"), [(NOW + 301, "301 s ahead of"), (NOW - 4_000, "4000 s behind")])
def test_a_clock_that_is_off_is_told_with_its_seconds(at: int, words: str) -> None:
    finding = found(head_of(BODY, at=at))

    assert (finding.reason, finding.skew_seconds) == (Reason.CLOCK_SKEW, at - NOW)
    assert words in finding.sentence
    assert found(head_of(BODY, at=NOW + 300)).is_good


def test_a_clock_that_is_off_is_no_excuse_for_a_wrong_key() -> None:
    assert found(head_of(BODY, new_secret(), at=NOW - 999)).reason is Reason.NO_MATCH


def test_an_old_key_is_recognised() -> None:
    old = new_secret()

    known = (EndpointKey(secret="broken"), EndpointKey(secret=old))
    assert found(head_of(BODY, old), former=known).reason is Reason.OLD_KEY
    assert found(head_of(BODY, new_secret()), former=known).reason is Reason.NO_MATCH


@pytest.mark.parametrize(
    ("after_seconds", "words"), [(60, "signs on beside the new one until"), (-60, "time was over")]
)
def test_of_an_old_key_it_is_told_until_when_it_signs(after_seconds: int, words: str) -> None:
    old = EndpointKey(secret=new_secret(), signs_until=Instant((NOW + after_seconds) * SECOND))
    finding = found(head_of(BODY, old.secret), former=(old,))
    assert finding.reason is Reason.OLD_KEY
    assert words in finding.sentence


def test_while_both_keys_sign_it_is_good_under_either() -> None:
    old = EndpointKey(secret=new_secret(), signs_until=Instant((NOW + 60) * SECOND))
    assert found(head_of(BODY, f"{SECRET} {old.secret}"), former=(old,)).is_good


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (BODY.replace(b"1.5", b"9.5"), "they differ from byte 51 on"),
        (BODY[:20], f"of {len(BODY)} bytes only the first 20 came"),
        (BODY + b"!", f"{len(BODY)} bytes were sent and {len(BODY) + 1} came"),
    ],
)
def test_what_was_sent_shows_that_the_body_was_altered(came: bytes, words: str) -> None:
    finding = found(head_of(BODY), came, sent=BODY)

    assert finding.reason is Reason.BODY_ALTERED
    assert words in finding.sentence


def test_what_was_sent_shows_that_the_key_is_another() -> None:
    assert found(head_of(BODY, new_secret()), sent=BODY).reason is Reason.WRONG_KEY
    assert found(head_of(BODY, new_secret()), BODY + b"!", sent=BODY).reason is Reason.NO_MATCH


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (BODY + b"\n", "without the newline"),
        (json.dumps(json.loads(BODY)).encode(), "without spaces, in UTF-8"),
        (json.dumps(json.loads(BODY), indent=4).encode(), "without spaces, in UTF-8"),
        (b"\xef\xbb\xbf" + BODY, "without its byte order mark"),
    ],
)
def test_what_well_meaning_programs_do_to_a_body_is_recognised(came: bytes, words: str) -> None:
    finding = found(head_of(BODY), came)

    assert finding.reason is Reason.BODY_ALTERED
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("sent", "came", "words"),
    [
        (b"a\nb\n", b"a\nb", "with a newline at its end"),
        (b"a\nb", b"a\r\nb", "with LF where it has CR LF"),
        (b'{\n  "a": 1\n}', b'{"a":1}', "indented by 2"),
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', "with its keys sorted"),
    ],
)
def test_and_so_is_its_contrary(sent: bytes, came: bytes, words: str) -> None:
    assert words in found(head_of(sent), came).sentence


def test_a_body_that_cannot_be_written_anew_is_no_trouble() -> None:
    for body in (b"[" * 100_000, b'"\\ud800"', b"x" * 300_000, b'{"a": NaN}'):
        assert found(head_of(b"other"), body).reason is Reason.NO_MATCH


@pytest.mark.parametrize(
    ("key", "signed", "words"),
    [
        (SECRET.removeprefix("whsec_").encode(), b"msg_1.%d." % NOW + BODY, "base64 must be decoded"),
        (SECRET.encode(), b"msg_1.%d." % NOW + BODY, "whole text of the secret"),
        (RAW, BODY, "the body alone was signed"),
        (RAW, b"%d." % NOW + BODY, "timestamp.body was signed"),
    ],
)
def test_known_slips_of_senders_are_named(key: bytes, signed: bytes, words: str) -> None:
    made = hmac.digest(key, signed, "sha256")
    finding = found(head_of(BODY, signature=f"v1,{base64.b64encode(made).decode()}"))

    assert finding.reason is Reason.WRONG_KEY
    assert words in finding.sentence


def test_a_signature_in_hexadecimal_is_recognised() -> None:
    made = hmac.digest(RAW, b"msg_1.%d." % NOW + BODY, "sha256")

    assert "hexadecimal" in found(head_of(BODY, signature=f"v1,{made.hex()}")).sentence


@pytest.mark.parametrize(
    ("head", "reason", "words"),
    [
        (head_of(BODY, drop="Webhook-Signature"), Reason.UNSIGNED, "not signed"),
        (b"", Reason.UNSIGNED, "not signed"),
        (head_of(BODY, drop="webhook-id"), Reason.MALFORMED, "the webhook-id header is missing"),
        (head_of(BODY, drop="webhook-timestamp"), Reason.MALFORMED, "the webhook-timestamp header is missing"),
        (head_of(BODY) + b"webhook-id: 2\r\n", Reason.MALFORMED, "more than once"),
        (head_of(BODY).replace(b"msg_1", b"msg.1"), Reason.MALFORMED, "a character that no id may have"),
        (head_of(BODY).replace(b"%d" % NOW, b"soon"), Reason.MALFORMED, "not a whole number of seconds"),
        (head_of(BODY, signature="nonsense"), Reason.MALFORMED, "no entry of the form"),
    ],
)
def test_headers_that_are_amiss_are_named(head: bytes, reason: Reason, words: str) -> None:
    finding = found(head)

    assert finding.reason is reason
    assert words in finding.sentence


def test_a_body_that_was_kept_in_part_is_not_judged() -> None:
    finding = found(head_of(BODY), BODY[:9], is_cut=True)

    assert (finding.reason, finding.is_judged) == (Reason.CUT, False)
    assert "only the first 9 bytes" in finding.sentence


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("whsec_" + RAW.hex(), "is hexadecimal"),
        (SECRET.removeprefix("whsec_"), "does not start with whsec_, but looks like what follows it"),
        (SECRET.upper(), "prefix in capitals"),
        ("whsec_c2hvcnQ=", "too few to be safe"),
        (f'"{SECRET}"', "quotation mark"),
        ("whsk_c2hvcnQ=", "whsk_"),
        ("-----BEGIN", "PEM file"),
    ],
)
def test_a_malformed_secret_is_told_by_its_kind(secret: str, words: str) -> None:
    finding = found(head_of(BODY), secret=secret)

    assert finding.reason is Reason.MALFORMED_SECRET
    assert words in finding.sentence


def test_without_a_secret_nothing_is_judged() -> None:
    evidence = Evidence(head=head_of(BODY), body=BODY, received_at_seconds=NOW)

    assert not diagnose(evidence, ()).is_judged
    assert diagnose(evidence, ("  ",)).reason is Reason.NO_SECRET
