"""A store that moves to another database: what each end notes of it, and why nobody may serve from it meanwhile. Pure.

The notes are rows of `keys`, so that they are written and read in the transactions they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ringback.core.errors import StoreMoved

MOVING: Final = "moving"
"""In the old place: on its way; what is there is changed by nobody."""
MOVED: Final = "moved"
"""In the old place: all of it has arrived."""
FILLING: Final = "filling"
"""In the new place: some of it has arrived."""
ARRIVED: Final = "arrived"
"""In the new place, for good: a move that is repeated after its end is known by it."""
NOTES: Final = (MOVING, MOVED, FILLING, ARRIVED)

LEFT_BEHIND: Final = frozenset({"members", "replicas", "lanes"})
"""Tables of the living; those who move have none. Who sends to an endpoint is settled anew where they arrive."""
OF_THE_PLACE: Final = frozenset({"identity", *NOTES})
"""Names in `keys` that belong to one database and stay there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table as both databases have it."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The columns of its primary key, by which its rows are read in order."""

    def key_of(self, row: tuple[Any, ...]) -> list[Any]:
        """Where a row stands in that order."""
        return [row[self.columns.index(name)] for name in self.key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move, as the old place notes it."""

    id: str
    source: str
    """As messages name it."""
    target: str
    """As messages name it: without a password."""
    schema: int
    """The version of the schema that is moved."""
    store: str
    """What tells this store from every other, wherever it is."""

    def written(self) -> bytes:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}).encode()

    @classmethod
    def read(cls, note: bytes) -> Move:
        told = json.loads(note)
        return cls(**{name: told[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """How far one move has come, as the new place notes it."""

    move: Move
    rows: dict[str, int] = field(default_factory=dict)
    """How many of each table have arrived."""
    after: dict[str, list[Any]] = field(default_factory=dict)
    """The key of the last row of each table that has arrived."""

    def with_rows(self, table: Table, rows: list[tuple[Any, ...]]) -> Arrivals:
        """The same once these rows, in their order, have arrived, too."""
        count = self.rows.get(table.name, 0) + len(rows)
        last = {table.name: table.key_of(rows[-1])} if rows else {}
        return Arrivals(move=self.move, rows={**self.rows, table.name: count}, after={**self.after, **last})

    def written(self) -> bytes:
        return json.dumps({"move": self.move.written().decode(), "rows": self.rows, "after": self.after}).encode()

    @classmethod
    def read(cls, note: bytes) -> Arrivals:
        told = json.loads(note)
        return cls(move=Move.read(told["move"].encode()), rows=told["rows"], after=told["after"])


def must_be_here(notes: Iterable[tuple[str, bytes]]) -> None:
    """See that a store may be served from, by its notes in `keys`.

    Raises:
        StoreMoved: it is on its way from here, or to here, or has gone; the message says where to and what to do.
    """
    for name, note in notes:
        if name in {MOVING, MOVED}:
            move = Move.read(bytes(note))
            raise StoreMoved(
                f"{move.source} has moved: serve from {move.target}; or take it back with `ringback store move "
                f"--from {move.source} --undo`, and whatever has been done at the new place since is not in it"
                if name == MOVED
                else f"{move.source} is on its way to {move.target}: repeat `ringback store move` with the same --from "
                f"and --to to bring it to its end, or give it up with `ringback store move --from {move.source} --undo`"
            )
        if name == FILLING:
            move = Arrivals.read(bytes(note)).move
            raise StoreMoved(
                f"{move.source} is on its way to {move.target}, and not all of it has arrived: repeat `ringback store "
                "move` with the same --from and --to"
            )
