"""A locked file per member: the kernel lets go of it when its process dies, so a killed member shows at once.

The lease stays the judge for members that are alive but stuck, and wherever locks do not work.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

_TRIES: Final = 10
"""At a folder that others take away as we come."""


class MemberLocks:
    """The folder of lock files beside one database."""

    __slots__ = ("_folder", "_mine")

    def __init__(self, database: Path) -> None:
        self._folder = database.with_name(database.name + "-members")
        self._mine: tuple[Path, int] | None = None

    def hold(self, member: str) -> None:
        """Lock this member's file until `drop`, or until the process dies."""
        path = self._file(member)
        descriptor = self._opened(path)
        if descriptor is None:
            return  # no place for it: judged by the lease alone
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)  # a file system without locks: members are then judged by their lease alone
            path.unlink(missing_ok=True)
            return
        self._mine = path, descriptor

    def drop(self, *, forget: bool = True) -> None:
        """Let go. `forget=False` leaves the file, as a killed process does."""
        if self._mine is None:
            return
        path, descriptor = self._mine
        self._mine = None
        if forget:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another member is in it
                self._folder.rmdir()
        os.close(descriptor)

    def is_gone(self, member: str) -> bool:
        """Whether the member's process is provably dead: its file is there, and nobody holds it."""
        return self.lives(member) is False

    def lives(self, member: str) -> bool | None:
        """Whether the member's process is there; None when its file does not tell."""
        try:
            descriptor = os.open(self._file(member), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            if os.fstat(descriptor).st_uid != os.geteuid():
                return None  # not a file of ours
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None  # a file system without locks
        finally:
            os.close(descriptor)
        return False

    def forget(self, member: str) -> None:
        """Remove a dead member's file."""
        self._file(member).unlink(missing_ok=True)

    def _opened(self, path: Path) -> int | None:
        for _ in range(_TRIES):
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                if self._folder.stat().st_uid != os.geteuid():
                    return None  # the folder of temporary files is everybody's: this one was laid out by another user
                return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # the last member before us has just taken the folder away
                continue
            except OSError:
                return None
        return None

    def _file(self, member: str) -> Path:
        return self._folder / f"{member}.lock"
