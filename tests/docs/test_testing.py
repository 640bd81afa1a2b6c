"""The page on testing shows a test that passes, in a folder that `ringback init` made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_test_on_the_page_passes(tmp_path: Path) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    subprocess.run(
        [Path(sys.executable).parent / "ringback", "init", tmp_path / "hello"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    (tmp_path / "hello" / "test_mine.py").write_text(block)

    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path / "hello",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert "1 passed" in told.stdout, told.stdout + told.stderr
