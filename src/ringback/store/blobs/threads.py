"""Blocking work on files, off the loop: never left alone half-way, so that nothing is cleaned up under its feet."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, Final, ParamSpec, TypeVar

_THREADS: Final = 4

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says of a disk, a quota or a file system that is full."""

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A few threads for blobs alone: a slow disk must not hold up whatever else runs in threads."""

    __slots__ = ("_executor", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="ringback-blob")

    async def run(self, act: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What `act` returns. When the caller is cancelled, the cancellation waits until `act` has ended."""
        work = self._loop.run_in_executor(self._executor, lambda: act(*args, **named))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            while not work.done():
                try:
                    await asyncio.wait([work])
                except asyncio.CancelledError:
                    continue  # told once more: the file is still in use
            raise

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.to_thread(self._executor.shutdown)


def write_all(file: BinaryIO, piece: bytes) -> None:
    """Write the whole piece to an unbuffered file, which may take it in parts."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
