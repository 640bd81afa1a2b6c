"""`cancel`, `retry`, `erase` and `attempts`: what becomes of a workload after its submit."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringback.cli.context import Context, table
from ringback.cli.many import Wanted, move, one_of
from ringback.cli.together import taking
from ringback.cli.workloads import ApiName, await_end, show
from ringback.core.selection import Move

Id = Annotated[str, typer.Argument(metavar="ID", help="The workload's id.")]
Api = Annotated[str | None, typer.Argument(metavar="API", help="The API's endpoint.")]
IdOrNone = Annotated[str | None, typer.Argument(metavar="ID", help="The workload's id; without one, many are meant.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most.")]


@taking(Wanted)
def cancel(
    context: typer.Context,
    api: Api = None,
    workload_id: IdOrNone = None,
    *,
    wanted: Wanted,
    wait: Wait = False,
    timeout: Timeout = None,
) -> None:
    """Cancel a workload, or all that the options mean.

    One that runs is told, and stopped by force after the API's `cancel_grace`.
    """
    told: Context = context.obj
    one = one_of(wanted, api, workload_id, waits=wait)
    if isinstance(one, Wanted):
        move(told, Move.CANCEL, one)
        return
    with told.client() as client:
        state = client.cancel(*one)
        if wait and not state.is_terminal:
            handle = client.get(*one)
            await_end(told, handle, timeout)
            state = client.state(*one)
    words_told = state.status.value if state.is_terminal else "is told to stop"
    told.say(f"{state.id}  {words_told}", {"id": state.id, "status": state.status.value})


@taking(Wanted)
def retry(
    context: typer.Context,
    api: Api = None,
    workload_id: IdOrNone = None,
    *,
    wanted: Wanted,
    wait: Wait = False,
    timeout: Timeout = None,
) -> None:
    """Run a failed or canceled workload again, or all that is meant.

    It runs under its id; which are meant, the options say.
    """
    told: Context = context.obj
    one = one_of(wanted, api, workload_id, waits=wait)
    if isinstance(one, Wanted):
        move(told, Move.RETRY, one)
        return
    with told.client() as client:
        state = client.retry(*one)
        if not wait:
            told.say(f"{state.id}  {state.status.value}", {"id": state.id, "status": state.status.value})
            return
        handle = client.get(*one)
        await_end(told, handle, timeout)
    show(told, handle)


def erase(context: typer.Context, api: ApiName, workload_id: Id) -> None:
    """Erase a workload and all that is kept of it.

    One that has not ended is canceled, and nobody is told.
    """
    told: Context = context.obj
    with told.client() as client:
        client.erase(api, workload_id)
    told.say(f"{workload_id}  erased", {"id": workload_id, "erased": True})


def attempts(context: typer.Context, api: ApiName, workload_id: Id) -> None:
    """Show every attempt at a workload.

    When, how long, how it ended and why.
    """
    told: Context = context.obj
    with told.client() as client:
        record = client.describe(api, workload_id)
    if told.as_json:
        for attempt in record["attempts"]:
            told.say("", attempt)
        return
    rows = [_row(each) for each in record["attempts"]]
    columns = ("attempt", "started", "seconds", "ended", "error")
    told.say(table(rows, columns) if rows else "no attempt yet", None)


def _row(attempt: dict[str, Any]) -> dict[str, str]:
    error, ran = attempt.get("error"), attempt["ran_seconds"]
    return {
        "attempt": "" if attempt["number"] is None else str(attempt["number"]),
        "started": (attempt["started_at"] or "")[:19].replace("T", " "),
        "seconds": "" if ran is None else f"{ran:.3f}",
        "ended": attempt["ended"],
        "error": "" if error is None else f"{error['type']}: {error['message']}"[:80],
    }
