"""`listen`: the inspector in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.context import Context, usage_error
from ringback.core.errors import SpecError
from ringback.core.keys import key_to_verify
from ringback.core.keytext import separate


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
    if secret is not None:
        _must_verify(secret)
    from ringback.cli.watching import Wanted, run  # noqa: PLC0415 - serving needs no HTTP client

    run(told, Wanted(forward=forward, inbox=inbox, secret=secret, port=port, count=count))


def _must_verify(secret: str) -> None:
    """See that each of the keys is one: what is captured would be judged by none otherwise.

    Raises:
        typer.Exit: one is not; why, and the cure, has been said.
    """
    try:
        for text in separate(secret) or ("",):
            key_to_verify(text)
    except SpecError as error:
        raise typer.Exit(usage_error(f"--secret: {error}")) from None
