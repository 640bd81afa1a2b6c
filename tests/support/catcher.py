"""A webhook receiver that keeps everything it is sent, outlives the server's crashes and can be down for a while."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from support.listening import Listener
from support.waiting import until


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """One request as it came in; header names in lower case."""

    headers: dict[str, str]
    body: bytes
    at: float
    """`time.perf_counter()` on arrival."""
    workload_id: str
    looked: Any = None
    """What the catcher's `inside` returned before the answer was sent."""

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(slots=True, kw_only=True)
class Catcher:
    """Listens on one loopback port from `with` to its end.

    `inside` is called with each request's body before it is answered.
    """

    inside: Callable[[dict[str, Any]], Any] | None = None
    caught: list[Caught] = field(default_factory=list)
    port: int = 0
    refused: int = 0
    """Requests answered 503 while busy."""
    _ids: set[str] = field(default_factory=set)
    _busy: bool = False
    _server: Listener | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Refuse connections, and cut those that stand, until left."""
        self._close()
        try:
            yield
        finally:
            self._open()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Answer 503 until left."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def ids(self) -> set[str]:
        """The workloads that have rung."""
        with self._lock:
            return set(self._ids)

    def all(self) -> list[Caught]:
        with self._lock:
            return list(self.caught)

    def of(self, workload_id: str) -> list[Caught]:
        return [each for each in self.all() if each.workload_id == workload_id]

    def wait_for(self, workload_id: str, *, within: float = 15.0) -> Caught:
        """The first webhook of a workload."""
        return until(lambda: self.of(workload_id), within=within, wanted=f"a webhook of {workload_id}")[0]

    def wait_for_all(self, ids: set[str], *, within: float) -> None:
        """Return once every one of the workloads has rung."""
        until(lambda: Missing(ids - self.ids()), within=within, wanted=f"webhooks of all {len(ids)} workloads")

    def webhook_ids(self) -> dict[str, Counter[str]]:
        """By workload: how often each `webhook-id` came."""
        counts: dict[str, Counter[str]] = {}
        for each in self.all():
            counts.setdefault(each.workload_id, Counter())[each.webhook_id] += 1
        return counts

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        if self._busy:
            self.refused += 1
            return 503
        at = time.perf_counter()
        parsed = json.loads(body)
        looked = self.inside(parsed) if self.inside else None
        caught = Caught(
            headers=headers, body=body, at=at, workload_id=parsed.get("id") or parsed["batch"], looked=looked
        )
        with self._lock:
            self.caught.append(caught)
            self._ids.add(caught.workload_id)
        return 200

    def _open(self) -> None:
        self._server = Listener(self.port, _handler(self._take))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None


class Missing(set[str]):
    """Ids still awaited: true when none is, and short when printed."""

    def __bool__(self) -> bool:
        return len(self) == 0

    def __repr__(self) -> str:
        return f"{len(self)} missing, such as {sorted(self)[:3]}"


def _handler(take: Callable[[dict[str, str], bytes], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            wanted = int(self.headers["Content-Length"])
            body = self.rfile.read(wanted)
            if len(body) < wanted:  # the sender died while it wrote
                self.close_connection = True
                return
            self.send_response(take({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    return Handler
