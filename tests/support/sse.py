"""Reads server-sent events as the HTML standard says (9.2.6), apart from the project's own reader."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from ringback.core.clock import SECOND, SystemClock
from support.waiting import pause


@dataclass(frozen=True, slots=True)
class Sent:
    """One event."""

    name: str
    id: int
    data: Any

    @property
    def status(self) -> str | None:
        status: str | None = self.data.get("status")
        return status


def sent(stream: bytes) -> list[Sent]:
    """The complete events of a stream; whatever follows the last empty line is not one."""
    return [each for block in stream.split(b"\n\n")[:-1] if (each := event_of(block)) is not None]


def event_of(block: bytes) -> Sent | None:
    """One block between empty lines; None for a comment or a `retry`."""
    fields: dict[str, list[str]] = {}
    for line in block.decode().split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        assert fields.keys() <= {"", "retry"}, block
        return None
    assert fields.keys() == {"event", "id", "data"}, block
    return Sent(fields["event"][0], int(fields["id"][0]), json.loads("\n".join(fields["data"])))


def stream_of(*events: tuple[int, str, dict[str, Any]]) -> bytes:
    """A stream as the server writes it, from ids, names and data."""
    told = [
        f"event: {name}\nid: {number}\ndata: {json.dumps({'attempt': 1, 'at': None} | data)}\n\n"
        for number, name, data in events
    ]
    return "".join(["retry: 1000\n\n", ":\n\n", *told]).encode()


def text_of(events: Iterable[Sent]) -> str:
    """What predict said."""
    return "".join(each.data["text"] for each in events if each.name == "log")


class Follower:
    """Follows a workload in a thread: comes again wherever it broke, with the last id it has seen."""

    def __init__(self, *urls: str, path: str) -> None:
        """Begin to follow.

        Args:
            urls: the servers to ask, one after the other, again and again.
            path: the stream's.
        """
        self.events: list[Sent] = []
        self.arrived: list[float] = []
        """When each came, in seconds since the epoch."""
        self.connections = 0
        self._urls = itertools.cycle(urls)
        self._path = path
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def wait_for(self, look: Callable[[list[Sent]], bool], *, within: float, wanted: str) -> None:
        """Return once `look` is true of the events so far."""
        with self._news:
            if not self._news.wait_for(lambda: look(self.events), within):
                pytest.fail(f"not within {within:g} s: {wanted}; last events: {self.events[-3:]}")

    def join(self, *, within: float) -> list[Sent]:
        """All events, once the last has come."""
        self._thread.join(within)
        assert not self._thread.is_alive(), f"no end within {within:g} s; last events: {self.events[-3:]}"
        return self.events

    def _follow(self) -> None:
        while not (self.events and self.events[-1].status in {"completed", "failed", "canceled"}):
            url = urlsplit(next(self._urls))
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._read(http.client.HTTPConnection(url.netloc, timeout=30))
            pause(0.05)

    def _read(self, connection: http.client.HTTPConnection) -> None:
        with contextlib.closing(connection):
            known = {"Last-Event-ID": str(self.events[-1].id)} if self.events else {}
            connection.request("GET", self._path, headers=known)
            answer = connection.getresponse()
            if answer.status != 200:
                return
            self.connections += 1
            block = b""
            while line := answer.readline():
                if line != b"\n":
                    block += line
                    continue
                event = event_of(block.rstrip(b"\n"))
                block = b""
                if event is not None:
                    with self._news:
                        self.events.append(event)
                        self.arrived.append(SystemClock().now() / SECOND)
                        self._news.notify_all()
