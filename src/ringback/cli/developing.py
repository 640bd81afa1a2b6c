"""`ringback dev`: the server while you write what it serves."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import Annotated

import typer

from ringback.cli.context import usage_error
from ringback.cli.serving import File, loaded
from ringback.core.errors import SpecError
from ringback.core.settings import read_settings


def dev(
    file: File = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on; 0 takes any free one [default: 8080].")] = None,
    store: Annotated[
        str | None, typer.Option(help="As for serve [default: .ringback/ringback.db beside the file].")
    ] = None,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Open the dashboard in a browser.")] = True,
) -> None:
    """Serve while you write, and take up each save.

    Shows every workload and webhook as it happens. APIs whose file names no webhook ring an inbox of the inspector.
    """
    try:
        settings = read_settings({"host": host, "port": port, "store": store}, os.environ)
    except SpecError as error:
        raise typer.Exit(usage_error(str(error))) from None
    spec = loaded(file)
    from ringback.runtime.dev import dev as run  # noqa: PLC0415 - brings the whole server with it

    def on_up(url: str) -> None:
        if opens and _has_screen():
            webbrowser.open(f"{url}/")

    raise typer.Exit(run(spec, settings, on_up=on_up))


def _has_screen() -> bool:
    """Whether there is a browser to open that would not take over the terminal."""
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
