"""Each SQL statement stands once, under a name, in `sql/*.sql`; a dialect differs by named fragments only.

Reads the packaged files at start; a fragment that a file names and a dialect lacks is an error then, not later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

FILES: Final = (
    "members",
    "workloads",
    "queue",
    "batches",
    "tallies",
    "lives",
    "selections",
    "erasing",
    "journal",
    "deliveries",
    "lanes",
    "endpoints",
    "blobs",
    "inboxes",
    "logouts",
    "checking",
    "exporting",
)
"""What `sql/` holds, besides the migrations."""

_NAMED = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema, from version `number - 1` to `number`."""

    number: int
    name: str
    """The file's: its number and what it is about."""
    statements: tuple[str, ...]


def statements(name: str, fragments: Mapping[str, str]) -> dict[str, str]:
    """The statements of `sql/<name>.sql` by their names, in one dialect."""
    text = (files(__package__) / "sql" / f"{name}.sql").read_text("utf-8")
    _, *parts = _NAMED.split(text)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {title: _COMMENT.sub("", body).format_map(fragments).strip().rstrip(";") for title, body in pairs}


def migrations(fragments: Mapping[str, str]) -> tuple[Migration, ...]:
    """All steps of the schema in their order, in one dialect."""
    folder = files(__package__) / "sql" / "migrations"
    steps = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        text = _COMMENT.sub("", file.read_text("utf-8")).format_map(fragments)
        parts = tuple(part.strip() for part in text.split(";") if part.strip())
        steps.append(Migration(number=int(file.name[:4]), name=file.name.removesuffix(".sql"), statements=parts))
    return tuple(steps)
