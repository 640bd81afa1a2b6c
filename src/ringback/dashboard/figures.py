"""The four charts of the overview, and how endpoints have answered, from the samples of the last hour. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from ringback.core.clock import SECOND
from ringback.core.workload import Status
from ringback.dashboard.charts import Series, columns, lines
from ringback.dashboard.hour import Sample, Tally, Window, merged
from ringback.pages import words

_MINUTE: Final = 60
_RECENT_SECONDS: Final = 300
_P50: Final = 0.5
_P95: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One small chart with its words."""

    title: str
    figure: str
    unit: str
    note: str
    peak: str
    since: str
    """How far back it goes."""
    svg: Markup
    legend: tuple[tuple[str, str], ...] = ()
    """Class and words of each band or line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How one endpoint has answered within the hour."""

    attempts: int
    failed: int
    p50_seconds: float | None
    p95_seconds: float | None

    @property
    def success_percent(self) -> float | None:
        return None if not self.attempts else 100.0 * (self.attempts - self.failed) / self.attempts


def charts(window: Window, api: str | None = None) -> tuple[Chart, ...]:
    """Throughput, queue age, run time and delivery latency, of one API or of all."""
    made = (throughput(window, api), queue_age(window, api), run_time(window, api))
    return made if api is not None else (*made, delivery_latency(window))


def throughput(window: Window, api: str | None) -> Chart:
    """Workloads that have ended."""

    def ended(samples: Sequence[Sample], *statuses: Status) -> float:
        return sum(
            count
            for sample in samples
            for (name, status), count in sample.finished.items()
            if status in statuses and api in {None, name}
        )

    completed = [ended(column, Status.COMPLETED) for column in window.columns]
    failed = [ended(column, Status.FAILED) for column in window.columns]
    canceled = [ended(column, Status.CANCELED) for column in window.columns]
    most = max(sum(each) for each in zip(completed, failed, canceled, strict=True))
    span = "1 min" if window.column_seconds == _MINUTE else f"{window.column_seconds} s"
    whole = sum(completed) + sum(failed) + sum(canceled)
    return Chart(
        title="Throughput",
        figure=words.count(ended(window.last(_MINUTE), *Status)),
        unit="ended in the last minute",
        note="",
        peak=f"{words.count(most)} in {span}" if most else "",
        since=_since(window),
        svg=columns(
            [("good", completed), ("bad", failed), ("faint", canceled)],
            summary=f"Workloads ended, {_over(window)}: at most {most:.0f} in {span}, {whole:.0f} in all.",
        ),
        legend=(("good", f"{words.count(sum(completed))} completed"), ("bad", f"{words.count(sum(failed))} failed")),
    )


def queue_age(window: Window, api: str | None) -> Chart:
    """How long the oldest workload in the queue had waited."""
    ages: Series = [
        max(
            (
                max((age for name, age in sample.queue_age_seconds.items() if api in {None, name}), default=0.0)
                for sample in column
            ),
            default=None,
        )
        for column in window.columns
    ]
    known = [age for age in ages if age is not None]
    peak = max(known, default=0.0)
    now = known[-1] if known else 0.0
    return Chart(
        title="Queue age",
        figure=words.duration(now) if now else "0 s",
        unit="the oldest in the queue has waited",
        note=f"at most {words.duration(peak)}" if peak else "nothing has had to wait",
        peak=words.duration(peak) if peak else "",
        since=_since(window),
        svg=lines(
            [("accent", ages)],
            area=True,
            summary=f"Age of the oldest workload in the queue, {_over(window)}: at most {peak:.1f} s.",
        ),
    )


def run_time(window: Window, api: str | None) -> Chart:
    """How long predict ran."""
    tallies = [
        merged(tally for sample in column for name, tally in sample.ran.items() if api in {None, name})
        for column in window.columns
    ]
    return _spread(window, tallies, title="Run time", unit="median of the last minutes", what="run times of predict")


def delivery_latency(window: Window) -> Chart:
    """How long webhooks took from the event to their arrival."""
    tallies = [merged(tally for sample in column for tally in sample.arrived.values()) for column in window.columns]
    what = "times from an event to its webhook's arrival"
    return _spread(window, tallies, title="Delivery", unit="median from event to arrival", what=what)


def health_of(samples: Sequence[Sample], endpoint: str) -> Health:
    """How an endpoint has answered within these samples."""
    worked = sum(sample.attempts.get((endpoint, True), 0) for sample in samples)
    failed = sum(sample.attempts.get((endpoint, False), 0) for sample in samples)
    tally = merged(sample.arrived[endpoint] for sample in samples if endpoint in sample.arrived)
    return Health(
        attempts=worked + failed, failed=failed, p50_seconds=_seconds(tally, _P50), p95_seconds=_seconds(tally, _P95)
    )


def attempts_chart(window: Window, endpoint: str) -> Markup:
    """One endpoint's attempts."""

    def made(*, worked: bool) -> list[float]:
        return [
            float(sum(sample.attempts.get((endpoint, worked), 0) for sample in column)) for column in window.columns
        ]

    good, bad = made(worked=True), made(worked=False)
    return columns(
        [("good", good), ("bad", bad)],
        summary=f"Attempts, {_over(window)}: {sum(good):.0f} arrived, {sum(bad):.0f} failed.",
    )


def _spread(window: Window, tallies: Sequence[Tally | None], *, title: str, unit: str, what: str) -> Chart:
    p50s: Series = [_seconds(tally, _P50) for tally in tallies]
    p95s: Series = [_seconds(tally, _P95) for tally in tallies]
    recent_columns = max(1, _RECENT_SECONDS // window.column_seconds)
    recent = merged(tally for tally in tallies[-recent_columns:] if tally is not None)
    whole = merged(tally for tally in tallies if tally is not None)
    peak = max((value for value in p95s if value is not None), default=0.0)
    p50, p95 = words.duration(_seconds(whole, _P50)), words.duration(_seconds(whole, _P95))
    return Chart(
        title=title,
        figure=words.duration(_seconds(recent, _P50)),
        unit=unit,
        note="none yet" if whole is None else "",
        peak=words.duration(peak) if peak else "",
        since=_since(window),
        svg=lines(
            [("accent", p50s), ("warm", p95s)],
            summary=f"Median and 95th percentile of the {what}, {_over(window)}: {p50} and {p95} in all.",
        ),
        legend=(("accent", f"median {p50}"), ("warm", f"p95 {p95}")),
    )


def _since(window: Window) -> str:
    return f"{words.duration(window.seconds)} ago"


def _over(window: Window) -> str:
    return f"over the last {words.duration(window.seconds)}"


def _seconds(tally: Tally | None, share: float) -> float | None:
    quantile = None if tally is None else tally.quantile_us(share)
    return None if quantile is None else quantile / SECOND
