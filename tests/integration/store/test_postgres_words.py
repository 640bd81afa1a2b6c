"""What members tell each other in words: each reads what it is told has changed, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ringback.core.clock import Instant, SystemClock
from ringback.core.delivery import Pause, PauseKind
from ringback.core.journal import Story
from ringback.core.registration import Registration
from ringback.core.spec import Endpoint
from ringback.store.contract import ReplicaState
from ringback.store.postgres import PostgresStore, open_postgres
from support.postgres import clean_database_of, database_of
from support.stores import API, DONE, HOOK, claim_one, submission

SECRET = "whsec_YWNjZXB0YW5jZS10ZXN0cy1vbmx5LTAx"
WITHIN_SECONDS = 4.0
"""Below what a member lets pass before it looks for itself, whatever it is told."""

MEMBERS = {"roster", "reports"}
"""Read whenever one comes or goes, which the tests themselves have some do."""


class Read:
    """What a member has read since it was last asked, by the names of statements."""

    def __init__(self, member: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self._names: list[str] = []
        self._more = asyncio.Event()
        session, read = member._session, member._session.read

        async def noted(statement: str, **parameters: object) -> object:
            found = await read(statement, **parameters)
            self._names.append(statement)
            self._more.set()
            return found

        monkeypatch.setattr(session, "read", noted)

    async def until(self, statement: str) -> set[str]:
        """All it has read, once it has read this."""
        async with asyncio.timeout(WITHIN_SECONDS):
            while statement not in self._names:
                self._more.clear()
                await self._more.wait()
        found = set(self._names)
        self._names.clear()
        return found


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    yield await asyncio.to_thread(database_of, tmp_path)
    await asyncio.to_thread(clean_database_of, tmp_path)


@pytest.fixture
async def told(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[PostgresStore, Read]]:
    """A member that has looked at everything just now, and what it reads from then on."""
    member = await open_postgres(url, clock=SystemClock())
    read = Read(member, monkeypatch)
    teller = await open_postgres(url, clock=SystemClock())
    await read.until("logouts")
    await teller.close()
    await read.until("reports")
    yield member, read
    await member.close()


@pytest.fixture
async def other(told: tuple[PostgresStore, Read], url: str) -> AsyncIterator[PostgresStore]:
    opened = await open_postgres(url, clock=SystemClock())
    await told[1].until("roster")
    yield opened
    await opened.close()


async def pause(other: PostgresStore) -> None:
    await other.pause("e", Pause(kind=PauseKind.GONE, reason="", since=other.clock.now()))


async def report(other: PostgresStore) -> None:
    await other.report(API, ReplicaState(ready=1))


async def trip(other: PostgresStore) -> None:
    assert await other.take_lane("e") is not None
    await other.note_tripped("e", is_tripped=True)


async def log_out(other: PostgresStore) -> None:
    await other.logouts.end("login", Instant(other.clock.now() + 60_000_000))


async def register(other: PostgresStore) -> None:
    endpoint = Endpoint(key="ep_1", url="https://example.com/", secret=SECRET)
    await other.register(Registration(endpoint=endpoint, apis=None, created_at=other.clock.now()))


async def join(other: PostgresStore) -> None:
    await (await open_postgres(other._session.place.url, clock=SystemClock())).close()


@pytest.mark.parametrize(
    ("change", "statement"),
    [
        (pause, "pauses"),
        (report, "reports"),
        (trip, "tripped"),
        (log_out, "logouts"),
        (register, "endpoints_since"),
        (join, "roster"),
    ],
)
async def test_each_change_has_others_read_what_it_concerns(
    told: tuple[PostgresStore, Read],
    other: PostgresStore,
    change: Callable[[PostgresStore], Awaitable[None]],
    statement: str,
) -> None:
    await change(other)
    found = await told[1].until(statement)
    assert found - MEMBERS <= {statement}


async def test_a_cancel_has_the_holder_read_who_is_to_end(
    told: tuple[PostgresStore, Read], other: PostgresStore
) -> None:
    member, read = told
    await member.submit(submission(workload_id="w1"))
    await claim_one(member, "w1")
    await other.cancel(API, "w1", [])
    assert await read.until("cancels_asked") - MEMBERS == {"cancels_asked"}


async def test_of_many_that_are_listened_to_those_are_looked_at_that_something_has_happened_to(
    told: tuple[PostgresStore, Read], other: PostgresStore
) -> None:
    member, _ = told
    for number in range(5):
        await member.submit(submission(workload_id=f"w{number}"))
    story = await member.happenings(API, "w0", after=0, room=10, timeout_seconds=0)
    queued = story.happenings[-1].id

    def listening() -> list[asyncio.Future[Story]]:
        return [
            asyncio.ensure_future(member.happenings(API, f"w{number}", after=queued, room=10, timeout_seconds=20))
            for number in range(5)
        ]

    stories = listening()
    await other.submit(submission(workload_id="another"))
    await asyncio.gather(*stories)  # how they stood before they were listened to is not known
    stories = listening()
    await other.finish((await claim_one(other)).held, DONE, [])
    assert (await stories[0]).happenings
    assert [each.done() for each in stories] == [True, False, False, False, False]
    for each in stories:
        each.cancel()


async def test_ordinary_work_has_nobody_read_but_who_waits_for_an_end_and_all_ends_at_once(
    told: tuple[PostgresStore, Read], other: PostgresStore
) -> None:
    member, read = told
    for number in range(20):
        await member.submit(submission(workload_id=f"w{number}"))
    ends = [asyncio.ensure_future(member.ended(API, f"w{number}", 20)) for number in range(20)]
    await read.until("read_workload")
    claimed, _ = await other.claim(API, 20)
    await asyncio.gather(*(other.finish(each.held, DONE, [HOOK]) for each in claimed))
    await asyncio.gather(*ends)
    assert await read.until("read_workload") - MEMBERS == {"ended_of", "read_workload"}
