"""The request's bytes: the interface's headers, a signature of this moment, and nothing that breaks out of a line."""

from __future__ import annotations

import re

import pytest
from standardwebhooks import Webhook

from ringback import verify
from ringback.core.clock import SECOND, Instant, SystemClock
from ringback.core.delivery import Delivery
from ringback.core.errors import SpecError
from ringback.core.spec import BodyFormat, Endpoint, Event
from ringback.deliver.request import Target
from support.signed import PUBLIC_KEY, SECRET, SIGNING_KEY


def delivery(trace_id: str | None = None) -> Delivery:
    return Delivery(
        seq=1,
        endpoint="iris",
        message_id="msg_1",
        event=Event.COMPLETED,
        api="iris",
        workload_id="w1",
        body=b'{"id":"w1"}',
        tries=0,
        trace_id=trace_id,
        created_at=Instant(0),
    )


def sent(
    url: str, *, secret: str | None = None, trace_id: str | None = None, **headers: str
) -> tuple[str, dict[str, str]]:
    endpoint = Endpoint(key="iris", url=url, secret=secret, headers=headers)
    raw = Target(endpoint).request(delivery(trace_id), SystemClock().now())
    head, _, body = raw.partition(b"\r\n\r\n")
    assert body == b'{"id":"w1"}'
    line, *lines = head.decode().split("\r\n")
    return line, dict(each.split(": ", 1) for each in lines)


def test_the_interfaces_headers() -> None:
    line, headers = sent("http://example.test:8000/hooks/iris?a=1&b=%20x", Authorization="Bearer x")

    assert line == "POST /hooks/iris?a=1&b=%20x HTTP/1.1"
    assert headers["Host"] == "example.test:8000"
    assert re.fullmatch(r"Ringback/\d+\.\d+\.\d+", headers["User-Agent"])
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == "11"
    assert headers["webhook-id"] == "msg_1"
    assert abs(int(headers["webhook-timestamp"]) - SystemClock().now() // SECOND) <= 2
    assert headers["Authorization"] == "Bearer x"
    assert not headers.keys() & {"webhook-signature", "traceparent"}


def test_the_signature_holds_for_the_official_library() -> None:
    _, headers = sent("http://example.test/", secret=SECRET)
    assert Webhook(SECRET).verify(b'{"id":"w1"}', headers) == {"id": "w1"}


def test_two_keys_sign_side_by_side_each_for_its_own_receivers() -> None:
    _, headers = sent("http://example.test/", secret=f"{SIGNING_KEY} {SECRET}")

    assert [entry.split(",")[0] for entry in headers["webhook-signature"].split(" ")] == ["v1a", "v1"]
    assert Webhook(SECRET).verify(b'{"id":"w1"}', headers) == {"id": "w1"}
    for secret in (SECRET, PUBLIC_KEY):
        assert verify(b'{"id":"w1"}', headers, secret) == {"id": "w1"}


def test_a_trace_is_passed_on_with_a_span_of_its_own() -> None:
    _, headers = sent("http://example.test/", trace_id="0af7651916cd43dd8448eb211c80319c")
    assert re.fullmatch(r"00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01", headers["traceparent"])


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("http://example.test", "POST / HTTP/1.1", "example.test"),
        ("https://example.test:443/x", "POST /x HTTP/1.1", "example.test"),
        ("http://[::1]:9000/x", "POST /x HTTP/1.1", "[::1]:9000"),
        ("http://bücher.test/grüße", "POST /gr%C3%BC%C3%9Fe HTTP/1.1", "xn--bcher-kva.test"),
    ],
)
def test_urls_as_people_write_them(url: str, line: str, host: str) -> None:
    found, headers = sent(url)
    assert (found, headers["Host"]) == (line, host)


@pytest.mark.parametrize(
    ("url", "port", "is_tls"),
    [("http://a.test/", 80, False), ("https://a.test/", 443, True), ("https://a.test:80/", 80, True)],
)
def test_where_a_request_goes_when_no_port_is_named(url: str, port: int, is_tls: bool) -> None:
    target = Target(Endpoint(key="iris", url=url))
    assert (target.port, target.is_tls) == (port, is_tls)


def test_credentials_in_the_url_become_a_header_unless_there_is_one() -> None:
    assert sent("http://me:p%40ss@example.test/")[1]["Authorization"] == "Basic bWU6cEBzcw=="
    assert sent("http://me:x@example.test/", authorization="Bearer y")[1]["authorization"] == "Bearer y"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.test/", "no webhook URL"),
        ("http:///path", "no webhook URL"),
        ("http://example.test:0/", "no webhook URL"),
        ("http://example.test:99999/", "no URL"),
        ("http://example.test/ x", "space"),
        ("http://example.test/\r\nX: y", "control character|no URL"),
        ("http://example.test/#part", "fragment"),
        ("http://" + "a" * 64 + ".test/", "no host name"),
    ],
)
def test_urls_that_cannot_be_used(url: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Target(Endpoint(key="iris", url=url))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("Bad Name", "x", "no header name"),
        ("X-A", "a\r\nX-B: c", "no header can carry"),
        ("X-A", "a\x00", "no header can carry"),
        ("X-A", "\N{SNOWMAN}", "no header can carry"),
        ("Webhook-Id", "mine", "Ringback's own"),
        ("content-length", "5", "Ringback's own"),
        ("Host", "elsewhere", "Ringback's own"),
    ],
)
def test_headers_that_cannot_be_used(name: str, value: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Target(Endpoint(key="iris", url="http://example.test/", headers={name: value}))


def test_the_attributes_of_a_binary_cloudevent_are_ours_to_set() -> None:
    headers = {"CE-Id": "x"}
    Target(Endpoint(key="hook", url="http://127.0.0.1:1/", headers=headers))
    with pytest.raises(SpecError, match="CE-Id is Ringback's own"):
        Target(Endpoint(key="hook", url="http://127.0.0.1:1/", headers=headers, format=BodyFormat.CLOUDEVENTS_BINARY))
