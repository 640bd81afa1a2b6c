"""The YAML text as a graph of nodes that still know their line and column, and a list of all that is wrong.

The text may be anyone's: its size, its depth and its aliases are bounded before anything is built from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from ringback.core.errors import SpecError

MAX_BYTES: Final = 1024 * 1024
_MAX_NODES: Final = 50_000
_MAX_DEPTH: Final = 60
_TOO_MUCH: Final = "nested too deeply, or its aliases (*name) unfold to too much"

_VARIABLE: Final = re.compile(r"\$(?:(\$)\{|\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^}$]|\$(?!\{))*))?\})")
"""A default ends before the next `${`, so that a text full of unclosed ones is read in one pass."""
_HALF: Final = re.compile("[\ud800-\udfff]")
_STRING: Final = "tag:yaml.org,2002:str"
_PLAIN_TAGS: Final = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")}
_MERGE: Final = "tag:yaml.org,2002:merge"
_SHOWN: Final = 80
"""Characters of a wrong value that a message repeats."""


class Unreadable(Exception):
    """A value is not what its key asks for."""

    def __init__(self, node: yaml.Node, path: str, message: str) -> None:
        super().__init__(message)
        self.node = node
        self.path = path


@dataclass(slots=True)
class Source:
    """One file being read: its environment, and what has been found wrong so far."""

    file: Path
    environment: Mapping[str, str]
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """What relative paths in the file start from."""
        return self.file.parent

    def blame(self, unreadable: Unreadable) -> None:
        """Note an error at its place."""
        mark = unreadable.node.start_mark
        self.errors.append((mark.line + 1, mark.column + 1, _one_line(f"{unreadable.path}: {unreadable}")))

    def warn(self, node: yaml.Node, path: str, message: str) -> None:
        self.warnings.append(f"{self.file}:{node.start_mark.line + 1}: {_one_line(path)}: {message}")

    def raise_if_wrong(self) -> None:
        """Raise one `SpecError` with a line for everything that is wrong, in the order of the file."""
        if self.errors:
            lines = [f"{self.file}:{line}:{column}: {text}" for line, column, text in sorted(self.errors)]
            raise SpecError("\n".join(lines))

    # ── Scalars ─────────────────────────────────────────────────────────────────────────────────

    def text(self, node: yaml.Node, path: str) -> str:
        """A scalar as it stands in the file, with `${NAME}` and `${NAME:-default}` filled in; `$${` is a plain `${`."""
        if not isinstance(node, yaml.ScalarNode):
            raise Unreadable(node, path, f"expected one value, found {kind_of(node)}")

        def fill(found: re.Match[str]) -> str:
            if found[1]:
                return "${"
            value = self.environment.get(found[2], found[3])
            if value is None:
                raise Unreadable(node, path, f"the environment has no {found[2]}; set it, or write ${{{found[2]}:-…}}")
            return value

        text = _VARIABLE.sub(fill, str(node.value))
        if _HALF.search(text):
            raise Unreadable(node, path, "half a character (a lone surrogate) is no text")
        return text

    def plain(self, node: yaml.Node, path: str) -> Any:
        """A scalar as the Python value YAML takes it for; dates stay text."""
        text = self.text(node, path)
        assert isinstance(node, yaml.ScalarNode)
        if node.tag not in _PLAIN_TAGS:
            raise Unreadable(node, path, f"the YAML tag {node.tag} is not read here")
        tag = node.tag
        if text != node.value and node.style is None:
            tag = Resolver().resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        if tag in {_STRING, "tag:yaml.org,2002:timestamp"} or tag not in _PLAIN_TAGS:
            return text
        try:
            return SafeConstructor().construct_object(yaml.ScalarNode(tag, text))
        except (ValueError, LookupError, OverflowError):  # what PyYAML raises for `!!int x`, `!!bool x` and 60**200
            kind = tag.rpartition(":")[2]
            raise Unreadable(node, path, f"{text[:_SHOWN]!r} is no {kind}") from None

    def is_null(self, node: yaml.Node, path: str) -> bool:
        return isinstance(node, yaml.ScalarNode) and self.plain(node, path) is None

    # ── Collections ─────────────────────────────────────────────────────────────────────────────

    def pairs(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """A mapping's keys as text, with key and value nodes; merge keys (`<<`) are followed.

        Raises:
            Unreadable: it is no mapping, or a key comes twice.
        """
        if not isinstance(node, yaml.MappingNode):
            raise Unreadable(node, path, f"expected a mapping of keys to values, found {kind_of(node)}")
        own: set[str] = set()
        merged: list[yaml.MappingNode] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merged += _merge_sources(value, path)
                continue
            name = self.text(key, path)
            if name in own:
                raise Unreadable(key, path, f"the key {name!r} is there twice")
            own.add(name)
            yield name, key, value
        for each in merged:
            for name, key, value in self.pairs(each, path):
                if name not in own:
                    own.add(name)
                    yield name, key, value

    def items(self, node: yaml.Node, path: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise Unreadable(node, path, f"expected a list, found {kind_of(node)}")
        return list(node.value)

    def tree(self, node: yaml.Node, path: str) -> Any:
        """Any part of the file as plain JSON-like values."""
        if isinstance(node, yaml.ScalarNode):
            return self.plain(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.tree(each, f"{path}[{index}]") for index, each in enumerate(node.value)]
        return {name: self.tree(value, f"{path}.{name}") for name, _, value in self.pairs(node, path)}


def compose(source: Source) -> yaml.Node:
    """Read the file.

    Raises:
        SpecError: there is no such file, it is no text, or no YAML; the message says where.
    """
    text = _read(source.file)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise SpecError(_yaml_fault(source.file, text, error)) from None
    except yaml.reader.ReaderError as error:
        place = _place(text[: error.position])
        raise SpecError(f"{source.file}:{place}: the character {chr(error.character)!r} has no place in YAML") from None
    except RecursionError:
        raise SpecError(f"{source.file}: {_TOO_MUCH}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{source.file}: no YAML: {_one_line(str(error))}") from None
    except (ValueError, OverflowError):  # PyYAML lets Python's own errors through: chr() of "\\UFFFFFFFF"
        raise SpecError(f"{source.file}: no YAML: an escape (\\U…) or a number in it is out of range") from None
    if node is None:
        raise SpecError(f"{source.file}: the file is empty; `ringback init` makes one to start from")
    _bound(source, node)
    return node


def kind_of(node: yaml.Node) -> str:
    """What a node is, in words."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return f"{node.value[:_SHOWN]!r}" if node.value else "nothing"


