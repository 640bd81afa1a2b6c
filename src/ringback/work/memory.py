"""What replicas use of the machine's memory, and the end of one that uses more than its API's `compute.mem`.

A process counts with all its descendants. First their resident memory is added up, which is quick; only when that is
over the limit is what they share with others divided among them (proc_pid_smaps_rollup(5), Pss), so that forked workers
and mapped models are not counted several times.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from ringback.work.machine import oom_kills

LOOK_SECONDS: Final = 0.25
_TOGETHER_SECONDS: Final = 2.0
"""Processes that die within it may have been killed together."""
_PROC: Final = Path("/proc")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def used_bytes(pid: int, *, over: int = 0) -> int:
    """What a process and its descendants use, shared memory divided if that makes up for being over `over`.

    0 when nothing can be read of it: it has gone, or this is not Linux.
    """
    pids = list(_family(pid))
    resident = sum(map(_resident, pids))
    if resident <= over:
        return resident
    return sum(_proportional(each) for each in pids)


class MemoryWatch:
    """Looks at one API's replicas every `LOOK_SECONDS`, while it is on."""

    def __init__(self, limits: Callable[[], Mapping[int, int]], on_over: Callable[[int, int], None]) -> None:
        """Begin switched off, which costs nothing.

        Args:
            limits: the processes to look at, each with its limit in bytes.
            on_over: is called with a process that is over its limit, and what it uses.
        """
        self._limits = limits
        self._on_over = on_over
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on(), name="ringback-memory")

    def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def look(self) -> None:
        """Look once."""
        if limits := self._limits():
            # In a thread: a process that is busy with its memory keeps those waiting who ask for it.
            for pid, used in await asyncio.to_thread(_over, limits):
                self._on_over(pid, used)

    async def _look_on(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)


class Reaper:
    """Tells whether a process that was killed by nobody here was killed by the kernel, for lack of memory."""

    def __init__(
        self, kills: Callable[[], int | None] = oom_kills, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._kills = kills
        self._monotonic = monotonic
        self._known = kills()
        self._unclaimed = 0
        self._seen_at = 0.0

    def was_it(self) -> bool:
        """Whether the kernel has killed since the last time it was asked, or then more than one and just before."""
        now = self._kills()
        if now is None or self._known is None:
            return False
        moment = self._monotonic()
        if now > self._known:
            self._unclaimed, self._seen_at = now - self._known, moment
        self._known = now
        if self._unclaimed == 0 or moment - self._seen_at > _TOGETHER_SECONDS:
            return False
        self._unclaimed -= 1
        return True


def _over(limits: Mapping[int, int]) -> list[tuple[int, int]]:
    used = [(pid, used_bytes(pid, over=limit)) for pid, limit in limits.items()]
    return [(pid, size) for pid, size in used if size > limits[pid]]


def _family(pid: int) -> Iterable[int]:
    """A process and its descendants, as far as they can be seen (proc_pid_task_tid_children(5))."""
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        yield each
        try:
            threads = list((_PROC / str(each) / "task").iterdir())
        except OSError:
            continue  # gone meanwhile
        for thread in threads:
            waiting += map(int, _text(thread / "children").split())


def _resident(pid: int) -> int:
    fields = _text(_PROC / str(pid) / "statm").split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def _proportional(pid: int) -> int:
    for line in _text(_PROC / str(pid) / "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return _resident(pid)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
