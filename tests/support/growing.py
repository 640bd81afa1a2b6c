"""What a step of the schema may do while the release before it runs: decision 0021, as a judge of SQL text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

CONTRACT: Final = "-- Contract:"
_COMMENT: Final = re.compile(r"--.*")
_MADE: Final = re.compile(r"CREATE TABLE (\w+)")
_ADDED: Final = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (\w+) (.+)", re.DOTALL)
_INDEX: Final = re.compile(r"CREATE (UNIQUE )?INDEX (.*?)(\w+) ON (\w+) (.+)", re.DOTALL)
_INSERT: Final = re.compile(r"INSERT INTO (\w+) ")
_DROP: Final = re.compile(r"DROP (?:INDEX (?:\{concurrently\})?(?:IF EXISTS )?|TABLE )(\w+)")
_DROP_COLUMN: Final = re.compile(r"ALTER TABLE (\w+) DROP COLUMN (\w+)")
_DEFAULT: Final = re.compile(r"DEFAULT ('[^']*'|-?\d+(\.\d+)?)")
_KEEPING: Final = frozenset({"{tidied_often}"})
"""Fragments that change how a table is kept in shape, and nothing that anybody reads or writes."""
_KEPT: Final = re.compile(r"WHERE (\w+) IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges one step after the other."""

    used: str
    """Every statement of the release, as one text."""

    def faults(self, text: str) -> list[str]:
        """What in a step an older release that is running would suffer from."""
        parts = [part.strip() for part in _COMMENT.sub("", text).split(";") if part.strip()]
        if text.startswith(CONTRACT):
            return [fault for part in parts for fault in self._contracting(part)]
        own = {found[1] for part in parts if (found := _MADE.match(part))}
        added = {found[2] for part in parts if (found := _ADDED.match(part))}
        found = [fault for part in parts for fault in self._expanding(part, own, added)]
        online = sum("{concurrently}" in part for part in parts)
        if 0 < online < len(parts):
            found.append("indexes made online stand in a step of their own: they are no part of a transaction")
        return found

    def _expanding(self, part: str, own: set[str], added: set[str]) -> Iterator[str]:
        if _MADE.match(part) or part in _KEEPING:
            return
        if column := _ADDED.match(part):
            yield from _column(*column.groups())
        elif index := _INDEX.match(part):
            yield from _index(index, own)
        elif insert := _INSERT.match(part):
            if insert[1] not in own:
                yield f"inserts into {insert[1]}, which others write to: leave it to upkeep"
        elif _DROP.match(part) or _DROP_COLUMN.match(part):
            yield f"drops something in a step that is no contract ({CONTRACT} …): {_head(part)}"
        else:
            yield f"does what no step may: {_head(part)}"

    def _contracting(self, part: str) -> Iterator[str]:
        dropped = _DROP_COLUMN.match(part)
        name = dropped[2] if dropped else found[1] if (found := _DROP.match(part)) else None
        if name is None:
            yield f"a contract only drops: {_head(part)}"
        elif re.search(rf"\b{name}\b", self.used):
            yield f"drops {name}, which sql/ still names"
        elif part.startswith("DROP INDEX") and "{concurrently}" not in part:
            yield f"drops the index {name} without {{concurrently}}"


def _column(table: str, name: str, rest: str) -> Iterator[str]:
    has_default = _DEFAULT.search(rest) is not None
    if "NOT NULL" in rest and not has_default:
        yield f"{table}.{name} is NOT NULL without a constant default: the older release's inserts would fail"
    if "DEFAULT" in rest and not has_default:
        yield f"the default of {table}.{name} is no constant: every row would be written anew"
    for word in ("UNIQUE", "REFERENCES", "CHECK", "PRIMARY KEY"):
        if word in rest:
            yield f"{table}.{name} has {word}: the older release knows nothing of it"


def _index(found: re.Match[str], own: set[str]) -> Iterator[str]:
    unique, how, name, table, rest = found.groups()
    if table in own:
        return
    if how != "{concurrently}IF NOT EXISTS ":
        yield f"write CREATE INDEX {{concurrently}}IF NOT EXISTS {name}: {table} is in use"
    if unique and not _KEPT.search(rest):
        yield f"{name} is UNIQUE over all of {table}: inserts of the older release may be refused"


def _head(part: str) -> str:
    return " ".join(part.split())[:60]


def judged(steps: Sequence[tuple[str, str]], used: str) -> dict[str, list[str]]:
    """The faults of each step, by its name; those without any are left out."""
    judge = Judge(used)
    return {name: faults for name, text in steps if (faults := judge.faults(text))}
