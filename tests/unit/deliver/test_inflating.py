"""Compressed answers, read no further than they are looked at."""

from __future__ import annotations

import gzip
import zlib

import pytest

from ringback.deliver.inflating import undoing

TEXT = b"not a flower " * 50
GZIPPED = gzip.compress(TEXT, mtime=0)
"""The same at every time: tests are named by it."""


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("", TEXT), ("gzip", GZIPPED), ("X-GZIP", GZIPPED), (" deflate", zlib.compress(TEXT))],
)
def test_a_body_is_read_piece_by_piece(encoding: str, body: bytes) -> None:
    undo = undoing(encoding)
    seen = b"".join(undo(body[at : at + 7], 10_000) for at in range(0, len(body), 7))
    assert seen == TEXT


def test_a_bomb_is_cut() -> None:
    undo = undoing("gzip")
    assert len(undo(gzip.compress(b"x" * 50_000_000), 100)) == 100
    assert undo(b"more", 0) == b""


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd", "identity"])
def test_what_is_nested_or_not_known_is_left_as_it_is(encoding: str) -> None:
    assert undoing(encoding)(b"raw bytes", 3) == b"raw"


@pytest.mark.parametrize("body", [b"no gzip at all", GZIPPED[:20], GZIPPED[:-8] + b"damaged!"])
def test_what_is_broken_is_read_as_far_as_it_goes(body: bytes) -> None:
    assert TEXT.startswith(undoing("gzip")(body, 10_000))
