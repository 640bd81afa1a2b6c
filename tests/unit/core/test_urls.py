"""URL tricks: each was read in one way by a check and in another by what came after it."""

from __future__ import annotations

import pytest

from ringback.core.errors import ForbiddenTarget
from ringback.core.urls import guest_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://hooks.example/iris", "https://hooks.example/iris"),
        ("HTTP://Hooks.Example:80", "http://hooks.example/"),
        ("https://hooks.example:8443/a?b=c,d", "https://hooks.example:8443/a?b=c,d"),
        ("http://hooks.example./", "http://hooks.example/"),
        ("http://[2606:4700::1111]:81/", "http://[2606:4700::1111]:81/"),
        ("http://1.1.1.1/", "http://1.1.1.1/"),
        ("http://grün.example/", "http://xn--grn-ioa.example/"),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),  # read as what it is, and judged as that
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://ⓛocalhost/", "http://localhost/"),
    ],
)
def test_a_url_is_written_in_the_one_way_all_read_alike(text: str, url: str) -> None:
    assert guest_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1\n.evil.example/",
        "http://evil.example\t/",
        "http://evil.example /",
        "http://[::1]evil.example/",
        "http://evil.example[::1]/",
        "http://[::1%25lo]/",
        "http://[v1.a]/",
        "http://evil.example\\@127.0.0.1/",
        "http://127.0.0.1\\@evil.example/",
        "http://1.1.1.1 &@127.0.0.1# @3.3.3.3/",
        "http://user:pw@hooks.example/",
        "http://public.example@169.254.169.254/",
        "http://@hooks.example/",
        "http:127.0.0.1",
        "http:///127.0.0.1/",
        "//hooks.example/",
        "hooks.example",
        "http://hooks.example:65536/",
        "http://hooks.example:0/",
        "http://hooks.example:-1/",
        "http://hooks.example:80x/",
        "http://hooks.example/#x",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "unix:/run/x.sock",
        "ftp://hooks.example/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://0x7f.0x0.0x0.0x1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.000.000.001/",
        "http://0/",
        "http://a..b/",
        "http://-a.example/",
        "http://" + "a" * 64 + ".example/",
        "http://hooks.example/" + "a" * 2_000,
        "http://h%6foks.example/",
        "",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(ForbiddenTarget):
        guest_url(text)
