"""Blobs as objects of S3 and the like, through obstore: uploaded in parts as they come, read in ranges.

The only module that knows obstore. What it needs besides the URL comes from the environment, as obstore reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from ringback.core.blob import JSON, Blob, named_at
from ringback.core.errors import BlobLost, BlobsUnavailable, StoreError, StoreFull
from ringback.store.blobs.refusals import cure_of, reason_of
from ringback.store.blobs.spool import Spool
from ringback.store.blobs.threads import NO_ROOM, Threads, write_all

if TYPE_CHECKING:
    from obstore import ObjectMeta

T = TypeVar("T")

_PART_BYTES: Final = 5 * 1024 * 1024
"""S3 takes at most 10,000 parts, of at least 5 MiB: so a blob may have 48 GiB."""
_PARTS_AT_ONCE: Final = 2
_PIECE_BYTES: Final = 2 * 1024 * 1024
_PORTION: Final = 1_000
_RETRY_SECONDS: Final = 5

_PATIENCE: Final = timedelta(seconds=20)
_RETRIES: Final = 3
_CONNECT_SECONDS: Final = timedelta(seconds=5)
_GREETING_SECONDS: Final = 5.0
"""How long a server that starts waits for an answer at all."""
_REQUEST_SECONDS: Final = timedelta(seconds=120)
"""For one part or one range: they are small, however large the blob is."""

_FAULTS: Final = (BaseError, OSError, ValueError, TimeoutError)
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "GOOGLE_BASE_URL", "AZURE_ENDPOINT")
_ALLOWS: Final = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP")


def object_store(url: str, environment: Mapping[str, str]) -> ObjectStore:
    """The object store a URL leads to; nothing is asked of it yet.

    Raises:
        StoreError: the URL, or something in the environment, makes no sense to obstore.
    """
    plain = any(environment.get(name, "").startswith("http://") for name in _ENDPOINTS)
    allowed = any(environment.get(name, "").lower() in {"1", "true", "yes", "on"} for name in _ALLOWS)
    try:
        return from_url(
            url,
            client_options={
                "allow_http": plain or allowed,
                "connect_timeout": _CONNECT_SECONDS,
                "timeout": _REQUEST_SECONDS,
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": _PATIENCE},
        )
    except _FAULTS as error:
        raise StoreError(f"--blobs {url} cannot be used: {reason_of(error)}") from error


class ObjectBlobs:
    """A `store.contract.Blobs` on one object store."""

    def __init__(self, store: ObjectStore, url: str, space: str, *, name: Callable[[], str], spool: Path) -> None:
        """Begin; the object store is first asked when it is first needed.

        Args:
            store: where they are kept.
            url: what errors call it.
            space: this store's own room in it.
            name: makes names for new blobs.
            spool: a folder of the local disk for what is on its way.

        Raises:
            StoreError: the folder cannot be made.
        """
        self._store = store
        self._url = url
        self._space = space
        self._name = name
        self._threads = Threads()
        self._spool = Spool(spool)
        self._copies = 0

    @property
    def spool(self) -> Path:
        return self._spool.folder

    async def must_be_usable(self) -> None:
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                await anext(obstore.list(self._store, self._space, chunk_size=1), None)
        except _FAULTS as error:
            cure = cure_of(error)
            if cure is None:
                raise self._translated(error) from error
            raise StoreError(f"{self._url} cannot be used: {cure}") from error

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────

    async def write(self, source: AsyncIterable[bytes], content_type: str = JSON) -> Blob:
        key = self._name()
        counted = _Counted(source)
        await self._put(key, counted, content_type, stop=counted.stop)
        return Blob(key=key, size_bytes=counted.size, content_type=content_type)

    async def adopt(self, file: Path, content_type: str = JSON) -> Blob:
        key = self._name()
        try:
            size = (await self._threads.run(file.stat)).st_size
        except OSError as error:
            raise BlobLost(f"there is no file {file} any more") from error
        await self._put(key, file, content_type, stop=lambda: None)
        return Blob(key=key, size_bytes=size, content_type=content_type)

    async def _put(
        self, key: str, what: AsyncIterable[bytes] | Path, content_type: str, *, stop: Callable[[], None]
    ) -> None:
        """Upload, to the end or not at all: an upload that is dropped would leave its parts behind, unseen."""
        upload = asyncio.ensure_future(
            obstore.put_async(
                self._store,
                self._path(key),
                what,
                attributes={"Content-Type": content_type},
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        )
        try:
            await asyncio.shield(upload)
        except asyncio.CancelledError:
            stop()
            await asyncio.wait([upload])
            if not upload.cancelled() and upload.exception() is None:
                await self.remove([key])
            raise
        except _FAULTS as error:
            raise self._translated(error) from error

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────

    async def read(self, blob: Blob, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        coming = self._range(blob, start, stop) if start < stop else None
        try:
            while coming is not None:
                piece = await coming
                start += len(piece)
                # The next one is on its way while this one is being used.
                coming = self._range(blob, start, stop) if start < stop else None
                yield piece
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    def _range(self, blob: Blob, start: int, stop: int) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self._read(blob, start, min(stop, start + _PIECE_BYTES)))

    async def _read(self, blob: Blob, start: int, end: int) -> bytes:
        path = self._path(blob.key)
        try:
            piece = bytes(await self._try(obstore.get_range_async(self._store, path, start=start, end=end)))
        except FileNotFoundError as error:
            await self._first_listed()  # if it is the bucket that is not there, that is told
            raise BlobLost(f"there is no blob {self._url}/{path} any more") from error
        if not piece:
            raise BlobLost(f"the blob {self._url}/{path} is shorter than it was")
        return piece

    async def borrow(self, blob: Blob) -> Path:
        self._copies += 1
        file = self._spool.file(f"{blob.key}.{self._copies}")
        with ExitStack() as opened:
            undo = opened.enter_context(ExitStack())
            undo.callback(self.give_back, file)
            copy = await self._try(self._threads.run(lambda: opened.enter_context(file.open("xb", 0))))
            async with aclosing(self.read(blob, 0, blob.size_bytes)) as pieces:
                async for piece in pieces:
                    await self._try(self._threads.run(write_all, copy, piece))
            undo.pop_all()
        return file

    async def measure(self, blob: Blob) -> int:
        path = self._path(blob.key)
        try:
            return (await self._try(obstore.head_async(self._store, path)))["size"]
        except FileNotFoundError as error:
            await self._first_listed()  # if it is the bucket that is not there, that is told
            raise BlobLost(f"there is no blob {self._url}/{path} any more") from error

    def give_back(self, file: Path) -> None:
        with contextlib.suppress(OSError):
            file.unlink()

    # ── Removing ────────────────────────────────────────────────────────────────────────────────

    async def remove(self, keys: Sequence[str]) -> None:
        paths = [self._path(key) for key in keys]
        if not paths:
            return
        try:
            await obstore.delete_async(self._store, paths)
        except FileNotFoundError:  # one was not there, which may have kept the others
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    await self._try(obstore.delete_async(self._store, path))
        except _FAULTS as error:
            raise self._translated(error) from error

    async def listed(self) -> AsyncIterator[list[str]]:
        listing = obstore.list(self._store, self._space, chunk_size=_PORTION)
        while (found := await self._next(listing)) is not None:
            names = (entry["path"].rpartition("/")[2] for entry in found)
            yield [name for name in names if named_at(name) is not None]

    async def close(self) -> None:
        await self._threads.run(self._spool.close)
        await self._threads.close()

    async def _first_listed(self) -> None:
        """See that the place is there at all.

        Raises:
            BlobsUnavailable: it is not.
        """
        await self._next(obstore.list(self._store, self._space, chunk_size=1))

    async def _next(self, listing: AsyncIterator[Sequence[ObjectMeta]]) -> Sequence[ObjectMeta] | None:
        try:
            return await anext(listing, None)
        except _FAULTS as error:
            raise self._translated(error) from error

    def _path(self, key: str) -> str:
        return f"{self._space}/{key[-2:]}/{key}"

    async def _try(self, act: Awaitable[T]) -> T:
        """What it brings; that something is not there is the caller's to explain."""
        try:
            return await act
        except FileNotFoundError:
            raise
        except _FAULTS as error:
            raise self._translated(error) from error

    def _translated(self, error: BaseException) -> BlobsUnavailable | StoreFull:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return StoreFull(f"no room left on the disk of {self.spool}", retry_after_seconds=_RETRY_SECONDS)
        return BlobsUnavailable(
            f"{self._url} cannot be used: {reason_of(error)}. See that the bucket is there, and that what the server's "
            "environment says of it is right",
            retry_after_seconds=_RETRY_SECONDS,
        )


class _Stopped(Exception):
    """Nobody wants the blob any more: makes obstore take the upload back."""


class _Counted:
    """A source that counts what it has yielded, and that can be told to fail."""

    __slots__ = ("_coming", "_is_stopped", "_source", "size")

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = aiter(source)
        self._coming: asyncio.Future[bytes] | None = None
        self._is_stopped = False
        self.size = 0

    def stop(self) -> None:
        self._is_stopped = True
        if self._coming is not None:
            self._coming.cancel()

    def __aiter__(self) -> _Counted:
        return self

    async def __anext__(self) -> bytes:
        if self._is_stopped:
            raise _Stopped
        self._coming = asyncio.ensure_future(anext(self._source))
        try:
            piece = await self._coming
        except asyncio.CancelledError:
            if self._is_stopped:
                raise _Stopped from None
            raise
        self.size += len(piece)
        return piece
