"""No page and no answer takes the world for still: whatever happens between two of its reads, it is shown and true.

Each thing that pages are about goes through its life, and each page of it is asked for at every point of that life, the
next thing happening after the first read that the page is made of, after the second, and so on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from ringback.core.clock import HandWound
from ringback.core.delivery import AttemptClass, Delivered, Delivery, Park, Pause, PauseKind, TryAgain, Verdict
from ringback.core.emit import silent
from ringback.core.inbox import DEFAULTS, Arrival, Forwarded
from ringback.core.netguard import Guard, Trust
from ringback.core.registration import Registration, Undelivered
from ringback.core.spec import Api, Endpoint, Event, Predictor
from ringback.core.workload import Completed, Failed, Held, Progress
from ringback.dashboard import Dashboard, Hour, Reading
from ringback.gateway import Front, Gateway, Rules
from ringback.inspector import Inspector, Reach
from ringback.pages import Inside, Pages
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.asgi import Caller
from support.meanwhile import Act, Meanwhile
from support.served import SECRET
from support.stores import attempt, claim_one, submission, take_one

UI: Final = "/-/ui"
BASE: Final = "http://127.0.0.1:8080"
BROWSER: Final = {"accept": "text/html", "host": "127.0.0.1:8080", "sec-fetch-site": "same-origin"}
JSON: Final = {"host": "127.0.0.1:8080"}
HOOK: Final = Endpoint(
    key="iris",
    url=f"{BASE}/-/inspector/in/rung",
    secret=SECRET,
    events=frozenset({Event.COMPLETED, Event.BATCH_COMPLETED}),
)
IRIS: Final = Api(
    name="iris", endpoint="iris", predictor=Predictor(path=Path("/nowhere/predictor.py")), webhooks=(HOOK,)
)
LISTS: Final = (
    "/",
    f"{UI}/workloads",
    f"{UI}/apis/iris",
    f"{UI}/batches",
    f"{UI}/deliveries",
    f"{UI}/endpoints",
    "/-/inspector",
    "/-/deliveries",
    "/-/endpoints",
)


@dataclass(slots=True, kw_only=True)
class Life:
    """One thing and what happens to it."""

    store: SqliteStore
    id: str
    held: Held | None = None
    taken: Delivery | None = None
    batch: int = 0

    def at(self, place: str) -> str:
        """A place of its own."""
        seq, message = (0, "") if self.taken is None else (self.taken.seq, self.taken.message_id)
        return place.format(id=self.id, seq=seq, message=quote(message))

    # ── A workload and its webhook ──────────────────────────────────────────────────────────────

    async def submit(self) -> None:
        await self.store.submit(submission(workload_id=self.id))

    async def start(self) -> None:
        self.held = (await claim_one(self.store)).held

    async def progress(self) -> None:
        assert self.held is not None
        await self.store.progress(self.held, Progress(fraction=0.5, message="half"))

    async def fail(self) -> None:
        assert self.held is not None
        await self.store.finish(self.held, Failed(type="ValueError", message="no"), [])

    async def retry(self) -> None:
        await self.store.retry("iris", self.id)

    async def finish(self) -> None:
        assert self.held is not None
        await self.store.finish(self.held, Completed(result=b'{"a":1}'), [HOOK])

    async def try_in_vain(self) -> None:
        self.taken = await take_one(self.store, "iris")
        await self._record(AttemptClass.STATUS, TryAgain(wait_seconds=0))

    async def take(self) -> None:
        self.taken = await take_one(self.store, "iris")

    async def take_all(self) -> None:
        """Whatever has become due, so that it is not taken for another's."""
        for again in (False, True):
            await self.store.take_due("iris", 100, again=again)

    async def park(self) -> None:
        await self._record(AttemptClass.STATUS, Park(reason="all attempts failed"))

    async def replay(self) -> None:
        assert self.taken is not None
        await self.store.replay(self.taken.seq)

    async def deliver(self) -> None:
        self.taken = await take_one(self.store, "iris")
        await self._record(AttemptClass.OK, Delivered())

    async def erase(self) -> None:
        await self.store.erase("iris", self.id)

    async def _record(self, outcome: AttemptClass, verdict: Verdict) -> None:
        assert self.taken is not None
        made = attempt(self.taken.tries + 1, self.store, outcome)
        await self.store.record(self.taken, replace(made, status=200 if outcome is AttemptClass.OK else 500), verdict)

    # ── A batch ─────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        opened = await self.store.batches.open(submission())
        self.batch, self.id = opened.seq, opened.id
        await self.store.batches.stage(self.batch, 0, [b"1", b"2"])
        await self.store.batches.accept(self.batch, 2, b"print")

    async def pour(self) -> None:
        while await self.store.batches.pour(self.batch, 10):
            pass

    async def tell(self) -> None:
        await self.store.batches.tell("iris", [HOOK], 10)

    async def forget(self) -> None:
        await self.store.batches.forget(0.0, 1_000)

    # ── An endpoint ─────────────────────────────────────────────────────────────────────────────

    async def register(self) -> None:
        endpoint = Endpoint(key=self.id, url="https://hooks.example/x", trust=Trust.GUEST, secret=SECRET)
        await self.store.register(Registration(endpoint=endpoint, created_at=self.store.clock.now()))

    async def pause(self) -> None:
        await self.store.pause(self.id, Pause(kind=PauseKind.DISABLED, reason="by hand", since=self.store.clock.now()))

    async def resume(self) -> None:
        await self.store.resume(self.id)

    async def ring(self) -> None:
        held = (await claim_one(self.store, f"for {self.id}")).held
        await self.store.finish(held, Completed(result=b"1"), [replace(HOOK, key=self.id)])

    async def remove(self) -> None:
        await self.store.remove(self.id, Undelivered.PARK)

    async def tidy(self) -> None:
        await self.store.tidy_endpoints(100)

    # ── An inbox ────────────────────────────────────────────────────────────────────────────────

    async def make(self) -> None:
        await self.store.inboxes.make(self.id, self.id, DEFAULTS)

    async def capture(self) -> None:
        message_id = f"msg of {self.id}" if self.taken is None else self.taken.message_id
        head = f"webhook-id: {message_id}\r\nringback-attempt: 1\r\n".encode()
        arrival = Arrival(
            received_at=self.store.clock.now(),
            read_us=1,
            method="POST",
            target="",
            http_version="1.1",
            peer="127.0.0.1:1",
            head=head,
            body=b"{}",
            size_bytes=2,
            message_id=message_id,
        )
        await self.store.inboxes.capture(self.id, arrival)

    async def forward(self) -> None:
        made = Forwarded(url="http://x/", started_at=self.store.clock.now(), duration_us=1, status=200, is_replay=True)
        await self.store.inboxes.note_forward(self.id, 1, made)

    async def set_secret(self) -> None:
        await self.store.inboxes.change(self.id, replace(DEFAULTS, secrets=(SECRET,)))

    async def clear(self) -> None:
        await self.store.inboxes.clear(self.id)

    async def drop(self) -> None:
        await self.store.inboxes.drop(self.id)


