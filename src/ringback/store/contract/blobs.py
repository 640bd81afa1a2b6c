"""Large payloads and results: their bytes beside the rows, and the rows that refer to them. Promises I.

The bytes are written first, the row after them, in one transaction with everything else it says. A crash in between
leaves a blob that no row refers to, a stray; upkeep sweeps strays, judging their age by the store's timeline.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Protocol

from ringback.core.blob import JSON, Blob


class Blobs(Protocol):
    """Where the bytes are. Holds no more of a blob in memory than a few pieces, whatever its size.

    I1  A blob that has been answered with survives the death of the process, and as far as the place can promise it,
        of the machine.
    I2  All or nothing: when the source raises or the writer is cancelled, there is no blob, and nothing of it is left
        that a later `clean` of this machine or the place's own rules do not remove.
    I3  Bytes come back as they were, all of them or any range; the size is what was counted.
    I4  Every error is a `RingbackError`: `StoreFull` when there is no room, `BlobsUnavailable` when the place cannot be
        reached or refuses, `BlobLost` when a blob is not there.
    """

    @property
    def spool(self) -> Path:
        """A folder of this process on the local disk, removed with it, for what is on its way to or from a blob."""
        ...

    async def must_be_usable(self) -> None:
        """See that the place is there and lets this server in, before anybody needs it. Nothing is written.

        I16  `StoreError` when it answers and refuses: it is not there, the credentials are not good, or it is another
             place than was meant; the message names it and the cure. `BlobsUnavailable` when it cannot be reached.
        """
        ...

    async def write(self, source: AsyncIterable[bytes], content_type: str = JSON) -> Blob:
        """Make a blob of what the source yields."""
        ...

    async def adopt(self, file: Path, content_type: str = JSON) -> Blob:
        """Make a blob of a file of this machine.

        I5  The file stays, and is its maker's to remove; where the place allows, its bytes are not copied. From now on
            nobody may write to it.
        """
        ...

    def read(self, blob: Blob, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to but without `stop`, in pieces."""
        ...

    async def borrow(self, blob: Blob) -> Path:
        """A local file with the blob's bytes, to be read only: the very one it is kept in, or a copy made for this.

        I6  It is there until `give_back`, unless the blob itself is removed before; a copy is gone after it.
        """
        ...

    async def measure(self, blob: Blob) -> int:
        """How many bytes there are.

        I15  Counted where they are kept, without reading them; `BlobLost` when there are none.
        """
        ...

    def give_back(self, file: Path) -> None:
        """Done with a borrowed file. Idempotent."""
        ...

    async def remove(self, keys: Sequence[str]) -> None:
        """See that there are no such blobs.

        I7  Those that are not there are no error; a reader that has begun may still come to its end.
        """
        ...

    def listed(self) -> AsyncIterator[list[str]]:
        """The names of all blobs of this store, in portions.

        I8  What other stores, or anybody else, keep in the same place is neither listed nor touched.
        """
        ...

    async def close(self) -> None:
        """Let go of the spool and everything else that is held."""
        ...


class BlobRows(Protocol):
    """What the store's rows say of blobs.

    I9  A submit or a finish with a blob: it and its row are visible together, and `claim`, `take_over`, `get` and
        `ended` tell of it; a submit is known again by its digest, as one with its payload in the row.
    I10  A row is refused with `BlobTooOld` when its blob was named more than `COMMIT_SECONDS` ago.
    """

    @property
    def blob_space(self) -> str:
        """This store's own room among others that keep blobs in the same place.

        I11  The same for every member and after reopening; no two stores have the same one.
        """
        ...

    def name_blob(self) -> str:
        """A name for a blob that is about to be written. From memory.

        I12  No two are the same, whoever names them; each tells its moment on the store's timeline.
        """
        ...

    async def strays(self, keys: Sequence[str]) -> list[str]:
        """Which of these blobs may be swept.

        I13  Only those that no row refers to, and that were named more than `STRAY_SECONDS` ago; setting the time of
             day changes nothing about it.
        """
        ...

    async def doomed(self, room: int) -> list[str]:
        """Blobs whose workloads have been erased, so that nobody needs them any more.

        I14  They are told of until `forget` has been told that they are gone; those of other workloads never.
        """
        ...

    def forget(self, keys: Sequence[str]) -> Awaitable[None]:
        """These doomed blobs have been removed. Idempotent."""
        ...
