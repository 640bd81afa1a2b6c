"""Every page over a real store: what it tells, that it tells it as text, and what its buttons do."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

import orjson
import pytest

from ringback.core.delivery import AttemptClass, DeliveryState, Park, Pause, PauseKind, TryAgain
from ringback.core.journal import Said
from ringback.core.netguard import Trust
from ringback.core.registration import Registration
from ringback.core.roles import Role
from ringback.core.spec import Api, Endpoint, guest_endpoint
from ringback.core.workload import Completed, Failed, Output, Progress, Spent
from ringback.dashboard import Dashboard
from ringback.dashboard.stream import events, id_of, seen_of
from ringback.store.contract import About, Part, ReplicaState
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.asgi import Caller
from support.stores import attempt, claim_one, submission, take_one
from unit.dashboard.conftest import BROWSER, Browser

NASTY = "<script>alert('x')</script>"
UI = "/-/ui"


def text_of(page: str) -> str:
    """What a person reads of it."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())


async def parked(store: SqliteStore, apis: list[Api], workload_id: str) -> int:
    """A workload that has failed, and whose webhook was given up on; the delivery's number."""
    held = (await claim_one(store, workload_id)).held
    await store.finish(held, Failed(type="ValueError", message=NASTY), apis[0].webhooks)
    delivery = await take_one(store, "iris")
    await store.record(delivery, attempt(1, store, AttemptClass.REFUSED), Park(reason=f"gave up {NASTY}"))
    return delivery.seq


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_page_of_an_empty_server(browser: Browser) -> None:
    text = text_of(await browser.get("/"))

    assert "Throughput 0 ended in the last minute" in text
    assert "iris ready" in text
    assert "other no replica" in text
    assert "rings http://127.0.0.1:1/hook" in text
    assert "No workload yet" in text
    assert "No server runs other: what is submitted waits until one is started that has the worker role" in text
    assert "No server runs iris" not in text
    assert "No server sends webhooks" not in text


@pytest.mark.parametrize("part", [Part(roles=frozenset({Role.GATEWAY}))])
async def test_the_first_page_says_that_nobody_sends(browser: Browser) -> None:
    assert "No server sends webhooks: they wait until one with the dispatcher role" in await browser.get("/")


async def test_the_first_page_says_that_others_have_another_file(browser: Browser, store: SqliteStore) -> None:
    others = [await open_sqlite(store._session.path, clock=store.clock) for _ in range(3)]
    for number, other in enumerate(others, 1):
        await other.introduce(About(server=f"gpu-{number}", apis={"iris": "another"}))
    await store.heartbeat()

    text = text_of(await browser.get("/"))
    assert "Of iris, another file is served by gpu-1 and gpu-2 and 1 more: as while a new one is rolled out" in text
    for other in others:
        await other.close()


async def test_the_first_page_says_what_wants_looking_at(browser: Browser, store: SqliteStore, apis: list[Api]) -> None:
    await parked(store, apis, "w1")
    await store.report("iris", ReplicaState(problem=f"ImportError: {NASTY}"))
    page = await browser.get("/")
    assert "iris has deliveries that were given up on (1 parked, 0 pending)" in page
    assert "No replica of iris can start: ImportError: &lt;script&gt;" in page
    assert "<script>alert" not in page

    await store.pause("iris", Pause(kind=PauseKind.GONE, reason="answered 410", since=store.clock.now()))
    assert "iris is at rest: answered 410" in await browser.get("/")

    guest = guest_endpoint("https://hooks.example/x?a=1&b=2")
    await store.finish((await claim_one(store, "w2")).held, Completed(result=b"1"), [guest])
    delivery = await take_one(store, guest.key)
    await store.record(delivery, attempt(1, store, AttemptClass.REFUSED), Park(reason="gave up"))
    href = re.findall(r'href="([^"]+)"', (await browser.get("/")).partition(guest.key[:20])[2])[0]
    listed = href.replace("&amp;", "&")
    assert f"dlv_{delivery.seq}" in await browser.get(listed)
    for path in ("/", listed, f"{UI}/deliveries", f"{UI}/deliveries/dlv_{delivery.seq}", f"{UI}/endpoints"):
        text = text_of(await browser.get(path))
        assert "hooks.example/x?a=…" in text, path
        assert "a=1" not in text, "a query may hold a secret"
    assert "attempts" not in text.partition("hooks.example")[2], "those of guests are counted together"


