"""A Ringback server whose answers were written down beforehand, on a loopback port of its own."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.listening import Listener


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came; header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is not JSON."""

    body: bytes
    content_type: str


@dataclass(slots=True)
class Canned:
    """Gives its answers in their order, the last one for ever."""

    url: str
    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def will_say(self, *values: Any, status: int = 200) -> None:
        """Answer each of the next requests with one of these, as JSON."""
        self.answers += [(status, value) for value in values]

    def will_send(self, body: bytes, content_type: str) -> None:
        """Answer the next request with these bytes."""
        self.answers.append((200, Raw(body, content_type)))

    def will_refuse(self, status: int, code: str, detail: str) -> None:
        """Answer with a problem."""
        self.will_say({"type": f"urn:ringback:problem:{code}", "status": status, "detail": detail}, status=status)

    def next(self) -> tuple[int, Any]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Listener(Listener):
    """Leaves no thread behind when it is closed."""

    daemon_threads = False

    def server_close(self) -> None:
        self.cut()
        super().server_close()


@contextlib.contextmanager
def canned() -> Iterator[Canned]:
    """Listen until the end of the block; what went wrong in an answer is raised there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            is_chunked = headers.get("transfer-encoding") == "chunked"
            body = self._chunks() if is_chunked else self.rfile.read(int(headers.get("content-length", 0)))
            server.asked.append(Asked(f"{self.command} {self.path}", headers, body))
            status, value = server.next()
            answer = value if isinstance(value, Raw) else Raw(json.dumps(value).encode(), "application/json")
            self.send_response(status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def _chunks(self) -> bytes:
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def do_PATCH(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _Listener(0, Handler) as listener:
        server = Canned(f"http://127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever, args=(0.005,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
    if listener.faults:
        raise listener.faults[0]
