"""Finding, importing and making the user's predictor, with one clear sentence for everything that can be wrong."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

CLASS_NAME: Final = "PythonPredictor"
INIT_OFFERS: Final = ("config", "metrics_client")
PREDICT_OFFERS: Final = ("payload", "request_id", "headers", "workload")

_NEAR: Final = 0.6
_HERE: Final = Path(__file__).parent
_STORY_CHARACTERS: Final = 64 * 1024


class LoadError(Exception):
    """The predictor cannot be served; the message is for the user."""


def import_file(path: Path, python_path: Path | None) -> ModuleType:
    """Import the predictor's file, with its folder (or `python_path`) at the end of `sys.path`.

    Raises:
        LoadError: there is no such file, or importing it raised.
    """
    if not path.is_file():
        raise LoadError(f"there is no file {path}")
    sys.path.append(str(python_path or path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise LoadError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except BaseException as error:
        raise LoadError(f"importing {path.name} raised {raised_at(error, path)}") from error
    return module


def make(module: ModuleType, path: Path, offers: Mapping[str, Any]) -> Any:
    """An instance of the module's `PythonPredictor`, its `__init__` given what it names.

    Raises:
        LoadError: there is no such class, or it cannot be made.
    """
    kind = getattr(module, CLASS_NAME, None)
    if not inspect.isclass(kind):
        classes = [name for name, value in vars(module).items() if inspect.isclass(value)]
        near = difflib.get_close_matches(CLASS_NAME, classes, 1, _NEAR)
        hint = f"; did you mean to name {near[0]} so?" if near else ""
        raise LoadError(f"{path.name} has no class {CLASS_NAME}{hint}")
    names = [] if kind.__init__ is object.__init__ else named(kind.__init__, INIT_OFFERS, f"{CLASS_NAME}.__init__")
    try:
        return kind(**{name: offers[name] for name in names})
    except BaseException as error:
        raise LoadError(f"{CLASS_NAME}.__init__ raised {raised_at(error, path)}") from error


def predict_of(predictor: Any) -> tuple[Callable[..., Any], frozenset[str]]:
    """The predictor's `predict` and the arguments it is to be given.

    Raises:
        LoadError: there is none, or it asks for something nobody offers.
    """
    predict = getattr(predictor, "predict", None)
    if not callable(predict):
        raise LoadError(f"{CLASS_NAME} has no method predict")
    return predict, frozenset(named(predict, PREDICT_OFFERS, f"{CLASS_NAME}.predict"))


def named(function: Callable[..., Any], offers: Collection[str], title: str) -> list[str]:
    """Those of `offers` that the function names; all of them if it takes any keyword.

    Raises:
        LoadError: it insists on an argument that is not on offer.
    """
    parameters = list(inspect.signature(function).parameters.values())
    if parameters and parameters[0].name == "self" and not inspect.ismethod(function):
        del parameters[0]
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return list(offers)
    names = []
    for each in parameters:
        if each.kind is each.VAR_POSITIONAL:
            continue
        if each.name in offers and each.kind is not each.POSITIONAL_ONLY:
            names.append(each.name)
        elif each.name in offers and each.default is each.empty:
            raise LoadError(f"{title} takes {each.name!r} by place alone, and is called by name; leave out the '/'")
        elif each.default is each.empty:
            near = difflib.get_close_matches(each.name, offers, 1, _NEAR)
            hint = f"; did you mean {near[0]}?" if near else f": it can have {', '.join(offers)}"
            raise LoadError(f"{title} asks for {each.name!r}, which nobody offers{hint}")
    return names


def story_of(error: BaseException | None) -> str:
    """The traceback of what went wrong, from where the user's own code begins; empty when nothing was raised."""
    if error is None:
        return ""
    steps = error.__traceback__
    while steps is not None and _is_ours(steps.tb_frame.f_code.co_filename):
        steps = steps.tb_next
    return "".join(traceback.format_exception(type(error), error, steps))[-_STORY_CHARACTERS:]


def _is_ours(file: str) -> bool:
    return file.startswith("<frozen importlib") or Path(file).parent == _HERE


def raised_at(error: BaseException, path: Path) -> str:
    """`Type: message (file.py:12)`, with the deepest line of the user's own file."""
    lines = [step.lineno for step in traceback.extract_tb(error.__traceback__) if Path(step.filename) == path]
    place = f" ({path.name}:{lines[-1]})" if lines else ""
    message = str(error).strip()
    return f"{type(error).__name__}: {message}{place}" if message else f"{type(error).__name__}{place}"
