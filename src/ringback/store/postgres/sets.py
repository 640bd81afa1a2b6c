"""One statement for many sets of parameters at once, derived from the one that stands in `sql/`: for a few of them.

The sets come as arrays, a row of `given` for each; whatever the statement brings says which of them it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import asyncpg

from ringback.store.postgres.connecting import Brought
from ringback.store.postgres.statements import PARAMETER, positional

BY: Final[Mapping[str, tuple[str, ...]]] = {
    "insert_workload": (),
    "insert_with_wish": (),
    "find_by_id": (),
    "find_by_key": (),
    "finish": ("seq",),
    "insert_delivery": (),
    "settle_held": ("seq",),
    "retry_held": ("seq",),
    "insert_attempt": ("seq", "number"),
    "tally": ("api", "tenant", "member"),
}
"""The statements that run as sets, with the parameters that no two of one set may share: those by which a row is
changed, and found again."""
AT_ONCE: Final = ("claim", "next_moments", "count_unfinished")
"""Statements that run at once with these and with each other, one set of parameters at a time."""
KEEP_OUT: Final = "SELECT pg_advisory_xact_lock(hashtext(:key))"
"""Another such: waits for other members' transactions that have asked for the same."""
KEEP_OUT_IN_ORDER: Final = """SELECT pg_advisory_xact_lock(key)
FROM (SELECT DISTINCT hashtext(word) AS key FROM unnest(CAST(:keys AS TEXT[])) AS word ORDER BY key) AS sorted"""
"""As `KEEP_OUT`, for many: in the one order that every member keeps to, so that no two ever wait for each other."""

_INSERT: Final = re.compile(
    r"INSERT INTO (?P<table>\w+) \((?P<columns>[^)]+)\)\s+VALUES \((?P<values>[^)]+)\)(?P<rest>.*)", re.DOTALL
)
_UPDATE: Final = re.compile(
    r"(?P<head>UPDATE \w+\s+SET .*?)\nWHERE (?P<where>.*?)(?:\nRETURNING (?P<returning>.*))?", re.DOTALL
)
_MOST: Final = 256
"""Sets of parameters in one statement."""
_MOST_BYTES: Final = 1 << 23
"""Byte strings in one statement, unless a single set has more: it stands in memory several times."""


class Waiting(Protocol):
    """Whoever waits for a statement with parameters of its own."""

    @property
    def parameters(self) -> Mapping[str, object]: ...


W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Many:
    """A statement for many sets of parameters."""

    text: str
    names: tuple[str, ...]
    by: tuple[str, ...]
    large: tuple[str, ...]
    """The parameters that may be: byte strings."""
    shared_out: Callable[[Sequence[Mapping[str, object]], list[Any]], list[Brought]]
    """What the rows it has brought are to each set."""

    def fitting(self, waiting: Sequence[W]) -> list[W]:
        """Those whose sets may go in one statement: the first of each row that is changed, and not too many."""
        seen: set[tuple[object, ...]] = set()
        fitting: list[W] = []
        room_bytes = _MOST_BYTES
        for each in waiting:
            if len(fitting) == _MOST or room_bytes <= 0:
                break
            its = each.parameters
            if self.by:
                key = tuple([its[name] for name in self.by])
                if key in seen:
                    continue
                seen.add(key)
            for name in self.large:
                if isinstance(value := its[name], bytes):
                    room_bytes -= len(value)
            fitting.append(each)
        return fitting

    def arrays(self, sets: Sequence[Mapping[str, object]]) -> list[list[object]]:
        """The arguments of the text."""
        return [[each[name] for each in sets] for name in self.names]

    async def execute(self, connection: asyncpg.Connection, sets: Sequence[Mapping[str, object]]) -> list[Brought]:
        """Run it, and share out what it brings."""
        return self.shared_out(sets, await connection.fetch(self.text, *self.arrays(sets)))


