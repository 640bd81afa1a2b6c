"""What is said on its way to the store: batches in order, bounds that hold whatever comes, last words with the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from ringback.core.clock import Instant
from ringback.core.errors import LeaseLost, RingbackError, StoreBusy
from ringback.core.journal import MOST_OUTPUT_BYTES, Entry, LeftOut, Said
from ringback.core.workload import Claimed, Held, Output, Progress
from ringback.store.contract import Store
from ringback.work.child.transcript import HEAD_LINES
from ringback.work.child.wire import MOST_OUTPUTS, MOST_OUTPUTS_BYTES
from ringback.work.journals import CROWDED_BYTES, TAIL_BYTES, TAIL_LINES, Journals
from support.facts import Facts


def claimed(seq: int = 1) -> Claimed:
    return Claimed(
        held=Held(seq=seq, api="iris", id=f"w{seq}", attempt=1),
        payload=b"",
        content_type="text/plain",
        headers=b"{}",
        trace_id=None,
        raised=0,
        losses=0,
        submitted_at=Instant(0),
    )


ONE = claimed()


@dataclass(slots=True)
class Shelf:
    """A store that takes what it is given when it is told to."""

    entered: list[list[Entry]] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)
    """What is kept, after what was dropped."""
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    holds: bool = False
    fault: RingbackError | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self, held: Held, entries: Sequence[Entry], *, drop: range | None = None) -> Awaitable[None]:
        self.entered.append(list(entries))
        self.journal += entries
        self.news.set()
        if drop is not None:
            self.journal = [each for each in self.journal if not (isinstance(each, Said) and each.line in drop)]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.fault is not None:
            done.set_exception(self.fault)
        elif self.holds:
            self.waiting.append(done)
        else:
            done.set_result(None)
        return done


@dataclass(slots=True)
class Desk:
    """Journals, their store, and what they tell."""

    store: Shelf = field(default_factory=Shelf)
    facts: Facts = field(default_factory=Facts)
    listens: list[bool] = field(default_factory=list)

    def journals(self) -> Journals:
        return Journals("iris", cast("Store", self.store), self.facts, listen=self.listens.append)

    async def written(self, count: int) -> None:
        """Wait until so many batches have come."""
        async with asyncio.timeout(5):
            while len(self.store.entered) < count:
                self.store.news.clear()
                await self.store.news.wait()


async def test_the_first_word_goes_at_once_and_what_follows_together() -> None:
    desk = Desk()
    journals = desk.journals()
    journals.said(ONE, 0, "one\n")
    await desk.written(1)
    journals.said(ONE, 0, "two\n")
    journals.said(ONE, 0, "th")
    journals.said(ONE, 0, "ree\n")
    journals.yielded(ONE, 0, b"1")
    journals.said(ONE, 5, "nine\n")
    journals.said(ONE, 0, "ten\n")
    await desk.written(2)
    assert desk.store.entered == [
        [Said(line=1, text="one\n")],
        [Said(line=2, text="two\nthree\n"), Output(index=0, value=b"1"), Said(line=9, text="nine\nten\n")],
    ]


async def test_one_that_is_over_at_once_costs_no_write_of_its_own() -> None:
    desk = Desk()
    journals = desk.journals()
    journals.said(ONE, 0, "hello\n")
    journals.note(ONE.held, Progress(fraction=1.0))
    assert journals.close(ONE) == [Said(line=1, text="hello\n"), Progress(fraction=1.0)]
    assert journals.close(ONE) == []
    assert journals.close(claimed(2)) == []
    for _ in range(5):
        await asyncio.sleep(0)
    assert desk.store.entered == []


async def test_what_comes_next_can_be_made_to_stand_behind() -> None:
    desk = Desk()
    journals = desk.journals()
    journals.flush(ONE.held)
    journals.said(ONE, 0, "before\n")
    journals.flush(ONE.held)
    assert desk.store.entered == [[Said(line=1, text="before\n")]]
    journals.abandon()


async def test_each_workload_has_its_own_page() -> None:
    desk = Desk()
    journals = desk.journals()
    journals.said(ONE, 0, "one\n")
    journals.said(claimed(2), 0, "two\n")
    assert journals.close(claimed(2)) == [Said(line=1, text="two\n")]
    assert journals.close(ONE) == [Said(line=1, text="one\n")]


async def test_of_outputs_as_many_are_kept_as_the_page_holds() -> None:
    desk = Desk()
    journals = desk.journals()
    large = b"x" * (MOST_OUTPUT_BYTES + 1)
    journals.yielded(ONE, 0, large)
    for index in range(1, MOST_OUTPUTS + 100):
        journals.yielded(ONE, index, b"1")
    kept = [*(each for batch in desk.store.entered for each in batch), *journals.close(ONE)]
    assert kept[0] == LeftOut(index=0, output_bytes=len(large))
    assert kept[-1] == Output(index=MOST_OUTPUTS - 1, value=b"1")
    assert len(kept) == MOST_OUTPUTS

    for index in range(100):
        journals.yielded(ONE, index, large[:-1])
    assert len(journals.close(ONE)) == MOST_OUTPUTS_BYTES // MOST_OUTPUT_BYTES


@pytest.mark.parametrize("width", [1, 400])
async def test_whatever_a_child_sends_the_journal_keeps_the_beginning_and_the_latest(width: int) -> None:
    """A child that does not keep to its own bounds meets these."""
    desk = Desk()
    journals = desk.journals()
    text = ("x" * width + "\n") * 500
    for _ in range(200):
        journals.said(ONE, 0, text)
        journals.flush(ONE.held)
    journals.abandon()
    said = [each for each in desk.store.journal if isinstance(each, Said)]
    lines = sum(each.text.count("\n") for each in said)
    size = sum(len(each.text) for each in said)
    assert said[0].line == 1
    assert said[-1].line + said[-1].text.count("\n") == 200 * 500 + 1
    assert lines <= HEAD_LINES + TAIL_LINES + 2 * 500
    assert size <= 512 * 1024 + TAIL_BYTES + 3 * len(text)
    if width == 1:
        assert lines >= HEAD_LINES + TAIL_LINES


async def test_when_more_comes_than_the_store_takes_nobody_is_listened_to_for_a_while() -> None:
    desk = Desk(store=Shelf(holds=True))
    journals = desk.journals()
    part = "x" * 999_999 + "\n"
    for _ in range(CROWDED_BYTES // len(part) + 1):
        journals.said(ONE, 0, part)
        journals.flush(ONE.held)
    assert desk.listens == [False]
    for done in desk.store.waiting:
        done.set_result(None)
        await asyncio.sleep(0)
    assert desk.listens == [False, True]
    journals.abandon()


async def test_what_waits_counts_until_it_goes_with_the_end() -> None:
    desk = Desk()
    journals = desk.journals()
    journals.said(ONE, 0, "x" * CROWDED_BYTES)
    assert desk.listens == [False]
    journals.close(ONE)
    assert desk.listens == [False, True]


async def test_what_the_store_cannot_take_is_told_and_missed_in_the_count_of_lines() -> None:
    desk = Desk(store=Shelf(fault=StoreBusy("locked", retry_after_seconds=1)))
    journals = desk.journals()
    journals.said(ONE, 0, "one\ntwo\n")
    await desk.facts.wait_for("store.fault", 1)
    assert "locked" in str(desk.facts.of("store.fault")[0]["error"])
    journals.said(ONE, 0, "three\n")
    assert journals.close(ONE) == [Said(line=3, text="three\n")]


async def test_one_that_is_elsewhere_by_now_is_no_fault() -> None:
    desk = Desk(store=Shelf(fault=LeaseLost("gone")))
    journals = desk.journals()
    journals.said(ONE, 0, "late\n")
    await desk.written(1)
    await asyncio.sleep(0)
    assert desk.facts.seen == []
    journals.abandon()
