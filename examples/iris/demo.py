"""The demo: serve a real model, submit ten flowers and one broken payload, watch eleven webhooks come back.

Stops everything it started, however it ends. Exit status 0 only if all eleven arrived and verified.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import train
from receiver import DEMO_SECRET, Receiver, Rung

FOLDER: Final = Path(__file__).parent
READY_SECONDS: Final = 60.0
WEBHOOKS_SECONDS: Final = 30.0
STOP_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02
ROW: Final = "{:>4}  {:<19}  {:<10}  {:<10}  {:<9}  {:>8}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One submitted payload."""

    number: int
    flower: str
    species: str
    at: float


class Serving:
    """`ringback serve` on a free port, with a store that goes when the demo goes."""

    def __init__(self, folder: Path, webhook_url: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "server.log"
        command = [str(Path(sys.executable).with_name("ringback")), "serve", str(FOLDER / "ringback.yaml")]
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
def served(webhook_url: str) -> Iterator[Serving]:
    """A server that is stopped on the way out, whatever happens inside."""
    with tempfile.TemporaryDirectory(prefix="ringback-demo-") as folder:
        serving = Serving(Path(folder), webhook_url)
        try:
            yield serving
        finally:
            serving.stop()


def main() -> int:
    """Run the demo; returns the exit status."""
    print("\nTen irises and one broken payload, as workloads that ring back\n")
    if not train.MODEL.exists():
        print("  model     ", end="", flush=True)
        train.main()
    with Receiver(DEMO_SECRET) as receiver, served(receiver.url) as serving:
        started = time.perf_counter()
        serving.wait_until_ready()
        print(f"  server    {serving.url}/iris  ready after {time.perf_counter() - started:.1f} s, model loaded")
        print(f"  receiver  {receiver.url}\n")
        sent = submit_all(serving.url)
        good = show_all(receiver.rung, sent)
        show_one(serving.url, next(iter(sent)))
        status = serving.stop()
        print(f"  {good} of {len(sent)} webhooks arrived and verified; the server stopped with status {status}.\n")
        return 0 if good == len(sent) and status == 0 else 1


def submit_all(url: str) -> dict[str, Sent]:
    """Submit ten flowers the model has never seen, then a payload that makes predict raise; by workload id."""
    sent: dict[str, Sent] = {}
    for number, flower in enumerate(train.unseen_flowers(10), start=1):
        measures = "  ".join(f"{value:.1f}" for value in flower.measures.values())
        at = time.perf_counter()
        sent[submit(url, flower.measures)] = Sent(number=number, flower=measures, species=flower.species, at=at)
    at = time.perf_counter()
    sent[submit(url, {"petals": 5})] = Sent(number=11, flower='{"petals": 5}', species="", at=at)
    return sent


def submit(url: str, payload: dict[str, Any]) -> str:
    """The id of the accepted workload."""
    workload_id: str = call(f"{url}/iris", payload)["id"]
    return workload_id


def show_all(rung: queue.Queue[Rung], sent: dict[str, Sent]) -> int:
    """Print a line for each webhook as it arrives; returns how many of the workloads had a verified one."""
    print(ROW.format("#", "sepal and petal, cm", "predicted", "true", "signature", "after"))
    verified: set[str] = set()
    shown: set[str] = set()
    deadline = time.perf_counter() + WEBHOOKS_SECONDS
    while len(shown) < len(sent):
        try:
            each = rung.get(timeout=max(0.0, deadline - time.perf_counter()))
        except queue.Empty:
            print(f"\n  {len(sent) - len(shown)} webhooks did not come within {WEBHOOKS_SECONDS:.0f} s")
            break
        workload_id = each.body["id"]
        if workload_id in sent and workload_id not in shown:
            shown.add(workload_id)
            show(each, sent[workload_id])
            if each.verified:
                verified.add(workload_id)
    print()
    return len(verified)


def show(rung: Rung, sent: Sent) -> None:
    """One line: what was sent, what came back."""
    signature = "verified" if rung.verified else "WRONG"
    after = f"{(rung.at - sent.at) * 1_000:.1f} ms"
    if rung.body["status"] == "completed":
        predicted, reason = rung.body["result"]["label"], ""
    else:
        predicted, reason = rung.body["status"], "\n      {type}: {message}".format(**rung.body["error"])
    print(ROW.format(sent.number, sent.flower, predicted, sent.species, signature, after) + reason, flush=True)


def show_one(url: str, workload_id: str) -> None:
    """Ask the server for a workload, as anybody may at any time."""
    print(f"  GET /iris/{workload_id}")
    print(f"  {json.dumps(call(f'{url}/iris/{workload_id}'))}\n")


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


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        give_up("stopped by hand")
    except urllib.error.HTTPError as error:
        give_up(f"{error.url} answered {error.code}: {error.read().decode(errors='replace')}")
