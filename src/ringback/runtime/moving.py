"""`ringback store move`: a store from its file into a database, in portions; killed at any point, it is repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ringback.core.clock import Clock
from ringback.core.errors import RingbackError
from ringback.runtime.stores import needs_postgres
from ringback.store.sqlite.leaving import Portion, SqliteSource

if TYPE_CHECKING:
    from ringback.store.postgres.arriving import PostgresTarget

_PORTION: Final = Portion()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What has come of a move."""

    source: str
    target: str
    rows: dict[str, int]
    """How many of each table have arrived, over all tries."""
    blobs: int
    """How many payloads and results stay where they are, beside the store."""
    was_done: bool
    """Whether it had come to its end before."""


async def move(
    source: Path,
    target_url: str,
    *,
    clock: Clock,
    told: Callable[[str, int], None],
    portion: Portion = _PORTION,
) -> Moved:
    """Bring a store into a database; called again after a crash, it goes on where it was.

    Nobody can serve from the file from now on, nor from the database before all has arrived.

    Args:
        source: the file.
        target_url: postgresql://…; the database is empty.
        clock: judges who of the members has died.
        told: hears of each portion once it is on disk: the table and how many of its rows have arrived.
        portion: how much is on its way at once.

    Raises:
        RingbackError: it cannot be moved, or not now; the message says why.
    """
    left = SqliteSource(source, clock=clock)
    try:
        reached = await _opened(target_url)
        try:
            moved = await _move(left, reached, told, portion)
        except BaseException:
            reached.abandon()
            raise
        await reached.close()
    finally:
        left.close()
    return moved


async def _opened(url: str) -> PostgresTarget:
    with needs_postgres():
        from ringback.store.postgres.arriving import PostgresTarget as Target  # noqa: PLC0415 - an extra
    return await Target.open(url)


def take_back(source: Path, *, clock: Clock) -> bool:
    """Let a store be served from its file again; False when it had not moved."""
    left = SqliteSource(source, clock=clock)
    try:
        return left.take_back()
    finally:
        left.close()


async def _move(
    left: SqliteSource, reached: PostgresTarget, told: Callable[[str, int], None], portion: Portion
) -> Moved:
    held = left.hold(str(reached))
    blobs = left.count_blobs()
    done = Moved(source=str(left), target=str(reached), rows={}, blobs=blobs, was_done=True)
    if held.is_over:
        return done
    try:
        arrivals = await reached.take_in(held.move)
    except RingbackError:
        if held.is_new:  # nothing has come of it: the file is as it was
            left.take_back()
        raise
    if arrivals is None:  # killed between the last two notes
        left.let_go()
        return done
    tables = left.tables()
    for table in tables:
        for rows in left.portions(table, arrivals.after.get(table.name), portion):
            arrivals = await reached.put(arrivals, table, rows)
            told(table.name, arrivals.rows[table.name])
    await reached.complete(arrivals, {table.name: left.count(table) for table in tables}, left.last_numbers())
    told("all", sum(arrivals.rows.values()))
    left.let_go()
    return Moved(source=str(left), target=str(reached), rows=dict(arrivals.rows), blobs=blobs, was_done=False)
