"""What conditional and range headers ask for, row by row of RFC 9110."""

from __future__ import annotations

import pytest

from ringback.core.errors import PreconditionFailed, RangeNotSatisfiable
from ringback.gateway.ranges import Part, Unchanged, Whole, wanted

ETAG = '"0006-abcd"'
SIZE = 1_000


def ask(method: str = "GET", /, size: int = SIZE, **headers: str) -> Whole | Part | Unchanged:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return wanted(method, named, etag=ETAG, size=size)


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("bytes=0-499", 0, 500),
        ("bytes=500-999", 500, 1_000),
        ("bytes=500-", 500, 1_000),
        ("bytes=-500", 500, 1_000),
        ("bytes=-2000", 0, 1_000),
        ("bytes=0-0", 0, 1),
        ("bytes=999-999", 999, 1_000),
        ("bytes=990-5000", 990, 1_000),
        ("bytes=0-", 0, 1_000),
        ("bytes=0-99999999999999999999999999", 0, 1_000),
        ("Bytes = 1 - 2", 1, 3),
    ],
)
def test_a_range(text: str, start: int, stop: int) -> None:
    assert ask(range=text) == Part(start=start, stop=stop)


@pytest.mark.parametrize("text", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=99999999999999999999999999-"])
def test_a_range_with_nothing_in_it(text: str) -> None:
    with pytest.raises(RangeNotSatisfiable, match="1000 bytes") as refused:
        ask(range=text)
    assert refused.value.size == SIZE


@pytest.mark.parametrize("text", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_nothing_has_no_part(text: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        ask(size=0, range=text)


@pytest.mark.parametrize(
    "text", ["bytes=0-1,5-6", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes 0-1", "items=0-1", "bytes=٣-٤", ""]
)
def test_what_is_no_single_range_of_bytes_is_ignored(text: str) -> None:
    assert ask(range=text) == Whole()


def test_a_range_is_part_of_a_get_alone() -> None:
    assert ask("HEAD", range="bytes=0-1") == Whole()
    assert ask("HEAD", range="bytes=5000-") == Whole()


@pytest.mark.parametrize(
    ("validator", "holds"),
    [(ETAG, True), ('"another"', False), (f"W/{ETAG}", False), ("Wed, 25 Nov 2026 00:00:00 GMT", False)],
)
def test_a_range_only_of_what_the_client_has_begun_with(validator: str, holds: bool) -> None:
    answer = ask(range="bytes=0-1", if_range=validator)
    assert answer == (Part(start=0, stop=2) if holds else Whole())


def test_a_range_that_is_not_to_be_had_does_not_matter_when_the_result_is_another() -> None:
    assert ask(range="bytes=5000-", if_range='"another"') == Whole()


@pytest.mark.parametrize("header", [ETAG, f"W/{ETAG}", f'"a", {ETAG}', "*"])
def test_what_the_client_has_is_not_sent_again(header: str) -> None:
    assert ask(if_none_match=header) == Unchanged()
    assert ask("HEAD", if_none_match=header, range="bytes=5000-") == Unchanged()


def test_what_it_has_not_is_sent() -> None:
    assert ask(if_none_match='"another"') == Whole()
    assert ask(if_none_match='"another"', range="bytes=0-1") == Part(start=0, stop=2)


@pytest.mark.parametrize(("header", "holds"), [(ETAG, True), ("*", True), (f"W/{ETAG}", False), ('"another"', False)])
def test_what_the_client_expects(header: str, holds: bool) -> None:
    if holds:
        assert ask(if_match=header) == Whole()
    else:
        with pytest.raises(PreconditionFailed, match=ETAG):
            ask(if_match=header)
