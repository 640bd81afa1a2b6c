"""Whether bytes that come in pieces are JSON (RFC 8259), told without keeping them. Pure.

Accepts what orjson accepts: UTF-8, no lone surrogates, at most 1024 levels. Only a number too large for a double passes
here and not there. Whatever can be is left to the regular expression engine, a run of members at a time: one token at a
time would take ten times as long. No repeat gives back what it has, so that no input makes it try again and again:
those of one character are possessive. Those of groups stand in atomic groups, for until Python 3.11.5 possessive ones
miss what they should match (python/cpython#106052).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import cache
from typing import Final

MOST_LEVELS: Final = 1_024
MOST_NUMBER_BYTES: Final = 4_096

_LEVELS_AT_ONCE: Final = 5
"""The pattern doubles with each."""

_WS: Final = rb"[ \t\n\r]*+"
_HEX: Final = rb"[0-9a-fA-F]"
_ESCAPE: Final = (
    rb'\\(?:["\\/bfnrt]|u(?:[dD][89abAB]' + _HEX + rb"{2}\\u[dD][c-fC-F]" + _HEX + rb"{2}|(?![dD][89a-fA-F])"
    + _HEX + rb"{4}))"
)  # fmt: skip
_INSIDE: Final = rb'[^"\\\x00-\x1f]*+(?>(?:' + _ESCAPE + rb'[^"\\\x00-\x1f]*+)*)'
_STRING: Final = b'"' + _INSIDE + b'"'
_PLAIN: Final = rb"(?:-?(?:0|[1-9][0-9]*+)(?>(?:\.[0-9]++)?)(?>(?:[eE][+-]?+[0-9]++)?)|true|false|null)"


def _value_of(levels: int) -> bytes:
    """The pattern of a value in which containers are nested at most so deep."""
    text = _STRING + b"|" + _PLAIN
    if levels > 0:
        within = _value_of(levels - 1)
        item = within + _WS + rb"(?:," + _WS + rb"(?!\])|(?=\]))"
        member = _STRING + _WS + b":" + _WS + within + _WS + rb"(?:," + _WS + rb"(?!\})|(?=\}))"
        text += rb"|\[" + _WS + b"(?>(?:" + item + rb")*)\]|\{" + _WS + b"(?>(?:" + member + rb")*)\}"
    return b"(?>" + text + b")"


_SPACE: Final = re.compile(_WS)


@cache
def _runs() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Runs of items and of members, each with its comma. Made when first needed: it takes a tenth of a second."""
    value = _value_of(_LEVELS_AT_ONCE)
    items = rb"(?>(?:" + _WS + value + _WS + rb",)+)"
    members = rb"(?>(?:" + _WS + _STRING + _WS + b":" + _WS + value + _WS + rb",)+)"
    return re.compile(items), re.compile(members)


_REST_OF_STRING: Final = re.compile(_INSIDE)
_WORD: Final = re.compile(rb"[-+.0-9a-zA-Z]*+")
_A_PLAIN: Final = re.compile(_PLAIN)
_LONGEST_ESCAPE: Final = 12

_ARRAY, _OBJECT = b"[]"[0], b"{}"[0]
_CLOSES: Final = {b"]"[0]: _ARRAY, b"}"[0]: _OBJECT}
_QUOTE, _COMMA, _COLON, _BACKSLASH = b'",:\\'


class NotJson(ValueError):
    """What came is no JSON; the message says at which byte."""