# ── What lives so, and where it is shown ────────────────────────────────────────────────────────

Acts = tuple[Sequence[Act], Sequence[Act], Sequence[Act]]
"""How it comes about, what happens to it, and how it ends: from then on it may be gone."""


def workload(it: Life) -> Acts:
    stages = [it.start, it.progress, it.fail, it.retry, it.start, it.finish, it.deliver]
    return [it.submit], stages, [it.erase]


def delivery(it: Life) -> Acts:
    stages = [it.park, it.replay, it.try_in_vain, it.make, it.capture, it.deliver, it.drop]
    return [it.submit, it.start, it.finish, it.take], stages, [it.erase]


def batch(it: Life) -> Acts:
    stages = [it.pour, it.start, it.fail, it.start, it.finish, it.tell, it.take_all]
    return [it.open], stages, [it.forget]


def endpoint(it: Life) -> Acts:
    return [it.register], [it.pause, it.resume, it.ring], [it.remove, it.tidy]


def inbox(it: Life) -> Acts:
    return [it.make, it.capture], [it.capture, it.forward, it.set_secret], [it.clear, it.capture, it.drop]


LIVES: Final = {each.__name__: each for each in (workload, delivery, batch, endpoint, inbox)}

PLACES: Final = {
    "workload": (
        f"{UI}/workloads/iris/{{id}}",
        f"{UI}/stream?view={quote(f'{UI}/workloads/iris/')}{{id}}",
        "/-/workloads/{id}",
        "/-/deliveries?api=iris&id={id}",
        "/iris/{id}",
    ),
    "delivery": (
        f"{UI}/deliveries/dlv_{{seq}}",
        f"{UI}/workloads/iris/{{id}}",
        "/-/deliveries/dlv_{seq}",
        "/-/inspector/messages/{message}",
    ),
    "batch": (f"{UI}/batches/{{id}}", "/-/batches/{id}", "/-/batches/{id}/results"),
    "endpoint": ("/-/endpoints/{id}",),
    "inbox": (
        "/-/inspector/{id}",
        "/-/inspector/{id}?view=each",
        "/-/inspector/{id}/1",
        "/-/inspector/{id}/settings",
        "/-/inspector/{id}/export.jsonl",
        "/-/inspector/{id}/export.har",
        "/-/inspector/messages/msg%20of%20{id}",
    ),
}
"""Where one of them is shown; as a page and, with the inspector, also as JSON."""


