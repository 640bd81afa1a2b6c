"""Reading what is to be served: `ringback.yaml`, Cortex's `cortex.yaml`, or a single Python file.

All that is wrong with a file is told at once, each line with file, line, column, key and what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ringback.core.errors import SpecError
from ringback.core.spec import RESERVED_NAMES, Api, Predictor
from ringback.runtime.specfile.building import build_apis
from ringback.runtime.specfile.source import Source, compose

FILE_NAMES: Final = ("ringback.yaml", "cortex.yaml")

_NAME_MOST: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """What a file asks to be served."""

    file: Path
    """Absolute."""
    apis: tuple[Api, ...]
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the file is; the default store stands beside it."""
        return self.file.parent

    @property
    def environments(self) -> Path:
        """Where the environments of APIs with requirements are kept."""
        return self.folder / ".ringback" / "environments"


def load(file: Path, environment: Mapping[str, str]) -> SpecFile:
    """Read a file, YAML or Python.

    Raises:
        SpecError: it cannot be served; the message has one line for each thing that is wrong.
    """
    file = file.absolute()
    if file.suffix == ".py":
        return _single(file)
    source = Source(file, environment)
    apis = build_apis(source, compose(source))
    return SpecFile(file=file, apis=apis, warnings=tuple(source.warnings))


def find(folder: Path) -> Path:
    """The file that is served when none is named.

    Raises:
        SpecError: the folder has none.
    """
    for name in FILE_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise SpecError(f"there is no {' or '.join(FILE_NAMES)} in {folder}; name a file, or make one with `ringback init`")


def _single(file: Path) -> SpecFile:
    if not file.is_file():
        raise SpecError(f"{file}: there is no such file")
    name = re.sub(r"[^a-z0-9-]+", "-", file.parent.name.lower()).strip("-")[:_NAME_MOST]
    if not name or name in RESERVED_NAMES:
        name = re.sub(r"[^a-z0-9-]+", "-", file.stem.lower()).strip("-")[:_NAME_MOST]
    if not name or name in RESERVED_NAMES:
        raise SpecError(
            f"{file}: neither the folder nor the file has a name that could be a URL; write a ringback.yaml"
        )
    return SpecFile(file=file, apis=(Api(name=name, endpoint=name, predictor=Predictor(path=file)),))
