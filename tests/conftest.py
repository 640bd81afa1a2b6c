"""What is printed before pytest's own summary, which stays the last line: measured figures, and coverage.

`pytest --coverage-floor=95` under `coverage run` fails when core and store fall below. With `-n`, what is printed comes
from every process of the run: see `support/sharing.py`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from support import sharing
from support.objects import S3, s3

pytest_plugins = ["support.options"]

_SOURCES: Final = Path(__file__).parents[1] / "src" / "ringback"
_GATED: Final = [str(_SOURCES / part / "*") for part in ("core", "store")]
_REPORT: Final = pytest.StashKey[str]()
_FIGURE: Final = "figure"


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the figures printed at the end of the run, passed or not."""
    told: list[tuple[str, object]] = request.node.user_properties
    return lambda line: told.append((_FIGURE, f"{request.node.name}: {line}"))


@pytest.fixture(scope="session")
def moto() -> Iterator[S3]:
    """A server that speaks S3, for all tests that ask for one."""
    with s3() as running:
        yield running


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--coverage-floor", type=float, default=None, help="fail when core and store are covered by fewer percent"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(sharing)


@pytest.hookimpl(trylast=True)  # the processes of a shared run have ended by then
def pytest_sessionfinish(session: pytest.Session) -> None:
    floor = session.config.getoption("--coverage-floor")
    if floor is None or sharing.is_worker(session.config):
        return
    measuring = sharing.measured(session.config)
    if measuring is None:
        raise pytest.UsageError("--coverage-floor needs `coverage run -m pytest`")
    table = io.StringIO()
    percent = measuring.report(include=_GATED, file=table, show_missing=True, skip_covered=True)
    verdict = f"core and store: {percent:.2f} % covered, {floor:g} % wanted"
    if percent < floor:
        verdict = f"ERROR: {verdict}"
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    session.config.stash[_REPORT] = f"{table.getvalue()}{verdict}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    over = [each for reports in terminalreporter.stats.values() for each in reports if _ended(each)]
    figures = [line for report in over for name, line in report.user_properties if name == _FIGURE]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)
    report = config.stash.get(_REPORT, None)
    if report is not None:
        terminalreporter.section("coverage of core and store")
        terminalreporter.write_line(report)


def _ended(report: object) -> bool:
    """Whether it is a test's last report, which has all that the test has said."""
    return isinstance(report, pytest.TestReport) and report.when == "teardown"
