"""Serving what the file says now: read again on SIGHUP, without a workload lost.

A file that is wrong changes nothing: what is served stays as it is, and all that is wrong is told with its place.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from ringback.core.emit import Emit
from ringback.core.errors import SpecError
from ringback.core.spec import Api
from ringback.runtime.specfile import SpecFile, load

Serve = Callable[[Sequence[Api], Collection[Path] | None], Awaitable[None]]
"""As `House.serve`."""


class Reloader:
    """Reads one file again and hands on what it says; one reading at a time."""

    def __init__(self, spec: SpecFile, serve: Serve, emit: Emit) -> None:
        """Know what is served until now.

        Args:
            spec: the file as it was read last.
            serve: is given the APIs of a file that is right.
            emit: is told what became of each reading.
        """
        self.spec = spec
        self._serve = serve
        self._emit = emit
        self._turn = asyncio.Lock()
        self._is_over = False

    async def reload(self, changed: Collection[Path] | None = None) -> bool:
        """Read the file and serve what it says; False when it is wrong, or after `stop`, so that nothing has changed.

        Args:
            changed: the files that have changed, if that is known; what is made of none of them is left alone.
        """
        async with self._turn:
            if self._is_over:
                return False
            try:
                spec = await asyncio.to_thread(load, self.spec.file, os.environ)
            except SpecError as error:
                for line in str(error).splitlines():
                    self._emit("file.refused", reason=line)
                return False
            before = {api.name for api in self.spec.apis}
            after = {api.name for api in spec.apis}
            self.spec = spec
            await self._serve(spec.apis, changed)
            self._emit(
                "file.reloaded",
                file=str(spec.file),
                added=",".join(sorted(after - before)),
                removed=",".join(sorted(before - after)),
            )
            return True

    async def stop(self) -> None:
        """Hand on nothing more; what is being handed on is through when this returns."""
        self._is_over = True
        async with self._turn:
            pass
