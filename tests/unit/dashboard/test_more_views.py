"""Payloads, the line, batches, the way to what was captured: what pages tell of them, and that it stays text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ringback.core.blob import Blob, PayloadDigest
from ringback.core.delivery import AttemptClass, TryAgain
from ringback.core.inbox import DEFAULTS, Arrival
from ringback.core.queueing import Wish
from ringback.core.spec import Api, Endpoint, Event
from ringback.core.workload import Completed, Failed, Status
from ringback.store.sqlite import SqliteStore
from support.stores import attempt, claim_one, submission, take_one
from unit.dashboard.conftest import BROWSER, Browser
from unit.dashboard.test_views import NASTY, UI, text_of


async def payload_on(browser: Browser, workload_id: str) -> str | None:
    """What stands in the payload's box; None when there is none."""
    page = await browser.get(f"{UI}/workloads/iris/{workload_id}")
    found = re.search(r'<pre id="payload"[^>]*>(.*?)</pre>', page, re.DOTALL)
    return None if found is None else found[1]


async def test_a_payload_is_shown_as_text_and_can_be_had_as_it_came(browser: Browser, store: SqliteStore) -> None:
    await store.submit(submission(workload_id="json", payload=b'{"a":["' + NASTY.encode() + b'"]}'))
    shown = await payload_on(browser, "json")
    assert shown is not None
    assert shown.startswith("{\n  &#34;a&#34;: [\n    &#34;&lt;script&gt;")
    assert 'href="/iris/json/payload" download' in await browser.get(f"{UI}/workloads/iris/json")

    await store.submit(replace(submission(workload_id="text"), payload="grüße".encode(), content_type="text/plain"))
    assert await payload_on(browser, "text") == "grüße"


async def test_a_payload_that_is_no_text_or_large_is_a_link_alone(browser: Browser, store: SqliteStore) -> None:
    for name, body in (("png", b"\x89PNG\r\n"), ("nul", b"a\0b"), ("none", b"")):
        await store.submit(replace(submission(workload_id=name), payload=body, content_type="image/png"))
        assert not await payload_on(browser, name)
    blob = Blob(key=store.name_blob(), size_bytes=5 * 2**30, content_type="video/mp4")
    digest = PayloadDigest("video/mp4", b"x").value()
    large = replace(submission(workload_id="blob", payload=b""), blob=blob, digest=digest)
    await store.submit(replace(large, content_type="video/mp4"))
    assert await payload_on(browser, "blob") is None
    assert "5.0 GiB of video/mp4, as it came" in await browser.get(f"{UI}/workloads/iris/blob")


async def test_of_a_long_payload_the_beginning_is_shown(browser: Browser, store: SqliteStore) -> None:
    body = "é".encode() * 50_000  # the end of what is read cuts one in two
    await store.submit(replace(submission(workload_id="long"), payload=b"x" + body, content_type="text/plain"))
    shown = await payload_on(browser, "long")
    assert shown is not None
    assert shown.endswith("…")
    assert len(shown) < 33_000


async def test_who_waits_is_told_its_place_and_what_it_asked_for(browser: Browser, store: SqliteStore) -> None:
    wish = Wish(tenant="shop <1>", priority=7, expires_seconds=600.0)
    await store.submit(submission(workload_id="first", wish=wish))
    await store.submit(submission(workload_id="second", wish=wish))
    text = text_of(await browser.get(f"{UI}/workloads/iris/second"))
    assert "place in line 2 of shop &lt;1&gt;" in text
    assert "tenant shop &lt;1&gt; priority 7 longest wait until" in text
    await claim_one(store)
    assert "place in line" not in await browser.get(f"{UI}/workloads/iris/first")


# ── Forth and back ──────────────────────────────────────────────────────────────────────────────


def link(page: str, rel: str) -> str:
    found = re.search(rf'href="([^"]+)" rel="{rel}"', page)
    assert found is not None, rel
    return found[1].replace("&amp;", "&")


async def test_lists_are_paged_forth_and_back(browser: Browser, store: SqliteStore) -> None:
    for number in range(350):
        await store.submit(submission(workload_id=f"w{number:03}"))
    first = await browser.get(f"{UI}/workloads?status=in_queue")
    second = await browser.get(link(first, "next"))
    third = await browser.get(link(second, "next"))
    assert ("w249" in second, "w149" in third) == (True, True)
    back = await browser.get(link(third, "prev"))
    assert ("w249" in back, "w149" in back) == (True, False)
    assert link(back, "prev") == link(third, "first")
    assert "w349" in await browser.get(link(back, "prev"))


# ── Batches ─────────────────────────────────────────────────────────────────────────────────────


async def batch_of(store: SqliteStore, count: int, *webhooks: Endpoint) -> str:
    opened = await store.batches.open(replace(submission(), webhooks=webhooks))
    await store.batches.stage(opened.seq, 0, [b"%d" % number for number in range(count)])
    await store.batches.accept(opened.seq, count, b"print")
    while await store.batches.pour(opened.seq, 100):
        pass
    return opened.id


