"""Entry of a replica's process: loads this folder as a package under a private name and hands over to `main`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

_PRIVATE_NAME = "_ringback_child"


def _load_package() -> None:
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        _PRIVATE_NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PRIVATE_NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _load_package()
    sys.exit(importlib.import_module(f"{_PRIVATE_NAME}.main").main(sys.argv))
