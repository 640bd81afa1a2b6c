"""kill -9 at random moments, with a thousand workloads in flight: nothing acknowledged is lost.

The random moments come from a seed that is printed; RINGBACK_CRASH_SEED repeats a run.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
import requests

from support.catcher import Catcher
from support.ground import is_on_ray
from support.processes import Server, serving
from support.served import folder_of
from support.waiting import pause, until

pytestmark = pytest.mark.every_engine

KILLS: Final = 5 if is_on_ray() else 30
"""On Ray each start takes seconds."""
IN_FLIGHT: Final = 1_000
SPARE: Final = 100
"""More than are looked for, so that those which end between two looks do not show."""
SENDERS: Final = 4
"""Connections that submit side by side: one alone is no faster than the replica, whenever the machine is busy."""

MOST_SECONDS_BETWEEN: Final = 0.25

BRIEF_WORK: Final = """
import time


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        time.sleep(0.004)
        return payload
"""


@dataclass(slots=True)
class Submitter:
    """Keeps a thousand acknowledged workloads unfinished, through every crash of the server."""

    server: Server
    catcher: Catcher
    acknowledged: dict[str, int] = field(default_factory=dict)
    """The payload by the workload's id."""
    unanswered: list[int] = field(default_factory=list)
    """The payloads of submits that a crash cut off."""
    in_flight_at_kills: list[int] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.server.url}/echo"

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def in_flight(self) -> int:
        return len(set(self.acknowledged.copy()) - self.catcher.ids())

    def note_in_flight(self) -> None:
        self.in_flight_at_kills.append(self.in_flight())

    def _run(self) -> None:
        # No session of a comfortable client: what it costs would be taken from the catcher, which shares this process.
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)) as connection:
            while not self._stop.is_set():
                for _ in range((IN_FLIGHT + SPARE - self.in_flight()) // SENDERS):
                    self._submit(connection, next(self._numbers))
                    if self._stop.is_set():
                        return
                self._stop.wait(0.01)

    def _submit(self, connection: http.client.HTTPConnection, number: int) -> None:
        try:
            connection.request("POST", "/echo", json.dumps({"n": number}), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.unanswered.append(number)
            self._stop.wait(0.02)
            return
        if answer.status == 200:
            self.acknowledged[json.loads(body)["id"]] = number


def kill_server(server: Server) -> None:
    server.kill()
    server.start_and_wait()


def kill_replica(server: Server) -> None:
    replicas = server.wait_for_replicas()
    os.kill(min(replicas), signal.SIGKILL)
    server.wait_for_replicas(other_than=replicas)
    server.wait_for("/readyz", 200)


def kill_both(server: Server) -> None:
    replica = min(server.wait_for_replicas())
    os.kill(server.pid, signal.SIGKILL)
    os.kill(replica, signal.SIGKILL)
    server.wait_for_end()
    server.start_and_wait()


@pytest.mark.timeout(600)  # half a minute where nobody else wants the machine
@pytest.mark.parametrize("kill", [kill_server, kill_replica, kill_both], ids=["server", "replica", "both"])
def test_nothing_acknowledged_is_lost(
    kill: Callable[[Server], None], tmp_path: Path, say: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("RINGBACK_CRASH_SEED", random.SystemRandom().randrange(1_000_000)))
    chance = random.Random(seed)
    with Catcher() as catcher:
        file = folder_of(
            tmp_path / "api",
            predictor=BRIEF_WORK,
            webhook=catcher.url,
            retries={"max_losses": 100},
            autoscaling={"max_replica_concurrency": 4 * IN_FLIGHT},
        )
        with serving(file, tmp_path / "store" / "ringback.db") as server:
            submitter = Submitter(server, catcher)
            submitter.start()
            until(lambda: submitter.in_flight() > IN_FLIGHT, within=30, wanted="a thousand in flight")
            for _ in range(KILLS):
                pause(chance.uniform(0, MOST_SECONDS_BETWEEN))
                submitter.note_in_flight()
                kill(server)
            submitter.stop()
            catcher.wait_for_all(set(submitter.acknowledged), within=60)
            check(submitter, catcher, seed, say)


def check(submitter: Submitter, catcher: Catcher, seed: int, say: Callable[[str], None]) -> None:
    """Print the figures, then hold every acknowledged workload against what rang and what the server says."""
    webhook_ids = catcher.webhook_ids()
    duplicates = sum(sum(counts.values()) - 1 for counts in webhook_ids.values())
    say(
        f"seed {seed}: {KILLS} kills with {min(submitter.in_flight_at_kills)} or more in flight, "
        f"{len(submitter.acknowledged)} acknowledged, "
        f"{len(submitter.acknowledged.keys() - webhook_ids.keys())} lost, {duplicates} duplicates, "
        f"{len(submitter.unanswered)} submits unanswered"
    )
    assert min(submitter.in_flight_at_kills) >= IN_FLIGHT
    more_than_one = {each: counts for each, counts in webhook_ids.items() if len(counts) != 1}
    assert more_than_one == {}, "one webhook-id per event"
    bodies: dict[str, set[bytes]] = {}
    for each in catcher.all():
        bodies.setdefault(each.workload_id, set()).add(each.body)
    assert Counter(len(each) for each in bodies.values()) == {1: len(bodies)}, "the same bytes at every attempt"
    announced = {each.workload_id: each.json for each in catcher.all()}
    with requests.Session() as session:
        for workload_id, number in submitter.acknowledged.items():
            answer = session.get(f"{submitter.url}/{workload_id}", timeout=10)
            assert answer.json() == announced[workload_id]
            assert answer.json()["status"] == "completed"
            assert answer.json()["result"] == {"n": number}
