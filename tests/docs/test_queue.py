"""What the pages on the queue and on batches show is done, line by line, against a server."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support.processes import RINGBACK, Server, serving

DOCS: Final = Path(__file__).parents[2] / "docs"
SHELL: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def hello(tmp_path: Path) -> Iterator[Server]:
    subprocess.run([RINGBACK, "init", tmp_path / "hello"], check=True, capture_output=True, timeout=60)
    with serving(tmp_path / "hello" / "ringback.yaml", tmp_path / "store" / "ringback.db") as server:
        yield server


def told_by(server: Server, block: str, **names: str) -> str:
    """What the block prints when it is run against the server; it must succeed."""
    environment = {
        **os.environ,
        **names,
        "RINGBACK_URL": server.url,
        "PATH": f"{RINGBACK.parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-eu", "-c", block.replace("http://127.0.0.1:8080", server.url)],
        env=environment,
        cwd=server.store.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_examples_of_the_queue_do_what_the_page_says(hello: Server) -> None:
    wishes, looking = SHELL.findall((DOCS / "queue.md").read_text())
    first, second = told_by(hello, wishes).split("\n", 1)
    told = json.loads(told_by(hello, looking, ID=json.loads(second)["id"]))
    assert told["tenant"] == "navy"
    assert json.loads(told_by(hello, looking, ID=first.strip()))["priority"] == 50


def test_the_examples_of_batches_do_what_the_page_says(hello: Server) -> None:
    submitting, following = SHELL.findall((DOCS / "batches.md").read_text())
    told = json.loads(told_by(hello, submitting))
    assert len(told["ids"]) == 3
    batch, *results = told_by(hello, following, BATCH=told["batch"]).replace("}{", "}\n{").splitlines()
    assert json.loads(batch)["counts"]["total"] == 3
    assert [json.loads(each)["id"] for each in results] == told["ids"]
