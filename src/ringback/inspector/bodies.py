"""A captured body for reading: indented JSON, text, form fields, bytes. Pure.

Everything comes out as text: what it looks like in a browser is the templates' doing, and they escape it.
"""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

SHOWN_BYTES: Final = 256 * 1024
"""What is shown of a body; the rest is there for downloading."""
HEX_BYTES: Final = 16 * 1024

_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_TOKEN: Final = re.compile(r'("(?:[^"\\]|\\.)*")|([{}\[\],:])|([^\s{}\[\],:"]+)')
_ROW: Final = 16


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of indented JSON: its text, and what kind it is of."""

    text: str
    kind: str
    """`key`, `string`, `number`, `word`, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form."""

    name: str
    value: str
    note: str = ""
    """File name, type and size of an uploaded part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HexRow:
    """Sixteen bytes."""

    offset: str
    codes: str
    text: str


def views_of(content_type: str | None, body: bytes) -> tuple[str, ...]:
    """The ways a body can be looked at, the best first: of `json`, `form`, `text`, `hex`."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    views = []
    if _is_json(body):
        views.append("json")
    if kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        views.append("form")
    is_text = _decodes(body) and "\0" not in body.decode()
    return tuple([*views, "text", "hex"] if is_text or views else [*views, "hex", "text"])


def indented(body: bytes) -> list[Word]:
    """JSON over many lines. Every literal is as it was written: no number is rounded, no doubled key is lost."""
    words: list[Word] = []
    depth, after = 0, ""
    tokens = [(match[1], match[2], match[3]) for match in _TOKEN.finditer(body.decode())]
    for place, (string, mark, literal) in enumerate(tokens):
        following = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        if mark in {"}", "]"}:
            depth -= 1
            if after not in {"{", "["}:
                words.append(_line(depth))
        elif after in {"{", "[", ","}:
            words.append(_line(depth))
        if string:
            words.append(Word(string, "key" if following == ":" else "string"))
        elif literal:
            words.append(Word(literal, "word" if literal in {"true", "false", "null"} else "number"))
        else:
            words.append(Word(f"{mark} " if mark == ":" else mark, ""))
        if mark in {"{", "["}:
            depth += 1
        after = mark
    return words


def text_of(content_type: str | None, body: bytes) -> str:
    """The body in its declared charset, else as UTF-8; what cannot be read stands as a replacement character."""
    found = _CHARSET.search(content_type or "")
    try:
        return body[:SHOWN_BYTES].decode(found[1] if found else "utf-8", "replace")
    except LookupError:
        return body[:SHOWN_BYTES].decode("utf-8", "replace")


def fields_of(content_type: str, body: bytes) -> list[Field]:
    """The fields of a form, in their order."""
    if content_type.lower().startswith("multipart/"):
        return list(_parts(content_type, body))
    text = body[:SHOWN_BYTES].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=10_000)
    except ValueError:
        return []
    return [Field(name=name, value=value) for name, value in pairs]


def hex_rows(body: bytes) -> list[HexRow]:
    """The bytes, sixteen to a row."""
    shown = body[:HEX_BYTES]
    rows = (shown[at : at + _ROW] for at in range(0, len(shown), _ROW))
    return [
        HexRow(
            offset=f"{at * _ROW:08x}",
            codes=f"{row[:8].hex(' ')}  {row[8:].hex(' ')}".ljust(_ROW * 3 + 1),
            text="".join(chr(each) if 0x20 <= each < 0x7F else "·" for each in row),
        )
        for at, row in enumerate(rows)
    ]


def _parts(content_type: str, body: bytes) -> Iterator[Field]:
    """The parts of a multipart form, read as MIME is."""
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    for part in message.walk():
        if part.is_multipart():
            continue
        content = part.get_payload(decode=True)
        raw = content if isinstance(content, bytes) else b""
        filename = part.get_filename()
        note = "" if filename is None else f"{filename}, {part.get_content_type()}, {len(raw)} bytes"
        name = part.get_param("name", "", "content-disposition")
        yield Field(name=str(name), value="" if filename else raw[:2_000].decode("utf-8", "replace"), note=note)


def _line(depth: int) -> Word:
    return Word("\n" + "  " * depth, "")


def _is_json(body: bytes) -> bool:
    if not body or len(body) > SHOWN_BYTES:
        return False
    try:
        json.loads(body.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _decodes(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
