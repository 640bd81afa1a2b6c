"""What `ringback dev` shows while it serves: each workload and each webhook in one line, a mistake with its traceback.

Everything else that is worth a line is the log's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from ringback.core.clock import SECOND, SystemClock
from ringback.core.delivery import Park, TryAgain, Verdict
from ringback.core.quantities import format_duration
from ringback.core.urls import shown_url
from ringback.pages.words import duration
from ringback.runtime.facts import Facts
from ringback.runtime.logs import Logs, printable

_LONGEST: Final = 300


def say(line: str) -> None:
    """Show a line with the time on the wall."""
    now = datetime.fromtimestamp(SystemClock().now() / SECOND, UTC).astimezone()
    sys.stdout.write(f"{now:%H:%M:%S}  {line}\n")
    sys.stdout.flush()


class Terminal:
    """Listens to facts and tells them to whoever sits there."""

    def __init__(self, facts: Facts, say: Callable[[str], None] = say) -> None:
        self._say = say
        self._broken: dict[str, str] = {}
        listeners: dict[str, Callable[..., None]] = {
            "workload.finished": self._on_finished,
            "delivery.attempted": self._on_attempted,
            "delivery.settled": _nothing,
            "replica.broken": self._on_broken,
            "replica.ready": self._on_ready,
            "replica.lost": self._on_lost,
            "environment.making": self._on_making,
            "environment.made": _nothing,
            "environment.failed": self._on_not_made,
            "file.refused": self._on_refused,
            "server.stopping": lambda **_: self._say("stopping"),
            "file.reloaded": _nothing,
        }
        Logs(facts, told_elsewhere=listeners)
        for fact, listener in listeners.items():
            facts.listen(fact, listener)

    def _on_finished(
        self,
        *,
        api: str,
        status: str,
        workload: str = "",
        run_us: int | None = None,
        error: str | None = None,
        **_: object,
    ) -> None:
        ran = "" if run_us is None else f"in {duration(run_us / SECOND)}"
        self._line(api, f"{status:10} {ran:12} {workload}  {'' if error is None else _short(error)}")

    def _on_attempted(
        self, *, endpoint: str, status: int | None, duration_us: int, delivery: int, verdict: Verdict, **more: object
    ) -> None:
        answer = "no answer" if status is None else str(status)
        words = f"{answer:10} {f'in {duration(duration_us / SECOND)}':12} dlv_{delivery}"
        match verdict:
            case TryAgain(wait_seconds=wait):
                words += f"  {_short(str(more['detail'] or ''))}; again in {format_duration(round(wait, 1))}"
            case Park(reason=reason):
                words += f"  parked: {_short(reason)}"
        self._line(f"webhook to {shown_url(endpoint)}", words)

    def _on_broken(self, *, api: str, reason: str, traceback: str = "", **_: object) -> None:
        if self._broken.get(api) == reason and not traceback:
            return  # it is tried again and again, and says the same each time
        self._broken[api] = reason
        self._line(api, f"does not load: {_short(reason)}")
        for line in traceback.splitlines():
            self._line(api, f"| {printable(line)}")
        self._line(api, "mend it and save, and it is taken up")

    def _on_ready(self, *, api: str, **_: object) -> None:
        self._broken.pop(api, None)
        self._line(api, "ready")

    def _on_lost(self, *, api: str, reason: str, **_: object) -> None:
        self._line(api, f"lost a replica, which {_short(reason)}; another is started")

    def _on_making(self, *, requirements: str, **_: object) -> None:
        self._say(f"installing what {requirements} names ...")

    def _on_not_made(self, *, api: str, reason: str, **_: object) -> None:
        self._line(api, f"cannot have what it requires: {reason}")

    def _on_refused(self, *, reason: str) -> None:
        self._say(reason)

    def _line(self, who: str, what: str) -> None:
        self._say(f"{who:20} {what}".rstrip())


def _nothing(**_: object) -> None:
    """For facts that another one tells of already."""


def _short(text: str) -> str:
    """The first line, as far as it is worth reading here, and nothing that a terminal would obey."""
    return printable(next(iter(text.strip().splitlines()), "")[:_LONGEST])
