"""How values are written on pages."""

from __future__ import annotations

import pytest

from ringback.core.clock import SECOND, Instant
from ringback.pages import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0.0 ms"),
        (0.00042, "0.4 ms"),
        (0.0129, "13 ms"),
        (0.34, "340 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1.0 s"),
        (12.44, "12.4 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (200, "3 min 20 s"),
        (3_600, "1 h"),
        (7_380, "2 h 3 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (150 * 1_024, "150 KiB"), (5 * 2**40, "5120 GiB")],
)
def test_sizes(length: int, text: str) -> None:
    assert words.size(length) == text


def test_counts_are_told_with_their_thousands_apart() -> None:
    assert words.count(1_234_567) == "1\u202f234\u202f567"


def test_a_moment_can_be_read_without_a_script() -> None:
    told = words.moment(Instant(1_700_000_000 * SECOND))

    assert told == '<time datetime="2023-11-14T22:13:20.000000+00:00" data-ago>2023-11-14 22:13:20 UTC</time>'
    assert words.moment(None) == "–"
    assert words.between(Instant(0), Instant(2 * SECOND)) == "2.0 s"
    assert words.between(Instant(0), None) == "–"
