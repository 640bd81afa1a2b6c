"""What the pages on the queue and on batches show is done, line by line, against a server."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import requests

from ringback import Client
from support.processes import RINGBACK, Server, serving

DOCS: Final = Path(__file__).parents[2] / "docs"
PYTHON: Final = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
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
    page = (DOCS / "batches.md").read_text()
    submitting, by_command, following, looking, moving = SHELL.findall(page)
    told = json.loads(told_by(hello, submitting))
    assert len(told["ids"]) == 3
    assert "3 completed; 3 in all" in told_by(hello, by_command)
    batch, *results = told_by(hello, following, BATCH=told["batch"]).replace("}{", "}\n{").splitlines()
    assert json.loads(batch)["counts"]["total"] == 3
    assert [json.loads(each)["id"] for each in results] == told["ids"]
    looked = told_by(hello, looking, BATCH=told["batch"])
    assert looked.count(told["batch"]) == 2
    assert all(each in looked for each in told["ids"])
    assert "workloads canceled" in told_by(hello, moving, BATCH=told["batch"])

    [program] = PYTHON.findall(page)
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        exec(compile(program.replace("http://127.0.0.1:8080", hello.url), "docs/batches.md", "exec"), {})
    count, *greetings = shown.getvalue().splitlines()
    assert count == "3"
    assert ["Ada" in greetings[0], "Grace" in greetings[1], "Edith" in greetings[2]] == [True] * 3


def test_the_examples_of_many_at_once_do_what_the_page_says(hello: Server) -> None:
    section = (DOCS / "many.md").read_text()
    over_http, by_command = SHELL.findall(section)
    navy = ["submit", "hello", "-d", "1", "--tenant", "navy", "--delay", "1h"]
    ids = [hello.ringback(*navy).strip() for _ in range(3)]
    would_be, canceled = map(
        json.loads, told_by(hello, over_http.replace("iris", "hello")).replace("}{", "}\n{").splitlines()
    )
    assert would_be == {"matched": 0, "cursor": None}
    assert (canceled["changed"], canceled["stopping"]) == (3, 0)
    assert all(requests.get(f"{hello.url}/hello/{each}", timeout=10).json()["status"] == "canceled" for each in ids)
    retried = by_command.splitlines()[0].partition("#")[0].replace("iris", "hello") + " --yes"
    assert told_by(hello, retried) == "0 workloads in the queue again\n"
    assert told_by(hello, by_command.splitlines()[1]) == "0 workloads would be canceled\n"
    [program] = PYTHON.findall(section)
    with Client(hello.url) as client:
        exec(compile(program.replace("iris", "hello"), "docs/many.md", "exec"), {"client": client})
