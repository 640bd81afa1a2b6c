"""What `ringback dev` shows: a line for each workload and webhook, and a mistake once."""

from __future__ import annotations

import pytest

from ringback.core.delivery import Delivered, Park, TryAgain, Verdict
from ringback.runtime.facts import Facts
from ringback.runtime.terminal import Terminal


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def facts(said: list[str]) -> Facts:
    facts = Facts()
    Terminal(facts, said.append)
    return facts


def test_a_workload_is_a_line_with_its_id_and_what_went_wrong(facts: Facts, said: list[str]) -> None:
    facts("workload.finished", api="iris", workload="w-1", status="completed", run_us=2_010_000, error=None)
    facts("workload.finished", api="iris", workload="w-2", status="failed", run_us=1_000, error="OSError: one\ntwo")
    facts("workload.finished", api="iris", workload="w-3", status="canceled", run_us=None)
    facts("workload.finished", api="iris", workload="w-4", status="completed", run_us=3_725_000_000, error=None)

    assert [line.split() for line in said] == [
        ["iris", "completed", "in", "2.0", "s", "w-1"],
        ["iris", "failed", "in", "1.0", "ms", "w-2", "OSError:", "one"],
        ["iris", "canceled", "w-3"],
        ["iris", "completed", "in", "1", "h", "2", "min", "w-4"],
    ]


@pytest.mark.parametrize(
    ("status", "detail", "verdict", "words"),
    [
        (200, None, Delivered(), "200        in 3.0 ms    dlv_7"),
        (503, "busy", TryAgain(wait_seconds=5), "503        in 3.0 ms    dlv_7  busy; again in 5s"),
        (
            None,
            "cannot be reached",
            TryAgain(wait_seconds=300),
            "no answer  in 3.0 ms    dlv_7  cannot be reached; again in 5m",
        ),
        (410, "gone", Park(reason="it says it is gone"), "410        in 3.0 ms    dlv_7  parked: it says it is gone"),
    ],
)
def test_a_webhook_is_a_line_with_what_becomes_of_it(
    facts: Facts, said: list[str], status: int | None, detail: str | None, verdict: Verdict, words: str
) -> None:
    facts(
        "delivery.attempted",
        endpoint="iris",
        outcome="whichever",
        status=status,
        duration_us=3_040,
        delivery=7,
        detail=detail,
        verdict=verdict,
    )

    assert said == [f"webhook to iris      {words}"]


def test_a_mistake_is_told_once_until_it_is_another_or_mended(facts: Facts, said: list[str]) -> None:
    def broken(reason: str, traceback: str = "") -> None:
        facts("replica.broken", api="iris", replica=1, reason=reason, traceback=traceback)

    broken("p.py:1: invalid syntax", '  File "p.py", line 1\nSyntaxError: \x1b[2Jno\n')
    broken("p.py:1: invalid syntax")
    first = [line.split(maxsplit=1)[1] for line in said]
    assert first == [
        "does not load: p.py:1: invalid syntax",
        '|   File "p.py", line 1',
        "| SyntaxError: �[2Jno",
        "mend it and save, and it is taken up",
    ]
    broken("p.py:2: another")
    assert len(said) == len(first) + 2
    facts("replica.ready", api="iris", replica=2)
    broken("p.py:2: another")
    assert len(said) == len(first) + 5


def test_what_the_terminal_tells_the_log_does_not(
    facts: Facts, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    facts("replica.lost", api="iris", replica=1, reason="was killed by SIGKILL")
    facts("file.refused", reason="ringback.yaml:1:1: wrong")

    assert [line.split(maxsplit=1)[0] for line in said] == ["iris", "ringback.yaml:1:1:"]
    assert caplog.records == []
