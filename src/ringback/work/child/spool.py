"""What is too large for a frame: payloads that come as files, results that go into one.

The parent names a folder on its own disk; what is put there it takes away. A full disk is waited for: what predict has
made is not thrown away for it.
"""

from __future__ import annotations

import contextlib
import io
import mimetypes
import os
import shutil
import tempfile
from pathlib import Path, PurePath
from typing import IO, Any, Final

from .payloads import decode
from .results import NotSerializable, Outputs
from .sink import Sink, name_of, stored_frame
from .wire import MAX_FRAME_BYTES, MOST_TEXT_BYTES, Work

BYTES: Final = "application/octet-stream"

_PIECE_BYTES: Final = 1024 * 1024


class FileResult:
    """A result that is no JSON: the bytes of a file, and what they are."""

    __slots__ = ("content_type", "source")

    def __init__(self, source: str | os.PathLike[str] | bytes | IO[bytes], content_type: str | None = None) -> None:
        self.source = source
        self.content_type = content_type


class Spool:
    """Where a replica puts what is too large for a frame, and finds what was too large for one."""

    def __init__(self, folder: str | None = None, threshold: int = MAX_FRAME_BYTES) -> None:
        """Begin with nothing in it.

        Args:
            folder: the parent's; without one, everything has to fit a frame.
            threshold: bytes of JSON over which a result goes into a file.
        """
        self._folder = None if folder is None else Path(folder)
        self.threshold = MOST_TEXT_BYTES if folder is None else min(threshold, MOST_TEXT_BYTES)
        self._scratch: dict[int, Path] = {}

    # ── Payloads ────────────────────────────────────────────────────────────────────────────────

    def payload(self, work: Work) -> Any:
        """What predict is given as its payload; None when that is too large for memory.

        Raises:
            ValueError: it is not what its content type says.
            LookupError: no such charset.
            OSError: it is a file that cannot be read.
        """
        if work.file is None:
            return decode(work.content_type, work.payload)
        return decode(work.content_type, Path(work.file).read_bytes()) if work.in_memory else None

    # ── Results ─────────────────────────────────────────────────────────────────────────────────

    def outputs(self, work: Work) -> Outputs:
        """For what a generator yields: in memory up to the threshold, then in a file."""
        return Outputs(self.threshold, lambda: self._sink(work))

    def text(self, work: Work, text: bytes) -> bytes:
        """The frame that answers with a JSON text over the threshold.

        Raises:
            NotSerializable: there is nowhere to put it.
        """
        sink = self._sink(work)
        sink.write(text)
        return sink.frame()

    def file(self, work: Work, value: Any) -> bytes | None:
        """The frame that answers with the bytes of a file; None when the value is no such thing.

        A file in the work's own folder is moved; any other is copied and left as it is.

        Raises:
            OSError: it cannot be read.
            NotSerializable: it was opened as text, or there is nowhere to put it.
        """
        if not is_file(value):
            return None
        if not isinstance(value, FileResult):
            value = FileResult(value)
        source = value.source
        name = source if isinstance(source, str | PurePath) else getattr(source, "name", None)
        guessed = mimetypes.guess_type(str(name))[0] if isinstance(name, str | PurePath) else None
        kind = value.content_type or guessed or BYTES
        if isinstance(source, str | PurePath):
            return self._moved(work, Path(source), kind) or self._copied(work, Path(source).open("rb"), kind)
        return self._copied(work, io.BytesIO(source) if isinstance(source, bytes) else source, kind)

    def _moved(self, work: Work, path: Path, kind: str) -> bytes | None:
        scratch = self._scratch.get(work.number)
        made = path.resolve()
        if self._folder is None or scratch is None or not made.is_relative_to(scratch) or not made.is_file():
            return None
        made.replace(self._folder / name_of(work))
        return stored_frame(work, kind)

    def _copied(self, work: Work, source: IO[bytes], kind: str) -> bytes:
        with contextlib.closing(source), contextlib.ExitStack() as undo:
            sink = self._sink(work)
            undo.callback(sink.drop)
            while piece := source.read(_PIECE_BYTES):
                if isinstance(piece, str):
                    raise NotSerializable("the result is a file opened as text; open it with mode 'rb'")
                sink.write(piece)
            undo.pop_all()
            return sink.frame(kind)

    def _sink(self, work: Work) -> Sink:
        if self._folder is None:
            raise NotSerializable(
                f"the result is larger than {MAX_FRAME_BYTES} bytes, or a file, which has no place here"
            )
        return Sink(self._folder, work)

    # ── Room to work in ─────────────────────────────────────────────────────────────────────────

    def scratch(self, work: Work) -> Path:
        """The work's own folder, made when it is first asked for."""
        folder = self._scratch.get(work.number)
        if folder is None:
            made = tempfile.mkdtemp(prefix=f"work-{work.number}-", dir=self._folder)
            folder = self._scratch[work.number] = Path(made).resolve()
        return folder

    def clear(self, work: Work) -> None:
        """It has ended: its folder goes."""
        if self._scratch and (folder := self._scratch.pop(work.number, None)) is not None:
            shutil.rmtree(folder, ignore_errors=True)


def is_file(value: Any) -> bool:
    """Whether a result is the bytes of a file: a path, something open for reading, or said to be."""
    return isinstance(value, FileResult | PurePath) or callable(getattr(value, "read", None))
