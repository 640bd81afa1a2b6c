"""`logs`: what predict has printed, and what it prints from now on."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.context import Context
from ringback.core.journal import LogText, Said

if TYPE_CHECKING:
    from ringback.client import Client


def logs(
    context: typer.Context,
    api: Annotated[str, typer.Argument(metavar="API", help="The API's endpoint.")],
    workload_id: Annotated[str, typer.Argument(metavar="ID", help="The workload's id.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    attempt: Annotated[int | None, typer.Option(help="Of this attempt alone.", min=1)] = None,
) -> None:
    """Show what predict has printed and logged."""
    told: Context = context.obj
    with told.client() as client:
        if not follow:
            text = client.logs(api, workload_id, attempt=attempt)
            if told.as_json:
                told.say("", {"id": workload_id, "log": text})
            else:
                _write(text if not text or text.endswith("\n") else text + "\n")
            return
        with contextlib.suppress(KeyboardInterrupt):
            _follow(told, client, api, workload_id, attempt)


def _follow(told: Context, client: Client, api: str, workload_id: str, attempt: int | None) -> None:
    text_so_far = LogText(attempt or 1)
    for event in client.events(api, workload_id):
        if event.kind != "log" or attempt not in {None, event.attempt}:
            continue
        if told.as_json:
            told.say("", {"id": workload_id, **event.data})
        else:
            _write(text_so_far.add(event.attempt, Said(line=event.data["line"], text=event.text)))


def _write(text: str) -> None:
    # What a predictor prints may have characters that this terminal has not.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
