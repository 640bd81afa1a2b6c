"""Set statements: one that takes all rows of its kind that a batch brings, in a call that leaves the interpreter free.

A statement for each row costs the loop the parameters, the call and the answer each time; these cost it the row. SQLite
works through them in the thread that commits, beside the loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import orjson

from ringback.store.verbs.transaction import Column

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "ended": ("end_all",),
    "told": ("insert_told",),
    "arrived": ("settle_arrived", "insert_arrived"),
}
"""The statements of each set, in the order in which they run; each must change as many rows as it is given."""

Made = Callable[[int], None]


class SetRows:
    """What one batch brings for set statements."""

    __slots__ = ("_by_name", "_laid", "_last_keys", "_made", "_size")

    def __init__(self, names: Iterable[str] = PARTS) -> None:
        """Begin with no rows for sets of these names."""
        self._by_name: dict[str, list[tuple[Column, ...]]] = {name: [] for name in names}
        self._made: dict[str, list[Made | None]] = {name: [] for name in self._by_name}
        self._laid: list[bytes] = []
        self._size = 0
        self._last_keys: dict[str, int] = {}

    def __bool__(self) -> bool:
        return any(self._by_name.values())

    def put(self, name: str, columns: tuple[Column, ...], made: Made | None = None) -> None:
        """As `SetTransaction.put`."""
        self._by_name[name].append(columns)
        self._made[name].append(made)

    def lay(self, data: bytes) -> int:
        """As `SetTransaction.lay`."""
        begins = self._size + 1
        self._laid.append(data)
        self._size += len(data)
        return begins

    def of(self, name: str) -> Sequence[tuple[Column, ...]]:
        """The rows for one set."""
        return self._by_name[name]

    def laid(self) -> bytes:
        """All bytes that rows refer to."""
        return b"".join(self._laid)

    def inserted(self, name: str, last_key: int) -> None:
        """A set's rows stand in its table, one after the other, and this is the last one's key."""
        self._last_keys[name] = last_key

    def acts(self) -> Iterator[Callable[[], None]]:
        """What is to be called once all is on disk."""
        for name, acts in self._made.items():
            if any(acts):
                first = self._last_keys[name] - len(acts) + 1
                yield from (partial(made, key) for key, made in enumerate(acts, start=first) if made is not None)

    def clear(self) -> None:
        """The transaction has come to nothing."""
        for rows, acts in zip(self._by_name.values(), self._made.values(), strict=True):
            rows.clear()
            acts.clear()
        self._laid.clear()
        self._size = 0


class Sets:
    """The set statements of one member."""

    def __init__(self, sql: Mapping[str, str], member: str, *, parts: Mapping[str, tuple[str, ...]] = PARTS) -> None:
        self._member = member
        self._parts = {name: [sql[part] for part in named] for name, named in parts.items()}

    def rows(self) -> SetRows:
        """None yet, for a batch that begins."""
        return SetRows(self._parts)

    def write(self, connection: sqlite3.Connection, rows: SetRows) -> bool:
        """Write them all down. Blocking; runs inside a transaction.

        Returns:
            Whether every row had its effect; if not, the transaction is good for nothing but to be rolled back.
        """
        try:
            parameters = {"member": self._member, "laid": rows.laid()}
            return all(self._is_whole(connection, name, rows, parameters) for name in self._parts if rows.of(name))
        except (sqlite3.Error, OverflowError, orjson.JSONEncodeError):
            return False  # which row it was shows when each is written by itself

    def _is_whole(
        self, connection: sqlite3.Connection, name: str, rows: SetRows, parameters: Mapping[str, object]
    ) -> bool:
        given = rows.of(name)
        bound = {**parameters, "rows": orjson.dumps(given).decode()}
        for part in self._parts[name]:
            done = connection.execute(part, bound)
            if done.rowcount != len(given):
                return False
            rows.inserted(name, done.lastrowid or 0)
        return True
