"""What the demos stand on: a server of their own, stopped however they end, and a few lines of HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from receiver import DEMO_SECRET

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02


class Serving:
    """`ringback serve` on a free port, with a store that goes when the demo goes."""

    def __init__(self, file: Path, folder: Path, webhook_url: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "server.log"
        command = [str(Path(sys.executable).with_name("ringback")), "serve", str(file)]
        options = ["--port", self.url.rpartition(":")[2], "--store", f"sqlite:///{folder / 'demo.db'}"]
        environment = {"RINGBACK_DEMO_WEBHOOK": webhook_url, "RINGBACK_DEMO_SECRET": DEMO_SECRET}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command + options,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the demo, which then stops the server in good order
            )

    def wait_until_ready(self) -> None:
        """Return once `/readyz` says so; end the demo with the server's own words if it never does."""
        deadline = time.perf_counter() + READY_SECONDS
        while time.perf_counter() < deadline:
            if self._process.poll() is not None:
                give_up(f"the server ended with status {self._process.returncode}:\n{self.words()}")
            with contextlib.suppress(OSError):
                call(f"{self.url}/readyz")
                return
            time.sleep(POLL_SECONDS)
        give_up(f"the server was not ready within {READY_SECONDS:.0f} s:\n{self.words()}")

    def stop(self) -> int:
        """SIGTERM, and SIGKILL for one that does not go. Returns the exit status."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def words(self) -> str:
        """The last lines of the server's log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def served(file: Path, webhook_url: str) -> Iterator[Serving]:
    """A server of the file that is stopped on the way out, whatever happens inside."""
    with tempfile.TemporaryDirectory(prefix="ringback-demo-") as folder:
        serving: Serving | None = None
        try:
            with undisturbed():
                serving = Serving(file, Path(folder), webhook_url)
            yield serving
        finally:
            if serving is not None:
                serving.stop()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the end: a server that has begun but is not known yet could not be stopped."""
    held: list[int] = []
    before = {
        each: signal.signal(each, lambda number, _: held.append(number)) for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for number in held:
        signal.raise_signal(number)


def call(url: str, payload: dict[str, Any] | None = None) -> Any:
    """GET, or POST a JSON payload; the parsed answer.

    Raises:
        OSError: the server cannot be reached, or answered with an error.
    """
    body = None if payload is None else json.dumps(payload).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def give_up(reason: str) -> NoReturn:
    """End the demo, saying why."""
    sys.exit(f"\ndemo: {reason}")


def run(main: Callable[[], int]) -> NoReturn:
    """Run a demo to its end, also when somebody ends it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        give_up("stopped by hand")
    except urllib.error.HTTPError as error:
        give_up(f"{error.url} answered {error.code}: {error.read().decode(errors='replace')}")
