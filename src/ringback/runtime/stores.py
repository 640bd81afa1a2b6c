"""Which backend a store's place stands for. Above the store, only this, `moving` and `upgrading` know both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ringback.core.clock import Clock
from ringback.core.emit import Emit
from ringback.core.errors import StoreError
from ringback.store.contract import Part
from ringback.store.sqlite import open_sqlite
from ringback.store.verbs.store import VerbStore


async def open_store(place: Path | str, *, clock: Clock, emit: Emit, lease_seconds: float, part: Part) -> VerbStore:
    """Open the store and join as a member.

    Args:
        place: a SQLite file, or a postgresql:// URL.
        clock: judges what is stored.
        emit: is told of commits.
        lease_seconds: how long a silent member is believed to live.
        part: what the member is to do.

    Raises:
        RingbackError: it cannot be opened; the message says why.
    """
    if isinstance(place, Path):
        return await open_sqlite(place, clock=clock, lease_seconds=lease_seconds, emit=emit, part=part)
    with needs_postgres():
        from ringback.store.postgres import open_postgres  # noqa: PLC0415 - an extra, and only some have it
    return await open_postgres(place, clock=clock, lease_seconds=lease_seconds, emit=emit, part=part)


@contextmanager
def needs_postgres() -> Iterator[None]:
    """Around an import of `store.postgres`.

    Raises:
        StoreError: what it needs is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise StoreError(
            f"a store on PostgreSQL needs {missing.name}, which is not installed: pip install 'ringback[postgres]'"
        ) from None
