"""What predictors count themselves, through `metrics_client`, made fit for Prometheus: names, labels, and how many.

Believes nothing: what cannot be told is dropped and counted.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric

MOST_SERIES: Final = 1_000
"""Of one API: names and label values together."""

_MOST_LABELS: Final = 16
_MOST_CHARACTERS: Final = 200
_OURS: Final = "ringback_"
_BOUNDS: Final = tuple(step * 10.0**power for power in range(-3, 6) for step in (1.0, 2.5, 5.0))
_KINDS: Final = {"increment": "counter", "gauge": "gauge", "histogram": "histogram"}

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Family:
    kind: str
    values: dict[Labels, float] = field(default_factory=dict)
    """Of a histogram the sums."""
    buckets: dict[Labels, list[int]] = field(default_factory=dict)


class CustomMetrics:
    """Keeps them by name; the first kind a name comes with is its kind."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._series: defaultdict[str, int] = defaultdict(int)
        self._dropped: defaultdict[tuple[str, str], int] = defaultdict(int)

    def take(self, *, api: str, metric: Mapping[str, object]) -> None:
        """Add what a predictor has told."""
        reason = self._take(api, metric)
        if reason is not None:
            self._dropped[api, reason] += 1

    def collect(self) -> Iterable[Metric]:
        """Each family, and how many were dropped."""
        for name, family in self._families.items():
            told = Metric(name, "Told by a predictor", family.kind)
            for labels, value in family.values.items():
                if family.kind == "histogram":
                    _add_buckets(told, labels, family.buckets[labels], value)
                else:
                    told.add_sample(f"{name}_total" if family.kind == "counter" else name, dict(labels), value)
            yield told
        dropped = CounterMetricFamily(
            "ringback_custom_metrics_dropped", "Told by a predictor, and not kept", labels=["api", "reason"]
        )
        for (api, reason), count in self._dropped.items():
            dropped.add_metric([api, reason], count)
        yield dropped

    def _take(self, api: str, metric: Mapping[str, object]) -> str | None:
        kind, name, value = _KINDS.get(str(metric.get("kind"))), metric.get("name"), metric.get("value")
        tags = metric.get("labels", {})
        if kind is None or not isinstance(name, str) or not isinstance(tags, dict) or len(tags) >= _MOST_LABELS:
            return "malformed"
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return "no number"
        if kind == "counter" and value < 0:
            return "counts down"
        name = _name(name).removesuffix("_total")
        family = self._families.get(name)
        if family is not None and family.kind != kind:
            return "two kinds"
        labels = _labels(api, tags)
        if family is None or labels not in family.values:
            if self._series[api] >= MOST_SERIES:
                return "too many"
            self._series[api] += 1
        family = self._families.setdefault(name, _Family(kind))
        family.values[labels] = value if kind == "gauge" else family.values.get(labels, 0.0) + value
        if kind == "histogram":
            family.buckets.setdefault(labels, [0] * (len(_BOUNDS) + 1))[bisect_left(_BOUNDS, value)] += 1
        return None


def _add_buckets(told: Metric, labels: Labels, buckets: list[int], total: float) -> None:
    seen = 0
    for bound, count in zip([*map(repr, _BOUNDS), "+Inf"], buckets, strict=True):
        seen += count
        told.add_sample(f"{told.name}_bucket", {**dict(labels), "le": bound}, seen)
    told.add_sample(f"{told.name}_count", dict(labels), seen)
    told.add_sample(f"{told.name}_sum", dict(labels), total)


def _name(text: str) -> str:
    """A metric's name (prometheus.io/docs/concepts/data_model), never one of Ringback's own."""
    name = re.sub(r"[^a-zA-Z0-9_:]", "_", text[:_MOST_CHARACTERS]) or "_"
    return f"custom_{name}" if name[0].isdigit() or name.startswith(_OURS) else name


def _labels(api: str, tags: Mapping[object, object]) -> Labels:
    found = {}
    for tag, value in tags.items():
        name = re.sub(r"[^a-zA-Z0-9_]", "_", str(tag)[:_MOST_CHARACTERS]).lstrip("_") or "tag"
        if name[0].isdigit() or name in {"api", "le"}:
            name = f"tag_{name}"
        found[name] = str(value)[:_MOST_CHARACTERS]
    return ("api", api), *sorted(found.items())
