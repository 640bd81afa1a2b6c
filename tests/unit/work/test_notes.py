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
from ringback.work.journals import Journals
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
    kept: list[float] = field(default_factory=list)
    """What the journal holds."""
    flushed: int = 0

    def progress(
        self, held: Held, progress: Progress, *, tell: Sequence[Endpoint] | None = None, instead: bool = False
    ) -> Awaitable[None]:
        assert self.flushed == len(self.noted) + 1, "what was said before it is to stand before it"
        place = (round(self.timers.now, 3), progress.fraction)
        self.noted.append(place)
        if instead:
            self.kept.pop()
        self.kept.append(progress.fraction)
        if tell is not None:
            assert list(tell) == [HOOK]
            self.told.append(place)
        return _done()

    def announce(self, held: Held, news: Progress, endpoints: Sequence[Endpoint]) -> Awaitable[None]:
        assert list(endpoints) == [HOOK]
        self.told.append((round(self.timers.now, 3), news.fraction))
        return _done()

    def flush(self, held: Held) -> None:
        """As the journals do."""
        self.flushed += 1

    def note(self, held: Held, progress: Progress) -> None:
        """As the journals do."""
        self.kept.append(progress.fraction)


def _done() -> Awaitable[None]:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


def made() -> tuple[Notes, Remembering, Timers]:
    timers = Timers()
    store = Remembering(timers)
    api = Api(name="iris", endpoint="iris", predictor=Predictor(path=Path("/p.py")), webhooks=(HOOK,))
    notes = Notes(api, cast("Store", store), cast("Journals", store))
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
    assert store.kept == [0.1, 0.2], "the word that was not stored yet goes with the last words"


async def test_of_a_long_days_words_the_journal_keeps_some_thousands_and_the_latest() -> None:
    notes, store, timers = made()
    steps = 100_000  # 2.8 hours, ten a second
    for step in range(steps):
        notes.take(CLAIMED, Progress(fraction=step / steps))
        timers.wind(0.1)
    assert len(store.noted) > 0.9 * steps
    assert 5_000 < len(store.kept) < 6_500
    assert store.kept[-1] == store.noted[-1][1]
    assert all(earlier < later for earlier, later in pairwise(store.kept))
    # Whenever one looks, the words that are kept are no further apart than a thousandth of the time that has passed.
    assert all(later - earlier < 0.003 for earlier, later in pairwise(store.kept))
