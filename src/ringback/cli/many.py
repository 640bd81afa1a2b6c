"""Many workloads canceled or retried with one command: how many is said, and agreed to, before anything is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ringback.cli.context import Context, usage_error
from ringback.core.selection import Move

if TYPE_CHECKING:
    from ringback.client.sweeping import Sweep, Which

_DONE: Final = {Move.CANCEL: "canceled", Move.RETRY: "in the queue again"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options that say which are meant, and how to go about it; None for what was not named."""

    of_api: Annotated[str | None, typer.Option("--api", help="All of this API, if no ID is named.")] = None
    batch: Annotated[str | None, typer.Option("--batch", help="All of this batch.")] = None
    status: Annotated[str | None, typer.Option("--status", help="Only those of this status.")] = None
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None
    since: Annotated[
        str | None, typer.Option("--since", help="Ended, or else submitted, since: 2h, 7d, or a moment.")
    ] = None
    before: Annotated[str | None, typer.Option("--before", help="Ended, or else submitted, before then.")] = None
    words: Annotated[str | None, typer.Option("--words", help="Only with these words in id, key or error.")] = None
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False
    is_agreed: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False

    @property
    def which(self) -> Which:
        """What is sent of it."""
        conditions = {
            "api": self.of_api,
            "batch": self.batch,
            "status": self.status,
            "tenant": self.tenant,
            "since": self.since,
            "before": self.before,
            "q": self.words,
        }
        return {name: value for name, value in conditions.items() if value is not None}  # type: ignore[return-value] # its keys are Which's


def one_of(wanted: Wanted, api: str | None, workload_id: str | None, *, waits: bool) -> tuple[str, str] | Wanted:
    """The one workload that is meant, or what the many have in common.

    Raises:
        typer.Exit: neither is said, or both.
    """
    if workload_id is not None and api is not None:
        if wanted.which or wanted.is_dry_run or wanted.is_agreed:
            raise typer.Exit(usage_error(f"{workload_id} is one workload; leave out the options that are about many"))
        return api, workload_id
    if not wanted.which:  # an API alone is more likely an id forgotten than everything meant
        raise typer.Exit(usage_error("name the API and the workload's ID, or say which: --batch, --api, --status …"))
    if waits:
        raise typer.Exit(usage_error("--wait is for one workload; leave it out, or name the workload's ID"))
    if api is not None and wanted.of_api not in {None, api}:
        raise typer.Exit(usage_error(f"{api} is one API and --api {wanted.of_api} another; name one"))
    return wanted if api is None else replace(wanted, of_api=api)


def move(told: Context, verb: Move, wanted: Wanted) -> None:
    """Do it with all that are meant, or say how many they are."""
    with told.client() as client:
        count = client.count_many(verb, **wanted.which)
        if wanted.is_dry_run:
            told.say(f"{_counted(count)} would be {_DONE[verb]}", {"matched": count})
            return
        if count and not wanted.is_agreed:
            _agree(verb, count)
        changed, stopping, is_over = _followed(client.sweep(verb, wanted.which), count)
    words = f"{_counted(changed)} {_DONE[verb]}" + (f", {stopping} of them told to stop" if stopping else "")
    value = {"changed": changed} | ({"stopping": stopping} if verb is Move.CANCEL else {})
    if is_over:
        told.say(words, value)
        return
    told.say(f"{words}; broken off, and it goes on when it is called again", {**value, "broken_off": True})
    raise typer.Exit(1)


def _agree(verb: Move, count: int) -> None:
    if not sys.stdin.isatty():
        raise typer.Exit(usage_error(f"{_counted(count)} would be {_DONE[verb]}; to do it, say --yes"))
    if not typer.confirm(f"{verb.value.title()} {_counted(count)}?", err=True):
        raise typer.Exit(1)


def _followed(sweeps: Iterator[Sweep], count: int) -> tuple[int, int, bool]:
    """How many were changed, how many of those are told to stop, and whether it came to its end."""
    changed = stopping = 0
    is_terminal = sys.stderr.isatty()
    try:
        for sweep in sweeps:
            changed, stopping = sweep.changed, sweep.stopping
            if is_terminal and not sweep.is_over:
                why = "; the queue is full, waiting for room" if sweep.wait_seconds else ""
                sys.stderr.write(f"\r\x1b[K{changed:,} of {count:,}{why}")
                sys.stderr.flush()
    except KeyboardInterrupt:
        return changed, stopping, False
    finally:
        if is_terminal:
            sys.stderr.write("\r\x1b[K")
    return changed, stopping, True


def _counted(count: int) -> str:
    return f"{count:,} workload{'' if count == 1 else 's'}"
