"""A member that dies at every point between taking a delivery and writing down how it went, thousands of times.

The death is the store's own: nothing under way is committed, nobody is answered, the lock is let go.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ringback.core.clock import SystemClock
from ringback.core.spec import Endpoint
from ringback.core.workload import Completed
from ringback.deliver import Dialling, Dispatcher
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.receiver import Receiver, answering, receiving
from support.stores import API, submission

DEATHS = 2_000
NEW_EACH_TIME = 2
SEED = 20_261_124


@dataclass(slots=True)
class Doom:
    """An `Emit`, and an eye on the receiver, that calls the end at the n-th time of one point."""

    point: str
    times: int
    seen: int = 0
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    strike: Callable[[], None] | None = None
    """What the end is; nothing is counted before it is known."""

    def __call__(self, fact: str, /, **_: object) -> None:
        self.note(fact)

    def note(self, point: str) -> None:
        if point == self.point and self.strike is not None and not self.struck.is_set():
            self.seen += 1
            if self.seen == self.times:
                self.struck.set()
                self.strike()


POINTS = {
    "store.committed": "a take, a record or an end is on disk, and nobody knows it yet",
    "request": "the receiver has read the request and not answered",
    "delivery.attempted": "the answer is there, and not written down",
    "delivery.settled": "it is written down, and the next is not taken",
}


async def finish_some(store: SqliteStore, hook: Endpoint) -> list[str]:
    ids = [(await store.submit(submission())).id for _ in range(NEW_EACH_TIME)]
    claimed, _ = await store.claim(API, NEW_EACH_TIME)
    await asyncio.gather(*(store.finish(each.held, Completed(result=b"1"), [hook]) for each in claimed))
    return ids


async def live(path: Path, hook: Endpoint, doom: Doom, receiver: Receiver) -> list[str]:
    """One member's life: end some workloads, send what is due, and die; what it had acknowledged."""
    store = await open_sqlite(path, clock=SystemClock(), emit=doom)
    dispatcher = Dispatcher(store, {hook.key: hook}, doom, chance=lambda: 0.0, dialling=Dialling())
    await store.take_over([API], 100)
    acknowledged = await finish_some(store, hook)

    def strike() -> None:
        dispatcher.abandon()
        store.abandon()

    doom.strike = strike
    receiver.on_request = lambda: doom.note("request")
    await dispatcher.start()
    try:
        async with asyncio.timeout(0.1):
            await doom.struck.wait()
    except TimeoutError:  # all was sent before the point came
        strike()
    await asyncio.sleep(0)
    return acknowledged


async def test_whatever_is_killed_in_between_every_webhook_arrives_under_one_id(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    path = tmp_path / "ringback.db"
    acknowledged: list[str] = []
    deaths: Counter[str] = Counter()
    async with receiving() as receiver:
        receiver.otherwise = answering(200)
        hook = Endpoint(key="hook", url=receiver.url, retry_seconds=(0.0,) * 50)
        for _ in range(DEATHS):
            doom = Doom(chance.choice(list(POINTS)), chance.randint(1, 2))
            acknowledged += await live(path, hook, doom, receiver)
            deaths[doom.point if doom.struck.is_set() else "at rest"] += 1

        store = await open_sqlite(path, clock=SystemClock())
        await store.take_over([API], 100)
        dispatcher = Dispatcher(store, {hook.key: hook}, Doom("", 0), chance=lambda: 0.0, dialling=Dialling())
        await dispatcher.start()
        async with asyncio.timeout(30):
            while sum(each.pending for each in (await store.backlogs()).values()):
                pass
        await dispatcher.stop(1.0)
        await store.close()

    ids: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for request in receiver.requests:
        ids[request.json["id"]][request.headers["webhook-id"]] += 1
    lost = [each for each in acknowledged if each not in ids]
    duplicates = sum(sum(counts.values()) - 1 for counts in ids.values())
    say(f"{DEATHS} deaths {dict(deaths)}: {len(acknowledged)} webhooks, {len(lost)} lost, {duplicates} duplicates")
    assert lost == []
    assert {len(counts) for counts in ids.values()} == {1}
    assert all(deaths[point] > DEATHS / 10 for point in POINTS)
