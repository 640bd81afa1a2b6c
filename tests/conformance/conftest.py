"""Every promise is proved against every backend; it must never know which one it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.store.sqlite import SqliteStore
from support.stores import BACKENDS, SqliteBackend


@pytest.fixture(params=sorted(BACKENDS))
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteBackend]:
    made = BACKENDS[request.param](tmp_path)
    yield made
    await made.close()
    await asyncio.to_thread(made.remove)


@pytest.fixture
async def store(backend: SqliteBackend) -> SqliteStore:
    return await backend.open()


@pytest.fixture
async def other(backend: SqliteBackend, store: SqliteStore) -> SqliteStore:
    return await backend.open()


@pytest.fixture
async def on_file(tmp_path: Path) -> AsyncIterator[SqliteBackend]:
    """The backend that is a file, for what only a file can suffer."""
    made = SqliteBackend(tmp_path / "ringback.db")
    yield made
    await made.close()
