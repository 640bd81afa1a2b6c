"""The official JavaScript library, fetched once per run, and Node to run it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

LIBRARY: Final = "standardwebhooks@1"
_FETCH_SECONDS: Final = 60
_RUN_SECONDS: Final = 30


def needed(program: str) -> str:
    """Where a program is; skips the test when it is nowhere."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def fetch_library(folder: Path) -> None:
    """Install the library there; skips the test when the package index cannot be reached."""
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--loglevel=error"]
    try:
        told = subprocess.run(
            [needed("npm"), "install", *options, LIBRARY],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {LIBRARY} within {_FETCH_SECONDS} s")
    if told.returncode != 0:
        pytest.skip(f"npm could not install {LIBRARY}: {(told.stderr.strip() or told.stdout.strip())[:300]}")


def run(folder: Path, script: str, value: Any) -> Any:
    """Run a module in the folder: it has `value` as `input`, and its default export is what it says."""
    (folder / "script.mjs").write_text(script)
    runner = (
        'import { readFileSync } from "node:fs";\n'
        'globalThis.input = JSON.parse(readFileSync(0, "utf8"));\n'
        'console.log(JSON.stringify((await import("./script.mjs")).default));\n'
    )
    told = subprocess.run(
        [needed("node"), "--input-type=module", "-e", runner],
        cwd=folder,
        input=json.dumps(value),
        capture_output=True,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)
