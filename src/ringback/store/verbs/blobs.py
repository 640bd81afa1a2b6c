"""What rows say of blobs: which workload each belongs to, and which nobody needs any more. Promises I9 to I14."""

from __future__ import annotations

import os
from asyncio import Future
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ringback.core.blob import COMMIT_SECONDS, STRAY_SECONDS, Blob, blob_key, named_at
from ringback.core.clock import SECOND
from ringback.core.errors import BlobTooOld
from ringback.core.workload import Claimed
from ringback.store.verbs import rows
from ringback.store.verbs.rows import Row
from ringback.store.verbs.session import Session
from ringback.store.verbs.transaction import Connection, Transaction

PAYLOAD: Final = "payload"
RESULT: Final = "result"


class BlobRows:
    """Reads and writes of the table of blobs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql = session.sql

    def name(self) -> str:
        return blob_key(self._session.steady(), int.from_bytes(os.urandom(8)))

    # ── Within others' transactions ─────────────────────────────────────────────────────────────

    def must_be_young(self, blob: Blob) -> None:
        """See that a row may refer to it: asked before anything is written.

        Raises:
            BlobTooOld: it may be swept at any moment.
        """
        age = self._age_seconds(blob.key)
        if age is None or age > COMMIT_SECONDS:
            raise BlobTooOld("the payload took too long to arrive; send it again", retry_after_seconds=1)

    def attach(self, tx: Transaction, seq: int, part: str, blob: Blob) -> None:
        """The workload's payload or result is this blob."""
        columns = {"key": blob.key, "size": blob.size_bytes, "content_type": blob.content_type}
        tx.execute(self._sql["attach_blob"], {**columns, "workload": seq, "part": part})
        tx.execute(self._sql["mark_large"], {"seq": seq})

    def of(self, tx: Connection | Transaction, seq: int, part: str) -> Blob | None:
        """The blob that is a workload's payload or result; None when that is in its row."""
        return _blob(tx.execute(self._sql["blob_of"], {"seq": seq, "part": part}).fetchall())

    async def committed(self, seq: int, part: str) -> Blob | None:
        """The same, as last committed."""
        return _blob(await self._session.read("blob_of", seq=seq, part=part))

    def claimed(self, tx: Transaction, api: str, row: Row) -> Claimed:
        """A row of `claim` or `take_over_workloads`, with its payload's blob if it is one."""
        claimed = rows.claimed(api, row)
        if rows.is_large(row) and (blob := self.of(tx, claimed.held.seq, PAYLOAD)) is not None:
            return replace(claimed, blob=blob)
        return claimed

    def doom(self, tx: Transaction, seq: int) -> None:
        """The workload is erased: its blobs are nobody's now."""
        tx.execute(self._sql["doom_blobs"], {"seq": seq})

    # ── Verbs ───────────────────────────────────────────────────────────────────────────────────

    async def strays(self, keys: Sequence[str]) -> list[str]:
        old = [key for key in keys if (self._age_seconds(key) or 0.0) > STRAY_SECONDS]
        if not old:
            return []
        statement = self._sql["is_attached"]

        def read(connection: Connection) -> list[str]:
            return [key for key in old if not connection.execute(statement, {"key": key}).fetchall()]

        return await self._session.scan(read)

    async def doomed(self, room: int) -> list[str]:
        return [key for (key,) in await self._session.read("doomed_blobs", room=room)]

    def forget(self, keys: Sequence[str]) -> Future[None]:
        gone = list(keys)

        def write(tx: Transaction) -> None:
            for key in gone:
                tx.execute(self._sql["forget_blob"], {"key": key})

        return self._session.commits.write(write)

    def _age_seconds(self, key: str) -> float | None:
        moment = named_at(key)
        return None if moment is None else (self._session.steady() - moment) / SECOND


def _blob(found: Sequence[Row]) -> Blob | None:
    if not found:
        return None
    [(key, size, content_type)] = found
    return Blob(key=key, size_bytes=size, content_type=content_type)
