"""Checkpoints between predict and the store: kept, and given back to a later attempt; answered once it is so."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from ringback.core.errors import LeaseLost, RingbackError
from ringback.core.workload import Claimed
from ringback.store.contract import Store

if TYPE_CHECKING:
    from ringback.work.replica import Replica


class Checkpoints:
    """One pool's: replicas ask, the store answers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, replica: Replica, number: int, claimed: Claimed, data: bytes) -> None:
        """Have `data` kept, and tell predict when it is on disk."""
        kept = asyncio.ensure_future(self._store.checkpoint(claimed.held, data))
        kept.add_done_callback(partial(_answer, replica, number))

    def find(self, replica: Replica, number: int, claimed: Claimed) -> None:
        """Give predict the last that was kept."""
        found = asyncio.ensure_future(self._store.last_checkpoint(claimed.held))
        found.add_done_callback(partial(_answer, replica, number))


def _answer(replica: Replica, number: int, done: asyncio.Future[bytes | None] | asyncio.Future[None]) -> None:
    if done.cancelled():
        return
    error = done.exception()
    if error is None:
        replica.answer(number, done.result())
    elif isinstance(error, LeaseLost):
        replica.refuse(number, "this workload is not this replica's any more")
    elif isinstance(error, RingbackError):
        replica.refuse(number, str(error))
    else:
        raise error
