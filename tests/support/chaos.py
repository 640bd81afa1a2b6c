"""Servers of every role on one database, somebody who kills them one by one, and work that must not be lost."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from support.catcher import Catcher
from support.members import Members
from support.processes import Server

SENDERS: Final = 4
_PAUSE_SECONDS: Final = 0.05


@dataclass(slots=True)
class Submitter:
    """Hands in numbered workloads under ids of its own, each until a gateway has acknowledged it."""

    gateways: list[Server]
    catcher: Catcher
    workloads: int
    in_flight: int
    """So many acknowledged and not rung at most."""
    chance: random.Random
    acknowledged: set[str] = field(default_factory=set)
    unanswered: int = 0
    """Submits that were cut off, or refused, and made again."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        numbers = itertools.count(1)
        self._threads = [threading.Thread(target=self._run, args=(numbers,), daemon=True) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    @property
    def is_done(self) -> bool:
        return len(self.acknowledged) == self.workloads

    def _run(self, numbers: Iterator[int]) -> None:
        while not self._stop.is_set() and (number := next(numbers)) <= self.workloads:
            while len(self.acknowledged) - len(self.catcher.ids()) >= self.in_flight and not self._stop.is_set():
                self._stop.wait(0.01)
            while not self._submitted(number) and not self._stop.is_set():
                self.unanswered += 1
                self._stop.wait(_PAUSE_SECONDS)

    def _submitted(self, number: int) -> bool:
        gateway = self.chance.choice(self.gateways)
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        with contextlib.closing(connection):
            try:
                body, headers = json.dumps({"n": number}), {"Content-Type": "application/json"}
                connection.request("PUT", f"/echo/w-{number}", body, headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                return False
        if answer.status == 200:
            self.acknowledged.add(f"w-{number}")
        return answer.status == 200


@dataclass(slots=True)
class Killer:
    """Kills a random server again and again, and starts whoever has ended again, as a supervisor does."""

    members: Members
    chance: random.Random
    every_seconds: float
    killed: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    """Those that ended of themselves: their database was away."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let all that are left live, and start those that have ended."""
        self._stop.set()
        assert self._thread is not None
        self._thread.join(30)
        self._start_ended()

    def _run(self) -> None:
        while not self._stop.wait(self.every_seconds):
            self._start_ended()
            victim = self.chance.choice(self.members.all)
            victim.kill()
            self.killed[role_of(victim)] += 1
            victim.start()

    def _start_ended(self) -> None:
        for server in self.members.all:
            if server.ended() is not None:
                self.ended[role_of(server)] += 1
                server.start()


def role_of(server: Server) -> str:
    """What it was started as."""
    return server.options[server.options.index("--roles") + 1]
