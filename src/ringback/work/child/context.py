"""What predict may name besides its payload: the `workload` it works on, and the `metrics_client` of its replica."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import IO, Final

from .spool import FileResult, Spool
from .wire import CONTENT_TYPE, MOST_CHECKPOINT_BYTES, Answer, Kind, Work, numbered_frame, object_frame, progress_frame

_PROGRESS_PAUSE_SECONDS: Final = 0.001
_MESSAGE_CHARACTERS: Final = 500

Send = Callable[[bytes], None]
Ask = Callable[[int, bytes], tuple[Answer, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How a workload speaks with the parent."""

    send: Send
    cancelled: Callable[[int], bool]
    ask: Ask


class Workload:
    """One attempt of one workload, as its predict sees it."""

    __slots__ = (
        "_asking",
        "_has_checkpoint",
        "_line",
        "_number",
        "_sent_at",
        "_spool",
        "_work",
        "api",
        "attempt",
        "deadline",
        "file",
        "id",
    )

    def __init__(self, api: str, work: Work, line: Line, spool: Spool) -> None:
        self.id = work.id
        self.api = api
        self.attempt = work.attempt
        """1 for the first."""
        self.deadline = datetime.now(UTC) + timedelta(seconds=work.timeout)
        """When this attempt will be ended by force."""
        self.file: str | None = None if work.in_memory else work.file
        """The path of a payload too large for memory; None when the payload is in memory."""
        self._work = work
        self._spool = spool
        self._number = work.number
        self._line = line
        self._asking = Lock()
        self._has_checkpoint = work.attempt > 1  # or may have one, of an earlier attempt
        self._sent_at = 0.0

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked for this workload to end."""
        return self._line.cancelled(self._number)

    @property
    def folder(self) -> Path:
        """A folder for this attempt alone, removed when it ends. A file in it that is returned is moved, not copied."""
        return self._spool.scratch(self._work)

    def open(self) -> IO[bytes]:
        """The payload's bytes as a file to read, wherever they are: in memory or on disk."""
        return io.BytesIO(self._work.payload) if self._work.file is None else Path(self._work.file).open("rb")

    def result_from(
        self, source: str | os.PathLike[str] | bytes | IO[bytes], content_type: str | None = None
    ) -> FileResult:
        """A result that is no JSON: to be returned by predict.

        Args:
            source: a path, a file open for reading in binary, or bytes.
            content_type: what it is; by default told from the file's name, or application/octet-stream.

        Raises:
            TypeError: `source` is none of these.
            ValueError: `content_type` is none.
        """
        if isinstance(source, bytearray | memoryview):
            source = bytes(source)
        elif isinstance(source, os.PathLike):
            source = Path(source)
        elif not isinstance(source, str | bytes) and not hasattr(source, "read"):
            raise TypeError(f"a result is made from a path, bytes or an open file, not {type(source).__name__}")
        if content_type is not None and CONTENT_TYPE.fullmatch(content_type) is None:
            raise ValueError(f"{content_type!r} is no content type; write for example image/png")
        return FileResult(source, content_type)

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Tell how far predict has come; shown by GET and by progress bars.

        Called more often than a thousand times a second it waits, so that it cannot drown the server.

        Raises:
            TypeError: `fraction` is no number.
            ValueError: it is not from 0 to 1.
        """
        try:
            told = float(fraction)
        except (TypeError, ValueError):
            raise TypeError(f"progress is a fraction from 0 to 1, not {fraction!r}") from None
        if not 0.0 <= told <= 1.0:
            raise ValueError(f"progress is a fraction from 0 to 1, not {told!r}; divide what is done by what there is")
        elapsed = time.monotonic() - self._sent_at
        if elapsed < _PROGRESS_PAUSE_SECONDS:
            time.sleep(_PROGRESS_PAUSE_SECONDS - elapsed)
        self._sent_at = time.monotonic()
        text = None if message is None else str(message)[:_MESSAGE_CHARACTERS]
        self._line.send(progress_frame(self._number, told, text))

    def checkpoint(self, data: bytes) -> None:
        """Keep `data` for the attempt after this one, in the place of what was kept before; returns once it is on disk.

        In a coroutine it holds up the event loop for so long: `await asyncio.to_thread(workload.checkpoint, data)`.

        Raises:
            TypeError: it is not bytes.
            ValueError: it is over 16 MiB; keep more in a place of your own, and its name here.
            RuntimeError: it could not be kept, or the workload is not this replica's any more.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"a checkpoint is bytes, not {type(data).__name__}; encode it, with json or pickle say")
        data = bytes(data)
        if len(data) > MOST_CHECKPOINT_BYTES:
            raise ValueError(f"a checkpoint is at most {MOST_CHECKPOINT_BYTES} bytes; this one has {len(data)}")
        self._ask(numbered_frame(Kind.CHECKPOINT, self._number, data))
        self._has_checkpoint = True

    def resume(self) -> bytes | None:
        """What `checkpoint` kept last, in this attempt or an earlier one; None when nothing was.

        Raises:
            RuntimeError: it cannot be read.
        """
        return self._ask(numbered_frame(Kind.RESUME, self._number)) if self._has_checkpoint else None

    def _ask(self, question: bytes) -> bytes | None:
        with self._asking:
            said, data = self._line.ask(self._number, question)
        if said is Answer.REFUSAL:
            raise RuntimeError(data.decode("utf-8", "replace"))
        return data if said is Answer.DATA else None


class MetricsClient:
    """Cortex's metrics client: what it is told appears under `/metrics`."""

    __slots__ = ("_send",)

    def __init__(self, send: Send) -> None:
        self._send = send

    def increment(self, metric: str, value: float = 1, tags: dict[str, str] | None = None) -> None:
        """Add to a counter."""
        self._tell("increment", metric, value, tags)

    def gauge(self, metric: str, value: float, tags: dict[str, str] | None = None) -> None:
        """Set a gauge."""
        self._tell("gauge", metric, value, tags)

    def histogram(self, metric: str, value: float, tags: dict[str, str] | None = None) -> None:
        """Add an observation to a histogram."""
        self._tell("histogram", metric, value, tags)

    def _tell(self, kind: str, metric: str, value: float, tags: dict[str, str] | None) -> None:
        labels = {str(name): str(text) for name, text in (tags or {}).items()}
        told = {"kind": kind, "name": str(metric), "value": float(value), "labels": labels}
        self._send(object_frame(Kind.METRIC, told))
