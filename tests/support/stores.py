"""Opens members of one database under a clock wound by hand, and makes the values they are fed.

A second backend is one more entry in `BACKENDS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from ringback.core.clock import HandWound
from ringback.core.delivery import Attempt, AttemptClass, Delivery
from ringback.core.queueing import NO_WISH, Wish
from ringback.core.spec import Endpoint
from ringback.core.workload import Claimed, Completed, Submission
from ringback.store.contract import Store
from ringback.store.postgres import PostgresStore, open_postgres
from ringback.store.sqlite import SqliteStore, open_sqlite
from ringback.store.values import WHOLE, Part
from support.postgres import clean_database_of, database_of

LEASE_SECONDS: Final = 30.0
API: Final = "iris"
HOOK: Final = Endpoint(key="hook", url="http://127.0.0.1:1/")
OTHER_HOOK: Final = Endpoint(key="other", url="http://127.0.0.1:2/")
Member = TypeVar("Member", SqliteStore, PostgresStore)

DONE: Final = Completed(result=b'{"label": "setosa"}')


class Backend(Protocol):
    """A fresh place to keep a store in, and the members opened on it."""

    clock: HandWound

    async def open(self, *, clock: HandWound | None = None, part: Part = WHOLE) -> Store:
        """Open one more member, by the shared clock unless it has its own."""
        ...

    def crash(self, store: Store) -> None:
        """End a member as a killed process ends: nothing written, its lock released."""
        ...

    async def leave(self, store: Store) -> None:
        """Close one member."""
        ...

    async def close(self) -> None:
        """Close every member still open."""
        ...

    def remove(self) -> None:
        """Remove the place, once nobody is in it."""
        ...

    def elsewhere(self) -> Backend:
        """Another place of the same kind."""
        ...

    async def number_on(self, store: Any, table: str, seq: int) -> None:
        """Have the table's next row numbered after `seq`."""
        ...


@dataclass(slots=True, kw_only=True)
class Members(Generic[Member]):
    """Those opened on one place, and how each of them ends."""

    clock: HandWound = field(default_factory=HandWound)
    members: list[Member] = field(default_factory=list)

    def crash(self, store: Member) -> None:
        """End a member as a killed process ends: nothing written, its lock released."""
        self.members.remove(store)
        store.abandon()

    async def leave(self, store: Member) -> None:
        self.members.remove(store)
        await store.close()

    async def close(self) -> None:
        """Close every member still open."""
        for store in self.members:
            await store.close()


@dataclass(slots=True)
class SqliteBackend(Members[SqliteStore]):
    """One SQLite file and the members opened on it."""

    path: Path

    async def open(
        self, *, clock: HandWound | None = None, part: Part = WHOLE, max_pages: int | None = None
    ) -> SqliteStore:
        """Open one more member, by the shared clock unless it has its own."""
        store = await open_sqlite(
            self.path, clock=clock or self.clock, lease_seconds=LEASE_SECONDS, part=part, max_pages=max_pages
        )
        self.members.append(store)
        return store

    def remove(self) -> None:
        """Nothing: the folder goes with the test."""

    def elsewhere(self) -> SqliteBackend:
        return SqliteBackend(self.path.with_name("another.db"))

    async def number_on(self, store: SqliteStore, table: str, seq: int) -> None:
        statement = "UPDATE sqlite_sequence SET seq = :seq WHERE name = :table"
        await store._session.commits.write(lambda tx: tx.execute(statement, {"seq": seq, "table": table}))


@dataclass(slots=True)
class PostgresBackend(Members[PostgresStore]):
    """One PostgreSQL database, the folder's own, and the members opened on it."""

    folder: Path

    async def open(self, *, clock: HandWound | None = None, part: Part = WHOLE) -> PostgresStore:
        """Open one more member, by the shared clock unless it has its own."""
        url = await asyncio.to_thread(database_of, self.folder)
        store = await open_postgres(url, clock=clock or self.clock, lease_seconds=LEASE_SECONDS, part=part)
        self.members.append(store)
        return store

    def remove(self) -> None:
        """Leave the database empty for another test."""
        clean_database_of(self.folder)

    def elsewhere(self) -> PostgresBackend:
        return PostgresBackend(self.folder / "another")

    async def number_on(self, store: PostgresStore, table: str, seq: int) -> None:
        statement = f"SELECT setval(pg_get_serial_sequence('{table}', 'seq'), :seq)"
        await store._session.commits.write(lambda tx: tx.execute(statement, {"seq": seq}))


BACKENDS: Final[dict[str, Callable[[Path], SqliteBackend | PostgresBackend]]] = {
    "sqlite": lambda folder: SqliteBackend(folder / "ringback.db"),
    "postgres": PostgresBackend,
}


async def rows_of(store: SqliteStore, statement: str) -> list[tuple[Any, ...]]:
    """What a statement finds in the tables themselves, for what no verb tells."""
    return [tuple(row) for row in await store._session.scan(lambda tables: tables.execute(statement).fetchall())]


def submission(
    *,
    workload_id: str | None = None,
    api: str = API,
    payload: bytes = b"{}",
    key: str | None = None,
    wish: Wish = NO_WISH,
) -> Submission:
    """A submission with as little as a test needs."""
    return Submission(
        api=api, id=workload_id, payload=payload, content_type="application/json", idempotency_key=key, wish=wish
    )


async def claim_one(store: SqliteStore, workload_id: str | None = None, api: str = API) -> Claimed:
    """Claim exactly one workload; with an id, submit it first."""
    if workload_id is not None:
        await store.submit(submission(workload_id=workload_id, api=api))
    claimed, _ = await store.claim(api, 1)
    assert len(claimed) == 1
    return claimed[0]


async def take_one(store: SqliteStore, endpoint: str = HOOK.key) -> Delivery:
    """Take exactly one due delivery, of those tried before if there is no other."""
    for again in (False, True):
        taken, _ = await store.take_due(endpoint, 1, again=again)
        if taken:
            return taken[0]
    raise AssertionError(f"nothing is due for {endpoint}")


def attempt(number: int, store: SqliteStore, outcome: AttemptClass = AttemptClass.OK) -> Attempt:
    """One attempt started now."""
    return Attempt(number=number, started_at=store.clock.now(), duration_us=5, outcome=outcome)
