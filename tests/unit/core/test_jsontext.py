"""JSON told from what is none, in pieces of any size, as orjson tells it from the whole."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.jsontext import MOST_LEVELS, MOST_NUMBER_BYTES, JsonCheck, NotJson

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=40,
)
TEXTS = st.builds(
    lambda value, ascii_only, indent, tight: json.dumps(
        value, ensure_ascii=ascii_only, indent=indent, separators=(",", ":") if tight else None
    ).encode("utf-8", "surrogatepass"),
    VALUES,
    st.booleans(),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
PIECES = st.integers(1, 70)
SPLICES = st.sampled_from(
    [b"", b",", b"]", b"}", b'"', b"\\", b"\\u", b"0", b"-", b".", b"e", b" ", b"\x00", b"\xff", b"t"]
)


def look(text: bytes, size: int) -> None:
    check = JsonCheck()
    for at in range(0, len(text), size):
        check.feed(text[at : at + size])
    check.close()


def is_json(text: bytes, size: int = 1 << 20) -> bool:
    try:
        look(text, size)
    except NotJson:
        return False
    return True


def is_json_to_orjson(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


@settings(deadline=None)
@given(TEXTS, PIECES)
def test_what_json_writes_is_json_however_it_is_cut(text: bytes, size: int) -> None:
    assert is_json(text, size) == is_json_to_orjson(text)


@settings(max_examples=400, deadline=None)
@given(TEXTS, PIECES, SPLICES, st.integers(0, 1 << 16), st.integers(0, 3))
def test_what_has_been_damaged_is_judged_as_orjson_judges_it(
    text: bytes, size: int, splice: bytes, place: int, lost: int
) -> None:
    at = place % (len(text) + 1)
    damaged = text[:at] + splice + text[at + lost :]

    if is_json_to_orjson(damaged):
        assert is_json(damaged, size)
    elif is_json(damaged, size):
        assert "number" in _reason(damaged)  # one that no double can hold


def _reason(text: bytes) -> str:
    with pytest.raises(orjson.JSONDecodeError) as told:
        orjson.loads(text)
    return str(told.value)


JSON = [
    *(b"null", b"true", b" false ", b"0", b"-0", b"-1.5e+7", b"1E3", b'""', b"[]", b"{}", b"[ ]", b"{ }"),
    *(b"\n[1 , 2]\r\n", b'"\\ud83d\\ude00"', b'"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"', '"ü€😀"'.encode(), b'"\x7f"'),
    b'{"a":{"b":[{}]},"c":[]}',
    b"[" * MOST_LEVELS + b"]" * MOST_LEVELS,
    b"[" + b"[[[[[[[1],2],3],4],5],6],7]," * 3 + b"0]",
]
NO_JSON = [
    *(b"", b" ", b"tru", b"truex", b"nul l", b"True", b"NaN", b"-", b"+1", b".5", b"1.", b"01", b"1e", b"0x1"),
    *(b"1 2", b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"]", b"[}", b"{]", b"{", b'{"a"', b'{"a":'),
    *(b'{"a":1', b"[[1],]", b'{"a":1,}', b'{"a" 1}', b"{1:2}", b'{"a":1 "b":2}', b'{"a":[1,]}', b'[{"a":1,}]'),
    *(b'["a":1]', b'{"a",1}', b'"', b'"a', b'"\\"', b'"\\x"', b'"\\u12g4"', b'"\\ud800"', b'"\\udc00"'),
    *(b'"\\ud800\\u0041"', b'"a\nb"', b'"\x00"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc3"', b"\xef\xbb\xbf1", b"\xc3"),
    *(b'["\xe2\x82"]', b"'a'", b"[1]x", b"{}{}"),
    b"[" * (MOST_LEVELS + 1) + b"]" * (MOST_LEVELS + 1),
]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("text", JSON)
def test_json(text: bytes, size: int) -> None:
    assert is_json(text, size)
    assert is_json_to_orjson(text)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("text", NO_JSON)
def test_no_json(text: bytes, size: int) -> None:
    assert not is_json(text, size)
    assert not is_json_to_orjson(text)


def test_a_number_without_end_is_not_kept() -> None:
    with pytest.raises(NotJson, match="too long"):
        look(b"1" * 3 * MOST_NUMBER_BYTES, MOST_NUMBER_BYTES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": 1, "b" 2}', "a colon was expected at byte 13"),
        (b'{"a": 1', "it ends too early at byte 7"),
        (b"[1] 2", "something follows its end at byte 4"),
        (b"[1, 2, nil]", "no such value at byte 7"),
        (b'["\x01"]', "no character that a string may hold at byte 2"),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_it_says_where(text: bytes, words: str, size: int) -> None:
    with pytest.raises(NotJson, match=words):
        look(text, size)


def test_a_long_string_is_not_gone_over_again() -> None:
    """Ten megabytes that are one string, in a thousand pieces: over in a moment, or never."""
    check = JsonCheck()
    check.feed(b'{"image":"')
    for _ in range(1_000):
        check.feed(b"0123456789abcdef" * 640)
    check.feed(b'"}')
    check.close()
