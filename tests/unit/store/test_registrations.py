"""Registered endpoints as rows of the SQLite backend: what is read back, and what is left of one that was removed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ringback.core.clock import HandWound, Instant
from ringback.core.netguard import Trust
from ringback.core.registration import Registration, Undelivered, rekeyed
from ringback.core.spec import BodyFormat, Endpoint, Event, Order
from ringback.store import registrations
from ringback.store.sqlite import open_sqlite
from support.signed import OTHER, SECRET

FULL = Registration(
    endpoint=Endpoint(
        key="ep_1",
        url="https://hooks.example/a",
        trust=Trust.GUEST,
        secret=SECRET,
        events=frozenset(Event),
        format=BodyFormat.CLOUDEVENTS_BINARY,
        headers={"Authorization": "Bearer of a secret"},
        timeout_seconds=0.25,
        retry_seconds=(1, 2.5),
        concurrency=3,
        rate_per_second=0.1,
        inline_limit_bytes=10,
        order=Order.FIFO,
    ),
    apis=frozenset({"iris", "other"}),
    created_at=Instant(5),
)


def test_what_is_read_is_what_was_written() -> None:
    rotated = rekeyed(FULL, OTHER, now=Instant(7), overlap_seconds=1)
    least = Registration(
        endpoint=Endpoint(key="ep_2", url="https://a.example/", trust=Trust.GUEST), created_at=Instant(1)
    )
    for each in (FULL, rotated, least):
        columns = registrations.columns(each)
        assert registrations.registration(tuple(columns.values())) == each


def test_no_repr_tells_a_secret() -> None:
    text = repr(rekeyed(FULL, OTHER, now=Instant(7), overlap_seconds=1))
    assert SECRET not in text
    assert OTHER not in text
    assert "Bearer" not in text


async def test_the_secrets_of_a_removed_endpoint_and_ended_keys_are_gone_from_the_table(tmp_path: Path) -> None:
    path, clock = tmp_path / "ringback.db", HandWound()
    store = await open_sqlite(path, clock=clock)
    await store.register(FULL)
    await store.register(replace(FULL, endpoint=replace(FULL.endpoint, key="ep_2")))
    assert rows(path)[0][1:] == (registrations.columns(FULL)["settings"], registrations.columns(FULL)["secrets"])

    await store.remove("ep_1", Undelivered.PARK)
    now = clock.now()
    await store.amend("ep_2", lambda each: rekeyed(each, OTHER, now=now, overlap_seconds=60))
    clock.wind(60)
    await store.tidy_endpoints(10)
    removed, kept = rows(path)
    assert removed == ("ep_1", b"{}", b"[]")
    assert kept[2] == b'[["%b", null]]' % OTHER.encode()
    await store.close()


def rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT endpoint, settings, secrets FROM endpoints ORDER BY endpoint").fetchall()
