"""What SQLite's errors mean to a caller. No `sqlite3` exception leaves the backend; this is the one door out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ringback.core.errors import RingbackError, StoreBusy, StoreError, StoreFull


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds the lock that was wanted."""
    return _primary(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_damaged(error: BaseException | None) -> bool:
    """Whether the file is not what SQLite has written."""
    return isinstance(error, sqlite3.Error) and _primary(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def translated(error: sqlite3.Error, path: Path) -> RingbackError:
    """The error of our own tree that tells a caller what to do."""
    match _primary(error):
        case sqlite3.SQLITE_FULL:
            return StoreFull(f"no room left on the disk of {path}: free some, then try again", retry_after_seconds=5)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(f"another process keeps {path} locked", retry_after_seconds=1)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StoreError(f"{path} cannot be written: {error}")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreError(f"{path} is not a usable SQLite database: {error}")
    return StoreError(f"{path}: {error}")


def _primary(error: sqlite3.Error) -> int:
    # The low byte of an extended code is the primary one (sqlite.org/rescode.html); errors of the Python
    # layer itself carry no code at all.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
