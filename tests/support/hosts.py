"""A host of its own for one process: a network namespace, a cable to us that can be pulled out, a database at our end.

For use inside `unshare --map-root-user --mount --net`, but for `database_in`: it makes network devices.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from support.waiting import until

HERE: Final = "10.99.0.1"
AWAY: Final = "10.99.0.2"
_CABLE: Final = "cable0"
_OTHER_END: Final = "cable1"
_SOCKET: Final = ".s.PGSQL.5432"


def ip(*arguments: str) -> None:
    """Run ip(8), which must succeed."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


@dataclass(slots=True)
class Away:
    """A process on a host of its own."""

    process: subprocess.Popen[bytes]

    def cut_off(self) -> None:
        """Pull the cable out: what is sent is lost, and nobody is told."""
        ip("link", "set", _CABLE, "down")

    def bring_back(self) -> None:
        """Put it in again."""
        ip("link", "set", _CABLE, "up")


@contextlib.contextmanager
def away(command: Sequence[str], env: Mapping[str, str], log: IO[bytes]) -> Iterator[Away]:
    """Run a command on a host of its own, at `AWAY`; killed at the end of the block."""
    prepare = (
        f"until ip link set {_OTHER_END} up 2>/dev/null; do sleep 0.02; done; "
        f"ip addr add {AWAY}/24 dev {_OTHER_END}; ip link set lo up; exec {shlex.join(command)}"
    )
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", prepare],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        ours = Path("/proc/self/ns/net").readlink()
        there = Path(f"/proc/{process.pid}/ns/net")
        until(lambda: there.readlink() != ours, within=20, wanted="a network of its own")
        ip("link", "add", _CABLE, "type", "veth", "peer", "name", _OTHER_END)
        ip("addr", "add", f"{HERE}/24", "dev", _CABLE)
        ip("link", "set", _CABLE, "up")
        ip("link", "set", _OTHER_END, "netns", str(process.pid))
        yield Away(process)
    finally:
        process.kill()
        process.wait(20)
        with contextlib.suppress(subprocess.CalledProcessError):  # it went with the other host
            ip("link", "del", _CABLE)


@contextlib.contextmanager
def database_at(url: str) -> Iterator[str]:
    """The URL under which a database that listens on a socket of this machine is reached at `HERE`."""
    ip("link", "set", "lo", "up")
    with _passing_on(_Gate(("", 0), _handler(url))) as gate:
        yield f"postgresql://postgres@{HERE}:{gate.server_address[1]}{urlsplit(url).path}?sslmode=disable"


@contextlib.contextmanager
def database_in(folder: Path, url: str) -> Iterator[str]:
    """The same database on a socket in a folder of ours: whoever is root only there may not use another user's."""
    folder.mkdir(parents=True)
    with _passing_on(_Door(str(folder / _SOCKET), _handler(url))):
        yield f"postgresql://postgres@{urlsplit(url).path}?host={folder}"


class _Gate(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _Door(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


Passing = TypeVar("Passing", _Gate, _Door)


@contextlib.contextmanager
def _passing_on(server: Passing) -> Iterator[Passing]:
    with server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def _handler(url: str) -> type[socketserver.BaseRequestHandler]:
    above = f"{parse_qs(urlsplit(url).query)['host'][0]}/{_SOCKET}"

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as database:
                database.connect(above)
                back = threading.Thread(target=_pump, args=(database, self.request), daemon=True)
                back.start()
                _pump(self.request, database)
                back.join()

    return Handler


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
