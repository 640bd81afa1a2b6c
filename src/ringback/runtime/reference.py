"""The reference pages' tables, made from the same tables the code reads by. Pure.

`python -m ringback.runtime.reference docs` writes them into the pages; a test sees that they are current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from ringback.core.quantities import format_duration, format_size
from ringback.core.settings import OPTIONS
from ringback.core.spec import Api, Autoscaling, Compute, Endpoint, Predictor, Retries
from ringback.runtime.specfile.building import FIELDS
from ringback.runtime.specfile.schema import SECTIONS

_KINDS: Final[Mapping[str, type]] = {
    "": Api,
    "predictor": Predictor,
    "compute": Compute,
    "autoscaling": Autoscaling,
    "retries": Retries,
    "webhook": Endpoint,
}
_MARK: Final = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Every generated table by its name: `settings`, and `file` with a section after a dot."""
    made = {"settings": _settings()}
    for section in SECTIONS:
        made[f"file.{section}" if section else "file"] = _section(section)
    return made


def fill(page: str) -> str:
    """The page with the tables between its marks replaced by current ones."""
    made = tables()
    return _MARK.sub(lambda found: f"{found[1]}{made[found[2]]}{found[3]}", page)


def _section(section: str) -> str:
    rows, ignored = [], []
    for name, key in SECTIONS[section].items():
        if key.ignored:
            ignored.append(f"`{name}`")
            continue
        default = "**required**" if key.required else _default(section, name)
        rows.append((f"`{name}`", key.shape, default, key.meaning))
    text = _table(("key", "what", "default", "meaning"), rows)
    if ignored:
        text += f"\nRead with a warning, for Cortex's sake: {', '.join(ignored)}.\n"
    return text


def _settings() -> str:
    rows = [
        (f"`--{option.name}`", f"`{option.variable}`", f"`{option.default}`" if option.default else "", option.meaning)
        for option in OPTIONS
    ]
    return _table(("option", "environment", "default", "meaning"), rows)


def _default(section: str, key: str) -> str:
    kind = _KINDS.get(section)
    if kind is None:
        return ""
    field = next((each for each in fields(kind) if each.name == FIELDS.get(key, key)), None)
    if field is None or repr(field.default).startswith("<dataclasses._MISSING"):
        return ""
    return _written(field.name, field.default)


def _written(name: str, value: Any) -> str:
    if value is None or isinstance(value, Mapping) or value == frozenset():
        return ""
    if name == "retry_seconds":
        text = f"[{', '.join(map(format_duration, value))}]"
    elif isinstance(value, frozenset):
        text = f"[{', '.join(sorted(value))}]"
    elif name.endswith("_seconds"):
        text = format_duration(value)
    elif name.endswith("_bytes"):
        text = format_size(value)
    elif isinstance(value, int | float | str):
        text = f"{value:g}" if isinstance(value, float) else str(value)
    else:
        return ""  # a mapping of its own, with a table of its own
    return f"`{text}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.md")):
        path.write_text(fill(path.read_text("utf-8")), "utf-8")
