"""Facts counted for Prometheus. Counting is a dictionary's work; the text is made when somebody asks for it.

Times are in seconds, sizes in bytes, as Prometheus asks (prometheus.io/docs/practices/naming).
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ringback.core.clock import SECOND, Clock
from ringback.core.delivery import AttemptClass, DeliveryState, PauseKind
from ringback.core.errors import StoreBusy
from ringback.core.registration import REGISTERED_PREFIX
from ringback.core.roles import Role
from ringback.core.spec import GUEST_PREFIX
from ringback.core.workload import Status
from ringback.dashboard import Reading, Tally
from ringback.runtime.custom_metrics import CustomMetrics
from ringback.runtime.facts import Facts
from ringback.store.contract import Store

QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds in seconds for what is over in a moment."""

LONG: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400)
"""Bounds in seconds for what may take a day."""

Labels = tuple[str, ...]

_GUESTS: Final = GUEST_PREFIX.rstrip(":")
_STATES: Final = ("active", "tripped", *PauseKind)


class Count:
    """A counter with labels."""

    __slots__ = ("_family", "values")

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        self._family = (name, meaning, labels)
        self.values: defaultdict[Labels, int] = defaultdict(int)

    def metric(self) -> Metric:
        name, meaning, labels = self._family
        family = CounterMetricFamily(name, meaning, labels=labels)
        for key, value in self.values.items():
            family.add_metric(key, value)
        return family


