"""When somebody who finds a queue full may come again: by how fast its workloads have ended lately, whoever ran
them.

Read from the workloads themselves, a few hundred of the latest, and only when somebody is refused: nobody else pays for
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ringback.core.clock import SECOND, Clock
from ringback.core.pace import Promises, per_second
from ringback.store.verbs.transaction import Execute

_LOOK_SECONDS: Final = 1.0
"""How long what was read is believed, however many are refused."""

_SAMPLE: Final = 256
_MOST_KNOWN: Final = 10_000
"""Tenants to whom moments are promised; there may be any number."""


@dataclass(slots=True)
class _Seen:
    """One API's latest ends at one look."""

    at: int
    """By what has elapsed."""
    now: int
    """By the time of day, as the ends are."""
    since: int | None = None
    is_all: bool = True
    ends: dict[str | None, list[int]] = field(default_factory=dict)
    """By tenant; None is what came in batches, whose ends make room for nobody."""


class Paces:
    """Each API's, for each of its tenants."""

    __slots__ = ("_clock", "_promises", "_seen", "_sql")

    def __init__(self, sql: Mapping[str, str], clock: Clock) -> None:
        self._sql = sql
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._promises: dict[tuple[str, str], Promises] = {}

    def wait_seconds(self, execute: Execute, api: str, tenant: str) -> int:
        """When there may be room for one more; later for each that asks."""
        elapsed = self._clock.elapsed()
        seen = self._seen.get(api)
        if seen is None or elapsed - seen.at >= _LOOK_SECONDS * SECOND:
            seen = self._seen[api] = self._look(execute, api, elapsed)
        if len(self._promises) > _MOST_KNOWN:
            self._promises.clear()
        rate = per_second(seen.ends.get(tenant, ()), seen.now, since=seen.since, is_all=seen.is_all)
        return self._promises.setdefault((api, tenant), Promises()).wait_seconds(rate, elapsed)

    def _look(self, execute: Execute, api: str, elapsed: int) -> _Seen:
        found = execute(self._sql["latest_ends"], {"api": api, "most": _SAMPLE}).fetchall()
        seen = _Seen(at=elapsed, now=self._clock.now(), is_all=len(found) < _SAMPLE)
        for finished_at, tenant in found:
            seen.ends.setdefault(tenant, []).append(finished_at)
        seen.since = min((finished_at for finished_at, _ in found), default=None)
        return seen
