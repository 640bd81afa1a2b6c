"""Set statements: one that takes all rows of its kind that a batch brings, in a call that leaves the interpreter free.

A statement for each row costs the loop the parameters, the call and the answer each time; these cost it the row. SQLite
works through them in the thread that commits, beside the loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson

from ringback.store.verbs.transaction import SetRow

PARTS: Final[Mapping[str, tuple[str, ...]]] = {"arrived": ("settle_arrived", "insert_arrived")}
"""The statements of each set, in their order; each must change as many rows as it is given."""


class Sets:
    """The set statements of one member."""

    def __init__(self, sql: Mapping[str, str], member: str, *, parts: Mapping[str, tuple[str, ...]] = PARTS) -> None:
        self._member = member
        self._parts = {name: [sql[part] for part in named] for name, named in parts.items()}

    def write(self, connection: sqlite3.Connection, rows: Iterable[SetRow]) -> bool:
        """Write them all down. Blocking; runs inside a transaction.

        Returns:
            Whether every row had its effect; if not, the transaction is good for nothing but to be rolled back.
        """
        by_name: dict[str, list[Sequence[int | str | None]]] = {}
        for row in rows:
            by_name.setdefault(row.name, []).append(row.columns)
        return all(self._is_whole(connection, name, columns) for name, columns in by_name.items())

    def _is_whole(self, connection: sqlite3.Connection, name: str, rows: list[Sequence[int | str | None]]) -> bool:
        try:
            parameters = {"rows": orjson.dumps(rows).decode(), "member": self._member}
            return all(connection.execute(part, parameters).rowcount == len(rows) for part in self._parts[name])
        except (sqlite3.Error, orjson.JSONEncodeError):
            return False  # which row it was shows when each is written by itself