@dataclass(slots=True)
class World:
    """A server in process whose store moves on under its feet."""

    store: SqliteStore
    meanwhile: Meanwhile
    call: Caller
    lived: int = 0

    async def life(self, kind: str) -> tuple[Life, Sequence[Act], Sequence[Act]]:
        """Another one of its kind, as it is in the beginning, what will happen to it, and how it will end."""
        self.lived += 1
        it = Life(store=self.store, id=f"ep_{kind}{self.lived}")
        before, stages, ends = LIVES[kind](it)
        for act in before:
            await act()
        return it, stages, ends


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await open_sqlite(tmp_path / "ringback.db", clock=HandWound())
    meanwhile = Meanwhile(store)
    behind: Any = meanwhile
    pages, ask = Pages(("ringback.dashboard", "ringback.inspector")), Inside()
    nothing = Reading(finished={}, ran={}, arrived={}, attempts={}, tripped=frozenset())
    hour = Hour(lambda: nothing, store.queue_ages, store.clock)
    dashboard = Dashboard(behind, [IRIS], pages=pages, hour=hour, ask=ask, has_inspector=True)
    reach = Reach(base_url=BASE, own_url=BASE, guard=Guard(["127.0.0.0/8"]))
    inspector = Inspector(behind, [IRIS], pages, reach)
    dashboard.close()  # a stream brings what there is, and ends

    async def metrics() -> bytes:
        return b""

    front = Front(pages=pages, mounts=[inspector.mount, dashboard.mount])
    gateway = Gateway(behind, [IRIS], silent, rules=Rules(max_body_bytes=100_000), metrics=metrics, front=front)
    ask.belongs_to(gateway.inside)
    yield World(store, meanwhile, Caller(gateway))
    await inspector.close()
    await store.close()


async def is_shown_throughout(world: World, kind: str, place: str, *, is_list: bool, headers: dict[str, str]) -> None:
    """Follow lives to their ends, asking at each stage, the next coming after the first read, after the second, …"""
    reads, has_happened = 0, True
    while has_happened:
        reads, has_happened = reads + 1, False
        it, stages, ends = await world.life(kind)
        for act in (*stages, *ends):
            world.meanwhile.after(reads, act)
            answer = await world.call("GET", it.at(place), headers=headers)
            has_happened |= await world.meanwhile.at_last()
            may_be_gone = act in ends and not is_list
            assert answer.status in ({200, 404, 410} if may_be_gone else {200}), (
                f"{it.at(place)} with {act.__name__} after read {reads}: {answer.status} {answer.body!r}"
            )
    assert reads > 1, "it has read nothing"


@pytest.mark.parametrize("place", LISTS)
async def test_lists_are_shown_whatever_happens_meanwhile(world: World, place: str) -> None:
    for kind in LIVES:
        await is_shown_throughout(world, kind, place, is_list=True, headers=BROWSER)


@pytest.mark.parametrize(("kind", "place"), [(kind, place) for kind, places in PLACES.items() for place in places])
async def test_one_is_shown_whatever_happens_to_it_meanwhile(world: World, kind: str, place: str) -> None:
    for headers in (BROWSER, JSON) if "/inspector/" in place else (BROWSER,):
        await is_shown_throughout(world, kind, place, is_list=False, headers=headers)


async def test_a_workload_that_is_shown_as_ended_is_shown_with_its_webhooks(world: World) -> None:
    for reads in range(1, 6):
        it, [*stages, finish, _], _ = await world.life("workload")
        for act in stages:
            await act()
        world.meanwhile.before(reads, finish)
        page = (await world.call("GET", it.at(f"{UI}/workloads/iris/{{id}}"), headers=BROWSER)).body.decode()
        await world.meanwhile.at_last()
        assert ("pill good" in page) <= ("completed to iris" in page), f"it ended before read {reads}"
