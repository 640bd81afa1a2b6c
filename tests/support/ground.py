"""What the servers of this run stand on: a file and this machine, or what `support.options` was told.

A test names a file for its store. On PostgreSQL that name stands for a database of its own, on one server for the run;
`on_file("why")` marks what only a file can show. On Ray, on one cluster for the run, those marked `every_engine` run
and no others; `on_this_machine("why")` takes one of them out again.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from ringback.core.clock import SystemClock
from ringback.store.contract import Store
from ringback.store.postgres import open_postgres
from ringback.store.sqlite import open_sqlite
from ringback.work.cluster.engine import join
from support.postgres import database_of

_TRIES: Final = "RUNTIME_ENV_RETRY_TIMES"
"""How often a cluster tries to make an environment, before it says that it cannot: three times, unless told."""


@dataclass(slots=True)
class _Ground:
    store: str = "sqlite"
    engine: str = "local"


_CHOSEN: Final = _Ground()


def choose(*, store: str, engine: str) -> None:
    """Have all servers that start from now on stand there."""
    _CHOSEN.store, _CHOSEN.engine = store, engine


def is_on_postgresql() -> bool:
    return _CHOSEN.store == "postgresql"


def is_on_ray() -> bool:
    return _CHOSEN.engine == "ray"


def store_url(file: Path) -> str:
    """The store that a test has given this name; the same at every call."""
    return database_of(file) if is_on_postgresql() else f"sqlite:///{file}"


def store_environment(file: Path) -> dict[str, str]:
    """How a server is led to that store; its blobs are beside the file, wherever the store is."""
    return {"RINGBACK_STORE": store_url(file), "RINGBACK_BLOBS": str(file.parent / "blobs")}


def engine_environment() -> dict[str, str]:
    if not is_on_ray():
        return {}
    return {"RINGBACK_ENGINE": "ray", "RAY_ADDRESS": cluster().get_runtime_context().gcs_address}


async def open_store(file: Path) -> Store:
    """One more member of that store, in this process."""
    url = await asyncio.to_thread(store_url, file)
    if is_on_postgresql():
        return await open_postgres(url, clock=SystemClock())
    return await open_sqlite(file, clock=SystemClock())


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody can take in, end or claim a workload in that store within the block."""
    if not is_on_postgresql():
        with contextlib.closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        return
    with asyncio.Runner() as runner:
        other = runner.run(asyncpg.connect(store_url(file)))
        runner.run(other.execute("BEGIN; LOCK TABLE workloads IN EXCLUSIVE MODE"))
        yield
        runner.run(other.execute("ROLLBACK"))
        runner.run(other.close())


def change(file: Path, *, sqlite: str, postgresql: str) -> None:
    """Run a statement in that store, which no server may have open."""

    async def run() -> None:
        connection = await asyncpg.connect(store_url(file))
        await connection.execute(postgresql)
        await connection.close()

    if is_on_postgresql():
        asyncio.run(run())
        return
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(sqlite)


def size_bytes(file: Path) -> int:
    """How much that store takes up, its blobs apart."""
    if is_on_postgresql():
        [[size]] = _rows(file, "SELECT pg_database_size(current_database())")
        return int(size)
    return sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*") if each.is_file())


def tables_with(file: Path, words: bytes) -> list[str]:
    """The tables of that database in whose rows the words stand, as text or as bytes; none when it is a file."""
    if not is_on_postgresql():
        return []
    names = [name for [name] in _rows(file, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    look = "SELECT EXISTS (SELECT FROM {} AS each WHERE each::text LIKE ANY (ARRAY['%{}%', '%{}%']))"
    return [name for name in names if _rows(file, look.format(name, words.decode(), words.hex())) == [(True,)]]


def _rows(file: Path, statement: str) -> list[tuple[Any, ...]]:
    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(store_url(file))
        rows = await connection.fetch(statement)
        await connection.close()
        return [tuple(each) for each in rows]

    return asyncio.run(ask())


@cache
def cluster() -> Any:
    """The module `ray`, joined to a cluster of this machine's own, which goes with the run; from the main thread.

    Actors start in it, one after the other, as tests ask for replicas.
    """
    ray = pytest.importorskip("ray", reason="ray is not installed: make test")
    os.environ[_TRIES] = "1"
    join(ray, None)
    del os.environ[_TRIES]
    atexit.register(ray.shutdown)
    return ray
