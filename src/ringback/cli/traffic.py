"""Load and receiver in one lean process of its own, so that what is measured is the system and not the meter.

Run as `python -m ringback.cli.traffic` with a JSON order on standard input; the figures come on standard output.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

import httptools
import orjson
import uvloop

from ringback.core.errors import RingbackError

PAYLOAD: Final = b'{"sepal_length": 5.2, "sepal_width": 3.6, "petal_length": 1.4, "petal_width": 0.3}'
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_PAUSE_WHEN_FULL_SECONDS: Final = 0.02
_GRACE_SECONDS: Final = 30.0
"""For the process to start and to end, beside its patience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do: `workloads` over `connections` as fast as answers come, or evenly at `rate` a second."""

    url: str
    receiver_port: int
    workloads: int
    connections: int
    rate: float | None
    patience_seconds: float
    takes_any: bool = False
    """Whether as many webhooks as are submitted end it, whosever they are: behind a long queue its own come last."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """What was seen."""

    seconds: float
    """From the first submit to the last webhook."""
    arrived: int
    """Different workloads that rang back."""
    duplicates: int
    refused: int
    """Answers of 503; the workload was submitted again."""
    submit_ms: list[float] = field(default_factory=list)
    ring_ms: list[float] = field(default_factory=list)
    """From the submit's first byte to the webhook's last."""


class Receiver:
    """Notes webhooks by the workload's id, those of earlier orders among them."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.duplicates = 0
        self._awaited: set[str] | None = None
        self._wanted = 0
        self._complete = asyncio.Event()

    def take(self, workload_id: str) -> None:
        if workload_id in self.arrived:
            self.duplicates += 1
            return
        self.arrived[workload_id] = perf_counter()
        if self._awaited is not None:
            self._awaited.discard(workload_id)
            if not self._awaited:
                self._complete.set()
        if len(self.arrived) == self._wanted:
            self._complete.set()

    async def any_of(self, count: int) -> None:
        """Return once so many have rung, whoever."""
        self._wanted = count
        if len(self.arrived) < count:
            await self._complete.wait()

    async def all_of(self, workload_ids: Iterable[str]) -> None:
        """Return once each of them has rung; some may have before their submit was answered."""
        self._awaited = set(workload_ids) - self.arrived.keys()
        if self._awaited:
            await self._complete.wait()


class Hook(asyncio.Protocol):
    """One connection from the system under test: each webhook's workload is noted, and answered 200."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._body = b""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        self._note(orjson.loads(body)["id"])
        self._transport.write(_OK)
        if not self._parser.should_keep_alive():
            self._transport.close()


class Client(asyncio.Protocol):
    """One kept connection to the system under test, one request at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        self._request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(PAYLOAD) + PAYLOAD
        self._transport: Any = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._body = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the system closed the connection: {exc}"))

    def submit(self) -> asyncio.Future[tuple[int, bytes]]:
        self._body = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(self._request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._body))


class Load:
    """Submits, and remembers when."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.submitted: dict[str, float] = {}
        self.submit_ms: list[float] = []
        self.refused = 0

    async def run(self) -> None:
        if self._order.rate is None:
            await self._at_full_speed()
        else:
            await self._evenly(self._order.rate)

    async def _at_full_speed(self) -> None:
        shares = [self._order.workloads // self._order.connections] * self._order.connections
        for extra in range(self._order.workloads % self._order.connections):
            shares[extra] += 1
        async with asyncio.TaskGroup() as group:
            for share in shares:
                group.create_task(self._share(share))

    async def _share(self, count: int) -> None:
        client = await self._connect()
        for _ in range(count):
            await self._submit(client)

    async def _evenly(self, rate: float) -> None:
        client = await self._connect()
        began = perf_counter()
        for number in range(self._order.workloads):
            await asyncio.sleep(max(0.0, began + number / rate - perf_counter()))
            await self._submit(client)

    async def _submit(self, client: Client) -> None:
        while True:
            began = perf_counter()
            status, body = await client.submit()
            if status != 503:
                break
            self.refused += 1
            await asyncio.sleep(_PAUSE_WHEN_FULL_SECONDS)
        if status != 200:
            raise ConnectionError(f"the system answered {status}: {body[:200]!r}")
        self.submit_ms.append((perf_counter() - began) * 1_000)
        self.submitted[orjson.loads(body)["id"]] = began

    async def _connect(self) -> Client:
        parts = urlsplit(self._order.url)
        assert parts.hostname is not None
        assert parts.port is not None
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: Client(self._order.url), parts.hostname, parts.port)
        return client


async def measure(order: Order) -> Figures:
    """Carry out one order."""
    receiver, load = Receiver(), Load(order)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Hook(receiver.take), "127.0.0.1", order.receiver_port)
    began = perf_counter()
    try:
        async with asyncio.timeout(order.patience_seconds):
            await load.run()
            await (receiver.any_of(order.workloads) if order.takes_any else receiver.all_of(load.submitted))
    except TimeoutError:
        pass  # what has not arrived by now counts as lost
    server.close()
    arrived = {each: receiver.arrived[each] for each in load.submitted if each in receiver.arrived}
    counted = receiver.arrived if order.takes_any else arrived
    last = max(counted.values(), default=perf_counter())
    return Figures(
        seconds=last - began,
        arrived=len(counted),
        duplicates=receiver.duplicates,
        refused=load.refused,
        submit_ms=load.submit_ms,
        ring_ms=[(at - load.submitted[each]) * 1_000 for each, at in arrived.items()],
    )


def measured(order: Order) -> Figures:
    """Carry out one order in a process of its own. Blocking.

    Raises:
        RingbackError: it ended early.
    """
    done = subprocess.run(
        [sys.executable, "-m", "ringback.cli.traffic"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        timeout=order.patience_seconds + _GRACE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RingbackError(f"the load ended early: {done.stderr.strip()[-500:]}")
    return Figures(**json.loads(done.stdout))


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which that fraction lies; NaN without values."""
    return sorted(values)[min(len(values) - 1, int(fraction * len(values)))] if values else float("nan")


if __name__ == "__main__":
    json.dump(asdict(uvloop.run(measure(Order(**json.load(sys.stdin))))), sys.stdout)