async def test_a_workload_at_each_stage(browser: Browser, store: SqliteStore, apis: list[Api]) -> None:
    path = f"{UI}/workloads/iris/w1"
    await store.submit(submission(workload_id="w1"))
    text = text_of(await browser.get(path))
    assert "in queue" in text
    assert "Submitted 2 B of application/json" in text
    assert "Cancel" in text

    held = (await claim_one(store)).held
    await store.progress(held, Progress(fraction=0.425, message=NASTY))
    page = await browser.get(path)
    assert "42 %" in page
    assert "Attempt 1 started" in page

    await store.enter(held, [Said(line=1, text=f"loading\n{NASTY}\n"), Output(index=0, value=b'{"page": 1}')])
    page = await browser.get(path)
    assert "loading\n&lt;script&gt;" in page
    assert "Output 1" in page
    await store.enter(held, [Said(line=3, text="more\n")])
    assert "&lt;/script&gt;\nmore" in await browser.get(path)

    await store.requeue(held, spent=Spent.ATTEMPT, why=Failed(type="KeyError", message="'a'"))
    held = (await claim_one(store)).held
    await store.finish(held, Completed(result=orjson.dumps({"said": NASTY})), apis[0].webhooks)
    page = await browser.get(path)
    text = text_of(page)
    assert "Attempt 1 failed" in text
    assert "KeyError: &#39;a&#39;" in text
    assert "Attempt 2 started" in text
    assert "a result of" in text
    assert "said" in text
    assert "completed to iris" in text
    assert "Cancel" not in text
    assert "<script>alert" not in page


async def test_a_workload_that_has_been_erased_says_so(browser: Browser, store: SqliteStore) -> None:
    await store.finish((await claim_one(store, "w1")).held, Completed(result=b"1"), [])
    await store.erase_expired({"iris": 0.0}, 10)
    answer = await browser.call("GET", f"{UI}/workloads/iris/w1", headers=BROWSER)

    assert answer.status == 410
    assert b"has been erased" in answer.body
    for path, status in ((f"{UI}/workloads/iris/nope", 404), (f"{UI}/workloads/nope/x", 404), (f"{UI}/nope", 404)):
        assert (await browser.call("GET", path, headers=BROWSER)).status == status


async def test_workloads_are_filtered_searched_and_paged(browser: Browser, store: SqliteStore) -> None:
    for number in range(205):
        await store.submit(submission(workload_id=f"w{number:03}"))
    await store.finish((await claim_one(store)).held, Failed(type="ValueError", message="odd"), [])

    first = await browser.get(f"{UI}/workloads?api=iris&status=in_queue")
    assert first.count('class="id"') == 100
    assert "w204" in first
    older = re.search(r'href="([^"]+)" rel="next"', first)
    assert older is not None
    second = await browser.get(older[1].replace("&amp;", "&"))
    third = re.search(r'href="([^"]+)" rel="next"', second)
    assert third is not None
    last = await browser.get(third[1].replace("&amp;", "&"))
    ids = [re.findall(r">(w\d{3})</a>", page) for page in (first, second, last)]
    assert [len(page) for page in ids] == [100, 100, 4]
    assert [each for page in ids for each in page] == [f"w{number:03}" for number in range(204, 0, -1)]
    assert 'rel="next"' not in last
    assert 'rel="first"' in last

    assert re.findall(r">(w\d{3})</a>", await browser.get(f"{UI}/workloads?q=ODD")) == ["w000"]
    assert "No workload is like that" in await browser.get(f"{UI}/workloads?q={quote(NASTY)}")
    assert (await browser.call("GET", f"{UI}/workloads?status=odd", headers=BROWSER)).status == 400
    assert (await browser.call("GET", f"{UI}/workloads?cursor=odd", headers=BROWSER)).status == 400


async def test_an_api_of_its_own(browser: Browser, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="w1"))
    text = text_of(await browser.get(f"{UI}/apis/iris"))

    assert "in queue 1" in text
    assert "POST /iris" in text
    assert "w1" in text


async def test_deliveries_that_fail_come_first(browser: Browser, store: SqliteStore, apis: list[Api]) -> None:
    await parked(store, apis, "w1")
    await store.finish((await claim_one(store, "w2")).held, Completed(result=b"1"), apis[0].webhooks)
    again = await take_one(store, "iris")
    await store.record(again, attempt(1, store, AttemptClass.STATUS), TryAgain(wait_seconds=60))
    page = await browser.get(f"{UI}/deliveries")

    assert page.index("Parked: given up on") < page.index("On their way") < page.index("Latest")
    assert "retrying" in page
    assert "iris (1)" in page
    only = await browser.get(f"{UI}/deliveries?state=pending&endpoint=iris")
    assert "dlv_2" in only
    assert "dlv_1" not in only
    assert "No delivery is like that" in await browser.get(f"{UI}/deliveries?endpoint=nope")


