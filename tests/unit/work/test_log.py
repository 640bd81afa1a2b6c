"""What a replica writes into the server's log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringback.work.child.log import JSON, SHORT, TEXT, Log


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


@pytest.fixture
def descriptor(file: Path) -> Iterator[int]:
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield opened
    os.close(opened)


def test_as_text_each_line_begins_with_when_and_who(file: Path, descriptor: int) -> None:
    log = Log(descriptor, api="iris", replica=2)
    log.write(b"one\n\ntwo\n", "w1")
    log.write(b"nobody's\n", None)
    lines = file.read_text().splitlines()
    assert [line[24:] for line in lines] == ["iris/2 w1: one", "iris/2 w1: ", "iris/2 w1: two", "iris/2: nobody's"]
    assert all(datetime.fromisoformat(line[:23]).microsecond % 1_000 == 0 for line in lines)


def test_as_json_each_line_is_an_object_with_the_keys_of_a_fact(file: Path, descriptor: int) -> None:
    log = Log(descriptor, api="iris", replica=2, form=JSON)
    log.write(b'one "quoted"\n\nt\xc3\xa4o \xff\x00\n', "w1")
    log.write(b"nobody's\n", None)
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(each["workload"], each["text"]) for each in told] == [
        ("w1", 'one "quoted"'),
        ("w1", ""),
        ("w1", "täo \\xff\x00"),
        (None, "nobody's"),
    ]
    assert {(each["level"], each["fact"], each["api"], each["replica"]) for each in told} == {
        ("info", "replica.said", "iris", 2)
    }
    assert {datetime.fromisoformat(each["at"]).tzinfo for each in told} == {UTC}


@pytest.mark.parametrize("form", [TEXT, JSON, SHORT])
def test_a_log_that_cannot_be_written_stops_nobody(file: Path, form: str) -> None:
    file.touch()
    descriptor = os.open(file, os.O_RDONLY)
    Log(descriptor, api="iris", replica=1, form=form).write(b"one\n", None)
    os.close(descriptor)
    assert file.read_text() == ""


def test_a_terminal_is_told_the_time_on_the_wall_and_the_api_alone(file: Path, descriptor: int) -> None:
    Log(descriptor, api="iris", replica=1, form=SHORT).write(b"one\ntwo\n", "0193-a-long-id")

    assert [line[8:] for line in file.read_text().splitlines()] == [
        f"  {'iris':20} | {word}" for word in ("one", "two")
    ]
