"""A process's own folder on the local disk for what is on its way: removed with it, by the next one if it was killed.

Each folder holds a locked file; the kernel lets go of the lock when its process dies, and then anyone may remove it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from ringback.core.errors import StoreError

_LOCK: Final = ".lock"
_PREFIX: Final = "process-"


class Spool:
    """One process's folder among those of others."""

    __slots__ = ("_lock", "folder")

    def __init__(self, among: Path) -> None:
        """Make the folder, and remove those of dead processes.

        Raises:
            StoreError: it cannot be made.
        """
        try:
            among.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=among)).absolute()
            self._lock = _held(self.folder / _LOCK)
        except OSError as error:
            raise StoreError(f"{among} cannot be used for what is on its way: {error.strerror}") from error
        _sweep(among, but=self.folder)

    def file(self, name: str) -> Path:
        """A path in it."""
        return self.folder / name

    def close(self) -> None:
        """Remove the folder with all that is in it. Idempotent."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _held(file: Path) -> int | None:
    """The locked file's descriptor; None where there are no locks, whose folders nobody else removes then."""
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        file.unlink(missing_ok=True)
        return None
    return descriptor


def _sweep(among: Path, *, but: Path) -> None:
    for folder in among.glob(f"{_PREFIX}*"):
        if folder.name != but.name:
            with contextlib.suppress(OSError):
                _remove_if_dead(folder)


def _remove_if_dead(folder: Path) -> None:
    # A folder without its lock is one that is being made, or one where locks do not work: it is left alone.
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
