"""`store`: the database itself, brought up to date, checked, written out, and moved; no server need run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from ringback.cli.context import Context, usage_error
from ringback.core.clock import SystemClock
from ringback.core.settings import store_place

store = typer.Typer(help="The database itself: migrate, check, export, move.", no_args_is_help=True)

_ROWS_A_LINE: Final = 100_000


Place = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="RINGBACK_STORE",
        help="sqlite:///file.db or postgresql://host/database [default: .ringback/ringback.db in this folder].",
    ),
]


@store.command("migrate")
def migrate(
    context: typer.Context,
    place: Place = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which steps there are to take.")] = False,
) -> None:
    """Bring the schema up to date, or make it; servers of the release before may run meanwhile."""
    told: Context = context.obj
    from ringback.runtime.upgrading import upgrade  # noqa: PLC0415 - brings the store with it

    done = asyncio.run(upgrade(_place(place, "--store"), dry_run=dry_run))
    after = done.before + len(done.steps)
    steps = "".join(f"\n  {name}" for name in done.steps)
    if not done.steps:
        words = f"{done.store} is up to date (schema {after})"
    elif dry_run:
        words = f"{done.store} has schema {done.before}; to take to {after}:{steps}"
    else:
        words = f"{done.store} brought from schema {done.before} to {after}:{steps}"
    value = {"store": done.store, "before": done.before, "after": after, "steps": list(done.steps), "dry_run": dry_run}
    told.say(words, value)


@store.command("move")
def move(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Option("--from", help="The file that moves, sqlite:///file.db [default: .ringback/ringback.db here]."),
    ] = "",
    target: Annotated[
        str, typer.Option("--to", help="The database it moves into, postgresql://host/database; empty.")
    ] = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Serve from the file again: give up a move, or take it back.")
    ] = False,
) -> None:
    """Bring a store from its file into PostgreSQL. Killed or cut off at any point, it is simply repeated."""
    told: Context = context.obj
    file = _place(source, "--from")
    if not isinstance(file, Path):
        raise typer.Exit(usage_error("--from: only a store in a file can be moved; write sqlite:///path/to/file.db"))
    from ringback.runtime import moving  # noqa: PLC0415 - brings the store with it

    if undo:
        if target:
            raise typer.Exit(usage_error("--undo takes no --to: it lets the file be served from again"))
        is_back = moving.take_back(file, clock=SystemClock())
        words = "is served from here again" if is_back else "had not moved; it can be served from here"
        told.say(f"sqlite:///{file.absolute()} {words}", {"source": f"sqlite:///{file.absolute()}", "undone": is_back})
        return
    database = _place(target, "--to")
    if not target or isinstance(database, Path):
        raise typer.Exit(usage_error("--to: name the database it moves into: postgresql://user:password@host/database"))
    moved = asyncio.run(moving.move(file, database, clock=SystemClock(), told=_progress()))
    if moved.was_done:
        words = f"{moved.source} has moved to {moved.target} already"
    else:
        words = (
            f"{moved.source} has moved to {moved.target}: {sum(moved.rows.values())} rows in "
            f"{sum(1 for rows in moved.rows.values() if rows)} tables"
        )
    if moved.blobs:
        words += f"\nlarge payloads and results ({moved.blobs}) stay where they are: serve with the same --blobs"
    told.say(
        words,
        {
            "source": moved.source,
            "target": moved.target,
            "rows": moved.rows,
            "blobs": moved.blobs,
            "was_done": moved.was_done,
        },
    )


def _progress() -> Callable[[str, int], None]:
    """Says now and then how many rows of which table have arrived."""
    said: dict[str, int] = {}

    def tell(table: str, rows: int) -> None:
        if rows - said.get(table, 0) >= _ROWS_A_LINE:
            said[table] = rows
            sys.stderr.write(f"{table}: {rows} rows\n")

    return tell


def _place(text: str, option: str) -> Path | str:
    try:
        return store_place(text, Path())
    except ValueError as error:
        raise typer.Exit(usage_error(f"{option}: {error}")) from None
