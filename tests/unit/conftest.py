"""Unit tests keep their files in memory where the machine has such a place: they are about rules, not about disks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """pytest's own, but without a disk below it and gone after the test."""
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="ringback-test-", dir=place) as folder:
        yield Path(folder)
