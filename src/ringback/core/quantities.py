"""Durations, sizes and rates as people write them: `1h30m`, `256KiB`, `50/s`. Pure."""

from __future__ import annotations

import re
from typing import Final

_DURATION: Final = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII
)
_MILLISECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)ms", re.ASCII)
_UNIT_SECONDS: Final = (86_400.0, 3_600.0, 60.0, 1.0)
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?", re.IGNORECASE | re.ASCII)
_SIZE_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "KI": 2**10,
    "MI": 2**20,
    "GI": 2**30,
    "TI": 2**40,
}
_RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|h)")
_RATE_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}
_MOST_DIGITS: Final = 30
_MOST_SECONDS: Final = 100 * 365 * 86_400.0
"""Longer ones are a slip of the hand, and would leave the range of dates and of 64-bit microseconds."""


def parse_duration(text: str) -> float:
    """Seconds of `30s`, `5m`, `1h30m`, `7d`, `250ms` or a plain number of seconds.

    Raises:
        ValueError: it is none of these, or longer than 100 years.
    """
    text = text.strip()
    seconds = _seconds(text) if len(text) <= _MOST_DIGITS else None
    if seconds is None:
        raise ValueError(f"{text[:40]!r} is no duration; write for example 30s, 5m, 1h30m or 7d")
    if seconds > _MOST_SECONDS:
        raise ValueError(f"{text!r} is longer than 100 years")
    return seconds


def _seconds(text: str) -> float | None:
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return float(text)
    if found := _MILLISECONDS.fullmatch(text):
        return float(found[1]) / 1_000
    found = _DURATION.fullmatch(text)
    if not (found and text):
        return None
    parts = zip(found.groups(), _UNIT_SECONDS, strict=True)
    return sum(float(number) * unit for number, unit in parts if number is not None)


def parse_size(text: str) -> int:
    """Bytes of `256KiB`, `2Gi`, `512M` or a plain number of bytes.

    Raises:
        ValueError: it is none of these.
    """
    found = _SIZE.fullmatch(text.strip()) if len(text) <= _MOST_DIGITS else None
    if found is None:
        raise ValueError(f"{text[:40]!r} is no size; write for example 512KiB, 64MiB or 2Gi")
    unit = _SIZE_UNITS[(found[2] or "").upper()]
    return int(found[1]) * unit if found[1].isdigit() else int(float(found[1]) * unit)


def parse_rate(text: str) -> float:
    """How many a second `50/s`, `600/m` or `3600/h` are.

    Raises:
        ValueError: it is none of these, or nothing at all.
    """
    found = _RATE.fullmatch(text.strip()) if len(text) <= _MOST_DIGITS else None
    rate = 0.0 if found is None else float(found[1]) / _RATE_SECONDS[found[2]]
    if rate <= 0.0:
        raise ValueError(f"{text[:40]!r} is no rate; write for example 50/s, 600/m or 3600/h")
    return rate


def format_rate(per_second: float) -> str:
    """The rate with the smallest unit of time that makes it one or more: `50/s`, `10/m`."""
    for unit, seconds in _RATE_SECONDS.items():
        if per_second * seconds >= 1.0 or unit == "h":
            return f"{per_second * seconds:g}/{unit}"
    raise AssertionError("unreachable")


def format_duration(seconds: float) -> str:
    """The shortest way to write it: `1h30m`."""
    whole = int(seconds)
    if whole != seconds:
        return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
    parts = []
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        count, whole = divmod(whole, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"


def format_size(count: int) -> str:
    """The largest binary unit that divides it: `256KiB`."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count and count % unit == 0:
            return f"{count // unit}{name}"
    return f"{count}B"


def about_size(count: float) -> str:
    """The size in its largest binary unit, to a tenth: `1.4GiB`."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + name
    return f"{count:.0f}B"
