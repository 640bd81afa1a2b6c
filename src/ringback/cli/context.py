"""What every command is given: where the server is, and how to speak to the person or program at the other end."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from ringback.core.urls import webhook_url

if TYPE_CHECKING:
    from ringback.client import Client

DEFAULT_URL: Final = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The options before the command."""

    url: str
    api_key: str | None
    as_json: bool

    @property
    def server(self) -> str:
        """Where the server is.

        Raises:
            typer.Exit: that is no URL.
        """
        try:
            webhook_url(self.url)
        except ValueError:
            said = f"--url {self.url[:80]!r} is no URL of a server; write for example {DEFAULT_URL}"
            raise typer.Exit(usage_error(said)) from None
        return self.url

    def client(self) -> Client:
        from ringback.client import Client  # noqa: PLC0415 - serving needs no HTTP client

        return Client(self.server, api_key=self.api_key)

    def say(self, text: str, value: Any) -> None:
        """Print `text` for people, or `value` for machines."""
        sys.stdout.write((json.dumps(value) if self.as_json else text) + "\n")
        sys.stdout.flush()


def table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Aligned columns under their names."""
    widths = {name: max(map(len, (name, *(row[name] for row in rows)))) for name in columns}
    lines = ["  ".join(f"{name:{widths[name]}}" for name in columns)]
    lines += ["  ".join(f"{row[name]:{widths[name]}}" for name in columns) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def usage_error(message: str) -> int:
    """Say what was wrong with the call; the exit status to end with."""
    sys.stderr.write(f"ringback: {message}\n")
    return 2
