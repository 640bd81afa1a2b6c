"""The line to a host: frames are found in a stream however it is chopped, and nobody unknown is let in."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ringback
from ringback.core.errors import Unavailable
from ringback.work.child import wire
from ringback.work.child.wire import Kind, WireError
from ringback.work.cluster.door import Door
from ringback.work.cluster.link import MOST_BYTES, Incoming, Line, Passing, Piece, Sifter, WholeLines, read_piece

KINDS = (Kind.WORK, Kind.FILE, Kind.STORED, Kind.DONE, Kind.FAILED, Kind.LOG)
FRAMES = st.lists(st.tuples(st.sampled_from(KINDS), st.binary(min_size=4, max_size=60)), max_size=12)


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(at)]


def sifted(sifter: Sifter, parts: list[bytes]) -> list[Passing]:
    return [passing for part in parts for passing in sifter.feed(part)]


@given(FRAMES, st.lists(st.integers(0, 900), max_size=20))
def test_what_is_passed_on_is_what_came_but_for_what_is_shown(
    frames: list[tuple[Kind, bytes]], cuts: list[int]
) -> None:
    data = b"".join(wire.frame(kind, body) for kind, body in frames)
    found = sifted(Sifter(Kind.FILE, Kind.STORED), chopped(data, cuts))

    again = b"".join(each.data if each.kind is None else wire.frame(each.kind, each.body) for each in found)
    assert again == data
    shown = [(each.kind, each.body) for each in found if each.kind is not None]
    assert shown == [(kind, body) for kind, body in frames if kind in {Kind.FILE, Kind.STORED}]
    ended = [each.ended for each in found if each.ended is not None]
    assert ended == [wire.number_of(body) for kind, body in frames if kind in {Kind.DONE, Kind.FAILED}]


def test_kinds_may_change_between_two_frames() -> None:
    sifter = Sifter(Kind.FILE)
    data = wire.frame(Kind.FILE, b"{}") + wire.frame(Kind.WORK, b"1234") + wire.frame(Kind.WORK, b"5678")
    shown = []
    for passing in sifter.feed(data):
        shown.append(passing.kind)
        (sifter.kinds.add if passing.kind is Kind.FILE else sifter.kinds.discard)(Kind.WORK)
    assert shown == [Kind.FILE, Kind.WORK, None]


@pytest.mark.parametrize(
    "data",
    [
        b"\x02\xff\xff\xff\xff",
        b"\x14\x00\x02\x00\x00",  # a FILE frame of 128 KiB
        wire.frame(Kind.DONE, b"123"),
    ],
)
def test_what_is_no_stream_of_frames_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        sifted(Sifter(Kind.FILE), [data])


async def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path)
    for part in (b"one ", b"two"):
        await incoming.take(part)
    assert (await incoming.name("first")).read_bytes() == b"one two"
    assert (await incoming.name("second")).read_bytes() == b""
    with pytest.raises(WireError, match="none is expected"):
        await Incoming(None).take(b"")


# ── The door ────────────────────────────────────────────────────────────────────────────────────


def piece(kind: int, body: bytes, length: int | None = None) -> bytes:
    return bytes((kind,)) + (len(body) if length is None else length).to_bytes(4, "big") + body


async def test_a_host_is_let_in_by_its_token_alone_and_once() -> None:
    door = Door()
    await door.open("127.0.0.1")
    token, expected = door.expect()
    hello = json.dumps({"token": token, "release": ringback.__version__}).encode()
    strangers = [
        b"GET / HTTP/1.1\r\n\r\n",
        piece(Piece.HELLO, b"[]"),
        piece(Piece.HELLO, b'{"token": "guessed", "release": "' + ringback.__version__.encode() + b'"}'),
        piece(Piece.WIRE, hello),
        piece(99, hello),
        piece(Piece.HELLO, hello, MOST_BYTES + 1),
    ]
    for greeting in strangers:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(greeting)
        assert await reader.read() == b"", "it is closed without a word"
        writer.close()
    assert not expected.done()

    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(piece(Piece.HELLO, hello))
    line = await asyncio.wait_for(expected, 5)
    await line.send(Piece.WIRE, b"x" * (MOST_BYTES + 1))
    assert [len((await read_piece(reader) or (0, b""))[1]) for _ in range(2)] == [MOST_BYTES, 1]

    again, writer_again = await asyncio.open_connection("127.0.0.1", door.port)
    writer_again.write(piece(Piece.HELLO, hello))
    assert await again.read() == b""
    for each in (line, Line(reader, writer), Line(again, writer_again)):
        each.close()
    await door.close()


async def test_a_host_of_another_release_is_told_apart() -> None:
    door = Door()
    await door.open("127.0.0.1")
    token, expected = door.expect()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(piece(Piece.HELLO, json.dumps({"token": token, "release": "0.0.1"}).encode()))
    with pytest.raises(Unavailable, match=r"its host has Ringback 0\.0\.1.*install the same on all nodes"):
        await asyncio.wait_for(expected, 5)
    assert await reader.read() == b""
    writer.close()
    await door.close()


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=20))
def test_lines_are_carried_whole_and_nothing_is_kept_back_but_the_last(data: bytes, cuts: list[int]) -> None:
    lines = WholeLines()
    parts = [lines.feed(part) for part in chopped(data, cuts)]
    assert b"".join(parts) + lines.rest == data
    assert all(part.endswith(b"\n") for part in parts if part)
    assert b"\n" not in lines.rest


def test_a_line_without_an_end_is_carried_on_and_fits_a_piece() -> None:
    lines = WholeLines()
    longest = max(len(lines.feed(b"x" * 10_000)) for _ in range(100))
    assert 0 < longest <= MOST_BYTES
    assert len(lines.rest) <= MOST_BYTES
