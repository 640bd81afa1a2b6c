"""Cursors: only what was given is taken back, whatever else could be read as one."""

from __future__ import annotations

import base64

import pytest

from ringback.core.errors import InvalidParameter
from ringback.core.paging import decode_cursor, decode_span, encode_cursor, encode_span


def in_base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(("after", "until"), [(0, 0), (0, 7), (7, 7), (12, 2**63 - 1)])
def test_a_span_comes_back(after: int, until: int) -> None:
    assert decode_span(encode_span(after, until)) == (after, until)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ä",
        encode_cursor(5),
        in_base64("span:1"),
        in_base64("span:2-1"),
        in_base64("span:01-2"),
        in_base64("span:-1-2"),
        in_base64("span:1-2-3"),
        in_base64("span:²-3"),
        in_base64(f"span:1-{2**63}"),
        in_base64(f"span:1-{'9' * 5_000}"),
        encode_span(1, 2) + "=",
    ],
)
def test_anything_else_is_no_span(cursor: str) -> None:
    with pytest.raises(InvalidParameter, match="not one this server gave"):
        decode_span(cursor)


@pytest.mark.parametrize("cursor", [encode_span(1, 2), in_base64(f"page:{2**63}"), in_base64("page:x"), "page:5"])
def test_anything_else_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidParameter, match="not one this server gave"):
        decode_cursor(cursor)
