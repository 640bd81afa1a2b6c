"""A run that several processes share (`-n 2`, by pytest-xdist): who runs what, what runs alone, what is brought home.

Without `-n` everything runs in one process, one test after the other, and nothing here has any part in it.
"""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import coverage
import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_MEASURE: Final = "COVERAGE_PROCESS_START"
"""A Python that finds the name of a file in this variable measures from its first line on, as the file says."""
_MEASURED: Final = "measured"
_END_SECONDS: Final = 60
"""For a worker to stop what its tests have shared, such as PostgreSQL, before it is killed."""
_FOLDER: Final = pytest.StashKey[Path]()
_ROOM: Final = pytest.StashKey["Room"]()


class Portions(LoadScopeScheduling):
    """A file's tests stay together, and in their order; so do all that need the cluster, which is dear to start.

    The files are handed out in their order, too: the long ones stand in the first folders, the short in the last.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        on_the_cluster = "[ray" in test or file.endswith("/test_ray.py")
        return "the cluster" if on_the_cluster else file


@dataclass(frozen=True, slots=True)
class Room:
    """Where tests run: any number at once, each in a process of its own, or one alone.

    Whoever waits to be alone holds the door, so that nobody comes in before.
    """

    folder: Path

    @contextlib.contextmanager
    def entered(self, *, alone: bool) -> Iterator[None]:
        with (self.folder / "room").open("ab") as room:
            with (self.folder / "door").open("ab") as door:
                fcntl.flock(door, fcntl.LOCK_EX)
                fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
                fcntl.flock(door, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(room, fcntl.LOCK_UN)  # closing is not enough: a child that was forked has it, too


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Waits outside of the test's own timeout."""
    room = item.config.stash.get(_ROOM, None)
    if room is None:
        return (yield)
    with room.entered(alone=item.get_closest_marker("alone") is not None):
        return (yield)


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for another, which tells what came of them."""
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if is_worker(config):
        _begin_in_worker(config)
    elif config.getoption("tx", None):
        folder = config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="ringback-tests-"))
        measuring = coverage.Coverage.current()
        if measuring is not None:
            os.environ[_MEASURE] = str(_as_here(measuring, folder))


def _as_here(measuring: coverage.Coverage, folder: Path) -> Path:
    """A file for coverage.py, by which every worker measures what this process would, and leaves it in the folder."""
    told = configparser.ConfigParser(interpolation=None)
    told["run"] = {
        "branch": str(measuring.get_option("run:branch")),
        "source": ",".join(measuring.get_option("run:source") or ()),
        "parallel": "true",
        "data_file": str(folder / _MEASURED),
    }
    file = folder / "coveragerc"
    with file.open("w") as opened:
        told.write(opened)
    return file


def _begin_in_worker(config: Any) -> None:
    from hypothesis import settings  # noqa: PLC0415 - dear to import, and nobody else needs it for all tests

    os.environ.pop(_MEASURE, None)  # not for the processes that tests start
    config.stash[_ROOM] = Room(Path(config.workerinput["folder"]))
    settings.register_profile("shared", deadline=None)  # the machine is not this process's alone
    settings.load_profile("shared")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    node.nodemanager.EXIT_TIMEOUT = _END_SECONDS
    node.workerinput["folder"] = str(node.config.stash[_FOLDER])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Portions(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker writes down what it has measured, before it says that it has finished."""
    if is_worker(session.config) and (measuring := coverage.Coverage.current()) is not None:
        measuring.stop()
        measuring.save()


def measured(config: pytest.Config) -> coverage.Coverage | None:
    """What has been measured, by all processes of the run; they have ended."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.stop()
        folder = config.stash.get(_FOLDER, None)
        if folder is not None:
            measuring.combine([str(file) for file in folder.glob(f"{_MEASURED}.*")])
    return measuring


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(_FOLDER, None)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
