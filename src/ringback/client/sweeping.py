"""Many workloads canceled or retried at once, answer by answer until there is no more.

`Sweep` says what to ask next and adds up what was answered; both clients only send.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from threading import Event
from typing import Any, Final, TypedDict, Unpack

from ringback.client import protocol
from ringback.client.connections import AsyncConnection, Connection
from ringback.client.protocol import Request
from ringback.core.selection import Move

_SLOT_SECONDS: Final = 5.0
"""How long the server works at one request."""


class Which(TypedDict, total=False):
    """What the workloads that are meant have in common: at least one of these."""

    api: str
    batch: str
    """The batch's id."""
    status: str
    """For cancel `in_queue` or `in_progress`, by default both; for retry `failed`, the default, or `canceled`."""
    tenant: str
    since: str
    """Ended then or later, or submitted if it has not: `2h`, how long ago, or a moment, ISO 8601."""
    before: str
    q: str
    """Words in the id, the idempotency key or the error."""


class Sweep:
    """How far it has come."""

    def __init__(self, move: Move, which: Which, *, is_dry_run: bool = False) -> None:
        self._path = f"/-/workloads/{move.value}"
        self._which = which
        self._is_dry_run = is_dry_run
        self._cursor: str | None = None
        self.changed = 0
        """How many are canceled, told to stop, or in the queue again; of a dry run, how many are meant."""
        self.stopping = 0
        """How many of those have been told to stop."""
        self.wait_seconds = 0
        """How long to wait before going on: there was no room for more."""
        self.is_over = False

    def request(self) -> Request:
        """What to ask next. It may be sent twice: what has been done is not done again."""
        body: dict[str, Any] = {**self._which}
        if self._is_dry_run:
            body["dry_run"] = True
        if self._cursor is not None:
            body["cursor"] = self._cursor
        headers = {"content-type": "application/json"}
        content = json.dumps(body).encode()
        return Request(method="POST", path=self._path, headers=headers, content=content, held_seconds=_SLOT_SECONDS)

    def hear(self, value: Any) -> None:
        """Take an answer in.

        Raises:
            Unreachable: it is none of Ringback's.
        """
        try:
            self.changed += value["matched" if self._is_dry_run else "changed"]
            self.stopping += value.get("stopping", 0)
            self.wait_seconds = value.get("wait_seconds") or 0
            self._cursor = value["cursor"]
        except (AttributeError, LookupError, TypeError):
            raise protocol.not_ours("what has become of many workloads") from None
        self.is_over = self._cursor is None


class Sweeping(Connection):
    """What `Client` knows of many workloads at once."""

    def cancel_many(self, **which: Unpack[Which]) -> int:
        """Have all that is meant end as canceled; how many were changed, those included that are told to stop.

        It can be broken off, and called again: what has been done is not done twice.
        """
        return [*self.sweep(Move.CANCEL, which)][-1].changed

    def retry_many(self, **which: Unpack[Which]) -> int:
        """Have all that is meant run again; how many. Waits where the queue is full until there is room."""
        return [*self.sweep(Move.RETRY, which)][-1].changed

    def count_many(self, move: Move | str, **which: Unpack[Which]) -> int:
        """How many `cancel` or `retry` would mean."""
        return [*self.sweep(Move(move), which, is_dry_run=True)][-1].changed

    def sweep(self, move: Move, which: Which, *, is_dry_run: bool = False) -> Iterator[Sweep]:
        """Do it answer by answer, the same one told again and again as it comes on."""
        sweep = Sweep(move, which, is_dry_run=is_dry_run)
        while not sweep.is_over:
            sweep.hear(self._send(sweep.request()))
            yield sweep
            if sweep.wait_seconds:
                Event().wait(sweep.wait_seconds)


class AsyncSweeping(AsyncConnection):
    """What `AsyncClient` knows of many workloads at once."""

    async def cancel_many(self, **which: Unpack[Which]) -> int:
        """As `Client.cancel_many`."""
        return [each async for each in self.sweep(Move.CANCEL, which)][-1].changed

    async def retry_many(self, **which: Unpack[Which]) -> int:
        """As `Client.retry_many`."""
        return [each async for each in self.sweep(Move.RETRY, which)][-1].changed

    async def count_many(self, move: Move | str, **which: Unpack[Which]) -> int:
        """As `Client.count_many`."""
        return [each async for each in self.sweep(Move(move), which, is_dry_run=True)][-1].changed

    async def sweep(self, move: Move, which: Which, *, is_dry_run: bool = False) -> AsyncIterator[Sweep]:
        """As `Client.sweep`."""
        sweep = Sweep(move, which, is_dry_run=is_dry_run)
        while not sweep.is_over:
            sweep.hear(await self._send(sweep.request()))
            yield sweep
            if sweep.wait_seconds:
                await asyncio.sleep(sweep.wait_seconds)