async def test_a_delivery_with_every_attempt(browser: Browser, store: SqliteStore, apis: list[Api]) -> None:
    seq = await parked(store, apis, "w1")
    page = await browser.get(f"{UI}/deliveries/dlv_{seq}")

    assert "gave up &lt;script&gt;" in page
    assert "refused" in page
    assert "<script>alert" not in page
    for wrong in ("dlv_999", "999", "dlv_x"):
        assert (await browser.call("GET", f"{UI}/deliveries/{wrong}", headers=BROWSER)).status == 404


async def test_endpoints_as_they_stand(browser: Browser, store: SqliteStore, apis: list[Api]) -> None:
    await parked(store, apis, "w1")
    text = text_of(await browser.get(f"{UI}/endpoints"))
    assert "iris active" in text
    assert "parked 1" in text
    assert "signed; 0 attempts in the last hour" in text
    assert "YWNj" not in text

    await store.pause("iris", Pause(kind=PauseKind.DISABLED, reason=NASTY, since=store.clock.now()))
    page = await browser.get(f"{UI}/endpoints")
    assert "disabled" in page
    assert "<script>alert" not in page


# ── Buttons ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_form_has_the_sample_and_submits(browser: Browser, store: SqliteStore) -> None:
    assert "{&#34;sepal&#34;: &#34;&lt;5.2&gt;&#34;}" in await browser.get(f"{UI}/submit")
    assert ">{}</textarea>" in await browser.get(f"{UI}/submit?api=other")
    sent = await browser.post(
        f"{UI}/submit", ("api", "iris"), ("payload", '{"a":\r\n"ü"}'), ("content_type", "application/json")
    )

    assert sent.status == 303
    claimed = await claim_one(store)
    assert sent.headers["location"] == f"{UI}/workloads/iris/{claimed.held.id}?done=submitted"
    assert claimed.payload == '{"a":\n"ü"}'.encode()
    assert "Submitted." in await browser.get(sent.headers["location"])


async def test_what_cannot_be_submitted_says_why(browser: Browser, store: SqliteStore) -> None:
    refused = await browser.post(f"{UI}/submit", ("api", "iris"), ("payload", "{<b>"))

    assert refused.status == 400
    assert b"the body is not JSON" in refused.body
    assert b"{&lt;b&gt;</textarea>" in refused.body, "what was typed is still there"
    assert b"<b>" not in refused.body.partition(b"<main")[2].replace(b"<body", b"")
    assert (await browser.post(f"{UI}/submit", ("api", "nope"))).status == 404
    assert (await store.depths()).get("iris") is None or (await store.depths())["iris"].in_queue == 0


async def test_parked_deliveries_are_sent_again(browser: Browser, store: SqliteStore, apis: list[Api]) -> None:
    for name in ("w1", "w2", "w3"):
        await parked(store, apis, name)
    nothing = await browser.post(f"{UI}/deliveries/replay")
    assert nothing.status == 400

    chosen = await browser.post(
        f"{UI}/deliveries/replay", ("state", "parked"), ("filter", "iris"), ("id", "dlv_1"), ("id", "dlv_2")
    )
    assert chosen.headers["location"] == f"{UI}/deliveries?state=parked&endpoint=iris&done=replay&count=2"
    assert (await store.delivery(1)).state is DeliveryState.PENDING
    assert (await store.delivery(3)).state is DeliveryState.PARKED
    assert "Will be sent again: 2." in await browser.get(chosen.headers["location"])

    rest = await browser.post(f"{UI}/deliveries/recover", ("endpoint", "iris"), ("since", "1h"))
    assert rest.headers["location"] == f"{UI}/deliveries?done=recover&count=1"
    assert (await store.delivery(3)).state is DeliveryState.PENDING
    assert (await browser.post(f"{UI}/deliveries/recover", ("endpoint", "nope"))).status == 404


async def test_an_endpoint_is_put_to_rest_and_taken_up(browser: Browser, store: SqliteStore) -> None:
    await browser.post(f"{UI}/endpoints/disable", ("endpoint", "iris"))
    assert store.paused("iris") is not None
    done = await browser.post(f"{UI}/endpoints/enable", ("endpoint", "iris"))
    assert store.paused("iris") is None
    assert "Webhooks go there again." in await browser.get(done.headers["location"])
    assert (await browser.post(f"{UI}/endpoints/enable", ("endpoint", "a/b"))).status == 404
    assert (await browser.post(f"{UI}/endpoints/explode", ("endpoint", "iris"))).status == 400


