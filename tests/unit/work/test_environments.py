"""Which requirements are the same, and what an installer's complaints come down to; nothing is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ringback.work.environments import Environments, digest_of, variables_of
from support.facts import Facts


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("numpy==2.0\n")
    return file


def test_the_same_text_is_the_same_environment_wherever_it_stands(requirements: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere.txt"
    copy.write_text("numpy==2.0\n")
    assert digest_of(copy) == digest_of(requirements)
    copy.write_text("numpy==2.1\n")
    assert digest_of(copy) != digest_of(requirements)


@pytest.mark.parametrize(
    "line", ["-r more.txt", "--requirement more.txt", "--requirement=more.txt", "-c more.txt", "-rmore.txt"]
)
def test_what_is_included_counts(requirements: Path, line: str) -> None:
    requirements.write_text(f"{line}  # and more\n")
    more = requirements.with_name("more.txt")
    more.write_text("-r requirements.txt\na\n")
    before = digest_of(requirements)
    more.write_text("-r requirements.txt\nb\n")
    assert digest_of(requirements) != before


@pytest.mark.parametrize(
    "line", ["./own-1.0.whl", "own-1.0.whl", "own @ file:own-1.0.whl", "./own-1.0.whl[extra] ; python_version > '3'"]
)
def test_a_local_package_that_changes_counts(requirements: Path, line: str) -> None:
    requirements.write_text(line + "\n")
    package = requirements.with_name("own-1.0.whl")
    package.write_bytes(b"old")
    before = digest_of(requirements)
    package.write_bytes(b"newer")
    assert digest_of(requirements) != before


def test_a_local_folder_that_changes_counts(requirements: Path) -> None:
    requirements.write_text("-e ./own\n")
    module = requirements.parent / "own" / "src" / "own.py"
    module.parent.mkdir(parents=True)
    module.write_text("a = 1")
    before = digest_of(requirements)
    os.utime(module, ns=(1, 1))
    assert digest_of(requirements) != before


def test_what_cannot_be_read_is_left_to_the_installer(requirements: Path) -> None:
    requirements.write_text("-r nowhere.txt\n./nowhere.whl\n")
    assert digest_of(requirements)


PIP = """Collecting nosuch
  ERROR: Could not find a version that satisfies the requirement nosuch
ERROR: No matching distribution found for nosuch
"""
UV = """Using Python 3.11.7 environment at: env
\x1b[31m  × No solution found when resolving dependencies:\x1b[0m
  ╰─▶ Because nosuch was not found in the package registry and you require
      nosuch, we can conclude that your requirements are unsatisfiable.
"""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            PIP,
            "ERROR: Could not find a version that satisfies the requirement nosuch "  # noqa: ISC004
            "ERROR: No matching distribution found for nosuch",
        ),
        (
            UV,
            "× No solution found when resolving dependencies: ╰─▶ Because nosuch was not found in the package "  # noqa: ISC004
            "registry and you require nosuch, we can conclude that your requirements are unsatisfiable.",
        ),
        ("Segmentation fault\n", "Segmentation fault"),
        ("", "the installer said nothing"),
    ],
)
def test_a_failure_is_told_in_the_installers_own_words(requirements: Path, said: str, words: str) -> None:
    environments = Environments(requirements.parent / "made", Facts())
    assert environments.standing(requirements) == (False, None)
    log = requirements.parent / "made" / f"{digest_of(requirements)}.log"
    log.parent.mkdir()
    log.write_text(said)
    assert environments.standing(requirements) == (False, f"requirements.txt cannot be installed: {words}")


def test_only_an_environment_of_ours_is_activated(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    assert variables_of(python) == {}
    python.parent.mkdir(parents=True)
    (tmp_path / "env" / "ringback.json").touch()
    variables = variables_of(python)
    assert variables["VIRTUAL_ENV"] == str(tmp_path / "env")
    assert variables["PATH"].startswith(f"{python.parent}{os.pathsep}")
