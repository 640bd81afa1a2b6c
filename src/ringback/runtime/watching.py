"""Notices that the files a server is made of have changed: the file itself, and the Python beside its predictors.

Looks at times and sizes, which works on every file system; a few thousand files take milliseconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ringback.core.spec import Api

LOOK_SECONDS: Final = 0.3
_MOST_FILES: Final = 2_000
_LEFT_OUT: Final = frozenset({"__pycache__", "node_modules", "site-packages"})

Marks = dict[Path, tuple[int, int]]
"""By file, when it was written and how long it is."""


class Watch:
    """Remembers how the files were when it was last asked."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._folders: frozenset[Path] = frozenset()
        self._more: frozenset[Path] = frozenset()
        self._marks: Marks = {}

    def follow(self, apis: Iterable[Api]) -> None:
        """Look at what these are made of; what is new among it, from how it is now."""
        predictors = [api.predictor for api in apis]
        self._folders = frozenset[Path]().union(*(each.folders for each in predictors))
        self._more = frozenset(each.requirements for each in predictors if each.requirements is not None)
        # What was followed before keeps its mark: it may have changed since it was read.
        self._marks = {path: self._marks.get(path, mark) for path, mark in self._look().items()}

    async def changed(self) -> frozenset[Path]:
        """The files that have changed, come or gone, once there are any and all have been still for one look."""
        last = self._marks
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            marks = await asyncio.to_thread(self._look)
            if marks == last != self._marks:
                before, self._marks = self._marks, marks
                return frozenset(path for path, _ in before.items() ^ marks.items())
            last = marks

    def _look(self) -> Marks:
        marks: Marks = {}
        for path in (self._file, *self._more, *(file for folder in self._folders for file in _python_in(folder))):
            try:
                status = path.stat()
            except OSError:
                continue  # gone, or not ours to see
            marks[path] = status.st_mtime_ns, status.st_size
        return marks


def _python_in(folder: Path) -> Iterator[Path]:
    """The Python files of a folder and those below it, but for hidden folders and installed packages."""
    left = _MOST_FILES
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _LEFT_OUT]
        for name in files:
            if name.endswith(".py"):
                yield Path(place, name)
                left -= 1
        if left <= 0:
            return
