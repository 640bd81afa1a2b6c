"""From what predict returned to JSON text, or to a sentence that says what in it has none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

from .sink import Sink

_ENCODE: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode
_ENCODE_ASCII: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_PLAIN_KEYS: Final = (str, int, float, bool, type(None))
_LEVELS: Final = 100
"""How deep a culprit is looked for; each level takes three frames of a stack that user code has filled before."""


class NotSerializable(Exception):
    """The value has no JSON form; the message names the place and the type."""


def encode(value: Any, place: str = "$") -> bytes:
    """The value's JSON text in UTF-8; `place` is what it is called in the whole result.

    Raises:
        NotSerializable: it has none.
    """
    try:
        return _encoded(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise NotSerializable(
            _culprit(value, place, set()) or f"the result is not JSON-serializable: {error}"
        ) from None


class Outputs:
    """What a generator has yielded, as the JSON texts that the result's is made of; in a file once they are many."""

    __slots__ = ("_bytes", "_count", "_new_sink", "_sink", "_texts", "_threshold")

    def __init__(self, threshold: int, new_sink: Callable[[], Sink]) -> None:
        self._threshold = threshold
        self._new_sink = new_sink
        self._sink: Sink | None = None
        self._texts: list[bytes] = []
        self._count = 0
        self._bytes = 2

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """How many bytes they are, as a list."""
        return self._bytes

    def add(self, value: Any) -> bytes:
        """One more value's JSON text.

        Raises:
            NotSerializable: it has none, or the whole becomes too large and there is nowhere to put it.
        """
        text = encode(value, f"$[{self._count}]")
        self._count += 1
        self._bytes += len(text) + 1
        if self._sink is not None:
            self._sink.write(b"," + text)
            return text
        self._texts.append(text)
        if self._bytes > self._threshold:
            self._sink = self._new_sink()
            self._sink.write(b"[" + b",".join(self._texts))
            self._texts.clear()
        return text

    def drop(self) -> None:
        """Nobody wants them."""
        if self._sink is not None:
            self._sink.drop()

    def as_list(self) -> bytes | Sink:
        """The JSON text of the list of them all, or the file it is in."""
        if self._sink is None:
            return b"[" + b",".join(self._texts) + b"]"
        self._sink.write(b"]")
        return self._sink


def _encoded(value: Any) -> bytes:
    try:
        return _ENCODE(value).encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can escape what UTF-8 cannot hold
        return _ENCODE_ASCII(value).encode()


def _culprit(value: Any, place: str, above: set[int]) -> str | None:
    """A sentence about the first part of `value` that has no JSON form; None if all of it looks fine."""
    if value is None or isinstance(value, str | bool | int):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{place} is {value!r}, which JSON does not know"
    if not isinstance(value, dict | list | tuple):
        sentence = f"{place} is {_described(value)}, which has no JSON form; return plain values instead"
        is_all = place == "$" and isinstance(value, bytes | bytearray | memoryview)
        return f"{sentence}, or workload.result_from(it, 'image/png') say" if is_all else sentence
    if id(value) in above:
        return f"{place} contains itself"
    if len(above) > _LEVELS:
        return f"{place[:80]}… is nested too deeply"
    return _culprit_inside(value, place, above | {id(value)})


def _culprit_inside(value: dict[Any, Any] | list[Any] | tuple[Any, ...], place: str, above: set[int]) -> str | None:
    if not isinstance(value, dict):
        found = (_culprit(item, f"{place}[{index}]", above) for index, item in enumerate(value))
        return next(filter(None, found), None)
    for key, item in value.items():
        if not isinstance(key, _PLAIN_KEYS):
            return f"{place} has the key {key!r} of type {type(key).__name__}; keys are strings in JSON"
        sentence = _culprit(item, f"{place}.{key}", above)
        if sentence:
            return sentence
    return None


def _described(value: Any) -> str:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
