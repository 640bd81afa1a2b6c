"""What counts as large, and where it then goes: the few values that the parts share about blobs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from ringback.core.blob import Blob
from ringback.core.errors import RingbackError
from ringback.store.contract import Blobs, Store

_ROOM: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Large:
    """Where large payloads and results go, and from which size on they count as large."""

    blobs: Blobs
    blob_threshold_bytes: int
    """What is larger is kept as a blob, not in its row."""
    file_threshold_bytes: int
    """A payload that is larger reaches predict as a file, not in memory. At least `blob_threshold_bytes`."""

    async def discard(self, blob: Blob) -> None:
        """Remove a blob that no row will refer to; what cannot be removed now is swept one day."""
        with contextlib.suppress(RingbackError):
            await self.blobs.remove([blob.key])


async def remove_doomed(store: Store, blobs: Blobs) -> int:
    """Remove the blobs of erased workloads, and say how many there were.

    First the bytes, then what the store knows of them: a crash in between has them removed once more.

    Raises:
        BlobsUnavailable: they cannot be removed now; they stay doomed.
    """
    removed = 0
    while keys := await store.doomed(_ROOM):
        await blobs.remove(keys)
        await store.forget(keys)
        removed += len(keys)
    return removed
