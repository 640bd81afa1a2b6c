"""How many workloads are unfinished, kept as sums in the database, so that nobody ever counts the queue itself.

What one transaction changes is gathered in memory and written once, as the last thing inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ringback.store.verbs.transaction import Execute

_MOST_KNOWN: Final = 10_000
"""Sums kept in memory; there may be any number of tenants."""

Key = tuple[str, str]
"""An API and a tenant; the tenant of those without one is ''."""

BATCHED: Final = " batched"
"""What came in batches is summed up under a name that no tenant can have."""


def tally_of(tenant: str, batch: int | None) -> str:
    """Under which name a workload is counted."""
    return tenant if batch is None else BATCHED


class Tallies:
    """The sums as the transaction under way leaves them. One that is not known is read when it is asked for."""

    __slots__ = ("_changes", "_known", "_member", "_sql", "shared")

    def __init__(self, sql: Mapping[str, str], member: str) -> None:
        self._sql = sql
        self._member = member
        self.shared: dict[str, bool] = {}
        """Whether tenants share an API; one that is missing is to be looked up."""
        self._known: dict[Key, int] = {}
        self._changes: dict[Key, int] = {}

    def knows(self, api: str, tenant: str) -> bool:
        """Whether a sum can be told without reading it."""
        return (api, tenant) in self._known

    def unfinished(self, execute: Execute, api: str, tenant: str) -> int:
        """How many of the tenant's workloads have not ended."""
        key = api, tenant
        known = self._known.get(key)
        if known is None:
            [(written, is_shared)] = execute(self._sql["count_unfinished"], {"api": api, "tenant": tenant}).fetchall()
            known = self._known[key] = int(written) + self._changes.get(key, 0)
            self.learn_shared(api, is_shared)
        return known

    def learn_shared(self, api: str, found: bool | None) -> None:
        """Whether tenants share an API, as the database tells; None where it tells that only when it is asked."""
        if found is not None:  # another write may have entered the first tenant meanwhile
            self.shared[api] = found or self.shared.get(api, False)

    def note(self, api: str, tenant: str, change: int) -> None:
        """The transaction has taken in so many, or ended some."""
        key = api, tenant
        self._changes[key] = self._changes.get(key, 0) + change
        if key in self._known:
            self._known[key] += change

    def write(self, execute: Execute) -> None:
        """Put what has changed into the transaction."""
        for change in self.changes():
            execute(self._sql["tally"], change)

    def changes(self) -> list[Mapping[str, object]]:
        """What has changed, as parameters of `tally`, always in the same order of the rows; forgets it."""
        changes: list[Mapping[str, object]] = [
            # Those without a tenant go to a row of this member's own, which no other member's commit waits for.
            {
                "api": api,
                "tenant": tenant,
                "member": self._member if tenant in {"", BATCHED} else "",
                "change": change,
            }
            for (api, tenant), change in sorted(self._changes.items())
            if change
        ]
        self._changes.clear()
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        return changes

    def forget(self) -> None:
        """Another member has written: what was known may be wrong."""
        self._known.clear()
        self.shared.clear()

    def undo(self) -> None:
        """The transaction has come to nothing."""
        self._known.clear()
        self.shared.clear()
        self._changes.clear()
