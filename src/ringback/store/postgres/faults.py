"""What PostgreSQL's errors mean to a caller. No driver's exception leaves the backend; this is the one door out."""

from __future__ import annotations

import errno
import os
from typing import Final

import asyncpg

from ringback.core.errors import RingbackError, StoreAway, StoreBusy, StoreError, StoreFull

AGAIN: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,  # another member was quicker: the write sees its row when it runs again
)
"""Errors of a write that another member's was in the way of: running it again may well do."""

LOST: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut in the middle of a word has lost its place
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
"""The connection is gone, or the server is going or coming."""

_OWNER: Final = "let the user own the database (ALTER DATABASE … OWNER TO …), or name its owner in the address"


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone; not when the driver could only not make sense of a value it was given."""
    return isinstance(error, LOST) and not isinstance(error, ValueError)


def translated(error: BaseException, place: str) -> RingbackError:
    """The error of our own tree that tells a caller what to do."""
    match error:
        case RingbackError():
            return error
        case asyncpg.DiskFullError():
            return StoreFull(f"no room left on the disk of {place}: free some, then try again", retry_after_seconds=5)
        case asyncpg.InsufficientResourcesError() | asyncpg.LockNotAvailableError():
            return StoreBusy(f"{place} is busy: {error}", retry_after_seconds=1)
        case asyncpg.ReadOnlySQLTransactionError() | asyncpg.InsufficientPrivilegeError():
            cure = "" if isinstance(error, asyncpg.ReadOnlySQLTransactionError) else f": {_OWNER}"
            return StoreError(f"{place} cannot be written: {error}{cure}")
    if is_lost(error):
        return StoreAway(f"{place} cannot be reached: {_words(error)}", retry_after_seconds=2)
    return StoreError(f"{place}: {error}")


def refused(error: BaseException, place: str) -> RingbackError:
    """As `translated`, of a connection that was asked for and not given: what in its address is to be mended."""
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():  # a wrong password is one of them
            cure = "see to the user and the password in its address, or in PGPASSWORD"
        case asyncpg.InvalidCatalogNameError():
            cure = "make it with createdb, or name the one you mean"
        case asyncpg.UndefinedObjectError() | asyncpg.ProtocolViolationError():
            cure = "if that stands behind the ? of its address, leave it out"
        case _:
            return translated(error, place)
    return StoreError(f"{place}: {error}: {cure}")


def _words(error: BaseException) -> str:
    """What the system says of it, without the number, or the driver; that nobody answered comes without a word."""
    if not isinstance(error, OSError):
        return str(error)
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    return error.strerror or str(error) or "no answer"
