"""How values are written on pages: moments, durations, sizes, counts. Pure; used by templates as filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from markupsafe import Markup

from ringback.core.clock import SECOND, Instant, isoformat
from ringback.core.urls import shown_url

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


def moment(instant: Instant | None) -> str | Markup:
    """A `time` element with the moment in UTC, which the script then tells as how long ago it was."""
    if instant is None:
        return "–"
    text = isoformat(instant)
    return Markup('<time datetime="{}" data-ago>{}</time>').format(text, f"{text[:10]} {text[11:19]} UTC")


def clock_time(instant: Instant | None) -> str | Markup:
    """A `time` element with the time of day, left as it is; all of it when pointed at."""
    if instant is None:
        return "–"
    text = isoformat(instant)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(text, text, text[11:23])


def day(instant: Instant) -> str:
    """The day of a moment."""
    return isoformat(instant)[:10]


def short(name: str) -> str:
    """A long id by its two ends, which is enough to tell it from those around it."""
    return name if len(name) <= 20 else f"{name[:8]}…{name[-6:]}"


def duration(seconds: float | None) -> str:
    """A length of time in two units at most: `340 ms`, `12.4 s`, `3 min 20 s`, `2 d 4 h`."""
    if seconds is None:
        return "–"
    if seconds < 0.0995:
        return f"{seconds * 1_000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1_000:.0f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part_size, part in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // part_size
            return f"{whole // size} {unit} {rest} {part}" if rest else f"{whole // size} {unit}"
    return f"{seconds:.0f} s"


def between(start: Instant | None, end: Instant | None) -> str:
    """How long it took from one moment to another."""
    return "–" if start is None or end is None else duration((end - start) / SECOND)


def size(length_bytes: int) -> str:
    """Bytes in the unit that suits: `812 B`, `4.2 KiB`."""
    amount = float(length_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1_024 or unit == "GiB":
            break
        amount /= 1_024
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def count(number: float) -> str:
    """A number with its thousands apart."""
    return f"{number:,.0f}".replace(",", "\u202f")


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "moment": moment,
    "clock_time": clock_time,
    "day": day,
    "short": short,
    "duration": duration,
    "between": between,
    "size": size,
    "count": count,
    "shown": shown_url,
}
