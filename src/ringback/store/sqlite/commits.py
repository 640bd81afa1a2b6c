"""Group commit: statements run at once on the event loop, only the shared COMMIT runs in a thread.

While one commit is on its way to the disk the next batch gathers, so a hundred callers share one fsync and
nobody waits for a timer. Never blocks the loop on a lock: a busy database is asked again a little later.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from ringback.core.emit import Emit
from ringback.core.errors import StoreBusy, StoreError
from ringback.store.sqlite.faults import is_busy, translated
from ringback.store.sqlite.sets import SetRows, Sets
from ringback.store.verbs.acts import do_each
from ringback.store.verbs.transaction import Kin

T = TypeVar("T")

_GATHERING_TURNS: Final = 3
"""Turns of the loop a batch waits for those who react to what it wrote, so that a claim can ride with its submit."""

_PATIENCE_SECONDS: Final = 10.0
_BUSY_PAUSE_SECONDS: Final = 0.005


class Transaction:
    """What a write sees: the connection, a place for what must happen only once it is on disk, one for rows of sets."""

    __slots__ = ("_after", "execute", "lay", "put")

    def __init__(self, connection: sqlite3.Connection, after: list[Callable[[], None]], rows: SetRows) -> None:
        self.execute = connection.execute
        self.put = rows.put
        self.lay = rows.lay
        self._after = after

    def after(self, act: Callable[[], None]) -> None:
        """Run `act` on the loop once the commit is done; never, if it fails. What it raises reaches no caller."""
        self._after.append(act)

    def hold(self, what: Hashable) -> None:
        """Nothing: writes run one after the other anyway."""


Write = Callable[[Transaction], T]


def _nothing(tx: Transaction) -> None:
    """Written so as to wait for what was written before."""


class _Waiting:
    """One write and those who await it. Slotted and mutable: this is the hottest object of the store."""

    __slots__ = ("by_itself", "future", "value", "write")

    def __init__(self, write: Write[Any], future: asyncio.Future[Any], by_itself: Write[Any] | None = None) -> None:
        self.write = write
        self.future = future
        self.by_itself = by_itself
        """What is run in its place once its batch's sets have turned out not to be what they were taken for."""
        self.value: Any = None

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is called around each transaction."""

    began: Callable[[], None]
    """The first thing inside it."""
    ending: Callable[[], None]
    """The last thing inside it."""
    rolled_back: Callable[[], None]
    """It has come to nothing."""


class GroupCommit:
    """Owns the one writing connection.

    A write may be run again when another in its batch fails, so it must change nothing but the database. One
    that raises a `RingbackError` must not have changed anything before.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        emit: Emit,
        around: Around,
        sets: Sets,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._connection = connection
        self._sets = sets
        self._path = path
        self._emit = emit
        self._around = around
        self._patience_seconds = patience_seconds
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ringback-commit")
        self._after: list[Callable[[], None]] = []
        self._rows = sets.rows()
        self._transaction = Transaction(connection, self._after, self._rows)
        self._queue: deque[_Waiting] = deque()
        self._batch: list[_Waiting] = []
        self._open = False
        self._held_back = False  # a commit is under way, or the database is busy: writes queue up
        self._busy_since: float | None = None
        self._gathering: asyncio.Handle | None = None
        self._turns = 0
        self._seen = 0
        self._closed: str | None = None
        self._abandoned = False
        self._idle = asyncio.Event()
        self._idle.set()

    def write(self, write: Write[T]) -> asyncio.Future[T]:
        """Run `write` in the batch that is gathering; the future is done once that batch is on disk."""
        return self._take(_Waiting(write, self._loop.create_future()))

    def write_beside(self, write: Write[T]) -> asyncio.Future[T]:
        """As `write`: on a local file, nothing is gained by having statements wait for each other."""
        return self.write(write)

    def write_in_set(self, in_set: Write[T], write: Write[T], kin: Kin) -> asyncio.Future[T]:  # noqa: ARG002 - all are one
        """As `write`, by statements that take all such rows of the batch, in the thread that commits.

        When those do not have their whole effect, the batch is run again, each `write` by itself.
        """
        return self._take(_Waiting(in_set, self._loop.create_future(), write))

    def _take(self, waiting: _Waiting) -> asyncio.Future[Any]:
        if self._closed is not None:
            waiting.fail(StoreError(self._closed))
        elif self._held_back:
            self._queue.append(waiting)
        else:
            self._run(waiting)
        return waiting.future

    def write_apart(self, write: Write[T], kin: Kin) -> asyncio.Future[T]:  # noqa: ARG002 - all are one
        """As `write`: one writes at a time."""
        return self.write(write)

    def settled(self) -> asyncio.Future[None]:
        """Done once all that has been written by now is on disk, or has come to nothing."""
        return self.write(_nothing)

    @property
    def is_committing(self) -> bool:
        """Whether the connection is busy on its way to the disk, so that touching it would block the loop."""
        return self._held_back

    @property
    def is_under_way(self) -> bool:
        """Whether something has been written that is not on disk yet."""
        return self._open or self._held_back

    async def close(self) -> None:
        """Commit what is under way, then refuse all further writes. The connection stays the caller's."""
        self._closed = f"{self._path} is closed"
        await self._idle.wait()
        self._thread.shutdown()

    def abandon(self) -> None:
        """Drop everything as a killed process would: nothing under way is committed, nobody is answered."""
        self._closed = f"{self._path} is abandoned"
        self._abandoned = True
        self._queue.clear()
        self._batch.clear()
        self._thread.shutdown(wait=True)

    # ── Gathering ───────────────────────────────────────────────────────────────────────────────

    def _run(self, waiting: _Waiting) -> None:
        self._idle.clear()
        if not self._open and not self._begin(waiting):
            return
        try:
            waiting.value = waiting.write(self._transaction)
        except sqlite3.Error as error:
            self._isolate(waiting, error)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to its caller alone
            waiting.fail(error)
        else:
            self._batch.append(waiting)

    def _begin(self, waiting: _Waiting) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if is_busy(error):
                self._wait_for_lock(waiting)
            else:
                waiting.fail(translated(error, self._path))
                self._rest()
            return False
        self._open = True
        self._around.began()
        self._busy_since = None
        self._turns = 0
        self._seen = -1
        self._gathering = self._loop.call_soon(self._gather)
        return True

    def _wait_for_lock(self, waiting: _Waiting) -> None:
        now = self._loop.time()
        self._busy_since = self._busy_since or now
        self._held_back = True
        self._queue.appendleft(waiting)
        if now - self._busy_since > self._patience_seconds:
            self._busy_since = None
            self._held_back = False
            stuck, self._queue = self._queue, deque()
            for each in stuck:
                each.fail(StoreBusy(f"another process has kept {self._path} locked for {self._patience_seconds:g} s"))
            self._rest()
        else:
            self._loop.call_later(_BUSY_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._held_back = False
        while self._queue and not self._held_back:
            self._run(self._queue.popleft())
        self._rest()

    def _rest(self) -> None:
        if not (self._open or self._queue or self._held_back):
            self._idle.set()

    def _gather(self) -> None:
        """Go to disk once a turn of the loop has brought nothing new, or enough turns have passed."""
        if not self._open or self._abandoned:
            return
        gathered = len(self._batch)
        if gathered != self._seen and self._turns < _GATHERING_TURNS:
            self._seen = gathered
            self._turns += 1
            self._gathering = self._loop.call_soon(self._gather)
            return
        self._held_back = True
        started = time.perf_counter_ns()
        try:
            self._around.ending()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody waits for what will not come
            self._end(error, started)
            return
        commit = self._loop.run_in_executor(self._thread, self._commit, self._rows)
        commit.add_done_callback(lambda done: self._on_commit(done, started))

    def _commit(self, rows: SetRows) -> bool:
        """In the thread: what is left of the batch, and the commit; False when a row of a set had no effect."""
        if rows and not self._sets.write(self._connection, rows):
            return False
        self._connection.execute("COMMIT")
        return True

    def _on_commit(self, done: asyncio.Future[bool], started_ns: int) -> None:
        error = done.exception()
        if error is None and not done.result() and not self._abandoned:
            self._run_apart()
        else:
            self._end(error, started_ns)

    def _run_apart(self) -> None:
        """The rows of the sets are not what they were taken for: run the batch again, each write by itself."""
        batch, self._batch = self._batch, []
        self._roll_back()
        self._held_back = False
        for each in batch:
            each.write, each.by_itself = each.by_itself or each.write, None
        self._queue.extendleft(reversed(batch))
        self._resume()

    # ── After the commit ────────────────────────────────────────────────────────────────────────

    def _end(self, error: BaseException | None, started_ns: int) -> None:
        if self._abandoned:
            return
        self._open = False
        self._held_back = False
        batch, self._batch = self._batch, []
        after, self._after = self._after, []
        rows, self._rows = self._rows, self._sets.rows()
        self._transaction = Transaction(self._connection, self._after, self._rows)
        if error is None:
            do_each(after)
            do_each(rows.acts())
            for each in batch:
                if not each.future.done():
                    each.future.set_result(each.value)
            self._emit("store.committed", writes=len(batch), duration_us=(time.perf_counter_ns() - started_ns) // 1_000)
        else:
            self._roll_back()
            fault = translated(error, self._path) if isinstance(error, sqlite3.Error) else StoreError(str(error))
            for each in batch:
                each.fail(fault)
        self._resume()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if self._gathering is not None:
            self._gathering.cancel()  # it would take the next batch to disk beside that batch's own
        self._after.clear()
        self._rows.clear()
        self._open = False
        self._around.rolled_back()

    def _isolate(self, culprit: _Waiting, error: sqlite3.Error) -> None:
        """One write has broken the transaction: undo the batch, fail that one, and run the others again."""
        others, self._batch = self._batch, []
        self._roll_back()
        culprit.fail(translated(error, self._path))
        for each in others:
            if self._held_back:
                self._queue.append(each)
            else:
                self._run(each)
        self._rest()
