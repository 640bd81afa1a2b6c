"""The SQLite backend: how the file is joined and left, and the watch for what other processes write to it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from ringback.core.clock import Clock
from ringback.core.emit import Emit, silent
from ringback.core.errors import RingbackError, StoreError
from ringback.store.contract import NOTICE_SECONDS
from ringback.store.sqlite import opening
from ringback.store.sqlite.session import SqliteSession
from ringback.store.values import WHOLE, Part
from ringback.store.verbs.store import VerbStore

_LOOK_SECONDS: Final = NOTICE_SECONDS / 4
_LOOK_AGAIN_SECONDS: Final = 0.003


async def open_sqlite(
    path: Path,
    *,
    clock: Clock,
    lease_seconds: float = 30.0,
    emit: Emit = silent,
    max_pages: int | None = None,
    part: Part = WHOLE,
) -> SqliteStore:
    """Open the database file, making or upgrading it if need be, and join as a member.

    Args:
        path: the file; its folder is made.
        clock: judges everything stored.
        lease_seconds: how long a silent member is believed to live.
        emit: is told of commits.
        part: what the member is to do.
        max_pages: the largest size of the file in pages of 4 KiB; None means as large as the disk.

    Raises:
        StoreTooNew: a newer release wrote it.
        StoreError: it cannot be opened; the message says why.
    """
    path = await asyncio.to_thread(opening.prepare, path)
    session = SqliteSession(path, clock=clock, lease_seconds=lease_seconds, emit=emit, max_pages=max_pages)
    session.part = part
    store = SqliteStore(session)
    try:
        await store.join()
    except RingbackError:
        store.abandon()
        session.locks.forget(session.member)  # it has never been one
        raise
    return store


class SqliteStore(VerbStore):
    """A `store.contract.Store` on one SQLite file, for any number of processes of one machine."""

    _session: SqliteSession

    def __init__(self, session: SqliteSession) -> None:
        super().__init__(session)
        self._watch: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Become a member; once, before anything else."""
        # The lock first, so that nobody ever sees a member whose lock is free.
        self._session.locks.hold(self._session.member)
        await self._members.join()
        self._watch = asyncio.create_task(self._notice_others(), name="ringback-store-watch")

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stop_watching()
        left = self._members.leave()
        await self._session.commits.close()
        with contextlib.suppress(RingbackError):  # a full disk: others will see the lock free
            await left
        self._session.meeting.dismiss(self._session.refusal())
        await asyncio.to_thread(self._session.close_connections)
        self._session.locks.drop()

    def abandon(self) -> None:
        self._closed = True
        self._stop_watching()
        self._session.commits.abandon()
        self._session.close_connections()
        self._session.locks.drop(forget=False)

    async def _notice_others(self) -> None:
        """Look for other members' commits, at least every `NOTICE_SECONDS`, and pass the news on."""
        session = self._session
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for _ in range(round(_LOOK_SECONDS / _LOOK_AGAIN_SECONDS)):
                if not session.commits.is_committing:
                    session.look_for_others()
                    break
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            if session.others_wrote:
                session.others_wrote = False
                try:
                    await self._hearing.hear()
                except StoreError:
                    session.others_wrote = True  # look again next time
                self._wake_all()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
