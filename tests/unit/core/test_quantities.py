"""Durations and sizes: every form, every refusal, and what is written can be read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.quantities import format_duration, format_size, parse_duration, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5_400),
        ("7d", 604_800),
        ("1d2h3m4.5s", 93_784.5),
        ("0.5h", 1_800),
        ("250ms", 0.25),
        ("1.5ms", 0.0015),
        ("0", 0),
        ("90", 90),
        ("1.25", 1.25),
        (" 5s ", 5),
        ("36500d", 3_153_600_000),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "5 s",
        "5S",
        "-5s",
        "+5s",
        "5x",
        "s",
        "1m1h",
        "1e3",
        ".5s",
        "5.s",
        "5,5s",
        "inf",
        "nan",
        "٣s",
        "٣",
        "1" * 31 + "s",
        "1h30ms",
    ],
)
def test_what_is_no_duration_is_repeated_with_good_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration; write for example 30s, 5m, 1h30m or 7d$") as refused:
        parse_duration(text)

    assert repr(text.strip()[:40]) in str(refused.value)


@pytest.mark.parametrize("text", ["36501d", "9999999999999s", "9" * 29 + "d"])
def test_a_duration_beyond_every_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than 100 years"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("1024", 1_024),
        ("10B", 10),
        ("1K", 1_000),
        ("1k", 1_000),
        ("1KB", 1_000),
        ("1Ki", 1_024),
        ("1KiB", 1_024),
        ("512M", 512_000_000),
        ("64MiB", 67_108_864),
        ("2Gi", 2_147_483_648),
        ("1T", 10**12),
        ("1TiB", 2**40),
        ("1.5Ki", 1_536),
        (" 2 GiB ", 2**31),
        ("9007199254740993", 9_007_199_254_740_993),
    ],
)
def test_a_size_is_read_as_bytes(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "lots", "-1", "1X", "1 Ki B", "1e3", "KiB", "1iB", "1" * 31, "٣", ".5K", "0x10"])
def test_what_is_no_size_is_repeated_with_good_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no size; write for example 512KiB, 64MiB or 2Gi$") as refused:
        parse_size(text)

    assert repr(text[:40]) in str(refused.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (5400, "1h30m"),
        (86400, "1d"),
        (90061, "1d1h1m1s"),
        (0.25, "0.25s"),
        (1234567.5, "1234567.5s"),
        (1e-05, "0.00001s"),
    ],
)
def test_a_duration_is_written_as_people_would(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (1, "1B"), (1_000, "1000B"), (1_024, "1KiB"), (262_144, "256KiB"), (2**40, "1TiB")]
)
def test_a_size_is_written_in_its_largest_unit(count: int, text: str) -> None:
    assert format_size(count) == text


@given(microseconds=st.integers(0, 3_153_600_000 * 10**6))
def test_a_written_duration_is_read_back_to_the_microsecond(microseconds: int) -> None:
    seconds = microseconds / 1_000_000

    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6, rel=0)


@given(count=st.integers(0, 2**64))
def test_a_written_size_is_read_back_exactly(count: int) -> None:
    assert parse_size(format_size(count)) == count


@given(text=st.text(max_size=40) | st.from_regex(r"[0-9.]{1,5}[dhmsKMGiB]{0,3}", fullmatch=True))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_size):
        try:
            found = parse(text)
        except ValueError:
            continue
        assert found >= 0


@pytest.mark.parametrize(("text", "rate"), [("50/s", 50.0), (" 600 / m ", 10.0), ("1800/h", 0.5), ("0.5/s", 0.5)])
def test_a_rate(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "50", "50/", "/s", "0/s", "-1/s", "50/d", "1e9/s", "5" * 40 + "/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate; write for example 50/s"):
        parse_rate(text)
