"""Where a member's writes go: several connections, so that one batch goes on while another is on its way to the disk.

The first is for all there is; one for each kin, made when it is first wanted, for what the member has in hand: so they
rarely wait for each other, and the process does not wait for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ringback.store.postgres.commits import GroupCommit
from ringback.store.verbs.transaction import Kin

T = TypeVar("T")

Write = Callable[[Any], T]


class Writers:
    """A `store.verbs.session.Commits` on several connections."""

    def __init__(self, first: GroupCommit, apart: Mapping[Kin, GroupCommit]) -> None:
        """Begin with one for all writes, and one for those of each kin."""
        self.first = first
        self.apart = apart

    def write(self, write: Write[T]) -> asyncio.Future[T]:
        return self.first.write(write)

    def write_beside(self, write: Write[T]) -> asyncio.Future[T]:
        return self.first.write_beside(write)

    def write_apart(self, write: Write[T], kin: Kin) -> asyncio.Future[T]:
        # What a workload says on its way is a lone write each: its end comes after that.
        by = self.first if self.first.has_lone else self.apart[kin]
        return by.write_beside(write)

    def write_in_set(self, in_set: Write[T], write: Write[T], kin: Kin) -> asyncio.Future[T]:  # noqa: ARG002 - of no use
        """As `write_apart`: statements that are alike are put together here whatever they are."""
        return self.write_apart(write, kin)

    def settled(self) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._settle())

    @property
    def is_under_way(self) -> bool:
        return any(each.is_under_way for each in self._all)

    async def close_apart(self) -> None:
        """Commit what is under way but on the first, then refuse more of it."""
        await asyncio.gather(*(each.close() for each in self.apart.values()))

    def abandon(self) -> None:
        """Drop everything as a killed process would: nothing under way is committed, nobody is answered."""
        for each in self._all:
            each.abandon()

    @property
    def _all(self) -> tuple[GroupCommit, ...]:
        return (self.first, *self.apart.values())

    async def _settle(self) -> None:
        await asyncio.gather(*(each.write(_nothing) for each in self._all if each.is_under_way))


def _nothing(tx: Any) -> None:
    """Written so as to wait for what was written before."""
