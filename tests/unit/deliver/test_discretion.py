"""What is kept of an attempt has no secret of the endpoint in it, not even those that a receiver sends back."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from ringback.core.spec import Endpoint
from ringback.deliver.answer import Answer, Exchange, NoAnswer
from ringback.deliver.request import Target
from ringback.deliver.verdict import attempt_of
from unit.deliver.test_verdict import NOW, REFUSED

PASSWORD, TOKEN, KEY, COOKIE = "p4ss w0rd", "hunter2hunter2", "k3y-of-old", "c00kie-jar"
URL = f"https://me:p4ss%20w0rd@example.test/hook?team=flowers&token={TOKEN}&{TOKEN}x"
HEADERS = {"Authorization": f"Bearer {KEY}", "X-Session": COOKIE, "X-Team": "flowers"}
SENT = (PASSWORD, "p4ss%20w0rd", TOKEN, KEY, COOKIE, base64.b64encode(f"me:{PASSWORD}".encode()).decode())
TARGET = Target(Endpoint(key="iris", url=URL, headers=HEADERS))


def kept(result: Answer | NoAnswer) -> tuple[str, bytes]:
    """The sentence, and all the bytes that are kept."""
    exchange = TARGET.discretion.of(Exchange(result=result, duration_us=1, address=None))
    attempt = attempt_of(1, NOW, exchange, TARGET.shown_head)
    return attempt.detail or "", attempt.trace.request_head + attempt.trace.response_head + attempt.trace.excerpt


def in_a_page(text: str) -> Answer:
    return Answer(status=500, excerpt=f"<pre>you sent {text}, did you not?".encode())


def in_a_header(text: str) -> Answer:
    return Answer(status=401, head=f"X-You-Sent: {text}\r\nX-Other: 1".encode("latin-1"))


def in_a_redirect(text: str) -> Answer:
    return Answer(status=302, location=f"https://login.test/?from={text}")


def cut_off(text: str) -> Answer:
    return Answer(status=500, excerpt=text.encode()[:-2], head=text.encode()[:-1])


@pytest.mark.parametrize("how", [in_a_page, in_a_header, in_a_redirect, cut_off])
@pytest.mark.parametrize("secret", SENT)
def test_what_a_receiver_sends_back_is_left_out(secret: str, how: Callable[[str], Answer]) -> None:
    sentence, data = kept(how(secret))
    for told in (sentence, data.decode()):
        assert secret not in told
        assert secret[:-2] not in told
    assert "left out" in sentence + data.decode()


def test_a_secret_that_begins_like_another_leaves_no_rest() -> None:
    url = "https://example.test/hook?key=abcd1234&token=abcd1234-and-the-rest"
    discretion = Target(Endpoint(key="iris", url=url)).discretion
    kept = discretion.of(Exchange(result=in_a_page("abcd1234-and-the-rest"), duration_us=1, address=None)).result
    assert isinstance(kept, Answer)
    assert kept.excerpt == b"<pre>you sent (left out), did you not?"


def test_of_the_request_names_are_kept_and_what_says_nothing() -> None:
    assert TARGET.shown_head.decode().split("\r\n") == [
        "POST /hook?team=(left out)&token=(left out)&(left out) HTTP/1.1",
        "Host: example.test",
        TARGET.shown_head.decode().split("\r\n")[2],
        "Authorization: (left out)",
        "X-Session: (left out)",
        "X-Team: flowers",
    ]


def test_what_is_none_stays_as_it_is() -> None:
    elsewhere = Answer(status=307, location="http://flowers.test/hook")
    assert kept(elsewhere)[0] == "answered 307, a redirect to http://flowers.test/hook, which is not followed"
    assert kept(Answer(status=500, excerpt=b"oh no, p4s")) == (
        "answered 500: oh no, p4s",
        TARGET.shown_head + b"oh no, p4s",
    )
    assert kept(REFUSED)[0] == "cannot be reached"


def test_of_an_endpoint_without_secrets_all_is_kept() -> None:
    plain = Target(Endpoint(key="iris", url="https://example.test/hook?a=b", headers={"X-Key": "abc"}))
    exchange = Exchange(result=in_a_page("abc"), duration_us=1, address=None)
    assert plain.discretion.of(exchange) == exchange
