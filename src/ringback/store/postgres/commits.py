"""Group commit on PostgreSQL: writes share a transaction; while it goes to the database's disk, the next gathers.

Those that allow it run side by side in it (`postgres.together`), the others one after the other, each in its turn.

Says which writes go together, who is answered, and what runs again: each write may run twice. The connection and its
transactions are `postgres.transactions`'.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import asyncpg

from ringback.core.emit import Emit
from ringback.core.errors import StoreError
from ringback.store.postgres import fates
from ringback.store.postgres.connecting import Place
from ringback.store.postgres.faults import AGAIN, LOST, translated
from ringback.store.postgres.together import Broken, Together, Transaction, Writing
from ringback.store.postgres.transactions import Transactions
from ringback.store.postgres.words import Words
from ringback.store.verbs.acts import do_each

T = TypeVar("T")

_SPEAK: Final = """SELECT CAST(CAST(number AS TEXT) AS BIGINT),
       (SELECT count(pg_notify('ringback', word))
        FROM unnest(CASE WHEN number IS NULL THEN $2::text[] ELSE $1::text[] || $2::text[] END) AS word)
FROM (SELECT pg_current_xact_id_if_assigned() AS number) AS transaction"""
"""A transaction that has written nothing has no number, and of its own nothing to tell."""
_SPEAK_LATER: Final = "SELECT pg_notify('ringback', word) FROM unnest($1::text[]) AS word"
_MOST_WRITES: Final = 512
"""A batch goes to the disk after so many, however many more there are."""
_TRIES: Final = 20
"""How often a write may find another member in its way before its caller hears of it."""

Write = Callable[[Any], T]


class _Waiting:
    """One write and those who await it."""

    __slots__ = ("future", "is_alone", "tries", "value", "write")

    def __init__(self, write: Write[Any], future: asyncio.Future[Any], *, is_alone: bool) -> None:
        self.write = write
        self.future = future
        self.is_alone = is_alone
        """Whether nothing may come between its statements."""
        self.value: Any = None
        self.tries = 0

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    @property
    def has_failed(self) -> bool:
        """Whether its caller has been told of an error; one that nobody waits for any more has not failed."""
        return self.future.done() and not self.future.cancelled()


class _Culprit(Exception):
    """A write has broken the shared transaction; the others must run again without it."""

    def __init__(self, suspects: Sequence[_Waiting], error: Exception, *, is_joint: bool) -> None:
        super().__init__(str(error))
        self.suspects = suspects
        """One of these."""
        self.error = error
        self.is_joint = is_joint
        """Whether several statements went in one: which of them it was is found without that."""


class GroupCommit:
    """The writes of one connection of a member."""

    def __init__(
        self,
        place: Place,
        transactions: Transactions,
        *,
        emit: Emit,
        words: Words,
        together: Together,
    ) -> None:
        """Begin with nothing to write.

        Args:
            place: what errors call it.
            transactions: nobody else's.
            emit: is told of commits.
            words: what other members are to be told of each commit.
            together: runs writes; its tallies are written as the last thing inside each transaction.
        """
        self._place = place
        self._transactions = transactions
        self._emit = emit
        self._words = words
        self._together = together
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._working: asyncio.Task[None] | None = None
        self._lone = 0
        self._closed: str | None = None
        self._untold: list[str] = []
        """What other members are to be told of what is on disk already."""

    def write(self, write: Write[T]) -> asyncio.Future[T]:
        """Run `write` in the next batch, or in the one that is gathering; the future is done once that is on disk."""
        return self._enqueue(write, is_alone=True)

    def write_beside(self, write: Write[T]) -> asyncio.Future[T]:
        """As `write`, with others like it, whose statements may come between its own."""
        return self._enqueue(write, is_alone=False)

    def _enqueue(self, write: Write[T], *, is_alone: bool) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        waiting = _Waiting(write, future, is_alone=is_alone)
        if is_alone:
            self._lone += 1
            future.add_done_callback(self._on_lone_done)
        if self._closed is not None:
            waiting.fail(StoreError(self._closed))
            return future
        self._queue.append(waiting)
        if self._working is None:
            self._working = self._loop.create_task(self._work(), name="ringback-commits")
        return future

    @property
    def connection(self) -> asyncpg.Connection:
        """As `Transactions.connection`."""
        return self._transactions.connection

    @property
    def is_connected(self) -> bool:
        return self._transactions.is_connected

    @property
    def is_under_way(self) -> bool:
        """Whether something has been written that is not on disk yet."""
        return self._working is not None

    @property
    def has_lone(self) -> bool:
        """Whether a write is not on disk yet that is to have no others beside it."""
        return self._lone > 0

    def _on_lone_done(self, _: asyncio.Future[Any]) -> None:
        self._lone -= 1

    async def close(self) -> None:
        """Commit what is under way, then refuse all further writes, and close the connection."""
        self._closed = f"{self._place} is closed"
        if self._working is not None:
            await self._working
        await self._transactions.close()

    def abandon(self) -> None:
        """Drop everything as a killed process would: nothing under way is committed, nobody is answered."""
        self._closed = f"{self._place} is abandoned"
        self._queue.clear()
        if self._working is not None:
            self._working.cancel()
        self._transactions.abandon()

    # ── Batches ─────────────────────────────────────────────────────────────────────────────────

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._commit_one_batch()
        finally:
            self._working = None

    async def _commit_one_batch(self) -> None:
        """Run what is queued, and what comes meanwhile, in one transaction, and answer once it is on disk."""
        started = time.perf_counter_ns()
        batch: list[_Waiting] = []
        acts: list[Callable[[], None]] = []
        number: int | None = None
        try:
            await self._transactions.begin()
            self._together.tallies.forget()
            self._together.keeps_out = False
            await self._gather(batch, acts)
            number = await self._speak()
            await self._commit(len(batch))
        except _Culprit as culprit:
            await self._go_on_without(culprit, batch)
        except LOST as error:
            if await self._was_committed(number, batch, error):
                self._answer(batch, acts, started)
        except asyncpg.PostgresError as error:  # the commit itself was refused
            await self._roll_back()
            self._again(batch, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours: nobody is to wait for what will not come
            self._emit("store.fault", act="writing a batch", error=error)
            await self._roll_back()
            for each in batch:
                each.fail(StoreError(f"the write was given up, and has not happened: {error!r}"))
        else:
            self._answer(batch, acts, started)
            await self._speak_afterwards()

    async def _commit(self, writes: int) -> None:
        """Have it on disk; where more is waiting, the next transaction begins with it."""
        await self._transactions.commit(writes, and_begin=bool(self._queue))
        self._untold.clear()

    async def _gather(self, batch: list[_Waiting], acts: list[Callable[[], None]]) -> None:
        while self._queue and len(batch) < _MOST_WRITES and not self._together.keeps_out:
            turn = self._next_turn(_MOST_WRITES - len(batch))
            batch += turn
            transaction = Transaction(acts, self._together.tallies)
            writings = [Writing(each.write, transaction) for each in turn]
            try:
                await self._together.run(self.connection, writings)
            except Broken as broken:
                suspects = [each for each, its in zip(turn, writings, strict=True) if its in broken.writings]
                raise _Culprit(suspects, broken.error, is_joint=broken.is_joint) from broken
            for each, its in zip(turn, writings, strict=True):
                each.value = its.value
                if its.error is not None:
                    each.fail(its.error)

    def _next_turn(self, room: int) -> list[_Waiting]:
        """The next write that runs alone, or the next few that may run side by side."""
        turn = [self._queue.popleft()]
        if not turn[0].is_alone:
            while self._queue and not self._queue[0].is_alone and len(turn) < room:
                turn.append(self._queue.popleft())
        for each in turn:
            each.tries += 1
        return turn

    async def _speak(self) -> int | None:
        """Write the tallies and tell the other members, within the transaction.

        Returns:
            its number, if it has written anything.
        """
        changes, words = self._together.tallies.changes(), self._words.of(self._together.noted)
        [told] = await self._together.tally(self.connection, changes, _SPEAK, words, self._untold)
        number: int | None = told[0]
        return number

    async def _speak_afterwards(self) -> None:
        """Tell the other members what was found out only once it was on disk."""
        self._untold += self._words.outside()
        if self._untold and not self._transactions.has_begun:  # else the next batch tells it
            with contextlib.suppress(*LOST, asyncpg.PostgresError):  # a word that is lost is made up for by a look
                async with self.connection.transaction():
                    await self.connection.execute(_SPEAK_LATER, self._untold)
                self._untold.clear()

    def _answer(self, batch: list[_Waiting], acts: list[Callable[[], None]], started_ns: int) -> None:
        self._together.joins = True
        self._together.noted.come_true()
        do_each(acts)
        for each in batch:
            if not each.future.done():
                each.future.set_result(each.value)
        self._emit("store.committed", writes=len(batch), duration_us=(time.perf_counter_ns() - started_ns) // 1_000)

    # ── Trouble ─────────────────────────────────────────────────────────────────────────────────

    async def _go_on_without(self, culprit: _Culprit, batch: list[_Waiting]) -> None:
        await self._roll_back()
        if culprit.is_joint:
            self._together.joins = False
            self._again(batch, culprit.error)
            return
        if len(culprit.suspects) > 1:
            for each in culprit.suspects:
                each.is_alone = True  # so that the one whose fault it was is found
            self._again(batch, culprit.error)
            return
        [found] = culprit.suspects
        again = isinstance(culprit.error, AGAIN) and found.tries < _TRIES
        if not again:
            found.fail(translated(culprit.error, str(self._place)))
        found.is_alone = True
        self._queue.extendleft(each for each in reversed(batch) if not each.has_failed)

    def _again(self, batch: list[_Waiting], error: BaseException) -> None:
        """Queue the writes once more; those that have been tried too often fail."""
        for each in reversed(batch):
            if each.has_failed:
                continue
            if each.tries < _TRIES:
                self._queue.appendleft(each)
            else:
                each.fail(translated(error, str(self._place)))

    def _forget(self) -> None:
        """What was noted of a transaction has not happened."""
        self._together.noted.forget()
        self._together.tallies.undo()

    async def _roll_back(self) -> None:
        self._forget()
        await self._transactions.roll_back()

    async def _was_committed(self, number: int | None, batch: list[_Waiting], error: BaseException) -> bool:
        """The connection was lost: find out what became of the transaction; what has not happened is queued again.

        A write that has changed nothing (`number` is None) can be run again whatever became of it. Where the server
        stays away, those fail that have waited for it; who came meanwhile waits a moment longer.
        """
        self._forget()
        have_waited = len(self._queue)
        match await self._transactions.fate_of(number):
            case fates.COMMITTED:
                return True
            case fates.ABORTED:
                self._again(batch, error)
            case None:
                fault = translated(error, str(self._place))
                for each in (*batch, *(self._queue.popleft() for _ in range(have_waited))):
                    each.fail(fault)
            case unknown:
                for each in batch:
                    each.fail(StoreError(f"whether the write has happened is not known: {unknown}"))
        return False
