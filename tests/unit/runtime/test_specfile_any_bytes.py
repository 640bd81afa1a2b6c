"""Whatever stands in a file, it is read or refused with `SpecError`: no other error, and no line without a place."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ringback.core.errors import SpecError
from ringback.runtime.specfile import load
from ringback.runtime.specfile.schema import SECTIONS

QUICK = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

SCRAPS = st.sampled_from(
    [
        "- ", "\n", "\n  ", "\n    ", ": ", "name: iris", "predictor:", "path: predictor.py", "{", "}", "[", "]", ",",
        "&a ", "*a", "<<: ", "!!int ", "!!bool ", "!!binary ", "!x ", "|", ">", '"', "'", "\\U", "\\x", "%YAML 1.1",
        "---", "...", "# ", "? ", "${A}", "${", "\t", "\0", "\r", "\x85", "\ufeff", "webhook:",
        "url: http://a/", "=", "~", "1:59",
        ".inf", "0x", "0b_", "1_0", "FFFFFFFF", "9" * 30, "-", "@", "`",
    ]
)  # fmt: skip

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["5s", "1h", "2Gi", "predictor.py", "http://a/", "iris", ".", "${A}", "whsec_" + "A" * 43]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted({key for keys in SECTIONS.values() for key in keys})) | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def folder() -> Any:
    with tempfile.TemporaryDirectory() as name:
        Path(name, "predictor.py").touch()
        yield Path(name)


def served_or_refused(folder: Path, content: bytes, environment: Mapping[str, str]) -> None:
    file = folder / "ringback.yaml"
    file.write_bytes(content)
    try:
        apis, said = load(file, environment).apis, ""
    except SpecError as error:
        apis, said = (), str(error)
    assert bool(apis) != bool(said)
    for line in said.split("\n"):
        assert line.startswith(f"{file}:") or apis
        assert line.isprintable()


@pytest.mark.timeout(10)
def test_a_file_full_of_unclosed_variables_is_read_in_one_pass(folder: Path) -> None:
    served_or_refused(folder, b"- name: '" + b"${A:-" * 20_000 + b"'\n", {})


@QUICK
@given(content=st.binary(max_size=200))
def test_any_bytes(content: bytes, folder: Path) -> None:
    served_or_refused(folder, content, {})


@QUICK
@given(scraps=st.lists(SCRAPS | st.text(max_size=5), max_size=25), value=st.text(max_size=5))
@example(scraps=["- !!int ", '"', '"'], value="")
@example(scraps=["- name: ", "1:" * 200, "1.0"], value="")
@example(scraps=["- name: iris\n  concurrency: ", "9" * 5_000], value="")
@example(scraps=["- name: iris\n  compute: {cpu: ", "1:" * 200, "1.0}"], value="")
@example(scraps=["%YAML 1.", "9" * 5_000, "\n--- a"], value="")
def test_any_scraps_of_yaml(scraps: list[str], value: str, folder: Path) -> None:
    served_or_refused(folder, "".join(scraps).encode("utf-8", "surrogatepass"), {"A": value})


@QUICK
@given(
    api=st.fixed_dictionaries(
        {"name": st.just("iris"), "predictor": st.just({"path": "predictor.py"})},
        optional={key: VALUES for key in SECTIONS[""] if key not in {"name", "predictor"}},
    )
)
def test_any_values_under_known_keys(api: dict[str, Any], folder: Path) -> None:
    served_or_refused(folder, yaml.safe_dump([api]).encode(), {"A": "1"})


@QUICK
@given(
    section=st.sampled_from(sorted(set(SECTIONS) - {""})).flatmap(
        lambda name: st.tuples(
            st.just(name), st.dictionaries(st.sampled_from(sorted(SECTIONS[name])), VALUES, max_size=5)
        )
    )
)
def test_any_values_within_a_section(section: tuple[str, dict[str, Any]], folder: Path) -> None:
    name, values = section
    api = {"name": "iris", "predictor": {"path": "predictor.py"}}
    served_or_refused(folder, yaml.safe_dump([api | {name: values}]).encode(), {"A": "1"})
