"""Payloads and results that are files between a pool and its replicas: lent, taken over, cleared away.

What a replica says of a file is believed only as far as it can be seen: a plain file, in the replica's own folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from ringback.core.blob import Blob
from ringback.core.errors import BlobLost, BlobTooOld, LeaseLost, RingbackError
from ringback.core.spec import Api
from ringback.core.workload import Claimed, Completed, ErrorType, Failed, Held, Outcome, Status
from ringback.store.blobs import Large
from ringback.work.child.wire import CONTENT_TYPE, WireError

_NAME: Final = re.compile(r"result-[0-9]{1,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """predict returned, and the result is in a file of the replica's."""

    file: Path
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """The file that a workload's payload is in, for a replica to read."""

    path: Path
    in_memory: bool
    """Whether predict is to have the payload in memory all the same."""


def stored_in(folder: Path | None, told: dict[str, Any]) -> Stored:
    """What a STORED frame tells, seen to be so.

    Raises:
        WireError: it is not.
    """
    name, kind = told.get("name"), told.get("type")
    if folder is None or not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise WireError("a result in a file that it was not asked to make")
    if not isinstance(kind, str) or CONTENT_TYPE.fullmatch(kind) is None:
        kind = "application/octet-stream"
    file = folder / name
    try:
        is_plain = stat.S_ISREG(file.lstat().st_mode)
    except OSError as error:
        raise WireError(f"a result in a file that is not there: {error.strerror}") from error
    if not is_plain:
        raise WireError("a result in what is no plain file")
    return Stored(file=file, content_type=kind)


class Files:
    """One pool's files."""

    def __init__(self, large: Large | None) -> None:
        """Begin with none; without a place for large data there never are any."""
        self._large = large
        self._loop = asyncio.get_running_loop()
        self._lent: dict[int, Path] = {}
        self._coming: dict[asyncio.Task[Lent], Claimed] = {}
        self._landing: set[Path] = set()
        self._left: set[Path] = set()
        """Folders of replicas that have gone, while something of theirs is still to be cleared away."""
        self._clearing: set[asyncio.Future[None]] = set()

    @property
    def coming(self) -> int:
        """How many payloads are being fetched: each will want room at a replica."""
        return len(self._coming)

    # ── Payloads ────────────────────────────────────────────────────────────────────────────────

    def fetch(
        self,
        claimed: Claimed,
        arrived: Callable[[Claimed, Lent], None],
        failed: Callable[[Claimed, RingbackError], None],
    ) -> None:
        """Have the payload's file at hand, then call one of the two; neither after `stop`."""
        assert claimed.blob is not None
        task = self._loop.create_task(self._fetched(claimed, claimed.blob))
        self._coming[task] = claimed
        task.add_done_callback(partial(self._on_fetched, arrived=arrived, failed=failed))

    async def _fetched(self, claimed: Claimed, blob: Blob) -> Lent:
        if self._large is None:
            raise BlobLost("this server has no place for blobs, and the payload is one")
        path = await self._large.blobs.borrow(blob)
        self._lent[claimed.held.seq] = path
        return Lent(path=path, in_memory=blob.size_bytes <= self._large.file_threshold_bytes)

    def _on_fetched(
        self,
        task: asyncio.Task[Lent],
        *,
        arrived: Callable[[Claimed, Lent], None],
        failed: Callable[[Claimed, RingbackError], None],
    ) -> None:
        claimed = self._coming.pop(task, None)
        if claimed is None or task.cancelled():
            return
        error = task.exception()
        if error is None:
            arrived(claimed, task.result())
        elif isinstance(error, RingbackError):
            failed(claimed, error)
        else:
            raise error

    def give_back(self, claimed: Claimed) -> None:
        """No replica has the workload any more."""
        path = self._lent.pop(claimed.held.seq, None)
        if path is not None and self._large is not None:
            self._large.blobs.give_back(path)

    def cancel(self, held: Held) -> Claimed | None:
        """Fetch a payload no more, for nobody wants its workload; it, if it was being fetched."""
        for task, claimed in self._coming.items():
            if claimed.held == held:
                del self._coming[task]
                task.cancel()
                return claimed
        return None

    def stop(self) -> list[Claimed]:
        """Fetch no more; the workloads whose payloads have not come."""
        coming, self._coming = self._coming, {}
        for task in coming:
            task.cancel()
        return list(coming.values())

    # ── Results ─────────────────────────────────────────────────────────────────────────────────

    def new_folder(self) -> Path | None:
        """A folder for one replica; None when there is no place for large data."""
        if self._large is None:
            return None
        return Path(tempfile.mkdtemp(prefix="replica-", dir=self._large.blobs.spool))

    def hello(self, folder: Path | None, api: Api) -> dict[str, Any] | None:
        """What a replica is told of it. A result that some endpoint is told inline does not become a file."""
        if folder is None or self._large is None:
            return None
        inline = max((hook.inline_limit_bytes for hook in api.webhooks), default=0)
        return {"folder": str(folder), "threshold": max(self._large.blob_threshold_bytes, inline)}

    def landing(self, stored: Stored) -> Landing:
        """What brings a result into a blob and its row; the replica's file is removed after that."""
        assert self._large is not None
        self._landing.add(stored.file)
        return Landing(self._large, stored, landed=self._on_landed)

    def _on_landed(self, file: Path) -> None:
        self._landing.discard(file)
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
            if file.parent in self._left:  # by its replica; this may have been the last in it
                file.parent.rmdir()
        self._forget(file.parent)

    def clear(self, folder: Path | None) -> None:
        """A replica has gone: remove what it leaves in its folder, but results that have not landed."""
        if folder is not None:
            self._left.add(folder)
            clearing = self._loop.run_in_executor(None, _clear, folder, frozenset(self._landing))
            self._clearing.add(clearing)
            clearing.add_done_callback(lambda done: self._on_cleared(done, folder))

    def _on_cleared(self, done: asyncio.Future[None], folder: Path) -> None:
        self._clearing.discard(done)
        self._forget(folder)

    def _forget(self, folder: Path) -> None:
        """Of a folder that a replica has left, unless a result in it has not landed."""
        if folder in self._left and all(file.parent != folder for file in self._landing):
            self._left.discard(folder)


