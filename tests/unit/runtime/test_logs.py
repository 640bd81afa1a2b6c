"""What the log says, in both forms: a line for what somebody should know, and silence for the rest."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator

import pytest

from ringback.core.clock import HandWound
from ringback.core.errors import StoreAway, StoreBusy
from ringback.runtime import logs
from ringback.runtime.facts import Facts

Start = Callable[..., Facts]


@pytest.fixture
def start() -> Iterator[Start]:
    """Sets the log up over new facts; the logger is as it was when the test is over."""
    logger = logging.getLogger("ringback")
    before = (logger.handlers[:], logger.level, logger.propagate)

    def start(
        level: str = "info",
        *,
        as_json: bool = False,
        told_elsewhere: Collection[str] = (),
        clock: HandWound | None = None,
    ) -> Facts:
        clock = clock or HandWound()
        logs.set_up(level=level, as_json=as_json, clock=clock)
        facts = Facts()
        logs.Logs(facts, told_elsewhere=told_elsewhere, clock=clock)
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
    facts("store.fault", act="claiming for iris", error=StoreBusy("the disk"))

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
    facts("store.fault", act="claiming for iris", error=StoreBusy("the disk"))

    [line] = capsys.readouterr().err.splitlines()
    assert "store.fault" in line


def test_what_the_store_refuses_again_and_again_is_told_once_a_minute_and_how_often_it_was(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = HandWound()
    facts = start(clock=clock)
    for _ in range(13):
        facts("store.fault", act="looking for what nobody sends", error=StoreBusy("db is busy"))
        facts(
            "store.fault", act="taking deliveries", error=StoreBusy("db is busy"), endpoint="guest:https://a.test/?b=c"
        )
        clock.wind(5)

    assert [line.split(maxsplit=1)[1] for line in capsys.readouterr().err.splitlines()] == [
        'error   store.fault detail="looking for what nobody sends: db is busy"',
        'error   store.fault detail="taking deliveries: db is busy" endpoint=guest:https://a.test/?b=…',
        'error   store.fault detail="looking for what nobody sends: db is busy" and_before=11',
        'error   store.fault detail="taking deliveries: db is busy" endpoint=guest:https://a.test/?b=… and_before=11',
    ]


def test_a_fault_that_is_no_error_of_ours_is_told_with_its_kind(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start()("store.fault", act="writing a batch", error=KeyError("x"))
    assert "writing a batch: KeyError('x')" in capsys.readouterr().err


def test_faults_of_ever_other_kinds_are_not_kept_for_ever(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    clock = HandWound()
    facts = start(clock=clock)
    for number in range(1_000):
        facts("store.fault", act=f"act {number}", error=StoreBusy("busy"))
        clock.wind(1)
    facts("store.fault", act="act 999", error=StoreBusy("busy"))
    assert len(capsys.readouterr().err.splitlines()) == 1_000


def test_while_the_database_is_away_that_alone_is_told(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    facts, gone = start(), StoreAway("db cannot be reached: connection refused")
    facts("store.away", detail=str(gone))
    facts("store.fault", act="claiming for iris", error=gone)
    facts("store.fault", act="fetching a payload for iris", error=StoreBusy("the bucket"))
    facts("store.back", seconds=3.2)
    facts("store.fault", act="claiming for iris", error=gone)

    assert [line.split(maxsplit=1)[1] for line in capsys.readouterr().err.splitlines()] == [
        'warning store.away detail="db cannot be reached: connection refused"',
        'error   store.fault detail="fetching a payload for iris: the bucket"',
        "info    store.back seconds=3.2",
        'error   store.fault detail="claiming for iris: db cannot be reached: connection refused"',
    ]
