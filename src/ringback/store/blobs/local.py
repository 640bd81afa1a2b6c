"""Blobs as files of a local folder: written beside, synced, and moved to their names; read where they are.

Plain files and not obstore's local store, which does not sync what it writes: see decision 0007.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final, Literal, ParamSpec, TypeVar

from ringback.core.blob import JSON, Blob, named_at
from ringback.core.errors import BlobLost, BlobsUnavailable, RingbackError, StoreError, StoreFull
from ringback.store.blobs.spool import Spool
from ringback.store.blobs.threads import NO_ROOM, Threads, write_all

P = ParamSpec("P")
T = TypeVar("T")

PIECE_BYTES: Final = 1024 * 1024
_PORTION: Final = 1_000
_READ_ONLY: Final = 0o444
_NO_LINKS: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP})
_RETRY_SECONDS: Final = 5


class LocalBlobs:
    """A `store.contract.Blobs` on one folder, for any number of processes of one machine or of a shared disk."""

    def __init__(self, root: Path, space: str, name: Callable[[], str]) -> None:
        """Make the folder.

        Raises:
            StoreError: it cannot be made.
        """
        self._folder = root.absolute() / space
        self._name = name
        self._threads = Threads()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be made: {error.strerror}") from error
        self._spool = Spool(root / "spool")

    @property
    def spool(self) -> Path:
        return self._spool.folder

    async def must_be_usable(self) -> None:
        if not await self._threads.run(self._folder.is_dir):  # it could be made when this began
            raise BlobsUnavailable(f"{self._folder} is not there", retry_after_seconds=_RETRY_SECONDS)

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────

    async def write(self, source: AsyncIterable[bytes], content_type: str = JSON) -> Blob:
        key, size = self._name(), 0
        part = self._spool.file(f"{key}.part")
        with ExitStack() as opened:
            opened.callback(part.unlink, missing_ok=True)
            file = await self._open(opened, part, "xb")
            async for piece in source:
                size += len(piece)
                await self._try(write_all, file, piece)
            await self._try(self._seal, file, part, key)
        return Blob(key=key, size_bytes=size, content_type=content_type)

    async def adopt(self, file: Path, content_type: str = JSON) -> Blob:
        key = self._name()
        try:
            size = await self._try(self._adopt, file, key)
        except BlobLost as error:
            if await self._threads.run(file.exists):  # then it is the place that is not as it was
                raise BlobsUnavailable(str(error), retry_after_seconds=_RETRY_SECONDS) from error
            raise
        return Blob(key=key, size_bytes=size, content_type=content_type)

    def _adopt(self, file: Path, key: str) -> int:
        with file.open("rb", 0) as made:
            os.fchmod(made.fileno(), _READ_ONLY)
            size = os.fstat(made.fileno()).st_size
            os.fsync(made.fileno())
            try:
                self._named(key, lambda target: os.link(file, target))
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._copy(made, key)
        return size

    def _copy(self, made: BinaryIO, key: str) -> None:
        part = self._spool.file(f"{key}.part")
        try:
            with part.open("xb", 0) as copy:
                shutil.copyfileobj(made, copy, PIECE_BYTES)
                self._seal(copy, part, key)
        finally:
            part.unlink(missing_ok=True)

    def _seal(self, file: BinaryIO, part: Path, key: str) -> None:
        """Sync the file and give it its name."""
        os.fchmod(file.fileno(), _READ_ONLY)
        os.fsync(file.fileno())
        self._named(key, part.rename)

    def _named(self, key: str, give_name: Callable[[Path], object]) -> None:
        """Have it done, and the folder synced, so that the name stays."""
        target = self._file(key)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            _sync_folder(self._folder)
        give_name(target)
        try:
            _sync_folder(target.parent)
        except OSError:
            target.unlink(missing_ok=True)
            raise

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────

    async def read(self, blob: Blob, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        with ExitStack() as opened:
            file = await self._open(opened, self._file(blob.key), "rb")
            while start < stop:
                piece = await self._try(os.pread, file.fileno(), min(PIECE_BYTES, stop - start), start)
                if not piece:
                    raise BlobLost(f"the blob {self._file(blob.key)} is shorter than it was")
                start += len(piece)
                yield piece

    async def borrow(self, blob: Blob) -> Path:
        file = self._file(blob.key)
        await self._try(file.stat)
        return file

    async def measure(self, blob: Blob) -> int:
        return (await self._try(self._file(blob.key).stat)).st_size

    def give_back(self, file: Path) -> None:
        """Nothing: it is the blob itself that was lent."""

    # ── Removing ────────────────────────────────────────────────────────────────────────────────

    async def remove(self, keys: Sequence[str]) -> None:
        await self._try(self._remove, list(keys))

    def _remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._file(key).unlink(missing_ok=True)

    async def listed(self) -> AsyncIterator[list[str]]:
        portions = self._portions()
        while portion := await self._try(next, portions, None):
            yield portion

    def _portions(self) -> Iterator[list[str]]:
        portion: list[str] = []
        for folder in sorted(self._folder.iterdir()):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                portion += [entry.name for entry in folder.iterdir() if named_at(entry.name) is not None]
            if len(portion) >= _PORTION:
                yield portion
                portion = []
        if portion:
            yield portion

    async def close(self) -> None:
        await self._threads.run(self._spool.close)
        await self._threads.close()

    def _file(self, key: str) -> Path:
        return self._folder / key[-2:] / key

    async def _open(self, opened: ExitStack, file: Path, mode: Literal["rb", "xb"]) -> FileIO:
        # Whoever is cancelled while the thread opens it would never see it: so the thread hands it to the stack.
        return await self._try(lambda: opened.enter_context(file.open(mode, 0)))

    async def _try(self, act: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        try:
            return await self._threads.run(act, *args, **named)
        except FileNotFoundError as error:
            if not self._folder.is_dir():  # a disk that is not there, or not any more
                raise BlobsUnavailable(f"{self._folder} is not there", retry_after_seconds=_RETRY_SECONDS) from error
            raise BlobLost(f"there is no file {error.filename} any more") from error
        except OSError as error:
            raise _translated(error, self._folder) from error


def _translated(error: OSError, folder: Path) -> RingbackError:
    if error.errno in NO_ROOM:
        return StoreFull(f"no room left on the disk of {folder}: free some, then try again", retry_after_seconds=5)
    reason = (error.strerror or str(error)).lower()
    return BlobsUnavailable(f"{folder} cannot be used: {reason}", retry_after_seconds=_RETRY_SECONDS)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
