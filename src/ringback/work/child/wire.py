"""Frames over a socket pair: one byte of kind, four of length, then the body. Used by both sides.

A reader believes nothing: an unknown kind or a length over the limit is a `WireError`.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

MOST_OUTPUTS: Final = 10_000
MOST_OUTPUTS_BYTES: Final = 4 * 1024 * 1024
"""So many of the values that an attempt yields are told one by one; the result has them all."""

MAX_FRAME_BYTES: Final = 512 * 1024 * 1024
MOST_TEXT_BYTES: Final = MAX_FRAME_BYTES - 1024
"""What fits a frame beside whatever else is in it."""

_HEAD: Final = struct.Struct(">BI")
_WORK: Final = struct.Struct(">IIdHHI?")
_NUMBER: Final = struct.Struct(">I")
_OUTPUT: Final = struct.Struct(">II")
_LOG: Final = struct.Struct(">II")
_FRACTION: Final = struct.Struct(">Id")


MOST_CHECKPOINT_BYTES: Final = 16 * 1024 * 1024
CONTENT_TYPE: Final = re.compile(r"[!-~]+/[!-~][ -~]{0,200}")
"""What a result in a file may be said to be: a header of its own, and nothing beside it."""


class Answer(IntEnum):
    """What an ANSWER says first."""

    NOTHING = 0
    DATA = 1
    REFUSAL = 2


class WireError(Exception):
    """What came is no frame of ours."""


class Kind(IntEnum):
    """What a frame says. Parent to child: HELLO, FILE, WORK, CANCEL, RETURN, ANSWER. Child to parent: the others.

    FILE says where the payload is of the WORK that follows, STORED where a result is, when it is too large for a frame.

    CHECKPOINT and RESUME are questions of a running workload, which waits for its ANSWER.

    CANCEL means that nobody wants a workload of this replica any more: one not yet begun is dropped, a running one is
    told. Either is answered with FAILED, which the parent may have no use for any more.

    RETURN asks for one that has not begun, and is answered with RETURNED; of one that has, it is passed over.
    """

    HELLO = 1
    WORK = 2
    CANCEL = 3
    READY = 4
    BROKEN = 5
    DONE = 6
    FAILED = 7
    PROGRESS = 8
    METRIC = 9
    OUTPUT = 10
    LOG = 11
    CHECKPOINT = 12
    RESUME = 13
    ANSWER = 14
    RETURN = 15
    RETURNED = 16
    FILE = 20
    STORED = 21


_KINDS: Final = frozenset(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One workload for the child. `number` names it on this wire only."""

    number: int
    attempt: int
    timeout: float
    """Seconds predict may take."""
    id: str
    content_type: str
    headers: bytes
    payload: bytes
    file: str | None = None
    """Where the payload is, when it is a blob; `payload` is empty then."""
    in_memory: bool = True
    """Whether predict is to have the payload in memory all the same."""
    wants_outputs: bool = False
    """Whether each value that a generator yields is to be told, however many there are."""


def frame(kind: Kind, *parts: bytes) -> bytes:
    """The bytes of one frame whose body is `parts` joined."""
    return b"".join((_HEAD.pack(kind, sum(map(len, parts))), *parts))


def object_frame(kind: Kind, value: object) -> bytes:
    """A frame whose body is `value` as JSON."""
    return frame(kind, json.dumps(value).encode())


def work_frame(work: Work) -> bytes:
    workload_id, content_type = work.id.encode(), work.content_type.encode()
    lengths = len(workload_id), len(content_type), len(work.headers)
    head = _WORK.pack(work.number, work.attempt, work.timeout, *lengths, work.wants_outputs)
    return frame(Kind.WORK, head, workload_id, content_type, work.headers, work.payload)


def read_work(body: bytes) -> Work:
    if len(body) < _WORK.size:
        raise WireError("a work frame that is too short")
    number, attempt, timeout, id_length, type_length, headers_length, wants_outputs = _WORK.unpack_from(body)
    at_type = _WORK.size + id_length
    at_headers = at_type + type_length
    at_payload = at_headers + headers_length
    return Work(
        number=number,
        attempt=attempt,
        timeout=timeout,
        id=body[_WORK.size : at_type].decode(),
        content_type=body[at_type:at_headers].decode(),
        headers=body[at_headers:at_payload],
        payload=body[at_payload:],
        wants_outputs=wants_outputs,
    )


