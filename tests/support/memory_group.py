"""A control group that holds whoever is in it to so much memory: what is over is killed by the kernel itself.

Either version of the kernel's interface (cgroup-v1/memory.rst, cgroup-v2.rst), whichever this machine has. Making one
needs root, or a folder that has been handed to this user.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from ringback.work.machine import oom_kills
from support.waiting import until

_GROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGroup:
    """It exists, and nobody need be in it."""

    folder: Path
    counter: str

    @property
    def kills(self) -> int:
        """How many processes of it the kernel has killed."""
        told = dict(line.split() for line in (self.folder / self.counter).read_text().splitlines())
        return int(told["oom_kill"])

    def command(self, *words: str) -> list[str]:
        """The command, run as one of the group."""
        return ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"), *words]


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """A group of its own, gone afterwards; the test is skipped, and says why, where none may be made."""
    if oom_kills() is None:
        pytest.skip("the kernel does not count whom it kills for lack of memory")
    parent, limits, counter = _place()
    folder = parent / f"ringback-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group may be made here: {error}")
    try:
        for name in limits:
            if (folder / name).exists():  # that of swap only where the kernel counts it
                (folder / name).write_text("0" if "swap" in name else str(limit_bytes))
        yield MemoryGroup(folder=folder, counter=counter)
    finally:
        until(lambda: not _left_after_killing(folder), within=20, wanted="a group that all have left")
        folder.rmdir()


def _left_after_killing(folder: Path) -> list[str]:
    """Whoever is in the group still: of a server that was killed, what its replicas had started."""
    left = (folder / "cgroup.procs").read_text().split()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    return left


def _place() -> tuple[Path, tuple[str, ...], str]:
    """The folder below which a group can hold memory, the files of its limits, and that of its count."""
    own = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in _lines(Path("/proc/self/cgroup"))}
    if "memory" in own:
        base = _GROUPS / "memory"
        limits = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        return _visible(base, own["memory"]), limits, "memory.oom_control"
    if (_GROUPS / "cgroup.controllers").exists():
        # Of the second version, a group that has processes of its own hands no memory on: so beside one's own.
        folder = _visible(_GROUPS, own.get("", "/"))
        while folder != _GROUPS and "memory" not in (folder / "cgroup.subtree_control").read_text().split():
            folder = folder.parent
        if "memory" in (folder / "cgroup.subtree_control").read_text().split():
            return folder, ("memory.max", "memory.swap.max"), "memory.events"
        pytest.skip("no control group that this process can see hands memory on to others")
    pytest.skip("there are no control groups for memory here")


def _visible(base: Path, path: str) -> Path:
    """The folder of a group; in a container its path may be the host's, and only the base is there."""
    folder = base / path.lstrip("/")
    return folder if folder.is_dir() else base


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
