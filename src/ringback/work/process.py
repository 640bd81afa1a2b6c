"""One replica's operating system process: started, spoken to over a socket, killed, and its end put into words."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from ringback.core.errors import Unavailable
from ringback.core.spec import Predictor

_ENTRY: Final = Path(__file__).parent / "child" / "__main__.py"
_STANDARD_ERROR: Final = 2
_SOCKET_BYTES: Final = 256 * 1024


class ReplicaProcess:
    """A child process and our end of its socket.

    It runs in a session of its own, so a Ctrl-C in the terminal reaches the server alone.
    """

    __slots__ = ("_popen", "end", "pid")

    def __init__(self, predictor: Predictor) -> None:
        """Start it.

        Must be called from the main thread: the kernel ties the child's life to the thread that made it.

        Raises:
            Unavailable: the system has no room for another process.
        """
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        try:
            with theirs:
                self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and our own file
                    [sys.executable, "-P", str(_ENTRY), str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=_STANDARD_ERROR,
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, **predictor.env},
                    cwd=predictor.path.parent if predictor.path.parent.is_dir() else None,
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise Unavailable(f"no process for a replica could be started: {error}") from error
        ours.setblocking(False)
        self.end = ours
        self.pid = self._popen.pid

    def kill(self) -> None:
        """SIGKILL; harmless when it has gone already."""
        if self._popen.returncode is None:
            self._popen.kill()

    def ended(self) -> str | None:
        """How it ended, as a clause such as "was killed by SIGKILL"; None while it runs."""
        code = self._popen.poll()
        if code is None:
            return None
        return in_words(code)


def in_words(returncode: int) -> str:
    """What a return code of `subprocess` means, as a clause."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    meaning = {
        "SIGKILL": " (by hand, by the server after a time-out, or by the kernel for lack of memory)",
        "SIGSEGV": " (a crash in native code)",
        "SIGABRT": " (native code gave up)",
        "SIGBUS": " (a crash in native code)",
        "SIGILL": " (native code made for another processor)",
    }.get(name, "")
    return f"was killed by {name}{meaning}"
