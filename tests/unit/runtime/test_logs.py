"""What the log says, in both forms: a line for what somebody should know, and silence for the rest."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator

import pytest

from ringback.core.clock import HandWound
from ringback.runtime import logs
from ringback.runtime.facts import Facts

Start = Callable[..., Facts]


@pytest.fixture
def start() -> Iterator[Start]:
    """Sets the log up over new facts; the logger is as it was when the test is over."""
    logger = logging.getLogger("ringback")
    before = (logger.handlers[:], logger.level, logger.propagate)

    def start(level: str = "info", *, as_json: bool = False, told_elsewhere: Collection[str] = ()) -> Facts:
        logs.set_up(level=level, as_json=as_json, clock=HandWound())
        facts = Facts()
        logs.Logs(facts, told_elsewhere=told_elsewhere)
        return facts

    yield start
    logger.handlers[:], logger.level, logger.propagate = before


def test_a_line_for_people(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    start()("replica.lost", api="iris", replica="r-1", reason="killed by signal 9")

    assert capsys.readouterr().err == (
        '2023-11-14T22:13:20.000 warning replica.lost api=iris replica=r-1 reason="killed by signal 9"\n'
    )


def test_an_object_for_machines(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    start(as_json=True)("replica.lost", api="iris", replica="r-1", reason="killed by signal 9")

    assert json.loads(capsys.readouterr().err) == {
        "at": "2023-11-14T22:13:20.000000+00:00",
        "level": "warning",
        "fact": "replica.lost",
        "api": "iris",
        "replica": "r-1",
        "reason": "killed by signal 9",
    }


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("reason", ["a\nb", "\x1b[31mred", 'say "x"', "", "grüße", "\ud800", b"bytes", None])
def test_whatever_a_detail_is_it_stays_on_its_line(
    reason: object, as_json: bool, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start(as_json=as_json)("replica.lost", api="iris", replica="r", reason=reason)

    line, end = capsys.readouterr().err.split("\n")
    assert end == ""
    assert line.isprintable()


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["workload.finished", "replica.ready", "replica.lost", "store.fault"]),
        ("info", ["replica.ready", "replica.lost", "store.fault"]),
        ("warning", ["replica.lost", "store.fault"]),
        ("error", ["store.fault"]),
    ],
)
def test_each_level_tells_its_own_and_what_is_worse(
    level: str, told: list[str], start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = start(level)
    facts("workload.submitted", api="iris", payload_bytes=2)
    facts("workload.finished", api="iris", status="completed", run_us=1)
    facts("replica.ready", api="iris", replica="r", load_us=1)
    facts("replica.lost", api="iris", replica="r", reason="x")
    facts("store.fault", reason="disk")

    assert [line.split()[2] for line in capsys.readouterr().err.splitlines()] == told


def test_an_endpoint_that_fails_is_told_once_and_once_more_when_it_works(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = start()
    for endpoint, outcome, status in [
        ("iris", "ok", 200),
        ("iris", "refused", 500),
        ("iris", "refused", 500),
        ("other", "unreachable", None),
        ("iris", "ok", 200),
        ("iris", "ok", 200),
        ("iris", "refused", 503),
    ]:
        facts("delivery.attempted", endpoint=endpoint, outcome=outcome, status=status, duration_us=1)

    assert [line.split(maxsplit=1)[1] for line in capsys.readouterr().err.splitlines()] == [
        "warning endpoint.failing endpoint=iris outcome=refused status=500",
        "warning endpoint.failing endpoint=other outcome=unreachable status=None",
        "info    endpoint.recovered endpoint=iris",
        "warning endpoint.failing endpoint=iris outcome=refused status=503",
    ]


def test_a_parked_delivery_is_told_and_a_delivered_one_is_not(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    facts = start()
    facts("delivery.settled", endpoint="iris", state="delivered", age_us=1)
    facts("delivery.settled", endpoint="iris", state="parked", age_us=1)

    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("warning delivery.parked endpoint=iris")


def test_the_url_of_a_guest_is_told_without_its_secrets(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    facts = start()
    failed = {"outcome": "status", "status": 500, "duration_us": 1, "waited_us": 1}
    for _ in range(2):
        facts("delivery.attempted", endpoint="guest:https://example.test/hook?token=secret", **failed)
        facts("endpoint.closed", endpoint="guest:https://example.test/hook?token=secret")

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, "an endpoint that is done with is forgotten"
    assert all("endpoint=guest:https://example.test/hook?token=…" in line for line in lines)


def test_a_traceback_stands_below_its_line_and_obeys_no_terminal(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    traceback = 'Traceback (most recent call last):\n  File "p.py", line 3\nOSError: \x1b[31mno model\n'
    start()("replica.broken", api="iris", replica=1, reason="no model", traceback=traceback)

    assert capsys.readouterr().err.splitlines() == [
        '2023-11-14T22:13:20.000 error   replica.broken api=iris replica=1 reason="no model"',
        "  Traceback (most recent call last):",
        '    File "p.py", line 3',
        "  OSError: �[31mno model",
    ]


def test_what_somebody_else_tells_is_left_to_them(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    facts = start(told_elsewhere={"replica.lost", "delivery.settled"})
    facts("replica.lost", api="iris", replica=1, reason="gone")
    facts("delivery.settled", endpoint="iris", state="parked", age_us=1)
    facts("store.fault", detail="disk")

    [line] = capsys.readouterr().err.splitlines()
    assert "store.fault" in line
