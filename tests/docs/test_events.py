"""The page on following a workload shows what a server really tells: its predictor is served, its lines are run."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support.processes import Server, serving
from support.served import file_of
from support.sse import Sent, sent

PAGE: Final = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
SERVER: Final = "http://127.0.0.1:8080"
ID: Final = "order-17"


def blocks(language: str) -> list[str]:
    """The page's blocks of code in one language; "" is none."""
    pieces = re.split(r"^```(\w*)\n", PAGE, flags=re.MULTILINE)[1:]
    begun = zip(pieces[::4], pieces[1::4], strict=True)  # every other fence is an end
    return [block for name, block in begun if name == language]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the page's own predictor, with the page's own workload."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "predictor.py").write_text(blocks("python")[0])
    file = file_of(folder, {"name": "pages", "predictor": {"path": "predictor.py"}})
    whole_prints = {"PYTHONUNBUFFERED": ""}  # else each part of a print is a word of its own
    with serving(file, folder / "store" / "ringback.db", env=whole_prints) as running:
        submit, *_ = blocks("sh")[0].splitlines()
        shell(submit, running)
        running.ringback("get", "pages", ID, "--wait")
        yield running


def shell(line: str, server: Server) -> str:
    """What one line of the page prints, its comment left out, at this server."""
    program, *arguments = shlex.split(line.replace(SERVER, server.url), comments=True)
    if program == "ringback":
        return server.ringback(*arguments)
    command = shutil.which(program)
    if command is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([command, "--fail", *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def timeless(events: list[Sent]) -> list[tuple[str, object]]:
    """Names and data without the moments; progress apart, for how soon a word comes decides where it stands."""
    told = [(each.name, {name: value for name, value in each.data.items() if name != "at"}) for each in events]
    return [each for each in told if each[0] != "progress"] + [each for each in told if each[0] == "progress"]


def test_the_events_on_the_page_are_those_that_come(server: Server) -> None:
    [shown] = [block for block in blocks("") if block.startswith("event: ")]
    events = sent(shell(blocks("sh")[0].splitlines()[1], server).encode())
    assert timeless(events) == timeless(sent(shown.encode() + b"\n"))
    assert [each.id for each in sent(shown.encode() + b"\n")] == [each.id for each in events]


def test_the_log_on_the_page_is_what_it_has_printed(server: Server) -> None:
    assert shell(blocks("sh")[1], server) == next(each for each in blocks("") if each.startswith("reading"))
    [line] = [each for each in blocks("") if "pages/1 order-17:" in each]
    assert line[23:] in server.log()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", line[:23])


def test_the_commands_on_the_page_run(server: Server) -> None:
    submit, logs, follow = blocks("sh")[2].splitlines()
    assert "completed" in shell(submit, server)
    assert shell(logs, server) == shell(follow, server) == "reading recto\nreading verso\n"


def test_the_program_on_the_page_runs(server: Server) -> None:
    program = blocks("python")[1].replace(SERVER, server.url)
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        exec(compile(program, "docs/events.md", "exec"), {})
    first, *_, result, recto, verso, end = shown.getvalue().split("\n")
    assert first == "50% page 1 of 2"
    assert result == "[{'page': 'recto', 'words': 5}, {'page': 'verso', 'words': 5}]"
    assert [recto, verso, end] == ["reading recto", "reading verso", ""]
