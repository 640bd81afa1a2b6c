"""The PostgreSQL backend: how a member joins and leaves, and how it hears of what the others write."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import asyncpg

from ringback.core.clock import Clock, SystemClock
from ringback.core.emit import Emit, silent
from ringback.core.errors import RingbackError, StoreAway
from ringback.store.contract import NOTICE_SECONDS
from ringback.store.locks import MemberLocks
from ringback.store.postgres import opening
from ringback.store.postgres.clock import DatabaseClock
from ringback.store.postgres.connecting import Place, connect, connect_when_up
from ringback.store.postgres.faults import LOST, translated
from ringback.store.postgres.session import PostgresSession
from ringback.store.postgres.words import CHANNEL
from ringback.store.values import WHOLE, Part
from ringback.store.verbs.hearing import ALL
from ringback.store.verbs.meeting import Topic
from ringback.store.verbs.store import VerbStore

_LOOK_SECONDS: Final = 5.0
"""Between two looks at what the others do, where their words are heard."""
_LOOK_DEAF_SECONDS: Final = NOTICE_SECONDS / 2
"""Between two looks where they are not: behind a pooler that shares connections between transactions."""
_FIRST_LOOK_SECONDS: Final = NOTICE_SECONDS / 2
"""Until a member that has joined looks once more for what there is to do."""
_BREATH_SECONDS: Final = NOTICE_SECONDS / 20
"""Between two looks, however much the others say."""
_PROBE_SECONDS: Final = 2.0


async def open_postgres(
    url: str,
    *,
    clock: Clock,
    lease_seconds: float = 30.0,
    emit: Emit = silent,
    part: Part = WHOLE,
    patience_seconds: float = 20.0,
) -> PostgresStore:
    """Connect, make or upgrade the schema if need be, and join as a member.

    Args:
        url: postgresql://user:password@host/database; the database is Ringback's own.
        clock: tells the time of day; the machine's own is replaced by the database's for what has elapsed.
        lease_seconds: how long a silent member is believed to live.
        emit: is told of commits, and of a server that is waited for.
        part: what the member is to do.
        patience_seconds: how long to wait for a server that is away.

    Raises:
        StoreTooNew: a newer release wrote it.
        RingbackError: it cannot be opened; the message says why.
    """
    place = await _found(Place(url=url), patience_seconds, emit)
    writer = await connect(place)
    try:
        await opening.prepare(writer, place)
        if isinstance(clock, SystemClock):
            clock = await DatabaseClock.asked(writer, clock)
        locks = _locks_of(await opening.identity(writer))
    except BaseException:
        writer.terminate()
        raise
    session = PostgresSession(place, writer, clock=clock, lease_seconds=lease_seconds, emit=emit, locks=locks)
    session.part = part
    store = PostgresStore(session)
    try:
        await store.join()
    except BaseException:
        store.abandon()
        raise
    return store


async def _found(place: Place, patience_seconds: float, emit: Emit) -> Place:
    """The place, and whether a pooler stands before it that hands connections on between transactions.

    Behind one, the words of others do not come, and what was prepared may be gone. A word tells that another connection
    says: one's own may come through, with the answer to the statement that said it.
    """
    shared = replace(place, prepares=False)
    connection = await connect_when_up(shared, patience_seconds, emit)
    heard = asyncio.Event()
    channel = f"ringback_{os.urandom(8).hex()}"
    try:
        await connection.add_listener(channel, lambda *_: heard.set())
        speaker = await connect(shared)
        try:
            await speaker.execute(f"NOTIFY {channel}")
        finally:
            speaker.terminate()
        async with asyncio.timeout(_PROBE_SECONDS):
            await heard.wait()
    except TimeoutError:
        return replace(place, prepares=False)
    except (*LOST, asyncpg.PostgresError) as error:
        raise translated(error, str(place)) from error
    finally:
        connection.terminate()
    return place


def _locks_of(database: str) -> MemberLocks:
    """The folder of this machine where members of this database keep their locked files."""
    return MemberLocks(Path(tempfile.gettempdir()) / f"ringback-{os.getuid()}-{database}")


class PostgresStore(VerbStore):
    """A `store.contract.Store` on one PostgreSQL database, for any number of processes on any number of hosts."""

    _session: PostgresSession

    def __init__(self, session: PostgresSession) -> None:
        super().__init__(session)
        self._watch: asyncio.Task[None] | None = None
        self._listener: asyncpg.Connection | None = None
        self._heard = asyncio.Event()
        self._first_look: asyncio.TimerHandle | None = None

    async def join(self) -> None:
        """Become a member; once, before anything else."""
        session = self._session
        await session.open_readers()
        # The lock first, so that nobody ever sees a member whose lock is free.
        session.locks.hold(session.member)
        session.words.on_other = self._heard.set
        if session.place.prepares:
            await self._listen()
        await self._members.join()
        self._watch = asyncio.create_task(self._notice_others(), name="ringback-store-watch")
        # One who was alone until now says nothing before it has heard of this member.
        self._first_look = asyncio.get_running_loop().call_later(_FIRST_LOOK_SECONDS, self._wake_all)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stop_watching()
        if self._watch is not None:
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._session.commits.close_apart()  # what is written there, leaving gives back
        left = self._members.leave()
        await self._session.commits.first.close()
        with contextlib.suppress(RingbackError):  # the server is away: others will see the lock free
            await left
        self._session.meeting.dismiss(self._session.refusal())
        if self._session.readers is not None:
            with contextlib.suppress(*LOST, TimeoutError):
                await asyncio.wait_for(self._session.readers.close(), 5.0)
        if self._listener is not None:
            await self._listener.close(timeout=5.0)
        self._session.locks.drop()

    def abandon(self) -> None:
        self._closed = True
        self._stop_watching()
        self._session.commits.abandon()
        if self._session.readers is not None:
            self._session.readers.terminate()
        if self._listener is not None:
            self._listener.terminate()
        self._session.locks.drop(forget=False)

    # ── What others write ───────────────────────────────────────────────────────────────────────

    async def _listen(self) -> None:
        self._listener = listener = await connect(self._session.place)
        listener.add_termination_listener(self._on_deaf)
        await listener.add_listener(CHANNEL, self._on_word)

    def _on_word(self, *told: Any) -> None:
        self._session.words.hear(told[-1])

    def _on_deaf(self, *_: Any) -> None:
        self._listener = None
        self._heard.set()

    async def _notice_others(self) -> None:
        """Act on what others say; look for oneself every so often, and whenever words may have been missed."""
        loop, looked_at = asyncio.get_running_loop(), -math.inf
        while True:
            is_told = self._session.place.prepares
            wait = _LOOK_SECONDS if is_told else _LOOK_DEAF_SECONDS
            was_told = True
            try:
                async with asyncio.timeout(wait):
                    await self._heard.wait()
            except TimeoutError:
                was_told = False
            self._heard.clear()
            topics: Collection[Topic] = self._session.words.topics()
            try:
                if is_told and self._listener is None:
                    await self._listen()
                    was_told = False
                if not was_told or loop.time() - looked_at >= _LOOK_SECONDS:
                    topics, looked_at = ALL, loop.time()
                await self._hearing.hear(topics)
            except RingbackError as error:
                if isinstance(error, StoreAway):
                    self._session.outage.is_met(error)
                looked_at = -math.inf
                self._heard.set()
                await asyncio.sleep(_LOOK_DEAF_SECONDS)
                continue
            if not was_told:
                self._wake_all()
            await asyncio.sleep(_BREATH_SECONDS)

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._first_look is not None:
            self._first_look.cancel()
