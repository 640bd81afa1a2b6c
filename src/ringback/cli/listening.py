"""`listen`: the inspector in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.context import Context, usage_error


def listen(
    context: typer.Context,
    forward: Annotated[str | None, typer.Option(help="Send each on to this URL, and show its answer.")] = None,
    inbox: Annotated[
        str | None, typer.Option(help="An inbox by this name, made if need be and kept; else one that goes at the end.")
    ] = None,
    secret: Annotated[str | None, typer.Option(help="Verify signatures with it: whsec_… or whpk_….")] = None,
    port: Annotated[int, typer.Option(help="Where to listen if no server is running; 0 takes any free one.")] = 0,
    count: Annotated[int | None, typer.Option(help="End after so many captures.", min=1)] = None,
) -> None:
    """Capture webhooks and show them here, as they come."""
    told: Context = context.obj
    if forward is not None and not forward.startswith(("http://", "https://")):
        raise typer.Exit(usage_error(f"--forward {forward!r} is no URL; write for example http://127.0.0.1:3000/hook"))
    from ringback.cli.watching import Wanted, run  # noqa: PLC0415 - serving needs no HTTP client

    run(told, Wanted(forward=forward, inbox=inbox, secret=secret, port=port, count=count))
