"""What a submit asks of the queue over HTTP: read, refused, kept, shown."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.core.errors import InvalidHeader
from ringback.core.queueing import NO_WISH, Wish
from ringback.core.workload import Completed
from ringback.gateway.wishes import wish_of
from ringback.store.contract import ReplicaState
from ringback.store.sqlite import SqliteStore
from support.asgi import Caller
from unit.gateway.conftest import Facts

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "wish"),
    [
        ({"ringback-priority": "100"}, Wish(priority=100)),
        ({"ringback-priority": " -100"}, Wish(priority=-100)),
        ({"ringback-priority": "+7"}, Wish(priority=7)),
        ({"ringback-delay": "1m30s"}, Wish(delay_seconds=90.0)),
        ({"ringback-delay": "0s"}, Wish()),
        ({"ringback-expires": "250ms"}, Wish(expires_seconds=0.25)),
        ({"ringback-tenant": "acme/eu"}, Wish(tenant="acme/eu")),
        (
            {
                "ringback-priority": "1",
                "ringback-delay": "2s",
                "ringback-expires": "3s",
                "ringback-tenant": "t",
                "x": "y",
            },
            Wish(priority=1, delay_seconds=2.0, expires_seconds=3.0, tenant="t"),
        ),
    ],
)
def test_what_is_asked_for(headers: dict[str, str], wish: Wish) -> None:
    assert wish_of(headers) == wish


def test_without_any_of_the_headers_it_is_the_plain_wish() -> None:
    assert wish_of({"content-type": "application/json"}) is NO_WISH


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("Ringback-Priority", "101", "from -100 to 100"),
        ("Ringback-Priority", "-101", "from -100 to 100"),
        ("Ringback-Priority", "1.5", "no whole number"),
        ("Ringback-Priority", "high", "no whole number"),
        ("Ringback-Priority", "", "no whole number"),
        ("Ringback-Priority", "5, 6", "no whole number"),
        ("Ringback-Priority", "٥", "no whole number"),
        ("Ringback-Delay", "soon", "no duration"),
        ("Ringback-Delay", "-5s", "no duration"),
        ("Ringback-Delay", "101000d", "longer than 100 years"),
        ("Ringback-Expires", "0s", "more than nothing"),
        ("Ringback-Expires", "never", "no duration"),
        ("Ringback-Tenant", "", "1 to 255 visible"),
        ("Ringback-Tenant", "two words", "1 to 255 visible"),
        ("Ringback-Tenant", "x" * 256, "1 to 255 visible"),
    ],
)
def test_each_refusal_names_the_header_and_the_cure(name: str, value: str, words: str) -> None:
    with pytest.raises(InvalidHeader, match=words) as refused:
        wish_of({name.lower(): value})
    assert name in str(refused.value)


async def test_a_refused_wish_takes_nothing_in(call: Caller, store: SqliteStore, facts: Facts) -> None:
    answer = await call("POST", "/iris", b"{}", {**JSON, "Ringback-Priority": "much"})
    assert (answer.status, answer.json()["type"]) == (400, "urn:ringback:problem:invalid_header")
    assert facts.of("workload.refused") == [{"api": "iris", "code": "invalid_header"}]
    assert await store.depths() == {}


async def test_the_order_of_the_queue_is_what_was_asked_for(call: Caller, store: SqliteStore) -> None:
    for name, wish in (
        ("plain", {}),
        ("urgent", {"Ringback-Priority": "9"}),
        ("later", {"Ringback-Delay": "5s"}),
    ):
        assert (await call("PUT", f"/iris/{name}", b"{}", {**JSON, **wish})).status == 200
    taken, following = await store.claim("iris", 9)
    assert ([each.held.id for each in taken], following) == (["urgent", "plain"], 5.0)


async def test_a_poll_tells_where_one_stands_and_the_overview_all_of_it(call: Caller, store: SqliteStore) -> None:
    await call("PUT", "/iris/first", b"{}", JSON)
    asked = {"Ringback-Tenant": "acme", "Ringback-Priority": "3", "Ringback-Expires": "60s"}
    await call("PUT", "/iris/second", b"{}", {**JSON, **asked})
    await call("PUT", "/iris/later", b"{}", {**JSON, "Ringback-Delay": "1h"})

    assert (await call("GET", "/iris/first")).json() == {"id": "first", "status": "in_queue", "position": 1}
    assert (await call("GET", "/iris/later")).json() == {"id": "later", "status": "in_queue"}
    told = (await call("GET", "/-/workloads/second")).json()
    shown = {name: told[name] for name in ("position", "priority", "tenant", "expires_at")}
    assert shown == {
        "position": 1,
        "priority": 3,
        "tenant": "acme",
        "expires_at": "2023-11-14T22:14:20.000000+00:00",
    }
    plain = (await call("GET", "/-/workloads/later")).json()
    assert (plain["position"], plain["tenant"], plain["expires_at"]) == (None, None, None)
    assert plain["due_at"] == "2023-11-14T23:13:20.000000+00:00"


async def test_a_full_queue_tells_when_there_may_be_room(call: Caller, store: SqliteStore) -> None:
    clock: Any = store.clock
    for _ in range(20):  # one is done every ten seconds
        await call("POST", "/iris", b"{}", JSON)
        [taken], _ = await store.claim("iris", 1)
        clock.wind(10)
        await store.heartbeat()
        await store.finish(taken.held, Completed(result=b"1"), [])
    await store.report("iris", ReplicaState(ready=1))
    for _ in range(3):
        assert (await call("POST", "/iris", b"{}", JSON)).status == 200
    refused = [await call("POST", "/iris", b"{}", JSON) for _ in range(3)]
    assert [each.status for each in refused] == [503] * 3
    waits = [int(each.headers["retry-after"]) for each in refused]
    assert waits == sorted(set(waits))
    assert 8 <= waits[0] <= 12
    assert f"try again in {waits[0]} s" in refused[0].json()["detail"]
    assert (await call("POST", "/iris", b"{}", {**JSON, "Ringback-Tenant": "another"})).status == 200
