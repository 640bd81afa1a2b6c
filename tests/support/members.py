"""Several `ringback serve` on one store, each with roles of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import Server


@dataclass(slots=True, kw_only=True)
class Members:
    """Servers of one file on one store; whoever still runs at the end is killed."""

    file: Path
    store: str
    """A URL."""
    folder: Path
    """For their logs."""
    options: Sequence[str] = ()
    all: list[Server] = field(default_factory=list)

    def start(self, roles: str, *options: str, env: Mapping[str, str] | None = None) -> Server:
        """Start one with these roles; it has a port whatever they are."""
        place = self.folder / f"{roles.replace(',', '-')}-{len(self.all) + 1}.db"
        more = ("--store", self.store, "--roles", roles, *self.options, *options)
        server = Server(file=self.file, store=place, options=more, env=env or {})
        self.all.append(server)
        server.start()
        return server

    def log(self) -> str:
        """All that all of them have said."""
        return "\n".join(f"── {server.log_file.name}\n{server.log()}" for server in self.all)


@contextlib.contextmanager
def members(file: Path, store: str, folder: Path, *options: str) -> Iterator[Members]:
    """Nobody at first."""
    made = Members(file=file, store=store, folder=folder, options=options)
    try:
        yield made
    finally:
        for server in made.all:
            server.close()