def _read(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise SpecError(f"{file}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise SpecError(f"{file}: {len(raw)} bytes are too many; at most {MAX_BYTES} are read")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        place = _place(raw[: error.start].decode())
        raise SpecError(f"{file}:{place}: not UTF-8 text; save the file as UTF-8") from None


def _place(before: str) -> str:
    """Line and column of what follows a text."""
    lines = before.split("\n")
    return f"{len(lines)}:{len(lines[-1]) + 1}"


def _one_line(text: str) -> str:
    """The text with escapes for what would leave the line, or write to the terminal behind the reader's back."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _merge_sources(node: yaml.Node, path: str) -> list[yaml.MappingNode]:
    candidates = node.value if isinstance(node, yaml.SequenceNode) else [node]
    for each in candidates:
        if not isinstance(each, yaml.MappingNode):
            raise Unreadable(node, path, "<< merges mappings only")
    return list(candidates)


def _yaml_fault(file: Path, text: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
    problem = error.problem or "no YAML"
    if "'\\t'" in problem:
        problem = "a tab; YAML is indented with spaces"
    elif mark is not None and text[max(0, mark.index - 1) : mark.index + 1] == "${":
        problem = 'a variable within { } or [ ] needs quotes: "${NAME}"'
    return f"{file}{place}: {_one_line(problem)}"


def _bound(source: Source, root: yaml.Node) -> None:
    """Refuse what would not end, or grow out of all proportion, when its aliases are followed."""
    count = 0
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        count += 1
        if count > _MAX_NODES or depth > _MAX_DEPTH:
            raise SpecError(f"{source.file}: {_TOO_MUCH}")
        if isinstance(node, yaml.SequenceNode):
            stack += [(each, depth + 1) for each in node.value]
        elif isinstance(node, yaml.MappingNode):
            stack += [(each, depth + 1) for pair in node.value for each in pair]
