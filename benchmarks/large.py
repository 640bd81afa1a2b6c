"""`python -m benchmarks.large`: a gigabyte into and out of one server, and what it costs in memory and time."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.processes import free_port

MIB: Final = 1024 * 1024
PREDICTOR: Final = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, workload):
        made = workload.folder / "made.bin"
        if payload is not None:
            with made.open("wb") as file:
                for _ in range(payload):
                    file.write(bytes(1 << 20))
            return made
        with workload.open() as sent, made.open("wb") as file:
            while piece := sent.read(1 << 20):
                file.write(piece)
        return made
"""
_PATIENCE_SECONDS: Final = 300.0


class Watch:
    """The most memory one process has had resident, in MB."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self.before = self.most = self._now()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _now(self) -> float:
        text = Path(f"/proc/{self._pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1_024

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            self.most = max(self.most, self._now())


def main(arguments: Sequence[str]) -> int:
    """Measure and print; exit status 0 when the bytes that came out were those that went in."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--mib", type=int, default=1_024, help="how much goes in, and comes out")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as (process, port):
        _ended(port, _submit(port, iter([b"1"]), 1, "application/json"))
        watch = Watch(process.pid)
        sent, began = hashlib.sha256(), time.perf_counter()
        workload_id = _submit(port, _pieces(options.mib, sent), options.mib * MIB, "application/octet-stream")
        accepted = time.perf_counter()
        _ended(port, workload_id)
        ended = time.perf_counter()
        received = _received(port, workload_id)
        done = time.perf_counter()
        watch.close()
    growth = watch.most - watch.before
    print(f"{options.mib} MiB in at {options.mib / (accepted - began):,.0f} MiB/s, on disk when it was acknowledged")
    print(f"copied by predict and kept as a result in {ended - accepted:.2f} s")
    print(f"out at {options.mib / (done - ended):,.0f} MiB/s")
    print(f"the server grew from {watch.before:.0f} MB by {growth:.1f} MB")
    return 0 if received == sent.hexdigest() else 1


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    (folder / "predictor.py").write_text(PREDICTOR)
    predictor = {"type": "python", "path": "predictor.py"}
    (folder / "ringback.yaml").write_text(json.dumps([{"name": "large", "kind": "AsyncAPI", "predictor": predictor}]))
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("ringback")),
        "serve",
        str(folder / "ringback.yaml"),
        "--port",
        str(port),
    ]
    process = subprocess.Popen([*command, "--max-body", "100GiB"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _is_ready(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()  # its replica goes with it
        process.wait(30)


def _is_ready(port: int) -> bool:
    try:
        return _ask(port, "/readyz").status == 200
    except OSError:
        return False


def _ask(port: int, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
    connection.request("GET", path)
    return connection.getresponse()


def _pieces(count: int, digest: hashlib._Hash) -> Iterator[bytes]:
    for number in range(count):
        piece = bytes([number % 251]) * MIB
        digest.update(piece)
        yield piece


def _submit(port: int, body: Iterator[bytes], length: int, kind: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
    connection.request("POST", "/large", body, {"Content-Type": kind, "Content-Length": str(length)})
    return str(json.loads(connection.getresponse().read())["id"])


def _ended(port: int, workload_id: str) -> None:
    while json.loads(_ask(port, f"/large/{workload_id}?wait=60").read())["status"] != "completed":
        pass


def _received(port: int, workload_id: str) -> str:
    digest, answer = hashlib.sha256(), _ask(port, f"/large/{workload_id}/result")
    while piece := answer.read(MIB):
        digest.update(piece)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
