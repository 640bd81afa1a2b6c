"""`ringback store migrate`: the schema brought up to date ahead of the servers that need it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ringback.runtime.stores import needs_postgres
from ringback.store.sqlite import opening
from ringback.store.statements import migrations


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What is to be done, or has been."""

    store: str
    before: int
    """The schema's version; 0 where there is none yet."""
    steps: tuple[str, ...]
    """The names of the steps after that."""


async def upgrade(place: Path | str, *, dry_run: bool = False) -> Upgrade:
    """Take the steps that a store's schema lacks, making it where there is none; servers may run meanwhile.

    Args:
        place: a SQLite file, or a postgresql:// URL.
        dry_run: only find out which they are.

    Raises:
        RingbackError: it cannot be done, or not now; the message says why.
    """
    if isinstance(place, Path):
        return await asyncio.to_thread(_upgrade_file, place, dry_run=dry_run)
    with needs_postgres():
        from ringback.store.postgres.opening import brought_up_to_date  # noqa: PLC0415 - an extra
    store, before = await brought_up_to_date(place, dry_run=dry_run)
    return Upgrade(store=store, before=before, steps=_names()[before:])


def _upgrade_file(path: Path, *, dry_run: bool) -> Upgrade:
    before = opening.standing(path)
    if not dry_run:
        opening.prepare(path)
    return Upgrade(store=f"sqlite:///{path.absolute()}", before=before, steps=_names()[before:])


def _names() -> tuple[str, ...]:
    return tuple(step.name for step in migrations(opening.FRAGMENTS))
