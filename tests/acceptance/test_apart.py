"""Runs `tests/apart` in namespaces of its own, where every address and every name is the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from support.hosts import database_in
from support.postgres import empty_database

ROOT: Final = Path(__file__).parents[2]
APART: Final = ["unshare", "--map-root-user", "--mount", "--net"]
NEEDED: Final = ("unshare", "ip", "mount")


def why_not() -> str | None:
    """What keeps this machine from it; None if nothing does."""
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} is not installed"
    command = [*APART, "ip", "link", "set", "lo", "up"]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return f"this user may not make namespaces: {tried.stderr.strip()}" if tried.returncode else None


@pytest.mark.timeout(600)
def test_in_a_network_of_its_own(say: Callable[[str], None], tmp_path: Path) -> None:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with database_in(tmp_path / "database", empty_database()) as database:
        done = run_apart(tmp_path / "apart", database)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    say(f"in a network of its own: {done.stdout.strip().splitlines()[-1]}")


def run_apart(folder: Path, database: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *APART,
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={folder}",
            "tests/apart",
        ],
        cwd=ROOT,
        env={**os.environ, "RINGBACK_APART": "1", "RINGBACK_APART_DATABASE": database},
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
