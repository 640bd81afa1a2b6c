"""A webhook receiver in one file: verifies each request with the official Standard Webhooks library.

Run it by itself (`python receiver.py`) to watch what arrives, or use `Receiver` in a program.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

DEMO_SECRET: Final = "whsec_cmluZ2JhY2stZXhhbXBsZS1vbmx5LTAwMQ=="
"""The one in ringback.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One webhook as it came in."""

    body: dict[str, Any]
    verified: bool
    at: float
    """`time.perf_counter()` on arrival."""


class Receiver:
    """Listens on loopback while entered; `rung` holds what came, in order."""

    def __init__(self, secret: str, *, port: int = 0) -> None:
        self.rung: queue.Queue[Rung] = queue.Queue()
        self._webhook = Webhook(secret)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        """Keep one webhook; returns the status to answer."""
        at = time.perf_counter()
        try:
            self._webhook.verify(body, headers)
            verified = True
        except WebhookVerificationError:
            verified = False
        self.rung.put(Rung(body=json.loads(body), verified=verified, at=at))
        return 204 if verified else 400

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(take(dict(self.headers), body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                pass

        return Handler


def main() -> None:
    """Print every webhook that comes to port 8765, until Ctrl-C."""
    with Receiver(os.environ.get("RINGBACK_DEMO_SECRET", DEMO_SECRET), port=8765) as receiver:
        print(f"receiving on {receiver.url}")
        while True:
            rung = receiver.rung.get()
            print("verified" if rung.verified else "NOT VERIFIED", json.dumps(rung.body), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
