"""What this process may use of the machine: cores and memory, as the kernel and its control groups tell.

Everything is read from files below a root, and what cannot be read is not known: then nothing is limited by it.
Sources: proc_meminfo(5), proc_vmstat(5), cgroups(7), and the kernel's cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_UNLIMITED: Final = 1 << 60
"""Version 1 writes "no limit" as a number beyond any machine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One look at it."""

    cores: float
    memory_bytes: int | None
    """All there is for this process and its replicas."""
    spare_bytes: int | None
    """What is free of that now, or could be freed at once."""


def look(root: Path = Path("/")) -> Machine:
    """How large the machine is for this process, and how much of its memory is spare."""
    memory, spare = _meminfo(root)
    for limit, used in _memory_limits(root):
        memory = limit if memory is None else min(memory, limit)
        spare = limit - used if spare is None else min(spare, limit - used)
    return Machine(cores=_cores(root), memory_bytes=memory, spare_bytes=None if spare is None else max(0, spare))


def oom_kills(root: Path = Path("/")) -> int | None:
    """How many processes of this one's control group the kernel has killed for lack of memory; failing that, of all."""
    for folder, version in _memory_groups(root):
        told = _pairs(folder / ("memory.events" if version == 2 else "memory.oom_control"))
        if "oom_kill" in told:
            return told["oom_kill"]
    return _pairs(root / "proc/vmstat").get("oom_kill")


def _meminfo(root: Path) -> tuple[int | None, int | None]:
    told = {}
    for line in _lines(root / "proc/meminfo"):
        name, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if unit == "kB" and number.isdigit():
            told[name] = int(number) * 1024
    return told.get("MemTotal"), told.get("MemAvailable")


def _memory_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Each limit that applies, with what is used of it; the file cache that is not in use counts as free."""
    for folder, version in _memory_groups(root):
        limit = _number(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        used = _number(folder / ("memory.current" if version == 2 else "memory.usage_in_bytes"))
        if limit is not None and used is not None and limit < _UNLIMITED:
            cache = "inactive_file" if version == 2 else "total_inactive_file"
            yield limit, used - _pairs(folder / "memory.stat").get(cache, 0)


def _cores(root: Path) -> float:
    cores = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    for folder, version in _groups(root, "cpu"):
        if version == 2:
            quota, period = [*"".join(_lines(folder / "cpu.max")).split(), "", ""][:2]
        else:
            quota, period = (
                "".join(_lines(folder / name)).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            cores = min(cores, int(quota) / int(period))
    return cores


def _memory_groups(root: Path) -> Iterator[tuple[Path, int]]:
    return _groups(root, "memory")


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """The control groups that this process is in, from its own to the outermost it can see, each with its version."""
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.strip().partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            base, version = root / "sys/fs/cgroup" / controller, 1
        elif number == "0" and not controllers and (root / "sys/fs/cgroup/cgroup.controllers").exists():
            base, version = root / "sys/fs/cgroup", 2
        else:
            continue
        own = base / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_dir():  # in a container the path may be the host's, and only the base is there
                yield folder, version
            if folder == base:
                break


def _pairs(path: Path) -> dict[str, int]:
    """A file of lines such as `oom_kill 3`."""
    split = (line.split() for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in split if len(pair) == 2 and pair[1].isdigit()}


def _number(path: Path) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, ValueError):
        return []
