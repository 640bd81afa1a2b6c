"""Everything that can be wrong with a user's predictor, each with its one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from ringback.work.child.loading import LoadError, import_file, make, predict_of, story_of

OFFERS = {"config": {"model": "iris"}, "metrics_client": "metrics"}


@pytest.fixture(autouse=True)
def the_process_as_it_was() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def load(folder: Path, text: str, name: str = "predictor.py") -> Any:
    path = folder / name
    path.write_text(dedent(text))
    predictor = make(import_file(path, None), path, OFFERS)
    predict_of(predictor)
    return predictor


def test_the_seeds_own_signatures(tmp_path: Path) -> None:
    predictor = load(
        tmp_path,
        """
        class PythonPredictor:
            def __init__(self, config):
                self.config = config
            def predict(self, payload, request_id):
                return payload
        """,
    )
    assert predictor.config == {"model": "iris"}
    assert predict_of(predictor)[1] == {"payload", "request_id"}


@pytest.mark.parametrize(
    ("signature", "named"),
    [
        ("self", set()),
        ("self, payload", {"payload"}),
        ("self, *, workload, headers=None", {"workload", "headers"}),
        ("self, payload, **more", {"payload", "request_id", "headers", "workload"}),
        ("self, payload, threshold=0.5, *rest", {"payload"}),
    ],
)
def test_predict_is_given_what_it_names(tmp_path: Path, signature: str, named: set[str]) -> None:
    predictor = load(tmp_path, f"class PythonPredictor:\n    def predict({signature}): ...")
    assert predict_of(predictor)[1] == named


def test_init_may_name_the_metrics_client(tmp_path: Path) -> None:
    text = "class PythonPredictor:\n    def __init__(self, config, metrics_client): self.m = metrics_client\n"
    assert load(tmp_path, text + "    def predict(self): ...").m == "metrics"


def test_a_static_predict_counts(tmp_path: Path) -> None:
    predictor = load(tmp_path, "class PythonPredictor:\n    @staticmethod\n    def predict(payload): return payload")
    predict, names = predict_of(predictor)
    assert names == {"payload"}
    assert predict(payload=1) == 1


def test_its_folder_is_on_the_path_and_so_is_python_path(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("VALUE = 1")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "in_the_library.py").write_text("VALUE = 2")
    path = tmp_path / "predictor.py"
    path.write_text("import in_the_library\nV = in_the_library.VALUE")
    assert import_file(path, tmp_path / "lib").V == 2
    path.write_text("import beside_it\nV = beside_it.VALUE")
    assert import_file(path, None).V == 1


CLASS = "class PythonPredictor:\n    "


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def predict(:", "predictor.py:1: invalid syntax"),
        ("import no_such_thing_at_all", "importing predictor.py raised ModuleNotFoundError: No module named"),
        ("import no_such_thing_at_all", "(predictor.py:1)"),
        ("raise SystemExit(3)", "importing predictor.py raised SystemExit: 3 (predictor.py:1)"),
        ("", "predictor.py has no class PythonPredictor"),
        ("class PythonPredicter: ...", "did you mean to name PythonPredicter so?"),
        ("PythonPredictor = 3", "predictor.py has no class PythonPredictor"),
        (CLASS + "pass", "PythonPredictor has no method predict"),
        (CLASS + "predict = 3", "PythonPredictor has no method predict"),
        (CLASS + "def predict(self, data): ...", "asks for 'data', which nobody offers: it can have payload,"),
        (CLASS + "def predict(self, payload, /): ...", "takes 'payload' by place alone, and is called by name"),
        (CLASS + "def predict(self, payloads): ...", "'payloads', which nobody offers; did you mean payload?"),
        (CLASS + "def __init__(self, model): ...", "PythonPredictor.__init__ asks for 'model', which nobody offers"),
        (CLASS + "def __init__(self, config): raise OSError('no such')", "OSError: no such (predictor.py:2)"),
        (CLASS + "def __init__(self):\n        import sys; sys.exit()", "__init__ raised SystemExit (predictor.py:3)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(LoadError) as wrong:
        load(tmp_path, text)
    assert sentence in str(wrong.value)


def test_a_file_that_is_not_there_or_no_python(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="there is no file"):
        import_file(tmp_path / "nowhere.py", None)
    with pytest.raises(LoadError, match=r"must end in \.py"):
        load(tmp_path, "x = 1", name="predictor.txt")


def test_the_place_is_the_deepest_line_of_the_users_own_file(tmp_path: Path) -> None:
    text = "import json\ndef deep():\n    json.loads('{')\n\ndeep()\n"
    with pytest.raises(LoadError, match=r"JSONDecodeError: .* \(predictor\.py:3\)$"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("import this_is_not_there", '  File "{path}", line 1, in <module>', "ModuleNotFoundError: No module named"),
        ("x = (", '  File "{path}", line 1', "SyntaxError: '(' was never closed"),
        (
            "class PythonPredictor:\n    def __init__(self):\n        raise OSError('no model')",
            '  File "{path}", line 3, in __init__',
            "OSError: no model",
        ),
    ],
)
def test_the_story_begins_where_the_users_code_does(tmp_path: Path, text: str, first: str, last: str) -> None:
    with pytest.raises(LoadError) as broken:
        load(tmp_path, text)
    lines = [line for line in story_of(broken.value.__cause__).splitlines() if not line.startswith("Traceback")]

    assert lines[0] == first.format(path=tmp_path / "predictor.py")
    assert lines[-1].startswith(last)
    assert "ringback" not in "".join(lines).replace(str(tmp_path), "")


def test_what_was_not_raised_has_no_story(tmp_path: Path) -> None:
    with pytest.raises(LoadError) as broken:
        load(tmp_path, "class Predictor: ...")

    assert story_of(broken.value.__cause__) == ""
