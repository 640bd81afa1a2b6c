"""A folder with a predictor, and a file in it to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringback.core.errors import SpecError
from ringback.core.spec import Api
from ringback.runtime.specfile import SpecFile, load

IRIS = "- name: iris\n  predictor: {path: predictor.py}\n"
"""The least that can be served."""


@dataclass(slots=True)
class Desk:
    """Where a file is written and read."""

    file: Path
    environment: dict[str, str] = field(default_factory=dict)

    def load(self, content: str | bytes, environment: Mapping[str, str] | None = None) -> SpecFile:
        """What the file stands for."""
        self.file.write_bytes(content.encode() if isinstance(content, str) else content)
        return load(self.file, environment or {})

    def api(self, more: str = "", environment: Mapping[str, str] | None = None) -> Api:
        """The one API of a file: `IRIS`, and these lines."""
        [api] = self.load(IRIS + more, environment).apis
        return api

    def errors(self, content: str | bytes, environment: Mapping[str, str] | None = None) -> list[str]:
        """The lines a file is refused with, without the file's own path in front."""
        with pytest.raises(SpecError) as refused:
            self.load(content, environment)
        lines = str(refused.value).split("\n")
        assert all(line.startswith(f"{self.file}:") for line in lines), lines
        return [line.removeprefix(f"{self.file}:") for line in lines]

    def error(self, content: str | bytes, environment: Mapping[str, str] | None = None) -> str:
        """The only line a file is refused with."""
        [line] = self.errors(content, environment)
        return line


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "predictor.py").touch()
    return Desk(tmp_path / "ringback.yaml")
