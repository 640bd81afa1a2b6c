"""Opening a database file: recognise it, bring its schema up to date, refuse what is not ours.

Blocking; runs in a thread. Leaves a file it refuses exactly as it found it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ringback.core.errors import RingbackError, StoreError, StoreTooNew
from ringback.store.sqlite.faults import is_busy, translated
from ringback.store.statements import FILES, Migration, migrations, statements

FRAGMENTS: Final = {
    "key": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "int": "INTEGER",
    "real": "REAL",
    "bytes": "BLOB",
    "by_key": " WITHOUT ROWID",
    "concurrently": "",
    "is_shared": "NULL",
    "skip_locked": "",
    "tidied_often": "",
    "head_has": "instr(lower(CAST(head AS TEXT)), :header) > 0",
    "body_has": "instr(body, :body) > 0",
    "for_update": "",
    # What a statement returns goes through a table of its own first, which takes as long as the change itself.
    "returning_seq": "",
    "returning_teller": "",
    "listed_seqs": "SELECT value FROM json_each(:seqs)",
    "listed_ids": "SELECT value FROM json_each(:ids)",
}
"""SQLite's words for the places where the dialects differ."""

APPLICATION_ID: Final = 0x52_42_43_4B
""""RBCK" in the file's header (sqlite.org/pragma.html#pragma_application_id): this file is Ringback's."""

_OLDEST_SQLITE: Final = (3, 35, 0)  # RETURNING
_PATIENCE_SECONDS: Final = 10.0
_CHECKPOINT_PAGES: Final = 4_000
_WAL_PAUSE_SECONDS: Final = 0.02


def connect(path: Path, *, max_pages: int | None = None) -> sqlite3.Connection:
    """A connection for reading and writing, usable from any thread, that never waits for a lock by itself."""
    connection = _patient(path)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA secure_delete = ON")  # erased is gone from the file too, however SQLite was built
    if max_pages is not None:
        connection.execute(f"PRAGMA max_page_count = {max_pages}")
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, usable from any thread."""
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(
    path: Path,
    *,
    patience_seconds: float = _PATIENCE_SECONDS,
    steps: Sequence[Migration] = migrations(FRAGMENTS),
) -> Path:
    """Create the file, or bring an older one up to date; from several processes at once, too.

    Args:
        path: the file; its folder is made.
        patience_seconds: how long another opener may keep it locked.
        steps: the schema, as this release knows it.

    Returns:
        The file's absolute path.

    Raises:
        StoreTooNew: a newer release wrote it.
        StoreError: it is somebody else's, damaged, or cannot be written.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or later is needed")
    path = path.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_private(path)
        connection = _patient(path, patience_seconds)
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be made: {error.strerror}") from error
    except sqlite3.Error as error:
        raise translated(error, path) from error
    try:
        connection.execute("BEGIN")  # one snapshot: another opener may be at work on a fresh file
        version_of(connection, path, known=len(steps))
        connection.execute("COMMIT")
        _migrate(connection, path, patience_seconds, steps)
    except sqlite3.Error as error:
        raise _opening_fault(error, path) from error
    finally:
        connection.close()
    return path


def _make_private(path: Path) -> None:
    """Make the file, if it is not there, for its owner's eyes alone: it keeps secrets. SQLite's own files follow it."""
    with contextlib.suppress(OSError):  # it is there, or cannot be made, which SQLite says better
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def all_statements() -> dict[str, str]:
    """Every statement of the backend by its name."""
    return {name: text for file in (*FILES, "sets") for name, text in statements(file, FRAGMENTS).items()}


def version_of(connection: sqlite3.Connection, path: Path, *, known: int) -> int:
    """The schema's version, 0 for a file that has none yet.

    Raises:
        StoreTooNew: a newer release has made it.
        StoreError: the file is somebody else's.
    """
    owner, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if owner == APPLICATION_ID:
        if version > known:
            raise StoreTooNew(
                f"{path} was written by a newer release (schema {version}; this one knows up to {known}): "
                "upgrade ringback, or name another store. Servers of this release that are running go on"
            )
        return version
    if owner != 0 or version != 0 or connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
        raise StoreError(f"{path} is a database of another program: name another store")
    return 0


def standing(path: Path) -> int:
    """The version of a file's schema; 0 when it is not there, or empty. Changes nothing.

    Raises:
        StoreTooNew: a newer release wrote it.
        StoreError: it is somebody else's, or cannot be read.
    """
    if not path.is_file():
        return 0
    try:
        with contextlib.closing(_patient(path)) as connection:
            return version_of(connection, path, known=len(migrations(FRAGMENTS)))
    except sqlite3.Error as error:
        raise _opening_fault(error, path) from error


def _migrate(connection: sqlite3.Connection, path: Path, patience_seconds: float, steps: Sequence[Migration]) -> None:
    if _pragma(connection, "user_version") >= len(steps):
        return
    _turn_to_wal(connection, patience_seconds)
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = version_of(connection, path, known=len(steps))  # another process may have been quicker
        for step in steps[done:]:
            _apply(connection, step)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _turn_to_wal(connection: sqlite3.Connection, patience_seconds: float) -> None:
    """Switch the journal; SQLite gives up at once, not after its time-out, when another opener does the same."""
    pause = threading.Event()
    for tries_left in reversed(range(1 + round(patience_seconds / _WAL_PAUSE_SECONDS))):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or tries_left == 0:
                raise
            pause.wait(_WAL_PAUSE_SECONDS)
        else:
            return


def _patient(path: Path, patience_seconds: float = _PATIENCE_SECONDS) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=patience_seconds, isolation_level=None, check_same_thread=False)


def _apply(connection: sqlite3.Connection, step: Migration) -> None:
    for statement in step.statements:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {step.number}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    [(value,)] = connection.execute(f"PRAGMA {name}").fetchall()
    return int(value)


def _opening_fault(error: sqlite3.Error, path: Path) -> RingbackError:
    fault = translated(error, path)
    # What is Unavailable to a request is final to a start.
    return fault if isinstance(fault, StoreError) else StoreError(f"{path} cannot be opened: {fault}")
