"""One replica's operating system process: started, spoken to over a socket, killed, and its end put into words."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

from ringback.core.errors import Unavailable
from ringback.core.spec import Predictor
from ringback.work.environments import variables_of
from ringback.work.printed import Printed

_ENTRY: Final = Path(__file__).parent / "child" / "__main__.py"
_STANDARD_ERROR: Final = 2
_SOCKET_BYTES: Final = 256 * 1024


class ReplicaProcess:
    """A child process, our end of its socket, and what it prints.

    It runs in a session of its own, so a Ctrl-C in the terminal reaches the server alone.
    """

    __slots__ = ("_popen", "end", "pid", "printed")

    def __init__(self, predictor: Predictor, python: Path) -> None:
        """Start it.

        Must be called from the main thread: the kernel ties the child's life to the thread that made it.

        Args:
            predictor: what it is to run, and in which surroundings.
            python: the interpreter to run it with.

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
                log = os.dup(_STANDARD_ERROR)
                with contextlib.closing(theirs):
                    try:
                        self._popen = _start(predictor, python, (theirs.fileno(), printed, log))
                    finally:
                        printed.close_theirs()
                        os.close(log)
                opened.pop_all()
        except OSError as error:
            raise Unavailable(f"no process for a replica could be started: {error}") from error
        ours.setblocking(False)
        self.end = ours
        self.printed = printed
        self.pid = self._popen.pid

    def kill(self) -> None:
        """SIGKILL to it, and to what it has started and not set free; harmless when it has gone already."""
        if self._popen.returncode is None:  # not waited for yet: the group's number is nobody else's
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # the latter on macOS, for a group that has ended
                self._popen.kill()

    def ended(self) -> int | None:
        """Its return code as `subprocess` has it, negative for a signal; None while it runs."""
        return self._popen.poll()


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
        "SIGKILL": " (by hand, by the server after a time-out or a cancel, or by the kernel for lack of memory)",
        "SIGSEGV": " (a crash in native code)",
        "SIGABRT": " (native code gave up)",
        "SIGBUS": " (a crash in native code)",
        "SIGILL": " (native code made for another processor)",
    }.get(name, "")
    return f"was killed by {name}{meaning}"