class Landing:
    """One result on its way from a replica's file, by way of a blob, to its row."""

    def __init__(self, large: Large, stored: Stored, *, landed: Callable[[Path], None]) -> None:
        self._large = large
        self._stored = stored
        self._landed = landed
        self._blob: Blob | None = None

    async def land(self, finish: Callable[[Outcome], Awaitable[Status]]) -> Status:
        """Make a blob of it, then end the workload with `finish`, and say how; to be called again when it raises.

        Raises:
            LeaseLost: somebody else has the workload; the result is not wanted any more.
            RingbackError: it cannot be kept now, or the store cannot be told.
        """
        try:
            if self._blob is None:
                self._blob = await self._large.blobs.adopt(self._stored.file, self._stored.content_type)
            status = await finish(Completed(blob=self._blob))
        except BlobTooOld:
            self._blob = None  # it took half a day to be heard: the next time under a new name
            raise
        except BlobLost as error:
            status = await finish(
                Failed(type=ErrorType.RESULT_LOST.value, message=f"its file was gone before it was kept: {error}")
            )
        except LeaseLost:
            if self._blob is not None:
                await self._large.discard(self._blob)
            self._landed(self._stored.file)
            raise
        if status is not Status.COMPLETED and self._blob is not None:
            await self._large.discard(self._blob)
        self._landed(self._stored.file)
        return status


def _clear(folder: Path, but: Iterable[Path]) -> None:
    kept = {file.name for file in but if file.parent == folder}
    with contextlib.suppress(OSError):
        for each in folder.iterdir():
            if each.name in kept:
                continue
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
        folder.rmdir()
