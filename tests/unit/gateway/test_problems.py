"""What callers are told of errors that are the operator's to mend, and what the log is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from ringback.core import errors
from ringback.gateway import Front, Gateway, Probes, Rules
from ringback.gateway.problems import detail_of, problem
from ringback.pages import Mount, Pages
from ringback.store.sqlite import SqliteStore
from support.asgi import Caller
from unit.gateway.conftest import IRIS, Facts

PLACE = "postgresql://ringback@db.internal:5432/ringback cannot be reached: connection refused"


def _all_of(kind: type[errors.RingbackError]) -> Iterator[type[errors.RingbackError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all_of(each)


def _is_of_the_servers_own(kind: type[errors.RingbackError]) -> bool:
    """Whether errors of this kind are made where the server's databases, buckets and files are known."""
    named = (errors.StoreBusy, errors.StoreFull, errors.BlobsUnavailable, errors.StoreError)
    return issubclass(kind, named)


@pytest.mark.parametrize("kind", sorted(filter(_is_of_the_servers_own, _all_of(errors.RingbackError)), key=repr))
def test_no_caller_is_told_where_things_are(kind: type[errors.RingbackError]) -> None:
    status, headers, body = problem(kind(PLACE))

    assert isinstance(body, bytes)
    assert not [word for word in ("db.internal", "ringback@", "postgresql", "5432") if word in body.decode()]
    told = orjson.loads(body)
    assert told["type"].endswith(f":{kind.code}")
    assert (status, b"retry-after" in dict(headers)) in {(503, True), (500, False)}


def test_who_may_come_again_is_told_when() -> None:
    error = errors.StoreBusy(PLACE, retry_after_seconds=2)

    assert "try again in 2 s" in detail_of(error)
    assert dict(problem(error)[1])[b"retry-after"] == b"2"


def test_what_the_caller_can_mend_is_told_in_full() -> None:
    assert detail_of(errors.NotFound("no API answers at /irsi")) == "no API answers at /irsi"
    assert detail_of(errors.ApiNotReady("no module named torch")) == "no module named torch"


async def _away(scope: Any, receive: Any, send: Any) -> None:
    raise errors.StoreBusy(PLACE, retry_after_seconds=2)


async def _no_figures() -> bytes:
    raise errors.StoreBusy(PLACE, retry_after_seconds=2)


@pytest.fixture
async def askers(store: SqliteStore, facts: Facts) -> dict[str, Caller]:
    mount = Mount(paths=("/-/part",), application=_away)
    rules = Rules(max_body_bytes=1_000)
    gateway = Gateway(
        store, [IRIS], facts, rules=rules, metrics=_no_figures, front=Front(pages=Pages(), mounts=[mount])
    )
    return {
        "gateway": Caller(gateway),
        "probes": Caller(Probes(store, [IRIS], facts, rules=rules, metrics=_no_figures)),
    }


@pytest.mark.parametrize(
    ("where", "path", "headers"),
    [
        ("gateway", "/metrics", {}),
        ("gateway", "/-/part", {}),
        ("gateway", "/-/part", {"accept": "text/html"}),
        ("probes", "/metrics", {}),
    ],
)
async def test_an_answer_says_what_to_do_and_the_log_says_why(
    where: str, path: str, headers: dict[str, str], askers: dict[str, Caller], facts: Facts
) -> None:
    answer = await askers[where]("GET", path, headers=headers)

    assert answer.status == 503
    assert answer.headers["retry-after"] == "2"
    assert b"db.internal" not in answer.body
    assert b"try again in 2 s" in answer.body
    [fault] = facts.of("store.fault")
    assert str(fault["error"]) == PLACE
