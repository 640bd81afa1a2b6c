"""Charts: every value has its place, gaps stay gaps, words are escaped."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.clock import Instant
from ringback.core.workload import Status
from ringback.dashboard.charts import HEIGHT, WIDTH, columns, lines
from ringback.dashboard.figures import charts, health_of
from ringback.dashboard.hour import Sample, Tally, Window

Values = list[float | None]


def paths(svg: str) -> dict[str, str]:
    return {each.attrib["class"]: each.attrib["d"] for each in ET.fromstring(svg)}


def numbers(path: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+\.?\d*", path)]


def test_columns_stand_on_one_another() -> None:
    drawn = paths(columns([("good", [1.0, 0.0, 3.0]), ("bad", [1.0, 0.0, 0.0])], summary="so"))

    assert drawn["good"].count("M") == 2
    assert drawn["bad"].count("M") == 1
    good, bad = numbers(drawn["good"]), numbers(drawn["bad"])
    assert good[1] == HEIGHT
    assert bad[1] == good[2], "the second band begins where the first ends"


def test_one_among_thousands_is_still_to_be_seen() -> None:
    drawn = paths(columns([("good", [1.0, 100_000.0])], summary="so"))
    _, bottom, top, *_ = numbers(drawn["good"])

    assert bottom - top >= 1.5


def test_a_gap_is_a_gap() -> None:
    svg = lines([("accent", [1.0, 2.0, None, 4.0, None, 1.0])], summary="so")

    assert svg.count("<path") == 1 + 3
    assert lines([("accent", [None, None])], summary="so").count("<path") == 1


def test_a_summary_cannot_break_out() -> None:
    svg = str(columns([], summary='"><script>'))

    assert "<script>" not in svg
    assert ET.fromstring(svg).attrib["aria-label"] == '"><script>'


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e12)), min_size=1, max_size=60))
def test_whatever_the_values_they_stay_in_the_frame(values: Values) -> None:
    for svg in (columns([("a", values)], summary=""), lines([("a", values)], summary="", area=True)):
        for path in paths(svg).values():
            assert all(0 <= each <= max(WIDTH, HEIGHT) for each in numbers(path)), path


def sample(**more: object) -> Sample:
    nothing: dict[str, object] = {
        "at": Instant(0),
        "finished": {},
        "ran": {},
        "arrived": {},
        "attempts": {},
        "queue_age_seconds": {},
    }
    return Sample(**{**nothing, **more})  # type: ignore[arg-type]  # a test's own table


def test_the_overviews_charts_tell_in_words_what_they_draw() -> None:
    took = Tally(bounds_us=(1_000_000.0,), counts=(4, 0), total_us=2_000_000)
    one = sample(
        finished={("iris", Status.COMPLETED): 1_200, ("iris", Status.FAILED): 3, ("other", Status.COMPLETED): 7},
        ran={"iris": took},
        arrived={"hook": took},
        queue_age_seconds={"iris": 75.0},
    )
    window = Window(columns=[[] for _ in range(59)] + [[one]], column_seconds=60)
    throughput, age, run, delivery = charts(window)

    assert throughput.figure == "1\u202f210"
    assert throughput.legend == (("good", "1\u202f207 completed"), ("bad", "3 failed"))
    assert (throughput.peak, throughput.since) == ("1\u202f210 in 1 min", "1 h ago")
    assert (age.figure, age.note) == ("1 min 15 s", "at most 1 min 15 s")
    assert run.figure == "500 ms"
    assert run.legend == (("accent", "median 500 ms"), ("warm", "p95 950 ms"))
    assert delivery.figure == "500 ms"
    [other, *_] = charts(window, "other")
    assert other.figure == "7"
    [brief, *_] = charts(Window(columns=window.columns, column_seconds=5))
    assert (brief.peak, brief.since) == ("1\u202f210 in 5 s", "5 min ago")


def test_an_hour_in_which_nothing_happened() -> None:
    throughput, age, run, delivery = charts(Window(columns=[[] for _ in range(60)], column_seconds=5))

    assert (throughput.figure, throughput.legend[0][1]) == ("0", "0 completed")
    assert (age.figure, age.note) == ("0 s", "nothing has had to wait")
    assert (run.figure, run.note) == ("–", "none yet")
    assert delivery.figure == "–"


@pytest.mark.parametrize(("worked", "failed", "percent"), [(0, 0, None), (3, 1, 75.0), (0, 2, 0.0)])
def test_an_endpoints_health(worked: int, failed: int, percent: float | None) -> None:
    made = sample(attempts={("hook", True): worked, ("hook", False): failed, ("other", False): 9})

    assert health_of([made], "hook").success_percent == percent
