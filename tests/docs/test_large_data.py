"""The page on large data shows what works: its API served, its commands run, its client called."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support.processes import RINGBACK, serving

PAGE: Final = (Path(__file__).parents[2] / "docs" / "large-data.md").read_text()
SIZE: Final = 9 * 1024 * 1024


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's commands need curl")
def test_what_the_page_shows_works(tmp_path: Path) -> None:
    [yaml], [predictor, client], [commands] = blocks("yaml"), blocks("python"), blocks("sh")
    (tmp_path / "ringback.yaml").write_text(yaml)
    (tmp_path / "predictor.py").write_text(predictor)
    movie = os.urandom(SIZE)
    (tmp_path / "holiday.mp4").write_bytes(movie)
    without_ffmpeg = {"PATH": str(tmp_path)}
    start, *lines = commands.strip().splitlines()
    options = start.removeprefix("ringback serve ").removesuffix(" &").split()
    with serving(
        tmp_path / "ringback.yaml", tmp_path / "store" / "ringback.db", options=options, env=without_ffmpeg
    ) as server:
        env = {**os.environ, "PATH": f"{RINGBACK.parent}:{os.environ['PATH']}", "RINGBACK_URL": server.url}
        said = []
        for line in lines:
            done = subprocess.run(
                ["bash", "-c", line.replace("http://127.0.0.1:8080", server.url)],
                cwd=tmp_path,
                env=env,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, (line, done.stderr)
            said.append(done.stdout)
        assert '"result_url":' in said[2]
        assert (tmp_path / "small.mp4").read_bytes() == movie

        (tmp_path / "small.mp4").unlink()
        subprocess.run(
            [sys.executable, "-c", client.replace("http://127.0.0.1:8080", server.url)],
            cwd=tmp_path,
            timeout=60,
            check=True,
        )
        assert (tmp_path / "small.mp4").read_bytes() == movie
