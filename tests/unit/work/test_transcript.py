"""What is printed, made fit to keep: nothing is lost of what is little, and very much is bounded and counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.work.child.transcript import (
    BURST_BYTES,
    BURST_LINES,
    BURST_SECONDS,
    HEAD_BYTES,
    HEAD_LINES,
    LINE_BYTES,
    REDRAW_SECONDS,
    Excerpt,
    Piece,
    Tidy,
)

CUT = LINE_BYTES


def tidied(*writes: bytes, seconds_between: float = 0.0) -> bytes:
    tidy = Tidy()
    out = b"".join(tidy.add(data, number * seconds_between) for number, data in enumerate(writes))
    return out + tidy.end()


def chopped(data: bytes, sizes: list[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [*parts, data]


# ── Lines ───────────────────────────────────────────────────────────────────────────────────────


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r")), st.lists(st.integers(0, 8)))
def test_plain_text_goes_out_as_it_came_and_in_whole_characters(text: str, sizes: list[int]) -> None:
    tidy, out = Tidy(), ""
    for part in chopped(text.encode(), sizes):
        out += tidy.add(part, 0.0).decode()
    assert out + tidy.end().decode() == text


@given(st.lists(st.sampled_from([b"a", b"bc", b"\r", b"\n", b"\r\n", "ü".encode(), b"\xff"]), max_size=30))
def test_however_it_is_chopped_the_lines_are_the_same(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    at_once, one_by_one = tidied(whole), tidied(*(whole[place : place + 1] for place in range(len(whole))))
    assert b"\r" not in at_once
    # A line whose beginning is out already cannot be drawn over: its later forms stand below it.
    assert one_by_one.count(b"\n") >= at_once.count(b"\n")
    assert [line for line in at_once.split(b"\n") if line][-1:] == [line for line in one_by_one.split(b"\n") if line][
        -1:
    ]


@pytest.mark.parametrize(
    ("writes", "text"),
    [
        ([b"one\r\ntwo\r\n"], b"one\ntwo\n"),
        ([b"one\r", b"\ntwo"], b"one\ntwo"),
        ([b"\r10%\r20%\r100%\n"], b"100%\n"),
        ([b"\r10%", b"\r20%", b"\r100%\n", b"done\n"], b"100%\ndone\n"),
        ([b"\r10%", b"\r20%"], b"20%"),
        ([b"load: ", b"\r10%", b"\r20%\n"], b"load: \n20%\n"),
        ([b"load: 5%\r"], b"load: 5%"),
        ([b"load: ", b"\r\n"], b"load: \n"),
        ([b"\r\r\n\n"], b"\n\n"),
    ],
)
def test_a_line_that_is_drawn_over_stands_in_its_last_form(writes: list[bytes], text: bytes) -> None:
    assert tidied(*writes) == text


def test_a_bar_that_is_drawn_for_long_is_seen_now_and_then() -> None:
    writes = [b"\r%d%%" % number for number in range(100)]
    lines = tidied(*writes, seconds_between=1.0).decode().split("\n")
    assert lines[-1] == "99%"
    assert len(lines) == 1 + 99 // REDRAW_SECONDS
    assert lines[0] == f"{REDRAW_SECONDS:.0f}%"


@pytest.mark.parametrize("step", [1 << 20, 1_000, 7])
def test_a_long_line_is_cut_and_says_so(step: int) -> None:
    data = b"first\n" + b"x" * (CUT + 1_234) + b"\nlast\n"
    out = tidied(*(data[place : place + step] for place in range(0, len(data), step)))
    first, long, last, nothing = out.split(b"\n")
    assert (first, last, nothing) == (b"first", b"last", b"")
    assert long == b"x" * CUT + " … 1234 bytes cut".encode()


def test_a_cut_goes_between_characters() -> None:
    out = tidied("€".encode() * CUT + b"\n").decode()
    assert out.startswith("€" * (CUT // 3) + " … ")


def test_a_line_without_end_takes_no_memory() -> None:
    tidy = Tidy()
    for _ in range(1_000):
        tidy.add(b"x" * 10_000, 0.0)
    assert len(tidy._line) <= LINE_BYTES
    bar = Tidy()
    for _ in range(1_000):
        bar.add(b"\r" + b"x" * 10_000, 0.0)
        bar.add(b"y" * 10_000, 0.0)
    assert len(bar._line) <= LINE_BYTES


def test_bytes_that_are_no_text_go_through() -> None:
    assert tidied(b"\xff\xfe\x00", b"\x80\n", b"\xe2\x82") == b"\xff\xfe\x00\x80\n\xe2\x82"


# ── Very much ───────────────────────────────────────────────────────────────────────────────────


def pieces_of(writes: list[bytes], *, seconds_between: float = 0.0) -> list[Piece]:
    excerpt, pieces, now = Excerpt(), [], 0.0
    for data in writes:
        excerpt.add(data)
        now += seconds_between
        while (piece := excerpt.take(now)) is not None:
            pieces.append(piece)
    return [*pieces, *excerpt.end()]


def numbered(count: int, width: int = 0) -> list[bytes]:
    return [b"%0*d\n" % (width, number) for number in range(1, count + 1)]


def check(pieces: list[Piece], lines: list[bytes]) -> None:
    """Every line is there or counted, in order."""
    at = 0
    for left_out, text in pieces:
        at += left_out
        for line in text.splitlines(keepends=True):
            assert line == lines[at]
            at += 1
    assert at == len(lines)


@given(st.lists(st.binary(max_size=20), max_size=50))
def test_a_little_is_passed_on_whole(writes: list[bytes]) -> None:
    pieces = pieces_of(writes)
    assert all(left_out == 0 for left_out, _ in pieces)
    assert b"".join(text for _, text in pieces) == b"".join(writes)


@pytest.mark.parametrize("together", [1, 7, 1_000, 100_000])
def test_of_very_many_lines_the_beginning_and_the_end_are_kept(together: int) -> None:
    lines = numbered(100_000)
    writes = [b"".join(lines[place : place + together]) for place in range(0, len(lines), together)]
    pieces = pieces_of(writes)
    check(pieces, lines)
    assert sum(text.count(b"\n") for _, text in pieces) < HEAD_LINES + 2 * BURST_LINES + together
    assert b"".join(text for left_out, text in pieces).startswith(b"".join(lines[:HEAD_LINES]))
    assert pieces[-1][1].endswith(b"".join(lines[-100:]))


def test_of_very_long_lines_too() -> None:
    lines = numbered(1_000, width=10_000)
    pieces = pieces_of(lines)
    check(pieces, lines)
    assert HEAD_BYTES <= sum(len(text) for _, text in pieces) <= HEAD_BYTES + 2 * BURST_BYTES + 20_000
    assert pieces[-1][1].endswith(lines[-1])


def test_after_the_beginning_each_stretch_of_time_has_its_burst() -> None:
    lines = numbered(HEAD_LINES + 40_000)
    writes = [b"".join(lines[:HEAD_LINES])]
    writes += [b"".join(lines[place : place + 4_000]) for place in range(HEAD_LINES, len(lines), 4_000)]
    pieces = pieces_of(writes, seconds_between=BURST_SECONDS)
    check(pieces, lines)
    assert [left_out for left_out, _ in pieces] == [0] + [4_000 - BURST_LINES] * 10


def test_few_lines_at_a_time_are_all_passed_on_also_after_the_beginning() -> None:
    lines = numbered(HEAD_LINES + 2_000)
    pieces = pieces_of(lines, seconds_between=0.001)
    check(pieces, lines)
    assert sum(left_out for left_out, _ in pieces) == 0


def test_the_beginning_ends_with_a_whole_line_and_a_part_of_one_is_not_lost() -> None:
    head = b"".join(numbered(HEAD_LINES - 1))
    pieces = pieces_of([head, b"half", b" and half\n", b"after\nand", b" no end"])
    assert b"".join(text for _, text in pieces) == head + b"half and half\nafter\nand no end"


def test_nothing_is_due_when_there_is_nothing() -> None:
    excerpt = Excerpt()
    assert excerpt.due_in(0.0) is None
    excerpt.add(b"x")
    assert excerpt.due_in(0.0) == 0.0
    assert excerpt.take(0.0) == (0, b"x")
    excerpt.add(b"\n" * (HEAD_LINES + 5))
    assert excerpt.take(1.0) == (0, b"\n" * HEAD_LINES)
    assert excerpt.take(1.0) == (0, b"\n" * 5)
    excerpt.add(b"\n")
    assert excerpt.due_in(1.0) == BURST_SECONDS
    assert excerpt.take(1.0) is None
    assert excerpt.take(1.0 + BURST_SECONDS) == (0, b"\n")
    assert excerpt.take(9.0) is None
    assert excerpt.end() == []
