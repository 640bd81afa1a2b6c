"""`batches`: many workloads handed in as one, and how they stand; and `submit --batch`, which hands them in."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from ringback.cli.context import Context, table, usage_error

if TYPE_CHECKING:
    from ringback.client.batches import BatchHandle

batches = typer.Typer(help="Batches: list, show, results. Submit one with `submit --batch`.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]

_COLUMNS = ("batch", "api", "status", "total", "completed", "failed", "canceled", "submitted")


@batches.command("list")
def list_batches(
    context: typer.Context,
    api: Annotated[str | None, typer.Option(help="Only those of this API.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
) -> None:
    """List batches, newest first."""
    told: Context = context.obj
    with told.client() as client:
        page = client.batches(api, limit=limit, cursor=cursor)
    if told.as_json:
        for batch in page["batches"]:
            told.say("", batch)
    else:
        rows = [_row(each) for each in page["batches"]]
        told.say(table(rows, _COLUMNS) if rows else "no batches", None)
    if page["cursor"] is not None:
        sys.stderr.write(f"more: --cursor {page['cursor']}\n")


@batches.command("show")
def show_batch(context: typer.Context, batch: Id) -> None:
    """Show a batch with its counts."""
    told: Context = context.obj
    with told.client() as client:
        value = client.describe_batch(batch)
    told.say(_story(value), value)


@batches.command("results")
def results(context: typer.Context, batch: Id) -> None:
    """Print each workload of a batch with its result or error.

    One JSON object a line, in the order they were submitted.
    """
    told: Context = context.obj
    with told.client() as client:
        for workload in client.results_of_batch(batch):
            sys.stdout.write(json.dumps(workload, ensure_ascii=False) + "\n")


def submit_batch(
    told: Context,
    api: str,
    file: str,
    *,
    idempotency_key: str | None,
    headers: Mapping[str, str],
    wait_seconds: float | None,
) -> None:
    """Submit a file of NDJSON, `-` for standard input, as it is read.

    Args:
        told: where the server is.
        api: the API's endpoint.
        file: its path.
        idempotency_key: the same one again, with the same lines, is the same batch.
        headers: what is wished for each of its workloads.
        wait_seconds: how long to wait for its end; None: not at all.
    """
    with told.client() as client, _opened(file) as lines:
        handle = client.submit_many(api, lines, idempotency_key=idempotency_key, headers=headers)
        if wait_seconds is None:
            told.say(handle.id, {"batch": handle.id, "total": handle.counts["total"]})
            return
        _await_end(told, handle, wait_seconds)
        told.say(f"{handle.id}  {_counts(handle.counts)}", client.describe_batch(handle.id))
    if handle.counts["completed"] < handle.counts["total"]:
        raise typer.Exit(1)


def _opened(file: str) -> IO[bytes]:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise typer.Exit(usage_error(f"{file} cannot be read: {(error.strerror or '').lower()}")) from None


def _await_end(told: Context, handle: BatchHandle, wait_seconds: float) -> None:
    """Wait, with a progress bar on a terminal."""
    timeout = None if wait_seconds == float("inf") else wait_seconds
    if told.as_json or not sys.stderr.isatty():
        handle.wait(timeout)
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("in progress", total=handle.counts["total"])
        for known in handle.waiting(timeout):
            bar.update(task, completed=_ended(known.counts), refresh=True)


def _ended(counts: Mapping[str, int]) -> int:
    return counts["completed"] + counts["failed"] + counts["canceled"]


def _counts(counts: Mapping[str, int]) -> str:
    told = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count and name != "total"]
    return f"{', '.join(told)}; {counts['total']:,} in all"


def _row(batch: dict[str, Any]) -> dict[str, str]:
    counts = {name: str(batch["counts"][name]) for name in ("total", "completed", "failed", "canceled")}
    submitted = batch["submitted_at"][:19].replace("T", " ")
    return {"batch": batch["batch"], "api": batch["api"], "status": batch["status"], **counts, "submitted": submitted}


def _story(batch: dict[str, Any]) -> str:
    lines = [f"{batch['batch']}  {batch['status']}  of {batch['api']}", f"  {_counts(batch['counts'])}"]
    lines.append(f"  submitted {batch['submitted_at'][:19].replace('T', ' ')}")
    if batch["finished_at"] is not None:
        lines.append(f"  over {batch['finished_at'][:19].replace('T', ' ')}")
    return "\n".join(lines)
