"""Where several processes share a run of tests, one that measures is alone."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.sharing import Room
from support.waiting import until


def test_one_that_is_alone_waits_for_all_and_all_who_come_later_wait_for_it(tmp_path: Path) -> None:
    room, came = Room(tmp_path), []

    def come(name: str, *, alone: bool) -> None:
        with room.entered(alone=alone):
            came.append(name)
            if alone:
                assert is_held(tmp_path / "room")

    with ThreadPoolExecutor(2) as others:
        with room.entered(alone=False):
            others.submit(come, "beside", alone=False).result(10)
            alone = others.submit(come, "alone", alone=True)
            until(lambda: is_held(tmp_path / "door"), within=10, wanted="somebody at the door")
            later = others.submit(come, "later", alone=False)
            assert came == ["beside"]
        alone.result(10)
        later.result(10)
    assert came == ["beside", "alone", "later"]
    with room.entered(alone=True):
        assert is_held(tmp_path / "room")


def is_held(lock: Path) -> bool:
    """Whether somebody has it for himself."""
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
