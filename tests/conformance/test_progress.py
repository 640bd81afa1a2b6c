"""The contract, section by section: progress."""

from __future__ import annotations

import pytest

from ringback.core.errors import LeaseLost
from ringback.core.workload import Progress
from ringback.store.sqlite import SqliteStore
from support.stores import (
    API,
    DONE,
    claim_one,
)

HALF = Progress(fraction=0.5, message="halfway")


async def test_P1_it_shows_while_in_progress_and_no_longer(store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    await store.progress(held, HALF)
    assert (await store.get(API, "a")).progress == HALF
    await store.finish(held, DONE, [])
    assert (await store.get(API, "a")).progress is None


async def test_P2_nothing_lands_after_the_end(store: SqliteStore) -> None:
    held = (await claim_one(store, "a")).held
    await store.finish(held, DONE, [])
    ended = await store.get(API, held.id)
    with pytest.raises(LeaseLost):
        await store.progress(held, HALF)
    assert await store.get(API, "a") == ended
