"""Progress is stored at most ten times a second and told at most once; the latest word always gets there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from ringback.core.clock import Instant
from ringback.core.spec import Api, Endpoint, Predictor
from ringback.core.workload import Claimed, Held, Progress
from ringback.store.contract import Store
from ringback.work.notes import Notes

HOOK = Endpoint(key="hook", url="http://127.0.0.1:1/")
CLAIMED = Claimed(
    held=Held(seq=1, api="iris", id="w1", attempt=1),
    payload=b"",
    content_type="text/plain",
    headers=b"{}",
    trace_id=None,
    raised=0,
    losses=0,
    submitted_at=Instant(0),
)


@dataclass(slots=True)
class Timers:
    """The loop's clock and timers, wound by hand."""

    now: float = 0.0
    waiting: list[tuple[float, Callable[..., None], tuple[Any, ...], asyncio.TimerHandle]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.now + delay, callback, args, asyncio.get_running_loop())
        self.waiting.append((self.now + delay, callback, args, handle))
        return handle

    def wind(self, seconds: float) -> None:
        end = self.now + seconds + 1e-9
        while due := [each for each in self.waiting if each[0] <= end]:
            first = min(due, key=lambda each: each[0])
            self.waiting.remove(first)
            self.now = first[0]
            if not first[3].cancelled():
                first[1](*first[2])
        self.now = end


@dataclass(slots=True)
class Remembering:
    """Remembers what it was told, and when."""

    timers: Timers
    noted: list[tuple[float, float]] = field(default_factory=list)
    told: list[tuple[float, float]] = field(default_factory=list)

    def progress(self, held: Held, progress: Progress, *, tell: Sequence[Endpoint] | None = None) -> Awaitable[None]:
        place = (round(self.timers.now, 3), progress.fraction)
        self.noted.append(place)
        if tell is not None:
            assert list(tell) == [HOOK]
            self.told.append(place)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


def made() -> tuple[Notes, Remembering, Timers]:
    timers = Timers()
    store = Remembering(timers)
    api = Api(name="iris", endpoint="iris", predictor=Predictor(path=Path("/p.py")), webhooks=(HOOK,))
    notes = Notes(api, cast("Store", store))
    notes._loop = cast("asyncio.AbstractEventLoop", timers)
    return notes, store, timers


async def test_the_first_word_at_once_and_the_latest_when_the_pause_is_over() -> None:
    notes, store, timers = made()
    for fraction in (0.1, 0.2, 0.3):
        notes.take(CLAIMED, Progress(fraction=fraction))
    assert store.noted == [(0.0, 0.1)]
    timers.wind(5)
    assert store.noted == [(0.0, 0.1), (0.1, 0.3)]
    assert store.told == []


async def test_webhooks_go_once_a_second_and_the_last_word_is_among_them() -> None:
    notes, store, timers = made()
    for step in range(25):
        notes.take(CLAIMED, Progress(fraction=step / 100), is_told=True)
        timers.wind(0.1)
    timers.wind(5)
    moments = [moment for moment, _ in store.told]
    assert all(later - earlier >= 1 - 1e-6 for earlier, later in pairwise(moments))
    assert len(moments) == 4
    assert store.told[0] == (0.0, 0.0)
    assert store.told[-1][1] == 0.24


async def test_a_silence_does_not_make_two_webhooks_come_closer() -> None:
    notes, store, timers = made()
    notes.take(CLAIMED, Progress(fraction=0.1), is_told=True)
    timers.wind(0.5)
    notes.take(CLAIMED, Progress(fraction=0.2), is_told=True)
    timers.wind(3)
    notes.take(CLAIMED, Progress(fraction=0.3), is_told=True)
    assert [fraction for _, fraction in store.told] == [0.1, 0.2, 0.3]
    assert store.told[1][0] >= 1.0


async def test_nothing_comes_after_the_end() -> None:
    notes, store, timers = made()
    notes.take(CLAIMED, Progress(fraction=0.1), is_told=True)
    notes.take(CLAIMED, Progress(fraction=0.2), is_told=True)
    notes.drop(CLAIMED)
    timers.wind(5)
    assert store.noted == [(0.0, 0.1)]
