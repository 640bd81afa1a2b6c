"""The coverage gate: `pytest --coverage-floor=95` under `coverage run` fails when core and store fall below.

Says so before pytest's own summary, which stays the last line.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import coverage
import pytest

_SOURCES: Final = Path(__file__).parents[1] / "src" / "ringback"
_GATED: Final = [str(_SOURCES / part / "*") for part in ("core", "store")]
_REPORT: Final = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--coverage-floor", type=float, default=None, help="fail when core and store are covered by fewer percent"
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    floor = session.config.getoption("--coverage-floor")
    if floor is None:
        return
    measuring = coverage.Coverage.current()
    if measuring is None:
        raise pytest.UsageError("--coverage-floor needs `coverage run -m pytest`")
    measuring.stop()
    table = io.StringIO()
    percent = measuring.report(include=_GATED, file=table, show_missing=True, skip_covered=True)
    verdict = f"core and store: {percent:.2f} % covered, {floor:g} % wanted"
    if percent < floor:
        verdict = f"ERROR: {verdict}"
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    session.config.stash[_REPORT] = f"{table.getvalue()}{verdict}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash.get(_REPORT, None)
    if report is not None:
        terminalreporter.section("coverage of core and store")
        terminalreporter.write_line(report)
