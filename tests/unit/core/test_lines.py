"""Lines out of pieces, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.errors import PayloadTooLarge
from ringback.core.lines import Lines


def lines_of(*pieces: bytes, most: int = 100) -> list[tuple[int, bytes]]:
    lines = Lines(most)
    return [found for piece in pieces for found in lines.feed(piece)] + list(lines.end())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", []),
        (b"\n\n \r\n", []),
        (b"1", [(1, b"1")]),
        (b"1\n", [(1, b"1")]),
        (b"1\r\n2\r\n", [(1, b"1"), (2, b"2")]),
        (b"\n1\n\n  2 \n3", [(2, b"1"), (4, b"2"), (5, b"3")]),
        (b'{"a": "\\n"}\n', [(1, b'{"a": "\\n"}')]),
    ],
)
def test_lines_and_their_numbers(text: bytes, found: list[tuple[int, bytes]]) -> None:
    assert lines_of(text) == found


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_how_a_text_is_cut_changes_nothing(text: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(places)]
    assert lines_of(*pieces) == lines_of(text)


@pytest.mark.parametrize("pieces", [(b"1\n" + b"x" * 11,), (b"1\nxxxxxx", b"xxxxxx"), (b"1\n" + b"x" * 11 + b"\n",)])
def test_a_line_that_is_too_long_is_refused_by_its_number_as_soon_as_it_is(pieces: tuple[bytes, ...]) -> None:
    lines = Lines(10)
    *before, last = pieces
    for piece in before:
        assert list(lines.feed(piece)) == [(1, b"1")]
    with pytest.raises(PayloadTooLarge, match="line 2 is over 10 bytes"):
        list(lines.feed(last))


def test_one_of_just_that_length_is_not() -> None:
    assert lines_of(b"x" * 10 + b"\n" + b"y" * 10, most=10) == [(1, b"x" * 10), (2, b"y" * 10)]
