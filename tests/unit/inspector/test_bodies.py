"""Bodies for reading: nothing is rounded, lost or run."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.inspector.bodies import HEX_BYTES, SHOWN_BYTES, fields_of, hex_rows, indented, text_of, views_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


def written(body: bytes) -> str:
    return "".join(word.text for word in indented(body))


@given(JSON, st.sampled_from([None, 1, 4]), st.booleans())
def test_indented_json_is_the_same_json(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert json.loads(written(text.encode())) == value


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"[]", ["[]"]),
        (b"{}", ["{}"]),
        (b' {"a" :[ ],"b":{ "c":1.50 } }', ["{", '  "a": [],', '  "b": {', '    "c": 1.50', "  }", "}"]),
        (b'{"a":1,"a":2}', ["{", '  "a": 1,', '  "a": 2', "}"]),
        (b"[1e400,12345678901234567890,-0.0]", ["[", "  1e400,", "  12345678901234567890,", "  -0.0", "]"]),
        (b'"a\\"{[,:]"', ['"a\\"{[,:]"']),
        (b"null", ["null"]),
    ],
)
def test_literals_are_as_they_were_written(body: bytes, lines: list[str]) -> None:
    assert written(body).split("\n") == lines


def test_words_are_told_apart() -> None:
    kinds = [word.kind for word in indented(b'{"k":"s","n":1,"t":true}') if word.kind]

    assert kinds == ["key", "string", "key", "number", "key", "word"]


@pytest.mark.parametrize(
    ("kind", "body", "views"),
    [
        ("application/json", b'{"a":1}', ("json", "text", "hex")),
        (None, b'{"a":1}', ("json", "text", "hex")),
        ("application/json", b"{broken", ("text", "hex")),
        ("application/json", b"[" * 100_000, ("text", "hex")),
        ("application/x-www-form-urlencoded", b"a=1", ("form", "text", "hex")),
        ("image/png", b"\x89PNG\x00", ("hex", "text")),
        ("text/plain", b"a\0b", ("hex", "text")),
        (None, b"", ("text", "hex")),
        (None, b"x" * (SHOWN_BYTES + 1), ("text", "hex")),
    ],
)
def test_the_best_view_comes_first(kind: str | None, body: bytes, views: tuple[str, ...]) -> None:
    assert views_of(kind, body) == views


def test_text_is_read_in_its_charset() -> None:
    assert text_of("text/plain; charset=latin-1", b"\xe4") == "ä"
    assert text_of("text/plain; charset=nonsense", "ä".encode()) == "ä"
    assert text_of(None, b"\xff") == "\ufffd"
    assert len(text_of(None, b"x" * (SHOWN_BYTES + 1))) == SHOWN_BYTES


def test_the_fields_of_a_form_are_in_their_order() -> None:
    fields = fields_of("application/x-www-form-urlencoded", b"b=2&a=1&b=two+w%C3%B6rds&e=")

    assert [(each.name, each.value) for each in fields] == [("b", "2"), ("a", "1"), ("b", "two wörds"), ("e", "")]
    assert fields_of("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 20_000)) == []


def test_the_parts_of_a_form_with_files_are_listed() -> None:
    body = (
        b'--X\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        b"\x89PNG\r\n--X--\r\n"
    )
    fields = fields_of("multipart/form-data; boundary=X", body)

    assert [(each.name, each.value, each.note) for each in fields] == [
        ("note", "hello", ""),
        ("file", "", "a.png, image/png, 4 bytes"),
    ]
    assert fields_of("multipart/form-data", b"nothing of the kind") is not None


def test_bytes_stand_sixteen_to_a_row() -> None:
    rows = hex_rows(bytes(range(0x30, 0x42)))

    assert [row.offset for row in rows] == ["00000000", "00000010"]
    assert rows[0].codes.startswith("30 31 32 33 34 35 36 37  38 39")
    assert (rows[0].text, rows[1].text) == ("0123456789:;<=>?", "@A")
    assert len({len(row.codes) for row in rows}) == 1
    assert len(hex_rows(b"x" * (HEX_BYTES + 5))) == HEX_BYTES // 16
