"""URL tricks: each was read in one way by a check and in another by what came after it."""

from __future__ import annotations

import pytest

from ringback.core.errors import ForbiddenTarget
from ringback.core.urls import guest_url, shown_url
from support.forbidden import AMBIGUOUS, FOLDED


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
        *FOLDED.items(),
    ],
)
def test_a_url_is_written_in_the_one_way_all_read_alike(text: str, url: str) -> None:
    assert guest_url(text) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://hooks.example/a\\b", "contains a backslash, which programs read in different ways"),
        ("http://evil.example\\@127.0.0.1/", "contains a backslash"),
        (f"http://{'a.' * 126}ab/", "has a host that is neither a name nor an address"),
        (f"http://{'a' * 64}.example/", "has a host that is neither a name nor an address"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ForbiddenTarget, match=words):
        guest_url(text)


def test_a_name_is_at_most_253_characters_long() -> None:
    longest = "a." * 126 + "a"
    assert guest_url(f"http://{longest}/") == f"http://{longest}/"


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(ForbiddenTarget):
        guest_url(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://example.test/hook", "https://example.test/hook"),
        ("https://example.test/@me?", "https://example.test/@me?"),
        ("https://me:secret@example.test:8443/hook", "https://…@example.test:8443/hook"),
        ("https://a@b@example.test", "https://…@example.test"),
        ("https://example.test/hook?token=secret&x&y=", "https://example.test/hook?token=…&…&y=…"),
        ("https://example.test?to=me@example.test", "https://example.test?to=…"),
    ],
)
def test_a_url_is_shown_without_its_secrets_and_showing_it_again_changes_nothing(text: str, shown: str) -> None:
    assert shown_url(text) == shown
    assert shown_url(shown) == shown
