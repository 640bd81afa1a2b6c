"""Readers: each turns one node into one checked value, or says in a sentence what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import yaml

from ringback.core.errors import SpecError
from ringback.core.quantities import format_size, parse_duration, parse_rate, parse_size
from ringback.core.signing import Signer
from ringback.core.spec import RESERVED_NAMES
from ringback.runtime.specfile.source import Source, Unreadable

Reader = Callable[[Source, yaml.Node, str], Any]
E = TypeVar("E", bound=StrEnum)

_SHOWN: Final = 80
_NAME: Final = re.compile(r"[a-z0-9-]{1,63}")
_TAKEN: Final = RESERVED_NAMES | {"-", "openapi.json"}
"""Path segments of the server's own routes."""
_LEAST_MEMORY: Final = 2**20
_LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def text(source: Source, node: yaml.Node, path: str) -> str:
    """Any text that is not empty."""
    value = source.text(node, path)
    if not value or source.is_null(node, path):
        raise Unreadable(node, path, "expected a text, found nothing")
    return value


def name(source: Source, node: yaml.Node, path: str) -> str:
    """A name that can stand in a URL."""
    value = text(source, node, path)
    if _NAME.fullmatch(value) is None:
        raise Unreadable(node, path, f"{value[:80]!r} is no name; use 1 to 63 of a-z, 0-9 and -")
    return _free(value, node, path)


def segment(source: Source, node: yaml.Node, path: str) -> str:
    """A URL path of one segment; a slash in front is forgiven."""
    value = text(source, node, path).removeprefix("/")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", value) is None:
        raise Unreadable(node, path, f"{value[:80]!r} is no path of one segment, such as iris")
    return _free(value, node, path)


def _free(value: str, node: yaml.Node, path: str) -> str:
    if value in _TAKEN:
        raise Unreadable(node, path, f"{value!r} is taken: the server itself answers there; choose another")
    return value


def whole(least: int, most: int = 1_000_000_000) -> Reader:
    """A whole number from `least` to `most`."""

    def read(source: Source, node: yaml.Node, path: str) -> int:
        value = source.plain(node, path)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unreadable(node, path, f"expected a whole number, found {_said(value)}")
        if not least <= value <= most:
            raise Unreadable(node, path, f"expected {least} to {most}, found {_said(value)}")
        return value

    return read


def optional_whole(least: int) -> Reader:
    """A whole number from `least` on; null is as good as absent."""
    one = whole(least)

    def read(source: Source, node: yaml.Node, path: str) -> int | None:
        value: int | None = None if source.is_null(node, path) else one(source, node, path)
        return value

    return read


def number(least: float, most: float = 1e9) -> Reader:
    """A number from `least` to `most`; Kubernetes' `500m` means 0.5."""

    def read(source: Source, node: yaml.Node, path: str) -> float:
        value = source.plain(node, path)
        if isinstance(value, str) and re.fullmatch(r"\d+m", value):
            value = int(value[:-1]) / 1_000
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unreadable(node, path, f"expected a number, found {_said(value)}")
        if not least <= value <= most:
            raise Unreadable(node, path, f"expected {least:g} to {most:g}, found {value:g}")
        return float(value)

    return read


def duration(least: float = 0.0) -> Reader:
    """A length of time in seconds."""

    def read(source: Source, node: yaml.Node, path: str) -> float:
        try:
            seconds = parse_duration(source.text(node, path))
        except ValueError as error:
            raise Unreadable(node, path, str(error)) from None
        if seconds < least:
            raise Unreadable(node, path, f"expected {least:g}s or more, found {seconds:g}s")
        return seconds

    return read


def durations(source: Source, node: yaml.Node, path: str) -> tuple[float, ...]:
    """A list of lengths of time."""
    read = duration()
    return tuple(read(source, each, f"{path}[{index}]") for index, each in enumerate(source.items(node, path)))


def size(source: Source, node: yaml.Node, path: str) -> int:
    """A number of bytes."""
    try:
        return parse_size(source.text(node, path))
    except ValueError as error:
        raise Unreadable(node, path, str(error)) from None


def optional_size(source: Source, node: yaml.Node, path: str) -> int | None:
    return None if source.is_null(node, path) else size(source, node, path)


def memory(source: Source, node: yaml.Node, path: str) -> int | None:
    """A number of bytes that a process can live with."""
    count = optional_size(source, node, path)
    if count is not None and count < _LEAST_MEMORY:
        raise Unreadable(node, path, f"expected {format_size(_LEAST_MEMORY)} or more, found {format_size(count)}")
    return count


def log_level(source: Source, node: yaml.Node, path: str) -> str:
    """One of Python's levels."""
    value = text(source, node, path).lower()
    if value not in _LOG_LEVELS:
        raise Unreadable(node, path, f"{value!r} is none of {', '.join(_LOG_LEVELS)}")
    return value


