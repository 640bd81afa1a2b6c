"""Many workloads moved at once: found by a reader, then moved by their numbers in a short transaction.

Promises X11 to X16.

A filter that matches little keeps no writer waiting, and one that matches much only for a portion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from ringback.core.paging import decode_span, encode_span
from ringback.core.selection import Selection
from ringback.core.spec import Endpoint
from ringback.core.workload import Status
from ringback.store.contract import SEARCH_ROWS
from ringback.store.values import Swept
from ringback.store.verbs.listings import like
from ringback.store.verbs.lives import Lives, Standing
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Connection, Transaction

_FOR_EVER: Final = 2**63 - 1
_WINDOWS: Final = 10
"""In so many steps one call looks through what it may: the first that brings enough is the last."""

Columns = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Some of those selected, in the order of their submits, and how far has been looked."""

    rows: Sequence[tuple[int, str]]
    after: int
    until: int

    @property
    def cursor(self) -> str | None:
        return encode_span(self.after, self.until) if self.after < self.until else None


class Selections:
    """The verbs of `store.contract.Selections`."""

    def __init__(self, session: Session, lives: Lives, *, most_rows: int = SEARCH_ROWS) -> None:
        self._session = session
        self._sql = session.sql
        self._lives = lives
        self._most_rows = most_rows

    async def cancel(
        self, selection: Selection, endpoints: Mapping[str, Sequence[Endpoint]], *, room: int, cursor: str | None
    ) -> Swept:
        def move(tx: Transaction, found: _Found) -> Swept:
            standings = self._as_selected(tx, selection, found)
            queued = [each for each in standings if each.workload.status is Status.IN_QUEUE]
            running = [each for each in standings if each.workload.status is Status.IN_PROGRESS]
            self._lives.end_queued(tx, queued, endpoints)
            for each in running:
                self._lives.cancel_standing(tx, each, endpoints[each.workload.api])
            moved = Counter(each.workload.api for each in queued)
            return Swept(moved=moved, stopping=len(running), cursor=found.cursor)

        return await self._sweep(selection, room, cursor, move)

    async def retry(self, selection: Selection, limits: Mapping[str, int], *, room: int, cursor: str | None) -> Swept:
        def move(tx: Transaction, found: _Found) -> Swept:
            standings = self._as_selected(tx, selection, found)
            again, full = self._lives.retry_all(tx, standings, limits)
            moved = Counter(each.workload.api for each in again)
            if full is None:
                return Swept(moved=moved, cursor=found.cursor)
            here = encode_span(standings[len(again)].workload.seq - 1, found.until)
            return Swept(moved=moved, cursor=here, wait_seconds=full.retry_after_seconds)

        return await self._sweep(selection, room, cursor, move)

    async def count(self, selection: Selection, *, cursor: str | None) -> Swept:
        found = await self._session.scan(
            partial(self._look, selection, self._most_rows * len(_ranges(selection)), cursor)
        )
        return Swept(moved=Counter(api for _, api in found.rows), cursor=found.cursor)

    # ── Within ──────────────────────────────────────────────────────────────────────────────────

    async def _sweep(
        self, selection: Selection, room: int, cursor: str | None, move: Callable[[Transaction, _Found], Swept]
    ) -> Swept:
        found = await self._session.scan(partial(self._look, selection, room, cursor))
        if not found.rows:
            return Swept(cursor=found.cursor)
        return await self._session.commits.write(lambda tx: move(tx, found))

    def _as_selected(self, tx: Transaction, selection: Selection, found: _Found) -> list[Standing]:
        """Those that are still as they were found.

        All of them are locked before the first is moved, in one order: a move takes locks of its own, which a holder
        that waits for one of these rows must not have already.
        """
        return [
            each
            for each in self._lives.standings(tx, [seq for seq, _ in found.rows])
            if each.workload.status in selection.statuses and not each.is_erased and not each.is_canceling
        ]

    def _look(self, selection: Selection, room: int, cursor: str | None, connection: Connection) -> _Found:
        """Up to `room` of those selected; fewer, once enough has been looked through."""
        after, until = self._span(connection, cursor)
        found: list[tuple[int, str]] = []
        for _ in range(_WINDOWS):
            end = self._reach(connection, selection, after, until)
            found += self._selected(connection, selection, {"after": after, "until": end, "room": room - len(found)})
            after = end
            if len(found) >= room:
                return _Found(rows=found[:room], after=found[room - 1][0], until=until)
            if after >= until:
                break
        return _Found(rows=found, after=after, until=until)

    def _span(self, connection: Connection, cursor: str | None) -> tuple[int, int]:
        if cursor is not None:
            return decode_span(cursor)
        [(newest,)] = connection.execute(self._sql["newest"]).fetchall()
        return 0, newest

    def _reach(self, connection: Connection, selection: Selection, after: int, until: int) -> int:
        """How far to look at once, so that no range holds more than a window of rows."""
        name = "reach" if selection.batch is None else "reach_in_batch"
        bounds = {"after": after, "until": until, "most": self._most_rows // _WINDOWS - 1}
        ends = [connection.execute(self._sql[name], each | bounds).fetchall() for each in _ranges(selection)]
        return min((row[0] for rows in ends for row in rows), default=until)

    def _selected(self, connection: Connection, selection: Selection, bounds: Columns) -> list[tuple[int, str]]:
        name = "selected" if selection.batch is None else "selected_in_batch"
        conditions: Columns = {
            "tenant": selection.tenant,
            "since": 0 if selection.since is None else selection.since,
            "before": _FOR_EVER if selection.before is None else selection.before,
            "words": None if selection.words is None else like(selection.words),
        }
        ranges = [
            connection.execute(self._sql[name], each | conditions | bounds).fetchall() for each in _ranges(selection)
        ]
        return sorted((seq, api) for rows in ranges for seq, api in rows)


def _ranges(selection: Selection) -> list[Columns]:
    """Each a range of one index."""
    if selection.batch is not None:
        return [{"batch": selection.batch, "status": each.value} for each in selection.statuses]
    return [{"api": api, "status": each.value} for api in selection.apis for each in selection.statuses]
