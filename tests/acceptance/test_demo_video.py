"""`make demo-video`'s programme, run as a newcomer runs it, on a film of six seconds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.on_file("the demo brings a file of its own, whatever RINGBACK_STORE says")
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The examples in a folder of their own, without what an earlier run has made."""
    pytest.importorskip("av", reason="`make test` installs the packages of the example; this run has not")
    ignored = shutil.ignore_patterns("film*.mp4", "made", ".ringback", "__pycache__")
    return shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=ignored)


def test_a_film_is_made_transcoded_followed_and_rings_back(examples: Path) -> None:
    env = {**os.environ, "RINGBACK_DEMO_SECONDS": "6"}
    command = [sys.executable, examples / "video" / "demo.py"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=110)

    shown = ended.stdout
    assert ended.returncode == 0, shown + ended.stderr
    assert ended.stderr == ""
    steps = [int(percent) for percent in re.findall(r" (\d+)%  frame \d+ of 180, scene [12]$", shown, re.MULTILINE)]
    assert len(steps) >= 5, shown
    assert steps == sorted(steps)
    assert steps[-1] == 100
    assert [word for word in shown.split() if word in {"in_queue", "in_progress", "completed"}] == [
        "in_queue",
        "in_progress",
        "completed",
    ]
    assert "  4.00 s: scene 2 begins\n" in shown
    assert '"status": "completed"' in shown
    assert '"frames": 180,' in shown
    assert "signature verified; the film is there; the server stopped with 0." in shown
    [film] = (examples / "video" / "made").glob("*.mp4")
    [sheet] = (examples / "video" / "made").glob("*.jpg")
    assert film.stat().st_size > 10_000
    assert sheet.read_bytes().startswith(b"\xff\xd8\xff")  # JPEG
