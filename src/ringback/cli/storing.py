"""`store`: the database itself, brought up to date, checked, written out, and moved; no server need run."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer

from ringback.cli.context import Context, usage_error
from ringback.core.clock import SystemClock
from ringback.core.settings import store_place
from ringback.store.findings import Weight

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
    """Bring the schema up to date, or make it.

    Servers of the release before may run meanwhile.
    """
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


@store.command("check")
def check(
    context: typer.Context,
    place: Place = "",
    blobs: Annotated[
        str,
        typer.Option(envvar="RINGBACK_BLOBS", help="Where large data is, as for serve [default: beside the store]."),
    ] = "",
    read_blobs: Annotated[
        bool, typer.Option("--read-blobs", help="Read large payloads to their end and compare them with what was sent.")
    ] = False,
) -> None:
    """Look a store over, also beside servers that run.

    Exit status: 0, or 1 when something is wrong.
    """
    told: Context = context.obj
    from ringback.runtime import looking  # noqa: PLC0415 - brings the store with it

    at = _place(place, "--store")
    beside = at.parent if isinstance(at, Path) else Path(".ringback")
    found = asyncio.run(looking.check(at, blobs or str(beside / "blobs"), reads_blobs=read_blobs))
    for each in found:
        told.say(
            f"{each.weight}: {each.words}\n  cure: {each.cure}",
            {"finding": each.name, "weight": each.weight, "count": each.count, "words": each.words, "cure": each.cure},
        )
    problems = sum(each.weight is Weight.PROBLEM for each in found)
    if not told.as_json:
        told.say(f"{problems} problem{'s' if problems > 1 else ''}" if problems else "nothing is wrong", None)
    if problems:
        raise typer.Exit(1)


@store.command("export")
def export(
    place: Place = "",
    api: Annotated[list[str] | None, typer.Option("--api", help="Only this API's; repeat it for several.")] = None,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Payloads and results, too, but for those kept beside the store.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file [default: standard output].")] = None,
) -> None:
    """Write workloads, attempts and webhooks as NDJSON.

    Also beside servers that run.
    """
    at = _place(place, "--store")
    from ringback.runtime import looking  # noqa: PLC0415 - brings the store with it

    apis = frozenset(api) if api else None
    seen: set[str] = set()
    with _written(output) as write:

        def note(line: dict[str, Any]) -> None:
            seen.add(line.get("api", ""))
            write(line)

        asyncio.run(looking.write_out(at, apis=apis, with_data=with_data, write=note))
    if apis is not None and (unknown := apis - seen):
        sys.stderr.write(f"nothing there of {', '.join(sorted(unknown))}\n")


@contextmanager
def _written(output: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Writes lines to a file, which has its name only once all of them are in it, or to standard output."""
    if output is None:
        yield lambda line: _write(sys.stdout, line)
        sys.stdout.flush()
        return
    part = output.with_name(output.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield lambda line: _write(file, line)
        part.replace(output)
    except OSError as error:
        raise typer.Exit(usage_error(f"{output} cannot be written: {(error.strerror or str(error)).lower()}")) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _write(file: TextIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line, separators=(",", ":")) + "\n")


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
    """Bring a store from its file into PostgreSQL.

    Killed or cut off at any point, it is simply repeated.
    """
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
