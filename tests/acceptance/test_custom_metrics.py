"""What predictors count themselves stands under `/metrics`, by kind, of all replicas together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from support.processes import Server, serving
from support.served import file_of
from support.waiting import until

pytestmark = pytest.mark.every_engine

COUNTING: Final = """
class PythonPredictor:
    def __init__(self, config, metrics_client):
        self.metrics = metrics_client

    def predict(self, payload):
        self.metrics.increment(metric="flowers", value=payload["count"], tags={"kind": payload["kind"]})
        self.metrics.gauge(metric="latest.count", value=payload["count"])
        self.metrics.histogram(metric="image_bytes", value=payload["count"] * 100)
        self.metrics.increment(metric="ringback_workloads_finished", value=1_000)
        self.metrics.increment(metric="flowers", value=float("nan"))
"""

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(server: Server) -> Samples:
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**named: str) -> frozenset[tuple[str, str]]:
    return frozenset(named.items())


def test_counters_gauges_and_histograms_of_two_apis_and_three_replicas(tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(COUNTING)
    garden = {"predictor": {"path": "predictor.py"}}
    file = file_of(
        tmp_path,
        {"name": "garden", **garden, "autoscaling": {"min_replicas": 2, "max_replicas": 2}},
        {"name": "shop", **garden},
    )
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        for api, kind, count in (
            ("garden", "rose", 2),
            ("garden", "rose", 3),
            ("garden", "tulip", 1),
            ("shop", "rose", 7),
        ):
            answer = requests.post(
                f"{server.url}/{api}", json={"kind": kind, "count": count}, headers={"Prefer": "wait=30"}, timeout=40
            )
            assert answer.json()["status"] == "completed", answer.text
        dropped = "ringback_custom_metrics_dropped_total", labels(api="garden", reason="no number")
        found = until(
            lambda: told if (told := samples(server)).get(dropped) == 3 else None, within=10, wanted="all told"
        )

    assert found["flowers_total", labels(api="garden", kind="rose")] == 5
    assert found["flowers_total", labels(api="garden", kind="tulip")] == 1
    assert found["flowers_total", labels(api="shop", kind="rose")] == 7
    assert found["latest_count", labels(api="garden")] == 1
    assert found["latest_count", labels(api="shop")] == 7
    assert found["image_bytes_count", labels(api="garden")] == 3
    assert found["image_bytes_sum", labels(api="garden")] == 600
    assert found["image_bytes_bucket", labels(api="garden", le="100.0")] == 1
    assert found["image_bytes_bucket", labels(api="garden", le="250.0")] == 2
    assert found["image_bytes_bucket", labels(api="garden", le="+Inf")] == 3
    assert found["custom_ringback_workloads_finished_total", labels(api="garden")] == 3_000
