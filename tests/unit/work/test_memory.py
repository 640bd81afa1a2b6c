"""What processes use, as this machine's kernel tells it; and whom the kernel has killed, as its counter does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ringback.work.memory import MemoryWatch, Reaper, used_bytes

MIB = 2**20

HOLDS = """
import os, sys
held = bytearray(int(sys.argv[1])) if sys.argv[1] != "0" else b""
for place in range(0, len(held), 4096):
    held[place] = 1
for _ in range(int(sys.argv[2])):
    if os.fork() == 0:
        break
os.write(1, b"held\\n")
sys.stdin.read()
"""


@pytest.fixture
def holding() -> Iterator[object]:
    """Starts processes that hold so many bytes, each with so many forked children, until the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(held: int, children: int = 0) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(held), str(children)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        for _ in range(children + 1):
            assert process.stdout.readline() == "held\n"
        return process.pid

    yield start
    for process in started:
        process.communicate()


def test_what_a_process_holds_is_counted(holding: object) -> None:
    small, large = holding(0), holding(64 * MIB)  # type: ignore[operator]
    assert 64 * MIB <= used_bytes(large) < used_bytes(small) + 72 * MIB


def test_what_its_children_hold_is_counted_with_it_but_what_they_share_once(holding: object) -> None:
    pid = holding(64 * MIB, 3)  # type: ignore[operator]
    resident = used_bytes(pid, over=2**60)
    assert resident >= 4 * 64 * MIB
    shared = used_bytes(pid, over=100 * MIB)
    assert 64 * MIB <= shared < 100 * MIB


def test_a_process_that_has_gone_uses_nothing() -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    assert used_bytes(int(gone.stdout)) == 0


async def test_the_watch_tells_of_those_over_their_own_limit(holding: object) -> None:
    small, large = holding(0), holding(64 * MIB)  # type: ignore[operator]
    told: list[tuple[int, int]] = []
    limits = {small: 60 * MIB, large: 60 * MIB}
    watch = MemoryWatch(lambda: limits, lambda pid, used: told.append((pid, used)))
    await watch.look()
    [(pid, used)] = told
    assert pid == large
    assert used > 64 * MIB
    limits = {large: 600 * MIB}
    await watch.look()
    assert len(told) == 1


async def test_the_watch_looks_on_until_it_is_stopped() -> None:
    looked = asyncio.Event()
    watch = MemoryWatch(lambda: looked.set() or {}, lambda pid, used: None)  # type: ignore[func-returns-value]
    watch.start()
    watch.start()
    await asyncio.wait_for(looked.wait(), 5)
    watch.stop()
    watch.stop()


class Kernel:
    """A counter and a clock, both set by hand."""

    def __init__(self, kills: int | None) -> None:
        self.kills = kills
        self.now = 0.0
        self.reaper = Reaper(lambda: self.kills, lambda: self.now)


def test_a_kill_since_the_last_look_was_the_kernels() -> None:
    kernel = Kernel(5)
    assert not kernel.reaper.was_it()
    kernel.kills = 6
    assert kernel.reaper.was_it()
    assert not kernel.reaper.was_it()


def test_several_that_die_together_were_each() -> None:
    kernel = Kernel(0)
    kernel.kills = 2
    assert kernel.reaper.was_it()
    kernel.now = 1.0
    assert kernel.reaper.was_it()
    assert not kernel.reaper.was_it()


def test_a_kill_that_hit_no_replica_is_not_remembered_for_long() -> None:
    kernel = Kernel(0)
    kernel.kills = 3
    assert kernel.reaper.was_it()
    kernel.now = 60.0
    assert not kernel.reaper.was_it()


@pytest.mark.parametrize("kills", [None])
def test_where_the_kernel_does_not_count_nobody_knows(kills: int | None) -> None:
    kernel = Kernel(kills)
    assert not kernel.reaper.was_it()
    kernel.kills = 3
    assert not kernel.reaper.was_it()