class Spread:
    """A histogram with labels, fed with microseconds."""

    __slots__ = ("_bounds", "_family", "series")

    def __init__(self, name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._family = (name, meaning, labels)
        self._bounds = [bound * SECOND for bound in bounds]
        self.series: dict[Labels, tuple[list[int], list[int]]] = {}

    def observe(self, key: Labels, duration_us: int) -> None:
        series = self.series.get(key)
        if series is None:
            series = self.series[key] = ([0] * (len(self._bounds) + 1), [0])
        buckets, total = series
        buckets[bisect_left(self._bounds, duration_us)] += 1
        total[0] += duration_us

    def tallies(self) -> dict[str, Tally]:
        """Each series as it stands, by its first label."""
        bounds = tuple(self._bounds)
        return {
            key[0]: Tally(bounds_us=bounds, counts=tuple(buckets), total_us=total)
            for key, (buckets, [total]) in self.series.items()
        }

    def metric(self) -> Metric:
        name, meaning, labels = self._family
        family = HistogramMetricFamily(name, meaning, labels=labels)
        for key, (buckets, [total]) in self.series.items():
            family.add_metric(key, self._cumulated(buckets), total / SECOND)
        return family

    def _cumulated(self, buckets: Sequence[int]) -> list[tuple[str, float]]:
        seen, rows = 0, []
        for bound, count in zip([*self._bounds, None], buckets, strict=True):
            seen += count
            rows.append(("+Inf" if bound is None else repr(bound / SECOND), float(seen)))
        return rows


class Metrics(Collector):
    """Listens to facts and tells Prometheus."""

    def __init__(self, facts: Facts) -> None:
        self._submitted = Count("ringback_workloads_submitted", "Workloads taken in", ["api"])
        self._refused = Count("ringback_workloads_refused", "Submits refused", ["api", "code"])
        self._finished = Count("ringback_workloads_finished", "Workloads ended", ["api", "status"])
        self._requeued = Count("ringback_workloads_requeued", "Workloads put back", ["api", "spent"])
        self._lost = Count("ringback_replicas_lost", "Replicas that died", ["api"])
        self._attempts = Count("ringback_delivery_attempts", "Webhook requests made", ["endpoint", "outcome"])
        self._settled = Count("ringback_deliveries_settled", "Deliveries that arrived or parked", ["endpoint", "state"])
        self._blobs = Count("ringback_blobs_removed", "Blobs of erased workloads, and strays, removed", ["why"])
        self._writes = Count("ringback_store_writes", "Writes committed", [])
        self._waited = Spread("ringback_workload_wait_seconds", "From submit to the first run", ["api"], LONG)
        self._ran = Spread("ringback_workload_run_seconds", "Run time of predict", ["api"], LONG)
        self._request = Spread("ringback_delivery_request_seconds", "One webhook request", ["endpoint"], QUICK)
        self._age = Spread("ringback_delivery_age_seconds", "From terminal status to settled", ["endpoint"], LONG)
        self._first = Spread(
            "ringback_delivery_wait_seconds", "From terminal status to the first attempt", ["endpoint"], LONG
        )
        # The dashboard's own: how long what has arrived took, and nothing that was given up on.
        self._arrived = Spread("arrived", "From terminal status to arrival", ["endpoint"], LONG)
        self._of_endpoints = (self._request, self._age, self._first, self._arrived)
        self._commit = Spread("ringback_store_commit_seconds", "One commit to the disk", [], QUICK)
        self._gauges: list[Metric] = []
        self._custom = CustomMetrics()
        facts.listen("predictor.metric", self._custom.take)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._listen(facts)

    def collect(self) -> Iterable[Metric]:
        for count in (
            self._submitted,
            self._refused,
            self._finished,
            self._requeued,
            self._lost,
            self._attempts,
            self._settled,
            self._blobs,
            self._writes,
        ):
            yield count.metric()
        for spread in (self._waited, self._ran, self._request, self._first, self._age, self._commit):
            yield spread.metric()
        yield from self._gauges
        yield from self._custom.collect()

    async def exposition(self, store: Store, apis: Sequence[str]) -> bytes:
        """Everything in Prometheus' text format.

        What this server has done, and how its members stand; a gateway adds what is the store's, and so the same at
        every gateway: the depths of queues and backlogs, and how each endpoint is treated. What a store that is out of
        reach cannot say is left out.
        """
        self._leave_out_removed(store)
        self._gauges = [_members(store)]
        if Role.GATEWAY in store.roles:
            self._gauges.append(self._endpoint_states(store))
            with contextlib.suppress(StoreBusy):
                waiting = await _delivery_gauges(store, store.clock)
                self._gauges += [*await _queue_gauges(store, apis), *waiting]
        return generate_latest(self._registry)

    def _leave_out_removed(self, store: Store) -> None:
        """Any number of endpoints may be registered and removed in time; those that are gone are not counted on."""
        counts: tuple[dict[Labels, Any], ...] = (self._attempts.values, self._settled.values)
        for each in (*counts, *(spread.series for spread in self._of_endpoints)):
            gone = [key for key in each if _is_registered(key[0]) and store.registered(key[0]) is None]
            for key in gone:
                del each[key]

    def reading(self, store: Store) -> Reading:
        """The running totals that the dashboard's charts are made of, and the endpoints that do not work now."""
        attempts: dict[tuple[str, bool], int] = defaultdict(int)
        for (endpoint, outcome), count in self._attempts.values.items():
            attempts[endpoint, outcome == AttemptClass.OK.value] += count
        return Reading(
            finished={(api, Status(status)): count for (api, status), count in self._finished.values.items()},
            ran=self._ran.tallies(),
            arrived=self._arrived.tallies(),
            attempts=attempts,
            tripped=store.tripped,
        )

    def _listen(self, facts: Facts) -> None:
        facts.listen("workload.submitted", self._on_submitted)
        facts.listen("batch.submitted", self._on_batch)
        facts.listen("workload.refused", self._on_refused)
        facts.listen("workload.claimed", self._on_claimed)
        facts.listen("workload.finished", self._on_finished)
        facts.listen("workload.requeued", self._on_requeued)
        facts.listen("replica.lost", self._on_lost)
        facts.listen("blobs.removed", self._on_blobs_removed)
        facts.listen("delivery.attempted", self._on_attempted)
        facts.listen("delivery.settled", self._on_settled)
        facts.listen("store.committed", self._on_committed)

    def _endpoint_states(self, store: Store) -> Metric:
        """How each endpoint is treated that has been tried, or is to be; guests are too many to be told apart."""
        family = GaugeMetricFamily("ringback_endpoint_state", "1 for the state it is in", labels=["endpoint", "state"])
        tried = {endpoint for endpoint, _ in self._attempts.values}
        for endpoint in sorted(each for each in tried | store.tripped if not each.startswith(_GUESTS)):
            if _is_registered(endpoint) and store.registered(endpoint) is None:
                continue  # it was removed
            pause = store.paused(endpoint)
            now = "tripped" if endpoint in store.tripped else "active"
            state = now if pause is None else pause.kind.value
            for each in _STATES:
                family.add_metric([endpoint, each], float(each == state))
        return family

    # ── Facts ───────────────────────────────────────────────────────────────────────────────────

    def _on_submitted(self, *, api: str, **_: object) -> None:
        self._submitted.values[(api,)] += 1

    def _on_batch(self, *, api: str, workloads: int) -> None:
        self._submitted.values[(api,)] += workloads

    def _on_refused(self, *, api: str, code: str) -> None:
        self._refused.values[api, code] += 1

    def _on_claimed(self, *, api: str, waited_us: int) -> None:
        self._waited.observe((api,), waited_us)

    def _on_finished(self, *, api: str, status: str, run_us: int | None, **_: object) -> None:
        self._finished.values[api, status] += 1
        if run_us is not None:
            self._ran.observe((api,), run_us)

    def _on_requeued(self, *, api: str, spent: str) -> None:
        self._requeued.values[api, spent] += 1

    def _on_lost(self, *, api: str, **_: object) -> None:
        self._lost.values[(api,)] += 1

    def _on_blobs_removed(self, *, why: str, count: int) -> None:
        self._blobs.values[(why,)] += count

    def _on_attempted(
        self, *, endpoint: str, outcome: str, duration_us: int, waited_us: int | None, **_: object
    ) -> None:
        endpoint = _label(endpoint)
        if waited_us is not None:
            self._first.observe((endpoint,), waited_us)
        self._attempts.values[endpoint, outcome] += 1
        self._request.observe((endpoint,), duration_us)

    def _on_settled(self, *, endpoint: str, state: str, age_us: int) -> None:
        endpoint = _label(endpoint)
        self._settled.values[endpoint, state] += 1
        self._age.observe((endpoint,), age_us)
        if state == DeliveryState.DELIVERED.value:
            self._arrived.observe((endpoint,), age_us)

    def _on_committed(self, *, writes: int, duration_us: int) -> None:
        self._writes.values[()] += writes
        self._commit.observe((), duration_us)


def _members(store: Store) -> Metric:
    family = GaugeMetricFamily("ringback_members", "Living servers on the store, by role", labels=["role"])
    for role in Role:
        family.add_metric([role.value], len(store.roster(role)))
    return family


def _is_registered(endpoint: str) -> bool:
    return endpoint.startswith(REGISTERED_PREFIX)


def _label(endpoint: str) -> str:
    """The endpoint's key; all that came with requests share one, for there may be any number of them."""
    return _GUESTS if endpoint.startswith(GUEST_PREFIX) else endpoint


async def _queue_gauges(store: Store, apis: Sequence[str]) -> list[Metric]:
    depths = await store.depths()
    queued = GaugeMetricFamily("ringback_workloads_unfinished", "Workloads not over yet", labels=["api", "status"])
    replicas = GaugeMetricFamily("ringback_replicas", "Replicas by state", labels=["api", "state"])
    for api in apis:
        depth = depths.get(api)
        queued.add_metric([api, "in_queue"], depth.in_queue if depth else 0)
        queued.add_metric([api, "in_progress"], depth.in_progress if depth else 0)
        state = store.replicas(api)
        replicas.add_metric([api, "ready"], state.ready)
        replicas.add_metric([api, "starting"], state.starting)
    return [queued, replicas]


async def _delivery_gauges(store: Store, clock: Clock) -> list[Metric]:
    waiting = GaugeMetricFamily("ringback_deliveries_waiting", "Deliveries not delivered", labels=["endpoint", "state"])
    oldest = GaugeMetricFamily("ringback_delivery_oldest_seconds", "Age of the oldest pending one", labels=["endpoint"])
    now = clock.now()
    sums: dict[str, tuple[int, int, int]] = {}
    for endpoint, backlog in (await store.backlogs()).items():
        pending, parked, since = sums.get(_label(endpoint), (0, 0, now))
        first = now if backlog.oldest_at is None else backlog.oldest_at
        sums[_label(endpoint)] = (pending + backlog.pending, parked + backlog.parked, min(since, first))
    for endpoint, (pending, parked, since) in sums.items():
        waiting.add_metric([endpoint, "pending"], pending)
        waiting.add_metric([endpoint, "parked"], parked)
        if pending:
            oldest.add_metric([endpoint], max(0, now - since) / SECOND)
    return [waiting, oldest]
