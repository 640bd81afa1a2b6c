"""The machine as its files tell, in each of the forms they come in; and what of it is left for one more replica."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ringback.core.quantities import about_size
from ringback.core.spec import Compute
from ringback.work.budget import Budget
from ringback.work.machine import Machine, look, oom_kills

GIB = 2**30
MEMINFO = (
    "MemTotal:        8388608 kB\nMemFree:          100000 kB\nMemAvailable:    4194304 kB\nHugePages_Total:       0\n"
)


def files(root: Path, **content: str) -> Path:
    """Write files below `root`; two underscores in a name stand for a slash, one for a dot if no file needs it."""
    for name, text in content.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def version_2(root: Path, folder: str, **content: str) -> None:
    base = root / "sys/fs/cgroup"
    (base / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    (base / "cgroup.controllers").write_text("cpu memory\n")
    for name, text in content.items():
        (base / folder.lstrip("/") / name.replace("_", ".", 1)).write_text(text)


def test_without_control_groups_it_is_what_meminfo_says(tmp_path: Path) -> None:
    machine = look(files(tmp_path, proc__meminfo=MEMINFO))
    assert machine == Machine(cores=len(os.sched_getaffinity(0)), memory_bytes=8 * GIB, spare_bytes=4 * GIB)


def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    machine = look(tmp_path)
    assert (machine.memory_bytes, machine.spare_bytes) == (None, None)
    assert machine.cores >= 1
    assert oom_kills(tmp_path) is None


def test_the_narrowest_limit_of_version_2_counts_its_idle_file_cache_as_free(tmp_path: Path) -> None:
    files(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/app/web\n")
    version_2(
        tmp_path,
        "app",
        memory_max=f"{2 * GIB}",
        memory_current=f"{GIB}",
        memory_stat=f"anon 5\ninactive_file {GIB // 2}\n",
    )
    version_2(tmp_path, "app/web", memory_max="max\n", memory_current="1", cpu_max="50000 100000\n")
    assert look(tmp_path) == Machine(cores=0.5, memory_bytes=2 * GIB, spare_bytes=2 * GIB - GIB // 2)


def test_in_a_container_the_groups_path_may_be_the_hosts(tmp_path: Path) -> None:
    files(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/not/seen/here\n")
    version_2(tmp_path, "", memory_max=f"{GIB}", memory_current=f"{3 * GIB}", cpu_max="max 100000\n")
    machine = look(tmp_path)
    assert (machine.memory_bytes, machine.spare_bytes) == (GIB, 0), "more used than allowed leaves nothing, not less"


def test_version_1_has_other_names_and_a_number_for_no_limit(tmp_path: Path) -> None:
    files(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n")
    group = tmp_path / "sys/fs/cgroup"
    for name, text in {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": "1",
        "memory/a/memory.limit_in_bytes": f"{4 * GIB}",
        "memory/a/memory.usage_in_bytes": f"{3 * GIB}",
        "memory/a/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}\n",
        "memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
        "cpu/a/cpu.cfs_quota_us": "25000\n",
        "cpu/a/cpu.cfs_period_us": "100000\n",
    }.items():
        (group / name).parent.mkdir(parents=True, exist_ok=True)
        (group / name).write_text(text)
    assert look(tmp_path) == Machine(cores=0.25, memory_bytes=4 * GIB, spare_bytes=2 * GIB)
    assert oom_kills(tmp_path) == 7


@pytest.mark.parametrize("quota", ["-1\n", "", "none"])
def test_no_quota_is_no_limit(tmp_path: Path, quota: str) -> None:
    files(tmp_path, proc__self__cgroup="5:cpu:/\n")
    (tmp_path / "sys/fs/cgroup/cpu").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us").write_text("100000\n")
    assert look(tmp_path).cores == len(os.sched_getaffinity(0))


def test_kills_are_those_of_the_group_before_those_of_the_machine(tmp_path: Path) -> None:
    files(tmp_path, proc__vmstat="nr_free_pages 5\noom_kill 30\n")
    assert oom_kills(tmp_path) == 30
    files(tmp_path, proc__self__cgroup="0::/app\n")
    version_2(tmp_path, "app", memory_events="low 0\noom 1\noom_kill 2\n")
    assert oom_kills(tmp_path) == 2


def test_this_machine_can_be_read() -> None:
    machine = look()
    assert machine.cores > 0
    assert machine.memory_bytes is not None
    assert machine.spare_bytes is not None
    assert 0 < machine.spare_bytes <= machine.memory_bytes


# ── What is left of it ──────────────────────────────────────────────────────────────────────────


def budget(*, cores: float = 4, memory: int | None = 10 * GIB, spare: int | None = 10 * GIB) -> Budget:
    return Budget(lambda: Machine(cores=cores, memory_bytes=memory, spare_bytes=spare))


def more(kept: Budget, compute: Compute, replica_bytes: int | None = None) -> int | None:
    room = kept.room(compute, replica_bytes=replica_bytes)
    return None if room is None else room.more


def test_an_api_that_asks_for_nothing_is_held_back_by_nothing() -> None:
    assert budget().room(Compute(), replica_bytes=None) is None


@pytest.mark.parametrize(("cpu", "expected"), [(1.0, 4), (1.5, 2), (0.1, 40), (5.0, 0)])
def test_cores_are_shared_out(cpu: float, expected: int) -> None:
    assert more(budget(), Compute(cpu=cpu)) == expected


def test_what_other_apis_were_promised_is_gone() -> None:
    kept = budget()
    kept.note("a", Compute(cpu=1, mem_bytes=2 * GIB), 2)
    kept.note("b", Compute(mem_bytes=GIB), 3)
    kept.note("c", Compute(), 50)
    assert more(kept, Compute(cpu=1)) == 2
    assert more(kept, Compute(mem_bytes=GIB)) == 2, "9.5 GiB less 7"
    kept.note("b", Compute(mem_bytes=GIB), 0)
    assert more(kept, Compute(mem_bytes=GIB)) == 5
    kept.forget("a")
    assert more(kept, Compute(mem_bytes=GIB)) == 9


def test_more_promised_than_there_is_leaves_nothing() -> None:
    kept = budget()
    kept.note("a", Compute(mem_bytes=GIB), 50)
    assert more(kept, Compute(mem_bytes=GIB)) == 0


def test_an_api_that_does_not_say_how_large_it_is_is_measured() -> None:
    assert more(budget(spare=4 * GIB), Compute(), GIB) == 3, "a twentieth of the machine is left alone"
    assert more(budget(spare=GIB // 4), Compute(), GIB) == 0
    assert budget(spare=None).room(Compute(), replica_bytes=GIB) is None
    assert more(budget(spare=0), Compute(mem_bytes=GIB), GIB) == 9, "what the file says counts instead"


def test_the_scarcest_decides_and_says_so() -> None:
    kept = budget()
    kept.note("a", Compute(cpu=2.5), 1)
    room = kept.room(Compute(cpu=1, mem_bytes=GIB), replica_bytes=None)
    assert room is not None
    assert (room.more, room.short_of) == (1, "4 cores, of which 2.5 are promised, at 1 each (compute.cpu)")
    room = kept.room(Compute(mem_bytes=3 * GIB), replica_bytes=None)
    assert room is not None
    assert room.short_of == "10GiB of memory, of which 0B are promised, at 3GiB each (compute.mem)"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (2**30, "1GiB"), (3 * 2**40, "3TiB")]
)
def test_sizes_about(count: int, text: str) -> None:
    assert about_size(count) == text
