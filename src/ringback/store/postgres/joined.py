"""Several statements in one: what is waited for at the same time takes one round trip, whatever it is.

Each becomes a step of one WITH. The steps do not see what the others write, and need not: they are of writes that could
not have known which of them came first. No two steps may change the same row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import asyncpg

_PLACE: Final = re.compile(r"\$(\d+)")


async def fetch_jointly(
    connection: asyncpg.Connection, asked: Sequence[tuple[str, Sequence[object]]]
) -> list[list[tuple[Any, ...]]]:
    """Run all of these texts with their arguments at once.

    Returns:
        the rows that each has brought; none of one that writes and does not return.
    """
    text = joined(tuple(text for text, _ in asked))
    rows: list[list[tuple[Any, ...]]] = [[] for _ in asked]
    for step, row in await connection.fetch(text, *(each for _, arguments in asked for each in arguments)):
        rows[step].append(row)
    return rows


@lru_cache(maxsize=256)
def joined(texts: tuple[str, ...]) -> str:
    """One statement that brings the rows of all of these, each with the place of its text before it."""
    steps: list[str] = []
    brought: list[str] = []
    before = 0
    for step, text in enumerate(texts):
        steps.append(f"step_{step} AS (\n{_moved(text, before)}\n)")
        before += max((int(place) for place in _PLACE.findall(text)), default=0)
        if "RETURNING" in text or text.startswith("SELECT "):
            brought.append(f"SELECT {step}, ROW(step_{step}.*) FROM step_{step}")  # noqa: S608 - numbers of our own
    return f"WITH {', '.join(steps)}\n{' UNION ALL '.join(brought) or 'SELECT 0, ROW() WHERE false'}"


def _moved(text: str, by: int) -> str:
    return _PLACE.sub(lambda found: f"${int(found[1]) + by}", text)
