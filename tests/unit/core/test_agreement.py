"""What servers on one store must agree on, and what each may have of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ringback.core.agreement import count_differing, differing, digests
from ringback.core.spec import Api, Autoscaling, BodyFormat, Compute, Endpoint, Event, Order, Predictor, Retries

HOOK = Endpoint(key="iris", url="https://hooks.example/a?token=one", secret="whsec_b25l", headers={"X-Key": "one"})
IRIS = Api(name="iris", endpoint="iris", predictor=Predictor(path=Path("/srv/predictor.py")), webhooks=(HOOK,))


def of(api: Api) -> str:
    return digests([api])[api.name]


@pytest.mark.parametrize(
    "other",
    [
        replace(IRIS, endpoint="flowers"),
        replace(IRIS, timeout_seconds=60.0),
        replace(IRIS, retries=Retries(max_attempts=2)),
        replace(IRIS, retries=Retries(on=frozenset({"timeout"}))),
        replace(IRIS, retention_seconds=60.0),
        replace(IRIS, autoscaling=Autoscaling(max_replica_concurrency=3)),
        replace(IRIS, webhooks=()),
        replace(IRIS, webhooks=(replace(HOOK, url="https://hooks.example/b?token=one"),)),
        replace(IRIS, webhooks=(replace(HOOK, events=frozenset({Event.FAILED})),)),
        replace(IRIS, webhooks=(replace(HOOK, retry_seconds=(5,)),)),
        replace(IRIS, webhooks=(replace(HOOK, format=BodyFormat.STANDARD, order=Order.FIFO),)),
        replace(IRIS, webhooks=(replace(HOOK, headers={"X-Other": "one"}),)),
    ],
)
def test_what_binds_the_others_is_told_apart(other: Api) -> None:
    assert of(other) != of(IRIS)


@pytest.mark.parametrize(
    "other",
    [
        replace(IRIS, predictor=Predictor(path=Path("/opt/predictor.py"), env={"KEY": "x"}, config={"key": "y"})),
        replace(IRIS, compute=Compute(gpu=1)),
        replace(IRIS, webhooks=(replace(HOOK, secret=None, headers={"X-Key": "two"}),)),
        replace(IRIS, webhooks=(replace(HOOK, url="https://hooks.example/a?token=two"),)),
        replace(IRIS, webhooks=(replace(HOOK, events=frozenset(sorted(HOOK.events, reverse=True))),)),
    ],
)
def test_what_a_host_has_of_its_own_is_not(other: Api) -> None:
    assert of(other) == of(IRIS)


def test_the_digest_is_the_same_in_every_process() -> None:
    assert of(IRIS) == of(replace(IRIS)) == "0749a645d092"


def test_they_differ_in_what_only_one_has_and_in_what_each_has_otherwise() -> None:
    own, theirs = {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}
    assert differing(own, theirs) == ["b", "c", "d"]
    assert differing(own, own) == []
    assert [count_differing(own, name, [own, theirs, {}]) for name in own] == [1, 2, 2]
