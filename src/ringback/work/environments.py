"""Virtual environments of APIs that bring their own requirements: made once for each content, kept in one folder.

An environment is named by a digest of the interpreter and of everything its requirements say, so a change of either
makes another, and what has been made is never changed. Several servers may share the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import Unavailable

_MARK: Final = "ringback.json"
"""Written last: a folder without it is a piece of an environment, and is made anew."""

_LOCK_PAUSE_SECONDS: Final = 0.2
_DIGEST_CHARACTERS: Final = 20
_WORDS_MOST: Final = 1_500
_FILES_MOST: Final = 2_000
_FOREIGN: Final = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")
"""Variables that would have the installer look at this process's own packages."""

_INCLUDED: Final = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(\S+)")
_TROUBLE: Final = re.compile(r"^\s*(?:ERROR\b|error\b|×)")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class Environments:
    """Finds environments, and makes those that are missing."""

    def __init__(self, folder: Path, emit: Emit, *, uv: str | None = None) -> None:
        """Know where they are kept; nothing is made yet.

        Args:
            folder: made when the first of them is.
            emit: is told of each that is made, or cannot be.
            uv: a `uv` to make them with; without one, Python's own venv and pip do.
        """
        self._folder = folder
        self._emit = emit
        self._uv = uv

    async def python_for(self, requirements: Path) -> Path:
        """The interpreter of the environment with these requirements, which is made if it is not there.

        Raises:
            Unavailable: it cannot be made; the message has the installer's own words.
        """
        try:
            home = self._folder / await asyncio.to_thread(digest_of, requirements)
            if not (home / _MARK).is_file():
                await self._make(home, requirements)
        except OSError as error:
            raise Unavailable(f"no environment for {requirements.name} can be made: {error}") from error
        return _python_of(home)

    def standing(self, requirements: Path) -> tuple[bool, str | None]:
        """Whether the environment is there; and why it is not, if it has been tried."""
        home = self._folder / digest_of(requirements)
        if (home / _MARK).is_file():
            return True, None
        try:
            return False, _failure(requirements, home.with_suffix(".log").read_text(errors="replace"))
        except OSError:
            return False, None

    async def _make(self, home: Path, requirements: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        async with _locked(home.with_suffix(".lock")) as lock:
            if (home / _MARK).is_file():  # another server was quicker
                return
            began = time.monotonic()
            self._emit("environment.making", requirements=str(requirements))
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
            for command in self._commands(home, requirements):
                status, said = await _run(command, requirements.parent, lock)
                if status != 0:
                    home.with_suffix(".log").write_text(said)
                    await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
                    raise Unavailable(_failure(requirements, said))
            (home / _MARK).write_text(json.dumps({"requirements": str(requirements), "python": sys.version}))
            home.with_suffix(".log").unlink(missing_ok=True)
            seconds = round(time.monotonic() - began, 1)
            self._emit("environment.made", requirements=str(requirements), seconds=seconds)

    def _commands(self, home: Path, requirements: Path) -> Iterator[Sequence[str]]:
        python = str(_python_of(home))
        if self._uv is not None:
            yield self._uv, "venv", "--no-project", "--python", sys.executable, str(home)
            yield self._uv, "pip", "install", "--python", python, "-r", str(requirements)
        else:
            yield sys.executable, "-m", "venv", str(home)
            pip = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet")
            yield python, *pip, "-r", str(requirements)


def variables_of(python: Path) -> dict[str, str]:
    """What a process finds in its surroundings when it runs in such an environment, as if it were activated."""
    home = python.parent.parent
    if not (home / _MARK).is_file():
        return {}
    return {"VIRTUAL_ENV": str(home), "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def digest_of(requirements: Path) -> str:
    """Names what an environment with these requirements would hold."""
    digest = hashlib.sha256()
    for part in (sys.version, platform.platform(), os.path.realpath(sys.executable), *_contents(requirements)):
        digest.update(part.encode("utf-8", "replace"))
        digest.update(b"\0")
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def _contents(requirements: Path) -> Iterator[str]:
    """The texts of a requirements file and of those it includes, and what local packages look like."""
    waiting, seen = [requirements], set()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        try:
            text = file.read_text("utf-8", "replace")
        except OSError:
            continue  # the installer will say so
        yield text
        for line in (each.split(" #")[0].strip() for each in text.splitlines()):
            if (included := _INCLUDED.match(line)) is not None:
                waiting.append(file.parent / included[1])
            else:
                yield from _stamps(requirements.parent, line)


def _stamps(folder: Path, line: str) -> Iterator[str]:
    """Size and time of the files of a package that a line names by its path."""
    named = re.sub(r"^(?:-e|--editable)[\s=]+|^file:(?://)?|^\S+\s*@\s*file:(?://)?", "", line).split(";")[0].strip()
    path = folder / re.sub(r"\[[^\]]*\]$", "", named)
    if not named or ("/" not in named and not named.endswith((".whl", ".gz", ".zip"))) or not path.exists():
        return
    files = [path] if path.is_file() else sorted(path.rglob("*.py")) + sorted(path.glob("pyproject.toml"))
    for file in files[:_FILES_MOST]:
        about = file.stat()
        yield f"{file} {about.st_size} {about.st_mtime_ns}"


def _python_of(home: Path) -> Path:
    return home / "bin" / "python"


def _failure(requirements: Path, said: str) -> str:
    """One line with what the installer says from its first complaint on; its last words when it has none."""
    lines = [line for line in _COLOUR.sub("", said).splitlines() if line.strip()]
    begun = next((place for place, line in enumerate(lines) if _TROUBLE.match(line)), -5)
    words = " ".join(" ".join(lines[begun:]).split())[:_WORDS_MOST]
    return f"{requirements.name} cannot be installed: {words or 'the installer said nothing'}"


async def _run(command: Sequence[str], folder: Path, lock: int) -> tuple[int, str]:
    """Run to its end, or until cancelled; what it said, and how it ended."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if name not in _FOREIGN},
        start_new_session=True,
        pass_fds=[lock],  # held until it ends, even if this process dies first
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
        raise
    assert process.returncode is not None
    return process.returncode, said.decode("utf-8", "replace")


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[int]:
    """Hold a file's lock, waiting for whoever else does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_LOCK_PAUSE_SECONDS)
            else:
                break
        yield descriptor
    finally:
        os.close(descriptor)
