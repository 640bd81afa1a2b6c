"""Frames between parent and child: whatever way they are chopped, whatever somebody else sends."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.work.child import wire
from ringback.work.child.wire import Frames, Kind, WireError, Work

FRAMES = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=60)), max_size=5)
SHORT_TEXT = st.text(max_size=20)


@given(FRAMES, st.lists(st.integers(0, 400), max_size=8))
def test_frames_survive_any_chopping(frames: list[tuple[Kind, bytes]], cuts: list[int]) -> None:
    stream = b"".join(wire.frame(kind, body) for kind, body in frames)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reader, seen = Frames(), []
    for begin, end in itertools.pairwise(edges):
        seen += reader.feed(stream[begin:end])
    assert seen == frames


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_wire_error(data: bytes) -> None:
    try:
        for kind, body in Frames().feed(data):
            assert isinstance(kind, Kind)
            for read in (wire.read_numbered, wire.read_progress, wire.read_object):
                try:
                    read(body)
                except WireError:
                    continue
    except WireError:
        pass


def test_a_kind_nobody_knows_and_a_length_nobody_sends_are_refused() -> None:
    with pytest.raises(WireError, match="unknown kind of frame 99"):
        list(Frames().feed(bytes([99, 0, 0, 0, 0])))
    with pytest.raises(WireError, match="a frame of 4294967295 bytes"):
        list(Frames().feed(b"\x06\xff\xff\xff\xff"))


def test_what_was_whole_before_the_garbage_is_still_read() -> None:
    frames = Frames().feed(wire.frame(Kind.READY, b"{}") + b"\x63garbage")
    assert next(frames) == (Kind.READY, b"{}")
    with pytest.raises(WireError):
        next(frames)


@given(SHORT_TEXT, SHORT_TEXT, st.binary(max_size=40), st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_work_arrives_as_it_was_sent(
    workload_id: str, content_type: str, headers: bytes, payload: bytes, number: int
) -> None:
    work = Work(
        number=number,
        attempt=3,
        timeout=1.5,
        id=workload_id,
        content_type=content_type,
        headers=headers,
        payload=payload,
    )
    [(kind, body)] = Frames().feed(wire.work_frame(work))
    assert kind is Kind.WORK
    assert wire.read_work(body) == work


@given(st.floats(0, 1), st.none() | st.text(max_size=30))
def test_progress_arrives_as_it_was_told(fraction: float, message: str | None) -> None:
    [(_, body)] = Frames().feed(wire.progress_frame(7, fraction, message))
    assert wire.read_progress(body) == (7, fraction, message)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), float("inf")])
def test_progress_that_is_no_fraction_is_refused(fraction: float) -> None:
    [(_, body)] = Frames().feed(wire.progress_frame(7, fraction, None))
    with pytest.raises(WireError, match="not from 0 to 1"):
        wire.read_progress(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"3", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="no JSON"):
        wire.read_object(body)


@given(st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=40))
def test_an_output_arrives_as_it_was_told(index: int, value: bytes) -> None:
    [(kind, body)] = Frames().feed(wire.output_frame(7, index, value))
    assert kind is Kind.OUTPUT
    assert wire.read_output(body) == (7, index, value)


@pytest.mark.parametrize("body", [b"", b"\0" * 7, b"\0" * 8])
def test_an_output_without_a_value_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="too short"):
        wire.read_output(body)


@given(st.binary(max_size=30))
def test_work_that_is_cut_short_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="too short"):
        wire.read_work(body[:20])


@pytest.mark.parametrize("text", ["\\udcff", "\\uDCFF", "\\ud83d"])
def test_half_a_character_is_read_as_a_question_mark(text: str) -> None:
    assert wire.read_told(f'{{"reason": "no file {text} here", "more": ["{text}"]}}'.encode()) == {
        "reason": "no file ? here",
        "more": ["?"],
    }


def test_whole_characters_are_read_as_they_are() -> None:
    told = {"reason": "no file \N{GRINNING FACE} here, nor \\\\ud8"}
    assert wire.read_told(json.dumps(told).encode()) == told