async def test_a_registered_endpoint_is_shown_and_its_new_secret_once(browser: Browser, store: SqliteStore) -> None:
    secret = "whsec_YWNjZXB0YW5jZS10ZXN0cy1vbmx5LTAx"
    endpoint = Endpoint(key="ep_1", url="https://hooks.example/x", trust=Trust.GUEST, secret=secret)
    await store.register(Registration(endpoint=endpoint, created_at=store.clock.now()))
    page = await browser.get(f"{UI}/endpoints")
    assert "registered, told of every API" in " ".join(page.split())
    assert "https://hooks.example/x" in page

    rotated = await browser.post(f"{UI}/endpoints/rotate", ("endpoint", "ep_1"))
    [shown] = re.findall(r"whsec_\S+?(?=<)", rotated.body.decode())
    now = store.registered("ep_1")
    assert now is not None
    assert (now.endpoint.secret, rotated.status) == (shown, 200)
    assert rotated.headers["cache-control"] == "no-store"
    assert shown != secret
    assert "whsec_" not in await browser.get(f"{UI}/endpoints")
    assert (await browser.post(f"{UI}/endpoints/rotate", ("endpoint", "iris"))).status == 409


async def test_no_page_says_what_a_link_has_it_say(browser: Browser) -> None:
    page = await browser.get(f"{UI}/deliveries?done=<b>&count=<i>")
    assert 'class="notice good"' not in page
    page = await browser.get(f"{UI}/deliveries?done=replay&count=<i>")
    assert "Will be sent again: ." in page


# ── The stream ──────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_brings_what_has_changed_and_no_more(browser: Browser, store: SqliteStore) -> None:
    made = {"a": "1", "b": "2"}

    async def regions() -> dict[str, str]:
        return made

    closing = asyncio.Event()
    stream = events(regions, {}, closing)
    assert await anext(stream) == b"retry: 1000\n\n"
    first = (await anext(stream)).decode()
    assert orjson.loads(first.partition("data: ")[2]) == made
    made["b"] = "3"
    second = (await anext(stream)).decode()
    assert orjson.loads(second.partition("data: ")[2]) == {"b": "3"}
    closing.set()
    assert [each async for each in stream] == [], "nothing has changed, and it ends"

    # Another process, after a restart: it has never seen this browser, and brings what is different.
    seen = seen_of(second.partition("id: ")[2].partition("\n")[0])
    made["a"] = "4"
    stream = events(regions, seen, asyncio.Event())
    await anext(stream)
    third = (await anext(stream)).decode()
    assert orjson.loads(third.partition("data: ")[2]) == {"a": "4"}
    assert seen_of(id_of(seen)) == seen
    assert seen_of("x~zz.~.\n a~0a") == {"a": "0a"}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"{UI}/workloads",
        f"{UI}/workloads?api=iris&status=failed",
        f"{UI}/workloads/iris/w1",
        f"{UI}/deliveries",
        f"{UI}/deliveries?state=parked",
        f"{UI}/deliveries/dlv_1",
        f"{UI}/endpoints",
        f"{UI}/apis/iris",
        f"{UI}/batches",
    ],
)
async def test_each_page_is_kept_fresh_with_the_very_text_that_loading_it_shows(
    dashboard: tuple[Dashboard, Caller], browser: Browser, store: SqliteStore, apis: list[Api], path: str
) -> None:
    await parked(store, apis, "w1")
    page = await browser.get(path)
    made, call = dashboard
    made.close()  # one look, then the end
    answer = await call("GET", f"{UI}/stream?view={quote(path)}", headers=BROWSER)
    regions = orjson.loads(answer.body.decode().partition("data: ")[2])

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert set(regions) == set(re.findall(r'id="live-(\w+)"', page))
    for name, html in regions.items():
        assert f'id="live-{name}">{html}</' in page, name


async def test_a_stream_of_nothing_is_refused(browser: Browser) -> None:
    for view in ("/nope", f"{UI}/workloads/iris/nope", f"{UI}/workloads?cursor=x"):
        answer = await browser.call("GET", f"{UI}/stream?view={quote(view)}", headers={"host": "127.0.0.1"})
        assert answer.status in {400, 404}, view
