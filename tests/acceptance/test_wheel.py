"""What is installed is what is here: the built wheel has every file that the code reads besides Python."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ROOT / "src"


def test_the_wheel_has_every_template_asset_and_statement(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    here = {
        str(file.relative_to(SOURCES))
        for file in (SOURCES / "ringback").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert here - held == set()
    for kind in (".html", ".css", ".js", ".svg", ".sql", ".txt", "py.typed"):
        assert any(name.endswith(kind) for name in held), f"no {kind} in the wheel"
    assert all(name.startswith(("ringback/", "ringback-")) for name in held)
