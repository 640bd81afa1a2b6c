"""The commands' tree, and what is common to all of them: the server's address, the key, and how to print."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback import __version__
from ringback.cli import (
    batches,
    benching,
    developing,
    endpoints,
    lives,
    logs,
    serving,
    storing,
    top,
    webhooks,
    workloads,
)
from ringback.cli.context import DEFAULT_URL, Context
from ringback.cli.listening import listen

app = typer.Typer(
    name="ringback",
    help="Long Python work behind HTTP, that rings you back when it is done.",
    no_args_is_help=True,
    epilog="Exit status: 0, 1 failed or refused, 2 usage.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ringback {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    url: Annotated[str, typer.Option("--url", envvar="RINGBACK_URL", help="The server to talk to.")] = DEFAULT_URL,
    api_key: Annotated[
        str | None, typer.Option("--api-key", envvar="RINGBACK_API_KEY", help="Your key, if the server asks for one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback has acted already
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep what comes before the command."""
    context.obj = Context(url=url, api_key=api_key, as_json=as_json)


# In the order of `--help`, which shows groups last: what is written and served, workloads, webhooks, the whole.
app.command("init")(serving.init)
app.command("check")(serving.check)
app.command("dev")(developing.dev)
app.command("serve")(serving.serve)
app.command("submit")(workloads.submit)
app.command("get")(workloads.get)
app.command("list")(workloads.list_)
app.command("logs")(logs.logs)
app.command("attempts")(lives.attempts)
app.command("cancel")(lives.cancel)
app.command("retry")(lives.retry)
app.command("erase")(lives.erase)
app.add_typer(batches.batches, name="batches")
app.add_typer(webhooks.deliveries, name="deliveries")
app.add_typer(endpoints.endpoints, name="endpoints")
app.command("listen")(listen)
app.command("top")(top.top)
app.command("bench")(benching.bench)
app.add_typer(storing.store, name="store")
