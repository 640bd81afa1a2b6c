"""The four charts of the overview, and how endpoints have answered, from the samples of the last hour. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from ringback.core.clock import SECOND
from ringback.core.workload import Status
from ringback.dashboard.charts import Series, columns, lines
from ringback.dashboard.hour import Sample, Tally, merged
from ringback.pages import words

_RECENT_MINUTES: Final = 5
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


def charts(minutes: Sequence[Sequence[Sample]], api: str | None = None) -> tuple[Chart, ...]:
    """Throughput, queue age, run time and delivery latency, of one API or of all."""
    made = (throughput(minutes, api), queue_age(minutes, api), run_time(minutes, api))
    return made if api is not None else (*made, delivery_latency(minutes))


def throughput(minutes: Sequence[Sequence[Sample]], api: str | None) -> Chart:
    """Workloads that have ended, by minute."""

    def ended(*statuses: Status) -> list[float]:
        return [
            float(
                sum(
                    count
                    for sample in minute
                    for (name, status), count in sample.finished.items()
                    if status in statuses and api in {None, name}
                )
            )
            for minute in minutes
        ]

    completed, failed, canceled = ended(Status.COMPLETED), ended(Status.FAILED), ended(Status.CANCELED)
    totals = [sum(each) for each in zip(completed, failed, canceled, strict=True)]
    whole = sum(totals)
    latest, peak = totals[-1] if totals else 0.0, max(totals, default=0.0)
    failures = f"{words.count(sum(failed))} failed" if any(failed) else "none failed"
    return Chart(
        title="Throughput",
        figure=words.count(latest),
        unit="ended in the last minute",
        note=f"{words.count(whole)} this hour, {failures}",
        peak=f"{words.count(peak)}/min" if peak else "",
        svg=columns(
            [("good", completed), ("bad", failed), ("faint", canceled)],
            summary=f"Workloads ended by minute over the last hour: at most {peak:.0f}, {whole:.0f} in all.",
        ),
        legend=(("good", "completed"), ("bad", "failed")),
    )


def queue_age(minutes: Sequence[Sequence[Sample]], api: str | None) -> Chart:
    """How long the oldest workload in the queue had waited."""
    ages: Series = [
        max(
            (
                max((age for name, age in sample.queue_age_seconds.items() if api in {None, name}), default=0.0)
                for sample in minute
            ),
            default=None,
        )
        for minute in minutes
    ]
    known = [age for age in ages if age is not None]
    peak = max(known, default=0.0)
    now = known[-1] if known and ages[-1] is not None else 0.0
    return Chart(
        title="Queue age",
        figure=words.duration(now) if now else "0 s",
        unit="the oldest in the queue has waited",
        note=f"at most {words.duration(peak)} this hour" if peak else "nothing has had to wait",
        peak=words.duration(peak) if peak else "",
        svg=lines(
            [("accent", ages)], area=True, summary=f"Age of the oldest workload in the queue: at most {peak:.1f} s."
        ),
    )


def run_time(minutes: Sequence[Sequence[Sample]], api: str | None) -> Chart:
    """How long predict ran."""
    tallies = [
        merged(tally for sample in minute for name, tally in sample.ran.items() if api in {None, name})
        for minute in minutes
    ]
    return _spread("Run time", "median of the last minutes", "run times of predict", tallies)


def delivery_latency(minutes: Sequence[Sequence[Sample]]) -> Chart:
    """How long webhooks took from the event to their arrival."""
    tallies = [merged(tally for sample in minute for tally in sample.arrived.values()) for minute in minutes]
    return _spread("Delivery", "median from event to arrival", "times from the event to the webhook's arrival", tallies)


def health_of(samples: Sequence[Sample], endpoint: str) -> Health:
    """How an endpoint has answered within these samples."""
    worked = sum(sample.attempts.get((endpoint, True), 0) for sample in samples)
    failed = sum(sample.attempts.get((endpoint, False), 0) for sample in samples)
    tally = merged(sample.arrived[endpoint] for sample in samples if endpoint in sample.arrived)
    return Health(
        attempts=worked + failed, failed=failed, p50_seconds=_seconds(tally, _P50), p95_seconds=_seconds(tally, _P95)
    )


def attempts_chart(minutes: Sequence[Sequence[Sample]], endpoint: str) -> Markup:
    """One endpoint's attempts by minute."""

    def made(*, worked: bool) -> list[float]:
        return [float(sum(sample.attempts.get((endpoint, worked), 0) for sample in minute)) for minute in minutes]

    good, bad = made(worked=True), made(worked=False)
    return columns(
        [("good", good), ("bad", bad)],
        summary=f"Attempts by minute over the last hour: {sum(good):.0f} arrived, {sum(bad):.0f} failed.",
    )


def _spread(title: str, unit: str, what: str, tallies: Sequence[Tally | None]) -> Chart:
    p50s: Series = [_seconds(tally, _P50) for tally in tallies]
    p95s: Series = [_seconds(tally, _P95) for tally in tallies]
    recent = merged(tally for tally in tallies[-_RECENT_MINUTES:] if tally is not None)
    whole = merged(tally for tally in tallies if tally is not None)
    peak = max((value for value in p95s if value is not None), default=0.0)
    note = "none this hour"
    if whole is not None:
        note = f"this hour: median {words.duration(_seconds(whole, _P50))}, p95 {words.duration(_seconds(whole, _P95))}"
    return Chart(
        title=title,
        figure=words.duration(_seconds(recent, _P50)),
        unit=unit,
        note=note,
        peak=words.duration(peak) if peak else "",
        svg=lines(
            [("accent", p50s), ("warm", p95s)],
            summary=f"Median and 95th percentile by minute of the {what} over the last hour; {note}.",
        ),
        legend=(("accent", "median"), ("warm", "p95")),
    )


def _seconds(tally: Tally | None, share: float) -> float | None:
    quantile = None if tally is None else tally.quantile_us(share)
    return None if quantile is None else quantile / SECOND
