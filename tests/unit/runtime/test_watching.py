"""Which files are noticed to have changed, and whose they are."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from ringback.core.spec import Api, Predictor
from ringback.runtime.watching import Watch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ringback.yaml", "a/predictor.py", "a/part/more.py", "a/.venv/lib.py", "b/predictor.py", "b/data.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def api(folder: Path, name: str, requirements: Path | None = None) -> Api:
    predictor = Predictor(path=folder / name / "predictor.py", requirements=requirements)
    return Api(name=name, endpoint=name, predictor=predictor)


def save(file: Path) -> None:
    """As an editor does: other words, another time."""
    before = file.stat()
    file.write_text(file.read_text() + "#")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))


async def test_it_tells_which_files_have_changed_come_and_gone(folder: Path) -> None:
    watch = Watch(folder / "ringback.yaml")
    watch.follow([api(folder, "a"), api(folder, "b")])
    save(folder / "a" / "part" / "more.py")
    save(folder / "a" / ".venv" / "lib.py")
    save(folder / "b" / "data.txt")
    (folder / "b" / "predictor.py").unlink()
    (folder / "b" / "new.py").touch()
    async with asyncio.timeout(20):
        changed = await watch.changed()
    assert changed == {folder / "a" / "part" / "more.py", folder / "b" / "predictor.py", folder / "b" / "new.py"}
    save(folder / "ringback.yaml")
    async with asyncio.timeout(20):
        assert await watch.changed() == {folder / "ringback.yaml"}


async def test_what_was_saved_before_it_is_followed_again_is_not_missed(folder: Path) -> None:
    watch = Watch(folder / "ringback.yaml")
    watch.follow([api(folder, "a")])
    save(folder / "a" / "predictor.py")
    watch.follow([api(folder, "a"), api(folder, "b")])
    async with asyncio.timeout(20):
        assert await watch.changed() == {folder / "a" / "predictor.py"}


def test_a_predictor_is_made_of_the_python_beside_it_and_of_its_requirements(folder: Path) -> None:
    requirements = folder / "requirements.txt"
    predictor = api(folder, "a", requirements).predictor
    assert predictor.is_made_of(folder / "a" / "part" / "more.py")
    assert predictor.is_made_of(requirements)
    assert not predictor.is_made_of(folder / "b" / "predictor.py")
    assert not predictor.is_made_of(folder / "a" / "ringback.yaml")