def file_frame(path: os.PathLike[str], *, in_memory: bool) -> bytes:
    """What goes before the frame of a work whose payload is in a file."""
    return object_frame(Kind.FILE, {"path": os.fspath(path), "in_memory": in_memory})


def with_file(work: Work, body: bytes) -> Work:
    """The work, with what the FILE frame before it has said."""
    told = read_object(body)
    return replace(work, file=str(told["path"]), in_memory=bool(told["in_memory"]))


def numbered_frame(kind: Kind, number: int, body: bytes = b"") -> bytes:
    """A frame about one workload: DONE, FAILED, CANCEL, RETURN or RETURNED."""
    return frame(kind, _NUMBER.pack(number), body)


def numbered_object_frame(kind: Kind, number: int, value: object) -> bytes:
    """A frame about one workload whose body is `value` as JSON."""
    return numbered_frame(kind, number, json.dumps(value).encode())


def answer_frame(number: int, said: Answer, data: bytes = b"") -> bytes:
    """A frame that answers a workload's question."""
    return numbered_frame(Kind.ANSWER, number, bytes((said,)) + data)


def read_answer(body: bytes) -> tuple[int, Answer, bytes]:
    number, rest = read_numbered(body)
    if not rest or rest[0] not in set(Answer):
        raise WireError("an answer that says nothing")
    return number, Answer(rest[0]), rest[1:]


def output_frame(number: int, index: int, value: bytes) -> bytes:
    """A frame about one value that a workload has yielded."""
    return frame(Kind.OUTPUT, _OUTPUT.pack(number, index), value)


def read_output(body: bytes) -> tuple[int, int, bytes]:
    if len(body) <= _OUTPUT.size:
        raise WireError("an output frame that is too short")
    number, index = _OUTPUT.unpack_from(body)
    return number, index, body[_OUTPUT.size :]


def log_frame(number: int, left_out: int, text: bytes) -> bytes:
    """A frame with some of what a workload has printed, and how many lines before it are left out."""
    return frame(Kind.LOG, _LOG.pack(number, min(left_out, 0xFFFF_FFFF)), text)


def read_log(body: bytes) -> tuple[int, int, str]:
    if len(body) < _LOG.size:
        raise WireError("a log frame that is too short")
    number, left_out = _LOG.unpack_from(body)
    return number, left_out, body[_LOG.size :].decode("utf-8", "replace")


def number_of(body: bytes) -> int:
    """Which workload a frame is about."""
    if len(body) < _NUMBER.size:
        raise WireError("a frame without its number")
    return int(_NUMBER.unpack_from(body)[0])


def read_numbered(body: bytes) -> tuple[int, bytes]:
    return number_of(body), body[_NUMBER.size :]


def progress_frame(number: int, fraction: float, message: str | None) -> bytes:
    text = b"" if message is None else b"=" + message.encode("utf-8", "replace")
    return frame(Kind.PROGRESS, _FRACTION.pack(number, fraction), text)


def read_progress(body: bytes) -> tuple[int, float, str | None]:
    if len(body) < _FRACTION.size:
        raise WireError("a progress frame that is too short")
    number, fraction = _FRACTION.unpack_from(body)
    if not 0.0 <= fraction <= 1.0:
        raise WireError(f"progress {fraction!r} is not from 0 to 1")
    text = body[_FRACTION.size :]
    return number, fraction, text[1:].decode("utf-8", "replace") if text else None


def read_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a body that is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError("a body that is no JSON object")
    return value


def read_told(body: bytes) -> dict[str, Any]:
    """As `read_object`, of what user code may have put together.

    Half a character (a lone surrogate, as in names of files that are no UTF-8) reads `?`: nothing later can hold it.
    """
    value = read_object(body)
    if b"\\ud" in body.lower():
        value = read_object(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


class Frames:
    """Cuts a stream of bytes into frames, however it was chopped."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """The frames that are complete now that `data` has come.

        Raises:
            WireError: this is no stream of frames; nothing after it can be read.
        """
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= _HEAD.size:
                kind, length = _HEAD.unpack_from(buffer, at)
                if kind not in _KINDS:
                    raise WireError(f"unknown kind of frame {kind}")
                if length > MAX_FRAME_BYTES:
                    raise WireError(f"a frame of {length} bytes; at most {MAX_FRAME_BYTES} are allowed")
                end = at + _HEAD.size + length
                if len(buffer) < end:
                    return
                body = bytes(buffer[at + _HEAD.size : end])
                at = end
                yield Kind(kind), body
        finally:
            del buffer[:at]