async def many(connection: asyncpg.Connection, sql: str, by: tuple[str, ...]) -> Many:
    """The statement for many sets; the database is asked of what types its parameters are."""
    names = positional(sql).names
    prepared = await connection.prepare(positional(sql).text)
    types = [parameter.name for parameter in prepared.get_parameters()]
    text, shared_out = derived(sql, names, types, by)
    large = tuple(name for name, kind in zip(names, types, strict=True) if kind == "bytea")
    return Many(text, names, by, large, shared_out)


def derived(
    sql: str, names: Sequence[str], types: Sequence[str], by: Sequence[str]
) -> tuple[str, Callable[[Sequence[Mapping[str, object]], list[Any]], list[Brought]]]:
    """The text for many sets, and how what it brings is shared out.

    Raises:
        ValueError: the statement is of a kind that has no such text.
    """
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types, start=1))
    # Columns of `given` begin with an underscore: bare names stay those of the tables.
    given = f"unnest({arrays}) WITH ORDINALITY AS given ({', '.join(f'_{name}' for name in names)}, _nth)"
    body = PARAMETER.sub(r"given._\1", sql)
    if found := _INSERT.fullmatch(body):
        head = (
            f"INSERT INTO {found['table']} ({found['columns']})\nSELECT {found['values']}\nFROM {given} ORDER BY _nth"
        )
        if found["rest"].strip() == "ON CONFLICT DO NOTHING":
            columns = _columns_of(by, found["columns"], found["values"])
            return f"{head}{found['rest']}\nRETURNING {', '.join(columns)}", _found_again(by)
        return head + found["rest"], _in_their_order if "RETURNING seq" in found["rest"] else _one_each
    if found := _UPDATE.fullmatch(body):
        returning = ", ".join(filter(None, ["_nth", found["returning"]]))
        row, _, condition = found["where"].partition(" AND ")
        # Within a CASE no condition says which index to go down: each row is looked up by its key. The planner would
        # go through all that are pending or in progress, of which it knows of few, and compare each with each that is
        # given.
        where = f"{row} AND CASE WHEN {condition} THEN 1 END = 1"
        return f"{found['head']}\nFROM {given}\nWHERE {where}\nRETURNING {returning}", _by_nth
    if body.startswith("SELECT "):
        select = "SELECT _nth, found.*"
        return f"{select} FROM {given}, LATERAL ({body}) AS found", _by_nth
    raise ValueError(f"no statement for many can be made of: {sql}")


def _columns_of(by: Sequence[str], columns: str, values: str) -> list[str]:
    """The columns into which the parameters `by` go."""
    into = dict(
        zip((each.strip() for each in values.split(",")), (each.strip() for each in columns.split(",")), strict=True)
    )
    return [into[f"given._{name}"] for name in by]


# ── To each its own ─────────────────────────────────────────────────────────────────────────────


def _one_each(sets: Sequence[Mapping[str, object]], _: list[Any]) -> list[Brought]:
    return [Brought([], 1) for _ in sets]


def _in_their_order(_: Sequence[Mapping[str, object]], rows: list[Any]) -> list[Brought]:
    """Rows are numbered in the order in which they were given; RETURNING itself promises none."""
    return [Brought([row], 1) for row in sorted(rows)]


def _by_nth(sets: Sequence[Mapping[str, object]], rows: list[Any]) -> list[Brought]:
    of_each: list[list[Any]] = [[] for _ in sets]
    for row in rows:
        of_each[row[0] - 1].append(row[1:])
    return [Brought(each, len(each)) for each in of_each]


def _found_again(by: Sequence[str]) -> Callable[[Sequence[Mapping[str, object]], list[Any]], list[Brought]]:
    def share(sets: Sequence[Mapping[str, object]], rows: list[Any]) -> list[Brought]:
        written = {tuple(row) for row in rows}
        return [Brought([], int(tuple(each[name] for name in by) in written)) for each in sets]

    return share