class JsonCheck:
    """Fed with the pieces, then closed; either raises `NotJson`."""

    def __init__(self) -> None:
        self._items, self._members = _runs()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._rest = b""
        self._read = 0  # bytes before `_rest`
        self._levels = bytearray()
        self._expects: _Expects = self._value
        self._then: _Expects = self._value
        self._is_last = False

    def feed(self, piece: bytes) -> None:
        """Look at some more."""
        self._decode(piece)
        self._look(self._rest + piece)

    def close(self) -> None:
        """That was all of it."""
        self._is_last = True
        self._decode(b"")
        self._look(self._rest)
        if self._levels or self._expects != self._after_value:
            raise self._wrong(len(self._rest), "it ends too early")

    def _decode(self, piece: bytes) -> None:
        try:
            self._utf8.decode(piece, self._is_last)
        except UnicodeDecodeError:
            raise NotJson(f"no UTF-8 after byte {self._read}") from None

    def _look(self, text: bytes) -> None:
        at, self._rest = 0, text
        while True:
            if self._expects != self._string:
                at = self._space(text, at)
            after = self._expects(text, at) if at < len(text) else None
            if after is None:  # the rest is a part of something
                self._read += at
                self._rest = text[at:]
                return
            at = after

    def _space(self, text: bytes, at: int) -> int:
        found = _SPACE.match(text, at)
        assert found is not None
        return found.end()

    # ── What is expected: takes in one thing, or a run of them; None: there is only a part of it ────

    def _value(self, text: bytes, at: int) -> int | None:
        first = text[at]
        if self._levels and self._levels[-1] == _ARRAY and (run := self._items.match(text, at)) is not None:
            self._expects = self._value
            return run.end()
        if first == _QUOTE:
            self._expects, self._then = self._string, self._after_value
            return at + 1
        if first in {_ARRAY, _OBJECT}:
            if len(self._levels) >= MOST_LEVELS:
                raise self._wrong(at, f"it is nested more than {MOST_LEVELS} deep")
            self._levels.append(first)
            self._expects = self._first_item if first == _ARRAY else self._first_key
            return at + 1
        return self._plain(text, at)

    def _plain(self, text: bytes, at: int) -> int | None:
        word = _WORD.match(text, at)
        assert word is not None
        if word.end() == len(text) and not self._is_last:
            if word.end() - at > MOST_NUMBER_BYTES:
                raise self._wrong(at, "a number is too long")
            return None
        found = _A_PLAIN.match(text, at)
        if found is None or found.end() != word.end():
            raise self._wrong(at, "unexpected character" if word.end() == at else "no such value")
        self._expects = self._after_value
        return found.end()

    def _first_item(self, text: bytes, at: int) -> int | None:
        return self._value(text, at) if text[at] != b"]"[0] else self._close(text, at)

    def _first_key(self, text: bytes, at: int) -> int | None:
        return self._key(text, at) if text[at] != b"}"[0] else self._close(text, at)

    def _key(self, text: bytes, at: int) -> int | None:
        if (run := self._members.match(text, at)) is not None:
            self._expects = self._key
            return run.end()
        if text[at] != _QUOTE:
            raise self._wrong(at, "a key was expected")
        self._expects, self._then = self._string, self._colon
        return at + 1

    def _string(self, text: bytes, at: int) -> int | None:
        """The rest of a string, however long it is; it may have begun many pieces ago."""
        inside = _REST_OF_STRING.match(text, at)
        assert inside is not None
        end = inside.end()
        if end == len(text):
            return end
        if text[end] == _QUOTE:
            self._expects = self._then
            return end + 1
        if text[end] == _BACKSLASH and len(text) - end < _LONGEST_ESCAPE and not self._is_last:
            return None if end == at else end
        raise self._wrong(end, "no character that a string may hold")

    def _colon(self, text: bytes, at: int) -> int | None:
        if text[at] != _COLON:
            raise self._wrong(at, "a colon was expected")
        self._expects = self._value
        return at + 1

    def _after_value(self, text: bytes, at: int) -> int | None:
        if not self._levels:
            raise self._wrong(at, "something follows its end")
        if text[at] == _COMMA:
            self._expects = self._value if self._levels[-1] == _ARRAY else self._key
            return at + 1
        return self._close(text, at)

    def _close(self, text: bytes, at: int) -> int | None:
        if not self._levels or _CLOSES.get(text[at]) != self._levels[-1]:
            raise self._wrong(at, "a comma or the end was expected")
        self._levels.pop()
        self._expects = self._after_value
        return at + 1

    def _wrong(self, at: int, what: str) -> NotJson:
        return NotJson(f"{what} at byte {self._read + at}")


_Expects = Callable[[bytes, int], int | None]