async def test_batches_are_listed_and_one_is_shown_with_its_counts(
    browser: Browser, store: SqliteStore, apis: list[Api]
) -> None:
    assert "No batch yet." in text_of(await browser.get(f"{UI}/batches"))
    batch_id = await batch_of(store, 4)
    held = [each.held for each in (await store.claim("iris", 3))[0]]
    await store.finish(held[0], Completed(result=b"1"), apis[0].webhooks)
    await store.finish(held[1], Failed(type="ValueError", message=NASTY), apis[0].webhooks)

    page = await browser.get(f"{UI}/batches")
    assert batch_id in page
    assert 'aria-label="1 completed, 1 failed, 1 in progress, 1 in queue"' in page
    assert "2 of 4 ended" in text_of(page)
    assert batch_id not in await browser.get(f"{UI}/batches?api=other")

    page = await browser.get(f"{UI}/batches/{batch_id}")
    text = text_of(page)
    assert "workloads 4 completed 1 failed 1 canceled 0 in progress 1 in queue 1" in text
    assert f'href="/-/batches/{batch_id}/results"' in page
    assert "<script>" not in page.partition("<main")[2]
    one = await browser.get(f"{UI}/batches/{batch_id}?status=failed")
    assert (held[1].id in one, held[0].id in one) == (True, False)
    assert f'href="{UI}/batches/{batch_id}"' in await browser.get(f"{UI}/workloads/iris/{held[0].id}")
    assert (await browser.call("GET", f"{UI}/batches/none", headers=BROWSER)).status == 404


async def test_a_batch_is_canceled_and_what_failed_of_it_runs_again(browser: Browser, store: SqliteStore) -> None:
    batch_id = await batch_of(store, 250)
    held = [each.held for each in (await store.claim("iris", 2))[0]]
    await store.finish(held[0], Failed(type="ValueError", message="no"), [])
    path = f"{UI}/batches/{batch_id}"
    assert "Cancel all that have not ended" in await browser.get(path)

    done = await browser.post(f"{path}/cancel")
    assert done.headers["location"] == f"{path}?done=batch-cancel&count=249"
    assert "Told to stop: 249." in await browser.get(done.headers["location"])
    assert (await store.batches.get(batch_id)).counts.canceled == 248

    done = await browser.post(f"{path}/retry")
    assert done.headers["location"] == f"{path}?done=batch-retry&count=1"
    assert (await store.get("iris", held[0].id)).status is Status.IN_QUEUE
    assert (await browser.post(f"{UI}/batches/none/retry")).status == 404
    assert (await browser.post(f"{path}/explode")).status == 400


async def test_a_batchs_own_webhook_leads_to_the_batch(browser: Browser, store: SqliteStore) -> None:
    told = Endpoint(key="iris", url="http://127.0.0.1:1/hook", events=frozenset({Event.BATCH_COMPLETED}))
    batch_id = await batch_of(store, 1)
    await store.finish((await claim_one(store)).held, Completed(result=b"1"), [told])
    await store.batches.tell("iris", [told], 10)
    delivery = await take_one(store, "iris")
    for path in (f"{UI}/deliveries", f"{UI}/deliveries/dlv_{delivery.seq}"):
        assert f'href="{UI}/batches/{batch_id}"' in await browser.get(path)
    assert f"dlv_{delivery.seq}" in await browser.get(f"{UI}/batches/{batch_id}")


# ── What was captured ───────────────────────────────────────────────────────────────────────────


async def delivered(store: SqliteStore, apis: list[Api]) -> tuple[int, str]:
    """One try at a webhook that an inbox has captured; the delivery and its webhook-id."""
    await store.finish((await claim_one(store, "w1")).held, Completed(result=b"1"), apis[0].webhooks)
    delivery = await take_one(store, "iris")
    await store.record(delivery, attempt(1, store, AttemptClass.REFUSED), TryAgain(wait_seconds=5))
    await store.inboxes.make("box", "box", DEFAULTS)
    return delivery.seq, delivery.message_id


def arrival(store: SqliteStore, message_id: str) -> Arrival:
    return Arrival(
        received_at=store.clock.now(),
        read_us=1,
        method="POST",
        target="",
        http_version="1.1",
        peer="127.0.0.1:1",
        head=b"webhook-id: x\r\n",
        body=b"",
        size_bytes=0,
        message_id=message_id,
    )


async def test_an_attempt_leads_to_what_was_captured_of_it(
    browser: Browser, store: SqliteStore, apis: list[Api]
) -> None:
    seq, message_id = await delivered(store, apis)
    assert "/-/inspector/" not in await browser.get(f"{UI}/deliveries/dlv_{seq}")
    await store.inboxes.capture("box", arrival(store, message_id))
    page = await browser.get(f"{UI}/deliveries/dlv_{seq}")
    assert f'href="/-/inspector/messages/{message_id}#dlv_{seq}-1"' in page


@pytest.mark.parametrize("has_inspector", [False])
async def test_without_an_inspector_nothing_leads_there(browser: Browser, store: SqliteStore, apis: list[Api]) -> None:
    seq, message_id = await delivered(store, apis)
    await store.inboxes.capture("box", arrival(store, message_id))
    assert "/-/inspector/" not in await browser.get(f"{UI}/deliveries/dlv_{seq}")
