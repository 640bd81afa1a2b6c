"""`python -m benchmarks.batch`: a hundred thousand lines of NDJSON from the first to the one webhook, and their memory.

Then as many are canceled at once, and what that costs those who submit meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import free_port, running, wait_until_answers
from ringback.cli.traffic import percentile
from ringback.client import BatchHandle, Client

_API: Final = "noop"
_PATIENCE_SECONDS: Final = 900.0
_TEXT: Final = "x" * 200
_PREDICTOR: Final = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return payload["n"]
"""


class Receiver:
    """Keeps the bodies of the webhooks that come."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.has_come = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805 - `self` is the receiver
                body = handler.rfile.read(int(handler.headers["content-length"]))
                handler.send_response(204)
                handler.end_headers()
                self.bodies.append(json.loads(body))
                self.has_come.set()

            def log_message(handler, *_: object) -> None:  # noqa: N805
                """Say nothing."""

        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._listener.server_port}/"
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()


@contextlib.contextmanager
def served(webhook: str) -> Iterator[tuple[Client, int]]:
    """`ringback serve` with one replica, and a client of it; its process id."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder, port = Path(name), free_port()
        api = {
            "name": _API,
            "kind": "AsyncAPI",
            "predictor": {"type": "python", "path": "predictor.py"},
            "webhook": {"url": webhook, "events": ["batch.completed"]},
        }
        (folder / "predictor.py").write_text(_PREDICTOR)
        (folder / "ringback.yaml").write_text(json.dumps([api]))
        command = [str(Path(sys.executable).with_name("ringback")), "serve", "--port", str(port)]
        url = f"http://127.0.0.1:{port}"
        with running(command, folder=folder) as process, Client(url) as client:
            wait_until_answers(f"{url}/readyz", process, folder)
            client.submit_many(_API, _payloads(1_000)).wait()  # what the first costs is not what each costs
            yield client, process.pid


def resident_mb(pid: int, name: str = "VmRSS") -> float:
    """Memory of one process, now or, by `VmHWM`, at most so far."""
    return int(Path(f"/proc/{pid}/status").read_text().partition(f"{name}:")[2].split()[0]) / 1_024


def _payloads(count: int) -> Iterator[dict[str, object]]:
    return ({"n": number, "text": _TEXT} for number in range(count))


def through(count: int) -> bool:
    """One batch from its first line to its webhook; whether that was right, and the only one."""
    receiver = Receiver()
    with contextlib.closing(receiver), served(receiver.url) as (client, pid):
        receiver.has_come.wait(_PATIENCE_SECONDS)
        receiver.has_come.clear()
        before = resident_mb(pid)
        began = time.perf_counter()
        batch = client.submit_many(_API, _payloads(count))
        accepted = time.perf_counter() - began
        receiver.has_come.wait(_PATIENCE_SECONDS)
        over = time.perf_counter() - began
        results = sum(each["result"] == number for number, each in enumerate(batch.results()))
        most = resident_mb(pid, "VmHWM")
        time.sleep(1.0)  # another webhook would come at once
    told = [each for each in receiver.bodies if each["batch"] == batch.id]
    counts = {"total": count, "completed": count, "failed": 0, "canceled": 0}
    is_right = len(told) == 1 and told[0]["counts"] == counts and results == count
    print(
        f"{count:>9,} lines: in the queue after {accepted:.1f} s, the webhook after {over:.1f} s "
        f"({count / over:,.0f} workloads/s), {len(told)} webhook{'' if is_right else ', WRONG'}; "
        f"the server had {before:.0f} MB, and {most - before:.0f} MB more at most",
        flush=True,
    )
    return is_right


def canceled(count: int) -> bool:
    """A batch canceled while somebody submits, one after the other; whether all of it was."""
    receiver = Receiver()
    with contextlib.closing(receiver), served(receiver.url) as (client, _):
        batch = client.submit_many(_API, _payloads(count), headers={"Ringback-Delay": "1h"})
        alone = [_submit(client) for _ in range(200)]
        changed, seconds, beside = _beside_submits(client, batch)
        is_right = changed == count == batch.refresh().counts["canceled"]
    print(
        f"{count:>9,} canceled in {seconds:.1f} s ({changed / seconds:,.0f} a second{'' if is_right else ', WRONG'}); "
        f"submits took p50 {percentile(beside, 0.5) * 1_000:.1f} ms, p99 {percentile(beside, 0.99) * 1_000:.1f} ms, "
        f"at most {max(beside) * 1_000:.0f} ms meanwhile, and p50 {percentile(alone, 0.5) * 1_000:.1f} ms before",
        flush=True,
    )
    return is_right


def _beside_submits(client: Client, batch: BatchHandle) -> tuple[int, float, list[float]]:
    with Client(client.url) as another:
        beside: list[float] = []
        is_over = threading.Event()

        def submit() -> None:
            while not is_over.is_set():
                beside.append(_submit(another))

        submitting = threading.Thread(target=submit)
        submitting.start()
        began = time.perf_counter()
        try:
            changed = batch.cancel()
        finally:
            seconds = time.perf_counter() - began
            is_over.set()
            submitting.join()
    return changed, seconds, beside


def _submit(client: Client) -> float:
    began = time.perf_counter()
    client.submit(_API, {"n": 0})
    return time.perf_counter() - began


def main(arguments: Sequence[str]) -> int:
    """Measure and print; exit status 0 when every count was right."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--lines", type=int, nargs="*", default=[20_000, 100_000], help="lines of each batch")
    parser.add_argument("--canceled", type=int, default=100_000, help="workloads to be canceled; 0: left out")
    options = parser.parse_args(arguments)
    right = [through(count) for count in options.lines]
    if options.canceled:
        right.append(canceled(options.canceled))
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
