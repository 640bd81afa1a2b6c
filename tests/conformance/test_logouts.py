"""LO: a login that was ended holds no longer, whoever is asked, for as long as it would have held."""

from __future__ import annotations

import asyncio

from ringback.core.clock import HandWound, after
from ringback.store.contract import NOTICE_SECONDS
from ringback.store.sqlite import SqliteStore
from support.stores import SqliteBackend, rows_of
from support.waiting import eventually


async def test_LO1_a_logout_holds_here_at_once_elsewhere_soon_and_after_reopening(
    backend: SqliteBackend, store: SqliteStore, other: SqliteStore
) -> None:
    until = after(store.clock.now(), 600)
    await store.logouts.end("mine", until)
    await store.logouts.end("mine", until)
    assert store.logouts.has_ended("mine")
    assert not store.logouts.has_ended("another")
    await eventually(lambda: other.logouts.has_ended("mine"), within=2 * NOTICE_SECONDS)
    backend.crash(store)
    assert (await backend.open()).logouts.has_ended("mine")


async def test_LO2_what_is_over_is_forgotten_and_nothing_else(store: SqliteStore) -> None:
    assert isinstance(store.clock, HandWound)
    await store.logouts.end("short", after(store.clock.now(), 60))
    await store.logouts.end("long", after(store.clock.now(), 600))
    store.clock.wind(60)
    await asyncio.gather(store.logouts.end("third", after(store.clock.now(), 600)))
    assert await rows_of(store, "SELECT login FROM logouts ORDER BY login") == [("long",), ("third",)]
    assert not store.logouts.has_ended("short")


async def test_LO2_a_time_of_day_set_forward_brings_nobody_back(store: SqliteStore) -> None:
    assert isinstance(store.clock, HandWound)
    await store.logouts.end("mine", after(store.clock.now(), 600))
    store.clock.set(1_000_000)
    await store.logouts.end("another", after(store.clock.now(), 600))
    assert store.logouts.has_ended("mine")
