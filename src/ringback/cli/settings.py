"""What may be said of an endpoint on the command line: the same options for each command that takes them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from ringback.cli.context import usage_error


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """The options, by the keys they have in the file; None for what was not named."""

    api: Annotated[
        list[str] | None, typer.Option(help="Whose events it is told of; repeat it for several. Without it: all.")
    ] = None
    events: Annotated[
        list[str] | None,
        typer.Option("--event", help="What it is told of; repeat it. By default completed and failed."),
    ] = None
    format: Annotated[str | None, typer.Option(help="cortex, standard, cloudevents or cloudevents-binary.")] = None
    headers: Annotated[
        list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="A header of your own; repeat it.")
    ] = None
    timeout: Annotated[str | None, typer.Option(help="Deadline of one attempt, all in all: 15s.")] = None
    retry: Annotated[
        str | None, typer.Option(metavar="WAITS", help="Waits after failed attempts: 5s,5m,30m; none if empty.")
    ] = None
    concurrency: Annotated[int | None, typer.Option(help="Open requests at most.")] = None
    rate_limit: Annotated[str | None, typer.Option(help="Requests begun per time at most: 50/s.")] = None
    inline_limit: Annotated[str | None, typer.Option(help="A larger result goes as a link: 256KiB.")] = None
    order: Annotated[str | None, typer.Option(help="none, or fifo: one at a time per Ringback-Order-Key.")] = None

    def named(self) -> dict[str, Any]:
        """Those that were named, as the server takes them: what is empty is null, a default; no waits are none."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        named: dict[str, Any] = {key: value for key, value in given.items() if value is not None and value != []}
        named = {key: None if value in ("", [""]) else value for key, value in named.items()}
        if named.get("headers"):
            named["headers"] = dict(map(_header, named["headers"]))
        if self.retry is not None:
            named["retry"] = [wait.strip() for wait in self.retry.split(",") if wait.strip()]
        return named


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip()):
        raise typer.Exit(usage_error(f"--header {name[:40]!r} has no colon; write NAME:VALUE"))
    return name.strip(), value.strip()
