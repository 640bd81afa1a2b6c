"""One replica's operating system process: started, spoken to over a socket, killed, and its end put into words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ringback.core.errors import Unavailable
from ringback.core.spec import Predictor
from ringback.work.environments import variables_of
from ringback.work.printed import Hearing, Overhearing, Printed

_ENTRY: Final = Path(__file__).parent / "child" / "__main__.py"
_STANDARD_ERROR: Final = 2
_SOCKET_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a process ended."""

    how: str
    """As a clause: "was killed by SIGKILL"."""
    code: int | None = None
    """Its return code as `subprocess` has it, negative for a signal; None when nobody knows."""
    out_of_memory: bool = False
    """Whether that was for lack of memory, as whoever watched it there knows."""
    never_began: bool = False


class Process(Protocol):
    """A replica's process, wherever it runs."""

    end: socket.socket
    """Our end of the wire, non-blocking; whoever connects to it owns it."""
    pid: int
    """Its number on this machine; 0 when it runs elsewhere."""

    def overhear(self, *, is_busy: Callable[[], bool], heard: Callable[[bytes], None]) -> Hearing:
        """Be given, while `is_busy`, what it prints and cannot tell of itself; called once."""
        ...

    def kill(self) -> None:
        """End it at once, and what it has started; harmless when it has gone already. The wire closes."""
        ...

    def ended(self) -> End | None:
        """How it ended, once the wire has closed; None as long as it may still run."""
        ...


class LocalProcess:
    """A child process, our end of its socket, and what it prints.

    It runs in a session of its own, so a Ctrl-C in the terminal reaches the server alone. The wire closes when it ends,
    whatever it has started holds the other end.
    """

    __slots__ = ("_life", "_popen", "_printed", "end", "pid")

    def __init__(self, predictor: Predictor, python: Path, *, log: int = _STANDARD_ERROR) -> None:
        """Start it.

        Must be called from the main thread, with a loop that runs: the kernel ties the child's life to that thread.

        Args:
            predictor: what it is to run, and in which surroundings.
            python: the interpreter to run it with.
            log: a descriptor for the lines of its log; the child gets its own.

        Raises:
            Unavailable: the system has no room for another process.
        """
        try:
            with contextlib.ExitStack() as opened:
                ours, theirs = (opened.enter_context(end) for end in socket.socketpair())
                for end in (ours, theirs):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
                printed = Printed()
                opened.callback(printed.close)
                lines = os.dup(log)
                with contextlib.closing(theirs):
                    try:
                        self._popen = _start(predictor, python, (theirs.fileno(), printed, lines))
                    finally:
                        printed.close_theirs()
                        os.close(lines)
                opened.pop_all()
        except OSError as error:
            raise Unavailable(f"no process for a replica could be started: {error}") from error
        ours.setblocking(False)
        self.end = ours
        self._printed = printed
        self.pid = self._popen.pid
        self._life = _life_of(self.pid)
        if self._life is not None:
            asyncio.get_running_loop().add_reader(self._life, self._on_end)

    def overhear(self, *, is_busy: Callable[[], bool], heard: Callable[[bytes], None]) -> Hearing:
        return Overhearing(self._printed, is_busy=is_busy, heard=heard)

    def kill(self) -> None:
        """SIGKILL to it, and to what it has started and not set free; harmless when it has gone already."""
        if self._popen.returncode is None:  # not waited for yet: the group's number is nobody else's
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # the latter on macOS, for a group that has ended
                self._popen.kill()

    def ended(self) -> End | None:
        """How it ended; None while it runs."""
        code = self._popen.poll()
        if code is None:
            return None
        self._look_no_more()
        return End(how=in_words(code), code=code)

    def _on_end(self) -> None:
        """It has ended: what it has started goes as well, and the wire closes once all it has sent has been read."""
        self._look_no_more()
        self.kill()
        with contextlib.suppress(OSError):  # closed already
            self.end.shutdown(socket.SHUT_RD)

    def _look_no_more(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            asyncio.get_running_loop().remove_reader(life)
            os.close(life)


def _life_of(pid: int) -> int | None:
    """A descriptor to read from once the process has ended (pidfd_open(2)), None where there is no such thing.

    Without it a fork that lives on, and has the wire's other end too, hides the end until the workload's time-out.
    """
    try:
        return os.pidfd_open(pid)  # type: ignore[attr-defined,unused-ignore] # on Linux alone
    except (AttributeError, OSError):
        return None


def _start(predictor: Predictor, python: Path, ends: tuple[int, Printed, int]) -> subprocess.Popen[bytes]:
    """Start the child with its ends: of the socket, of what it prints, and of the log."""
    end, printed, log = ends
    descriptors = (end, os.getpid(), printed.fileno(), log)
    return subprocess.Popen(  # noqa: S603 - an interpreter of the operator's, and our own file
        [python, "-P", str(_ENTRY), *map(str, descriptors)],
        stdin=subprocess.DEVNULL,
        stdout=printed.theirs,
        stderr=printed.theirs,
        pass_fds=[end, printed.fileno(), log],
        env={**os.environ, **variables_of(python), **predictor.env},
        cwd=predictor.path.parent if predictor.path.parent.is_dir() else None,
        start_new_session=True,
    )


def in_words(returncode: int) -> str:
    """What a return code of `subprocess` means, as a clause."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    meaning = {
        "SIGKILL": " (by hand, by the kernel for lack of memory, or for having closed its line to the server)",
        "SIGSEGV": " (a crash in native code)",
        "SIGABRT": " (native code gave up)",
        "SIGBUS": " (a crash in native code)",
        "SIGILL": " (native code made for another processor)",
    }.get(name, "")
    return f"was killed by {name}{meaning}"
