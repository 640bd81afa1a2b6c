"""What is installed is what is here: the wheel has every file, and leads a newcomer to a verified webhook at once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from support.processes import STOP_SECONDS, free_port
from support.waiting import until

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ROOT / "src"
SECONDS: Final = 60.0
"""From the installation to the verified webhook."""

COMMANDS: Final = ("pip install {wheel}", "ringback init && ringback dev")
"""The third is the line that `ringback dev` prints."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, built as `make build` does it."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def here() -> set[str]:
    """Every file of the package."""
    files = (SOURCES / "ringback").rglob("*")
    return {str(file.relative_to(SOURCES)) for file in files if file.is_file() and "__pycache__" not in file.parts}


def test_the_wheel_has_every_template_asset_and_statement(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())

    assert here() - held == set()
    for kind in (".html", ".css", ".js", ".svg", ".sql", ".txt", "py.typed"):
        assert any(name.endswith(kind) for name in held), f"no {kind} in the wheel"
    assert all(name.startswith(("ringback/", "ringback-")) for name in held)


def test_the_source_distribution_has_all_it_takes_to_build_and_test(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}

    assert {f"src/{name}" for name in here()} - held == set()
    assert {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "Makefile", "tests/conftest.py"} <= held
    assert not [name for name in held if "__pycache__" in name or name.startswith((".venv", ".git/"))]


# ── The newcomer's minute ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A virtual environment of its own, outside the tree, that has what ringback needs and nothing of ringback."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    return venv


def install(wheel: Path, venv: Path) -> None:
    """`pip install` of the wheel; what it depends on is this environment's, which has it already."""
    command = shlex.split(COMMANDS[0].format(wheel=shlex.quote(str(wheel))))
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    python = str(venv / "bin" / "python")
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *command[1:], *options], check=True, timeout=60)
    [packages] = (venv / "lib").glob("python*/site-packages")
    # Of folders that are named so, no .pth file is read: this tree's own installation stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")


@contextlib.contextmanager
def shell(line: str, *, env: dict[str, str], folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A line typed into a shell, ended with Ctrl-C."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def fetched(url: str) -> Any:
    return requests.get(url, headers={"Accept": "application/json"}, timeout=10).json()


@pytest.mark.on_file("it is about what is there when nobody has named a store: a file")
@pytest.mark.skipif(shutil.which("curl") is None, reason="the line to paste needs curl")
def test_three_commands_from_the_wheel_to_a_verified_webhook_on_the_page(
    built: Path, fresh: Path, tmp_path: Path
) -> None:
    [wheel] = built.glob("*.whl")
    folder, log, port = tmp_path / "empty", tmp_path / "dev.log", free_port()
    folder.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RINGBACK_", "PYTHON"))}
    env |= {"PATH": f"{fresh / 'bin'}:{os.environ['PATH']}", "RINGBACK_PORT": str(port)}
    env.pop("DISPLAY", None)  # no browser is to be opened
    env.pop("WAYLAND_DISPLAY", None)

    began = time.monotonic()
    install(wheel, fresh)
    with shell(COMMANDS[1], env=env, folder=folder, log=log):
        until(lambda: "ready" in log.read_text(), within=SECONDS, wanted="a replica that is ready")
        pasted = next(line.strip() for line in log.read_text().splitlines() if line.strip().startswith("curl "))
        answer = subprocess.run(
            ["/bin/sh", "-c", pasted], cwd=folder, env=env, capture_output=True, text=True, timeout=30, check=False
        )
        workload_id = json.loads(answer.stdout)["id"]
        [page] = re.findall(r"^  Webhooks +(\S+)$", log.read_text(), re.MULTILINE)
        [webhook] = until(lambda: fetched(page)["captures"], within=SECONDS, wanted="the webhook on the page")
        took = time.monotonic() - began

        assert webhook["verdict"]["reason"] == "good"
        told = json.loads(fetched(f"{page}/{webhook['number']}")["body"])
        assert (told["id"], told["status"], told["result"]["hello"]) == (workload_id, "completed", "Ada")
        assert took < SECONDS

        for path in ("/", "/-/ui/workloads", "/-/ui/submit", page.removeprefix(f"http://127.0.0.1:{port}")):
            shown = requests.get(f"http://127.0.0.1:{port}{path}", headers={"Accept": "text/html"}, timeout=10)
            assert shown.status_code == 200, path
            for asset in re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js|svg)[^"]*)"', shown.text):
                assert requests.get(f"http://127.0.0.1:{port}{asset}", timeout=10).status_code == 200, asset
        assert "good" in shown.text

        where = [fresh / "bin" / "python", "-c", "import ringback; print(ringback.__file__)"]
        imported = subprocess.run(where, env=env, capture_output=True, text=True, timeout=30, check=True).stdout
        assert Path(imported.strip()).is_relative_to(fresh), "not this tree's"
    assert "Traceback" not in log.read_text()
