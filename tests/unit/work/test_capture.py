"""What a process prints, caught by a thread of its own: told apart, never waited for in vain."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringback.work.child.capture import Capture
from ringback.work.child.log import Log
from ringback.work.child.wire import Frames, Kind, Work, read_log


@dataclass(slots=True)
class Place:
    """A pipe, a log, and the frames that were sent."""

    capture: Capture
    write: int
    log: Path
    frames: list[bytes] = field(default_factory=list)

    def said(self, data: bytes) -> list[tuple[int, int, str]]:
        return [read_log(body) for kind, body in Frames().feed(data) if kind is Kind.LOG]


def work(number: int) -> Work:
    return Work(number=number, attempt=1, timeout=1, id=f"w{number}", content_type="", headers=b"", payload=b"")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    log = tmp_path / "server.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    frames: list[bytes] = []
    yield Place(Capture(read, Log(descriptor, api="iris", replica=1), send=frames.append), write, log, frames)
    for each in (read, write, descriptor):
        os.close(each)


def test_what_is_written_between_begin_and_end_is_the_workloads(place: Place) -> None:
    place.capture.begin(work(1))
    os.write(place.write, b"one\n")
    first = place.capture.end(work(1))
    os.write(place.write, b"between\n")
    place.capture.settle()
    place.capture.begin(work(2))
    assert place.capture.end(work(2)) == b""
    assert place.said(first) == [(1, 0, "one\n")]
    assert [line[24:] for line in place.log.read_text().splitlines()] == ["iris/1 w1: one", "iris/1: between"]


def test_a_frame_stands_behind_what_was_said_before_it(place: Place) -> None:
    place.capture.begin(work(1))
    os.write(place.write, b"before\n")
    place.capture.tell(b"<frame>")
    [sent] = place.frames
    assert sent.endswith(b"<frame>")
    assert place.said(sent[: -len(b"<frame>")]) == [(1, 0, "before\n")]


def test_something_that_writes_without_end_does_not_hold_up_the_end(place: Place) -> None:
    place.capture.begin(work(1))
    full = b"x" * 65_536
    os.set_blocking(place.write, False)
    wrote = os.write(place.write, full)
    frames = place.capture.end(work(1))
    assert sum(len(text) for _, _, text in place.said(frames)) <= wrote


def test_whoever_speaks_while_we_are_at_work_is_heard_elsewhere(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    """A finalizer may print at any moment, also while the lock is ours: it must not wait for itself."""
    with place.capture._lock:
        place.capture._heard(work(1), b"from a finalizer\n")
    assert capfd.readouterr().err == "from a finalizer\n"
    with place.capture.speaking(work(1)):
        place.capture._heard(work(1), b"as usual\n")
    assert place.said(place.capture.last(work(1))) == [(1, 0, "as usual\n")]
    assert place.capture.last(work(1)) == b""


def test_what_a_workload_leaves_behind_speaks_for_nobody_and_is_not_kept(place: Place) -> None:
    with place.capture.speaking(work(1)):
        place.capture._heard(work(1), b"mine\n")
    place.capture.last(work(1))
    place.capture._heard(work(1), b"from a task that lives on\n")
    assert place.capture.last(work(1)) == b""
    assert place.capture._voices == {}
    said = [line[24:] for line in place.log.read_text().splitlines()]
    assert said == ["iris/1 w1: mine", "iris/1: from a task that lives on"]
