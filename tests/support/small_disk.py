"""A disk with hardly any room, and a store on it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from support import ground
from support.postgres import database_on

_DISK_BYTES: Final = 48 * 1024 * 1024
_LEFT_BYTES: Final = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """It is nearly full."""

    store: Path
    """The name of a store whose rows are there; see `support.ground`."""
    ballast: Path
    """Whoever removes it makes room."""


@contextlib.contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """A file system of its own, for the block; skips the test where none can be mounted.

    Its folder is none of pytest's, which a database's user may not enter.
    """
    folder = Path(tempfile.mkdtemp(prefix="ringback-small-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES},mode=755", "tmpfs", str(folder)]
    mount = subprocess.run(command, capture_output=True, text=True, check=False)
    if mount.returncode != 0:
        folder.rmdir()
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    try:
        made = SmallDisk(folder / "ringback.db", folder / "ballast")
        with database_on(folder, made.store) if ground.is_on_postgresql() else contextlib.nullcontext():
            made.ballast.write_bytes(bytes(shutil.disk_usage(folder).free - _LEFT_BYTES))
            yield made
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
