"""A world for each test of the pool and its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.core.clock import HandWound
from ringback.store.sqlite import open_sqlite
from support.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = HandWound()
    store = await open_sqlite(tmp_path / "ringback.db", clock=clock)
    yield World(tmp_path, store, clock)
    await store.close()