def constant(expected: str, otherwise: str) -> Reader:
    """The one word that is served; any other gets the sentence `otherwise`."""

    def read(source: Source, node: yaml.Node, path: str) -> str:
        value = text(source, node, path)
        if value != expected:
            raise Unreadable(node, path, f"{value!r} {otherwise}")
        return value

    return read


def config(source: Source, node: yaml.Node, path: str) -> dict[str, Any]:
    """A mapping of anything, for the predictor."""
    if source.is_null(node, path):
        return {}
    return {key: source.tree(value, f"{path}.{key}") for key, _, value in source.pairs(node, path)}


def texts(source: Source, node: yaml.Node, path: str) -> dict[str, str]:
    """A mapping of texts to texts, such as headers."""
    if source.is_null(node, path):
        return {}
    return {key: source.text(value, f"{path}.{key}") for key, _, value in source.pairs(node, path)}


def variables(source: Source, node: yaml.Node, path: str) -> dict[str, str]:
    """Environment variables: what the operating system would refuse when a replica starts is refused here."""
    found = texts(source, node, path)
    for key, value in found.items():
        if not key or "=" in key or "\0" in key:
            raise Unreadable(node, path, f"{key!r} is no name of an environment variable")
        if "\0" in value:
            raise Unreadable(node, f"{path}.{key}", "an environment variable holds no zero character")
    return found


def existing_file(source: Source, node: yaml.Node, path: str) -> Path:
    """A file, relative to this one's folder."""
    named = source.folder / text(source, node, path)
    found = _resolved(named)
    if found is None or not found.is_file():
        raise Unreadable(node, path, f"there is no file {found or named}")
    return found


def optional_file(source: Source, node: yaml.Node, path: str) -> Path | None:
    """The same; null is as good as absent."""
    return None if source.is_null(node, path) else existing_file(source, node, path)


def existing_folder(source: Source, node: yaml.Node, path: str) -> Path | None:
    """A folder, relative to this file's."""
    if source.is_null(node, path):
        return None
    named = source.folder / text(source, node, path)
    found = _resolved(named)
    if found is None or not found.is_dir():
        raise Unreadable(node, path, f"there is no folder {found or named}")
    return found


def _resolved(path: Path) -> Path | None:
    """The path without links; None if it leads nowhere or cannot be looked at."""
    try:
        return path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # the latter two: a zero character, a link that leads to itself
        return None


def _said(value: object) -> str:
    """A value in a message: short, and in YAML's words."""
    if value is None:
        return "nothing"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a number far too large"  # Python refuses to write out one of thousands of digits
    return repr(value)[:_SHOWN]


def members(kind: type[E]) -> Reader:
    """A list of words of an enumeration."""

    def read(source: Source, node: yaml.Node, path: str) -> frozenset[E]:
        one = member(kind)
        return frozenset(one(source, each, f"{path}[{place}]") for place, each in enumerate(source.items(node, path)))

    return read


def names(source: Source, node: yaml.Node, path: str) -> frozenset[str]:
    """A list of names of exceptions, alone or after their modules."""
    found = set()
    for place, each in enumerate(source.items(node, path)):
        word = text(source, each, f"{path}[{place}]")
        if not all(part.isidentifier() for part in word.split(".")):
            raise Unreadable(each, f"{path}[{place}]", f"{word[:80]!r} is no name of an exception")
        found.add(word)
    return frozenset(found)


def member(kind: type[E]) -> Reader:
    """One word of an enumeration."""

    def read(source: Source, node: yaml.Node, path: str) -> E:
        word = text(source, node, path)
        try:
            return kind(word)
        except ValueError:
            raise Unreadable(node, path, f"{word!r} is none of {', '.join(kind)}") from None

    return read


def url(source: Source, node: yaml.Node, path: str) -> str:
    """An http or https URL."""
    value = text(source, node, path)
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise Unreadable(node, path, f"{value[:200]!r} is no URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Unreadable(node, path, f"{value[:200]!r} is no webhook URL; expected https://host/path")
    return value


def secret(source: Source, node: yaml.Node, path: str) -> str | None:
    """One or several signing secrets."""
    if source.is_null(node, path) or not source.text(node, path).strip():
        return None
    value = source.text(node, path)
    try:
        Signer(value)
    except SpecError as error:
        raise Unreadable(node, path, str(error)) from None
    return value


def rate(source: Source, node: yaml.Node, path: str) -> float | None:
    """So many a second, minute or hour; a second's worth of them is the answer."""
    if source.is_null(node, path):
        return None
    try:
        return parse_rate(source.text(node, path))
    except ValueError as error:
        raise Unreadable(node, path, str(error)) from None


def not_yet(source: Source, node: yaml.Node, path: str) -> None:
    """A key of the interface that a later release brings; null is as good as absent."""
    if not source.is_null(node, path):
        raise Unreadable(node, path, "this is not in this release yet; leave it out")
