"""What Prometheus is told, read with its own parser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ringback.core.clock import SECOND, HandWound
from ringback.core.delivery import Pause, PauseKind
from ringback.core.registration import Registration
from ringback.core.roles import Role
from ringback.core.spec import Endpoint, guest_endpoint
from ringback.core.workload import Completed
from ringback.runtime.facts import Facts
from ringback.runtime.metrics import LONG, QUICK, Metrics
from ringback.store.contract import Part, ReplicaState
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.stores import claim_one, submission

GUESTS = (guest_endpoint("http://a.example/"), guest_endpoint("http://b.example/"))

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

FACTS: list[tuple[str, dict[str, Any]]] = [
    ("workload.submitted", {"api": "iris", "payload_bytes": 8}),
    ("workload.submitted", {"api": "iris", "payload_bytes": 9}),
    ("workload.refused", {"api": "iris", "code": "queue_full"}),
    ("workload.claimed", {"api": "iris", "waited_us": 5 * SECOND}),
    ("workload.finished", {"api": "iris", "status": "completed", "run_us": 1_500_000}),
    ("workload.finished", {"api": "iris", "status": "canceled", "run_us": None}),
    ("workload.requeued", {"api": "iris", "spent": "attempt"}),
    ("replica.lost", {"api": "iris", "replica": "r1", "reason": "killed"}),
    (
        "delivery.attempted",
        {"endpoint": "iris", "outcome": "ok", "status": 200, "duration_us": 20_000, "waited_us": 400},
    ),
    ("delivery.settled", {"endpoint": "iris", "state": "delivered", "age_us": 30_000}),
    ("store.committed", {"writes": 7, "duration_us": 900}),
]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
    yield opened
    await opened.close()


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def metrics(facts: Facts) -> Metrics:
    return Metrics(facts)


def samples_of(text: bytes) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def at(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


async def test_what_was_given_up_on_has_not_arrived(facts: Facts, metrics: Metrics, store: SqliteStore) -> None:
    for state, age_us in (("delivered", 30_000), ("parked", 90_000_000)):
        facts("delivery.settled", endpoint="iris", state=state, age_us=age_us)
    arrived = metrics.reading(store).arrived["iris"]
    assert (arrived.number, arrived.total_us) == (1, 30_000)


async def test_every_fact_is_counted_under_its_labels(facts: Facts, metrics: Metrics, store: SqliteStore) -> None:
    for fact, details in FACTS:
        facts(fact, **details)

    found = samples_of(await metrics.exposition(store, ["iris"]))

    assert at(found, "ringback_workloads_submitted_total", api="iris") == 2
    assert at(found, "ringback_workloads_refused_total", api="iris", code="queue_full") == 1
    assert at(found, "ringback_workloads_finished_total", api="iris", status="completed") == 1
    assert at(found, "ringback_workloads_requeued_total", api="iris", spent="attempt") == 1
    assert at(found, "ringback_replicas_lost_total", api="iris") == 1
    assert at(found, "ringback_delivery_attempts_total", endpoint="iris", outcome="ok") == 1
    assert at(found, "ringback_deliveries_settled_total", endpoint="iris", state="delivered") == 1
    assert at(found, "ringback_store_writes_total") == 7
    assert at(found, "ringback_workload_wait_seconds_sum", api="iris") == 5
    assert at(found, "ringback_workload_run_seconds_sum", api="iris") == 1.5
    assert at(found, "ringback_delivery_request_seconds_sum", endpoint="iris") == 0.02
    assert at(found, "ringback_delivery_wait_seconds_sum", endpoint="iris") == 0.0004
    assert at(found, "ringback_delivery_age_seconds_sum", endpoint="iris") == 0.03
    assert at(found, "ringback_store_commit_seconds_sum") == 0.0009


@pytest.mark.parametrize("bounds", [QUICK, LONG], ids=["quick", "long"])
async def test_a_bucket_holds_what_is_at_most_its_bound(
    bounds: tuple[float, ...], facts: Facts, metrics: Metrics, store: SqliteStore
) -> None:
    fact, name, detail = {
        QUICK: ("store.committed", "ringback_store_commit_seconds", {"writes": 1}),
        LONG: ("workload.claimed", "ringback_workload_wait_seconds", {"api": "iris"}),
    }[bounds]
    key, labels = ("duration_us", {}) if bounds is QUICK else ("waited_us", {"api": "iris"})
    for bound in bounds:
        facts(fact, **detail, **{key: round(bound * SECOND)})
    facts(fact, **detail, **{key: round(bounds[-1] * SECOND) + 1})

    found = samples_of(await metrics.exposition(store, []))

    told = [at(found, f"{name}_bucket", le=str(float(bound)), **labels) for bound in bounds]
    assert told == list(range(1, len(bounds) + 1))
    assert at(found, f"{name}_bucket", le="+Inf", **labels) == len(bounds) + 1
    assert at(found, f"{name}_count", **labels) == len(bounds) + 1


async def test_what_is_the_stores_is_told_by_gateways_alone(
    tmp_path: Path, metrics: Metrics, store: SqliteStore
) -> None:
    part = Part(roles=frozenset({Role.WORKER, Role.DISPATCHER}))
    worker = await open_sqlite(tmp_path / "ringback.db", clock=HandWound(), part=part)
    await store.heartbeat()

    found = samples_of(await metrics.exposition(worker, ["iris"]))
    assert at(found, "ringback_members", role="gateway") == 1
    assert at(found, "ringback_members", role="worker") == 2
    assert not any(name == "ringback_workloads_unfinished" for name, _ in found)
    await worker.close()


async def test_queues_replicas_and_backlogs_are_told_as_they_stand(metrics: Metrics, store: SqliteStore) -> None:
    hook = Endpoint(key="iris", url="http://127.0.0.1:1/")
    claimed = await claim_one(store, "w-1", api="iris")
    await store.submit(submission(workload_id="w-2", api="iris"))
    await store.report("iris", ReplicaState(ready=2, starting=1))

    found = samples_of(await metrics.exposition(store, ["iris", "idle"]))
    assert at(found, "ringback_workloads_unfinished", api="iris", status="in_queue") == 1
    assert at(found, "ringback_workloads_unfinished", api="iris", status="in_progress") == 1
    assert at(found, "ringback_workloads_unfinished", api="idle", status="in_queue") == 0
    assert at(found, "ringback_replicas", api="iris", state="ready") == 2
    assert at(found, "ringback_replicas", api="iris", state="starting") == 1

    await store.finish(claimed.held, Completed(result=b"1"), [hook])
    assert isinstance(store.clock, HandWound)
    store.clock.wind(90)

    found = samples_of(await metrics.exposition(store, ["iris"]))
    assert at(found, "ringback_workloads_unfinished", api="iris", status="in_progress") == 0
    assert at(found, "ringback_deliveries_waiting", endpoint="iris", state="pending") == 1
    assert at(found, "ringback_delivery_oldest_seconds", endpoint="iris") == 90


async def test_how_each_endpoint_is_treated_and_guests_as_one(
    facts: Facts, metrics: Metrics, store: SqliteStore
) -> None:
    made = {"outcome": "ok", "status": 200, "duration_us": 1, "waited_us": None}
    for endpoint in ("well", "broken", "left", "guest:http://a.example/", "guest:http://b.example/", "ep_removed"):
        facts("delivery.attempted", endpoint=endpoint, **made)
    await store.take_lane("broken")
    await store.note_tripped("broken", is_tripped=True)
    await store.pause("left", Pause(kind=PauseKind.GONE, reason="410", since=store.clock.now()))
    await store.finish((await claim_one(store, "w-1", api="iris")).held, Completed(result=b"1"), GUESTS)

    found = samples_of(await metrics.exposition(store, []))
    states = {labels: value for (name, labels), value in found.items() if name == "ringback_endpoint_state" and value}
    assert {dict(labels)["endpoint"]: dict(labels)["state"] for labels in states} == {
        "well": "active",
        "broken": "tripped",
        "left": "gone",
    }
    assert at(found, "ringback_delivery_attempts_total", endpoint="guest", outcome="ok") == 2
    assert at(found, "ringback_deliveries_waiting", endpoint="guest", state="pending") == 2

    await store.note_tripped("broken", is_tripped=False)
    found = samples_of(await metrics.exposition(store, []))
    assert at(found, "ringback_endpoint_state", endpoint="broken", state="active") == 1


async def test_endpoints_that_come_and_go_leave_nothing_behind(
    facts: Facts, metrics: Metrics, store: SqliteStore
) -> None:
    made = {"outcome": "ok", "status": 200, "duration_us": 1, "waited_us": 1}
    stays = Endpoint(key="ep_stays", url="http://127.0.0.1:1/")
    await store.register(Registration(endpoint=stays, created_at=store.clock.now()))
    for number in range(50):
        for endpoint in (f"ep_{number}", f"guest:http://{number}.example/", "ep_stays"):
            facts("delivery.attempted", endpoint=endpoint, **made)
            facts("delivery.settled", endpoint=endpoint, state="delivered", age_us=1)

    found = samples_of(await metrics.exposition(store, []))
    assert {dict(labels)["endpoint"] for _, labels in found if "endpoint" in dict(labels)} == {"ep_stays", "guest"}


async def test_asking_twice_counts_nothing_twice(facts: Facts, metrics: Metrics, store: SqliteStore) -> None:
    for fact, details in FACTS:
        facts(fact, **details)

    assert await metrics.exposition(store, ["iris"]) == await metrics.exposition(store, ["iris"])


async def test_labels_of_any_text_are_read_back(facts: Facts, metrics: Metrics, store: SqliteStore) -> None:
    odd = 'a"b\\c\nd{e="f"}'
    facts("workload.submitted", api=odd, payload_bytes=1)

    assert at(samples_of(await metrics.exposition(store, [])), "ringback_workloads_submitted_total", api=odd) == 1


async def test_every_metric_has_words_and_a_unit_in_its_name(metrics: Metrics, store: SqliteStore) -> None:
    families = list(text_string_to_metric_families((await metrics.exposition(store, ["iris"])).decode()))

    assert len({family.name for family in families}) == len(families) == 22
    for family in families:
        assert family.name.startswith("ringback_")
        assert family.documentation
        assert family.type != "histogram" or family.name.endswith("_seconds")


def test_a_fact_goes_to_all_who_listen_in_their_order_and_to_nobody_else() -> None:
    heard: list[str] = []
    facts = Facts()

    def listener(name: str) -> Callable[..., None]:
        return lambda **details: heard.append(f"{name} {details}")

    facts.listen("a", listener("first"))
    facts.listen("a", listener("second"))
    facts.listen("b", listener("third"))

    facts("a", x=1)
    facts("nobody listens", x=2)

    assert heard == ["first {'x': 1}", "second {'x': 1}"]
