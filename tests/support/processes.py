"""`ringback serve` as a real process: started, watched, killed by its pid, its words kept."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from support import ground
from support.memory_group import MemoryGroup
from support.waiting import until

RINGBACK: Final = Path(sys.executable).with_name("ringback")
START_SECONDS: Final = 20.0
START_ON_RAY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0


def start_seconds() -> float:
    """How long a server or a replica may take to begin."""
    return START_ON_RAY_SECONDS if ground.is_on_ray() else START_SECONDS


_PORTS: Final = range(20_000, 32_000)
"""Below those that systems hand out by themselves (Linux: from 32,768 on)."""
_NEXT: Final = itertools.count(os.getpid() * 61)
_TAKEN: Final = os.open(Path(tempfile.gettempdir()) / f"ringback-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600)


def free_port() -> int:
    """A port that was free a moment ago, and is given to nobody who asks the system for any: a server may leave it and
    come back. While this process lives, no other process of tests is given the same, of whichever run.
    """
    for step in itertools.islice(_NEXT, len(_PORTS)):
        port = _PORTS[step % len(_PORTS)]
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            fcntl.lockf(_TAKEN, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            return port
    raise OSError("of the ports that tests take none is free")


@dataclass(slots=True, kw_only=True)
class Server:
    """One `ringback serve`; the same port and store at every start."""

    file: Path
    store: Path
    """Its name, at least: see `support.ground`."""
    env: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    command: str = "serve"
    group: MemoryGroup | None = None
    """What holds it and its replicas to so much memory."""
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server has not been started"
        return self._process.pid

    @property
    def log_file(self) -> Path:
        return self.store.with_suffix(".log")

    def log(self) -> str:
        """All it has said, over every start."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start the process; returns at once."""
        self.store.parent.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        store = {} if "--store" in self.options else ground.store_environment(self.store)
        words = [str(RINGBACK), *self.arguments()]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                words if self.group is None else self.group.command(*words),
                env={**os.environ, **store, **ground.engine_environment(), **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def arguments(self) -> list[str]:
        return [
            self.command,
            str(self.file),
            "--port",
            str(self.port),
            *self.options,
        ]

    def start_and_wait(self) -> None:
        """Start, and return once `/readyz` says 200."""
        self.start()
        self.wait_for("/readyz", 200)

    def ringback(self, *arguments: str) -> str:
        """What a command prints when it talks to this server; it must end with status 0."""
        done = subprocess.run(
            [RINGBACK, *arguments, "--url", self.url], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_for(self, path: str, status: int, *, within: float | None = None) -> requests.Response:
        """The first answer to GET `path` with that status; fails with the server's words when there is none."""
        within = within or start_seconds()
        deadline = time.monotonic() + within
        seen: object = "no answer"
        session = requests.Session()
        with session:
            while time.monotonic() < deadline:
                if self.ended() is not None:
                    pytest.fail(f"the server ended with status {self.ended()}:\n{self.tail()}")
                try:
                    answer = session.get(self.url + path, timeout=5)
                except requests.RequestException as error:
                    seen = error
                else:
                    if answer.status_code == status:
                        return answer
                    seen = (answer.status_code, answer.text)
        pytest.fail(f"GET {path} was not {status} within {within:g} s; last seen: {seen}\n{self.tail()}")

    def ended(self) -> int | None:
        """The exit status; None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """SIGKILL to the server alone, and wait for its end."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait_for_end()

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait_for_end()

    def wait_for_end(self, *, within: float = STOP_SECONDS) -> int:
        assert self._process is not None
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the server had not ended after {within:g} s\n{self.tail()}")

    def replicas(self) -> set[int]:
        """The pids of those of its child processes that are some; on Ray, of those whose parents are its hosts."""
        if ground.is_on_ray():
            doors = {port for port, _, is_listening in sockets_of(self.pid) if is_listening}
            hosts = {each.pid: each.parent for each in processes()}
            return {
                pid
                for pid in running_in(self.file.parent)
                if any(there in doors for _, there, _ in sockets_of(hosts.get(pid, 0)))
            }
        return {child.pid for child in processes() if child.parent == self.pid and is_replica(child.pid)}

    def wait_for_replicas(self, *, other_than: set[int] | None = None) -> set[int]:
        """The replicas, once there is at least one that is not among the given."""
        old = other_than or set()
        return until(lambda: self.replicas() - old, within=start_seconds(), wanted="a replica of its own")

    def rss_bytes(self) -> int:
        """Resident memory of the server and its replicas."""
        return sum(each.rss_bytes for each in processes() if self.pid in (each.pid, each.parent))

    def cpu_seconds(self) -> float:
        """Processor time the server and its replicas have used so far."""
        return sum(each.cpu_seconds for each in processes() if self.pid in (each.pid, each.parent))

    def close(self) -> None:
        """Leave nothing running."""
        if self._process is None:
            return
        for pid in (*self.replicas(), self.pid) if self._process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log().splitlines()[-30:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One line of /proc (man 5 proc_pid_stat)."""

    pid: int
    parent: int
    state: str
    cpu_seconds: float
    rss_bytes: int


def processes() -> Iterator[Process]:
    """Every process of this machine that we may see."""
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name, in parentheses, may hold anything; what follows the last one is numbers.
            rest = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone since it was listed
        yield Process(
            pid=int(folder.name),
            parent=int(rest[1]),
            state=rest[0],
            cpu_seconds=(int(rest[11]) + int(rest[12])) / tick,
            rss_bytes=int(rest[21]) * page,
        )


def sockets_of(pid: int) -> list[tuple[int, int, bool]]:
    """The TCP sockets of a process: the port here, the port there, and whether it listens (man 5 proc_pid_net)."""
    inodes = set()
    with contextlib.suppress(OSError):  # it has ended
        for file in (Path("/proc") / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                inodes.add(str(file.readlink()))
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        (int(here.rpartition(":")[2], 16), int(there.rpartition(":")[2], 16), state == "0A")
        for _, here, there, state, *more in lines
        if f"socket:[{more[5]}]" in inodes
    ]


def running_in(folder: Path) -> list[int]:
    """The replicas whose predictor is in a folder, whoever has started them, oldest first."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder and is_replica(int(process.name)):
                found.append(int(process.name))
    return sorted(found)


def is_replica(pid: int) -> bool:
    """Whether a process is anybody's replica; not when it has ended."""
    with contextlib.suppress(OSError):
        return b"child/__main__.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@contextlib.contextmanager
def serving(file: Path, store: Path, *, ready: bool = True, **more: Any) -> Iterator[Server]:
    """A started server, killed on the way out if it still runs. A test that fails shows the end of its log."""
    server = Server(file=file, store=store, **more)
    try:
        if ready:
            server.start_and_wait()
        else:
            server.start()
        yield server
    finally:
        server.close()
        print(f"── the log of {server.file}, its end ──", server.tail(), sep="\n")  # noqa: T201 - pytest keeps it


def ringback(
    *arguments: str, env: Mapping[str, str] | None = None, within: float = 30.0
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, with what it printed."""
    return subprocess.run(
        [RINGBACK, *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=within,
    )
