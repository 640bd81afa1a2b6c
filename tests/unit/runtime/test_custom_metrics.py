"""What predictors tell appears for Prometheus, made fit; what cannot is dropped and counted."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ringback.runtime.custom_metrics import MOST_SERIES, CustomMetrics


def told(*metrics: dict[str, Any], api: str = "iris") -> dict[str, float]:
    """The samples, as `name{label=value}`."""
    custom = CustomMetrics()
    for metric in metrics:
        custom.take(api=api, metric=metric)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(custom)  # type: ignore[arg-type]
    text = generate_latest(registry).decode()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def metric(kind: str = "increment", name: str = "flowers", value: Any = 1.0, **labels: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "value": value, "labels": labels}


def test_counters_add_up_gauges_are_set_by_label() -> None:
    seen = told(
        metric(value=2.0, kind_of="rose"),
        metric(value=3.0, kind_of="rose"),
        metric("gauge", "heat", 5),
        metric("gauge", "heat", 4),
    )
    assert seen["flowers_total[('api', 'iris'), ('kind_of', 'rose')]"] == 5
    assert seen["heat[('api', 'iris')]"] == 4


def test_histograms_count_and_sum() -> None:
    seen = told(metric("histogram", "size", 0.2), metric("histogram", "size", 30.0))
    assert seen["size_count[('api', 'iris')]"] == 2
    assert seen["size_sum[('api', 'iris')]"] == 30.2
    assert seen["size_bucket[('api', 'iris'), ('le', '0.25')]"] == 1
    assert seen["size_bucket[('api', 'iris'), ('le', '+Inf')]"] == 2


def test_names_are_made_fit_and_never_ours() -> None:
    seen = told(metric(name="my-metric.total"), metric(name="1st"), metric(name="ringback_workloads_submitted"))
    assert {name.partition("[")[0] for name in seen} == {
        "my_metric_total",
        "custom_1st_total",
        "custom_ringback_workloads_submitted_total",
    }


def test_labels_are_made_fit_and_cannot_pass_for_another_api() -> None:
    seen = told(metric(**{"api": "other", "le": "1", "__x y": "a"}))
    assert list(seen) == ["flowers_total[('api', 'iris'), ('tag_api', 'other'), ('tag_le', '1'), ('x_y', 'a')]"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (metric(value=-1.0), "counts down"),
        (metric(value=float("nan")), "no number"),
        (metric(value="1"), "no number"),
        (metric("other"), "malformed"),
        (metric(name=None), "malformed"),  # type: ignore[arg-type]
        ({}, "malformed"),
        (metric("gauge"), "two kinds"),
    ],
)
def test_what_cannot_be_told_is_dropped_and_counted(wrong: dict[str, Any], reason: str) -> None:
    seen = told(metric(), wrong)
    assert seen["flowers_total[('api', 'iris')]"] == 1
    assert seen[f"ringback_custom_metrics_dropped_total[('api', 'iris'), ('reason', '{reason}')]"] == 1


def test_there_are_only_so_many() -> None:
    seen = told(*(metric(user=str(number)) for number in range(MOST_SERIES + 5)))
    assert sum(name.startswith("flowers") for name in seen) == MOST_SERIES
    assert seen["ringback_custom_metrics_dropped_total[('api', 'iris'), ('reason', 'too many')]"] == 5
