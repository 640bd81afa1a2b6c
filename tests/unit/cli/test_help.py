"""Every command, option and exit status: there, described, short, and on the page."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main

from ringback.cli.app import app
from unit.cli.conftest import Run

PAGE: Final = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
FIXED: Final = (
    *("init", "check", "dev", "serve", "submit", "get", "list", "cancel", "retry", "logs", "listen", "top", "bench"),
    *(f"deliveries {verb}" for verb in ("list", "show", "replay", "recover")),
    *(f"endpoints {verb}" for verb in ("list", "test", "enable", "disable", "rotate")),
    *(f"store {verb}" for verb in ("migrate", "check", "export")),
)
"""What the command line has promised to have."""
HELP: Final = ("help", "install_completion", "show_completion")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


ROOT: Final = typer.main.get_command(app)
COMMANDS: Final = dict(commands(ROOT))


def groups() -> list[str]:
    return ["", *(name for name, command in ROOT.commands.items() if hasattr(command, "commands"))]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FIXED)
def test_what_was_promised_is_there(name: str) -> None:
    assert name in COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_described_and_so_is_all_it_takes(name: str) -> None:
    command = COMMANDS[name]
    lines = command.help.strip().splitlines()

    assert re.fullmatch(r"[A-Z].{,65}\.", lines[0]), "one short sentence first"
    for each in command.params:
        assert each.help, f"{each.name} says nothing"
        if each.param_type_name == "argument":
            assert each.metavar == each.metavar.upper(), f"{each.name} is not written in capitals"
        elif each.name not in HELP:
            assert each.help.endswith((".", "].")), f"--{each.name}: {each.help}"


@pytest.mark.parametrize("group", groups())
def test_no_line_of_an_overview_is_cut_off(group: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = run(*group.split(), "--help")

    assert ended.status == 0
    assert "..." not in ended.out.partition("Commands:")[2]


def test_the_page_has_every_command_and_option_and_no_other() -> None:
    """Mend docs/cli.md by what this asks for."""
    lines = (line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| `"))
    rows = {row[0]: row for row in lines}

    assert set(rows) == {f"`{usage(name)}`" for name in COMMANDS}
    for name, command in COMMANDS.items():
        _, does, options = rows[f"`{usage(name)}`"]
        assert does == command.help.strip().splitlines()[0].rstrip(".")
        assert re.findall(r"`(--[a-z0-9-]+)`", options) == [
            max(each.opts, key=len) for each in command.params if each.param_type_name == "option"
        ]


def usage(name: str) -> str:
    """As one types it: optional arguments in brackets."""
    arguments = [each for each in COMMANDS[name].params if each.param_type_name == "argument"]
    return " ".join((name, *(each.metavar if each.required else f"[{each.metavar}]" for each in arguments)))


# ── Exit status ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], 0),
        (["init", "--help"], 0),
        (["init"], 0),
        (["--url", "http://127.0.0.1:1", "list"], 1),
        (["list", "--url", "http://127.0.0.1:1"], 1),
        ([], 2),
        (["nonsense"], 2),
        (["submit", "hello"], 2),
        (["get", "hello"], 2),
        (["submit", "hello", "-d", "@nowhere"], 2),
        (["submit", "hello", "-d", "{}", "--priority", "101"], 2),
        (["--url", "nonsense", "list"], 2),
        (["check"], 2),
        (["serve", "nowhere.yaml"], 2),
        (["serve", "--port", "99999"], 2),
        (["serve", "--host", "0.0.0.0"], 2),
        (["dev", "--port", "many"], 2),
        (["listen", "--forward", "nowhere"], 2),
        (["endpoints", "add", "http://x", "--header", "no colon"], 2),
        (["endpoints", "change", "ep_1"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_exit_status_says_whether_to_mend_the_call(arguments: list[str], status: int, run: Run) -> None:
    ended = run(*arguments)

    assert ended.status == status
    assert bool(ended.out) == (status == 0), "results on standard output"
    assert bool(ended.err) == (status != 0), "what is wrong on standard error"


def test_a_shell_can_complete_commands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RINGBACK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "ringback endpoints r")
    monkeypatch.setenv("COMP_CWORD", "2")

    assert run().out.split() == ["rotate", "remove"]


def test_what_finds_no_room_is_one_line_and_a_failure() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "ringback", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "ringback: no room left for what is printed: it is not whole\n")
