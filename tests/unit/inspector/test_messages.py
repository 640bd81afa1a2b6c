"""A message's page and its row in an inbox: where it comes from, and that neither breaks when something else does."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from ringback.core.errors import StoreBusy
from ringback.core.paging import encode_cursor
from ringback.core.spec import Event
from ringback.core.workload import Completed
from ringback.store.sqlite import SqliteStore
from support.meanwhile import Meanwhile
from support.stores import claim_one, submission, take_one
from unit.inspector.conftest import API, Bench, MakeBench


async def test_a_batchs_own_webhook_leads_to_the_batch_and_a_trials_nowhere(bench: Bench) -> None:
    store = bench.store
    opened = await store.batches.open(replace(submission(), api="echo"))
    await store.batches.stage(opened.seq, 0, [b"1"])
    await store.batches.accept(opened.seq, 1, b"print")
    await store.batches.pour(opened.seq, 10)
    hook = replace(API.webhooks[0], events=frozenset({Event.BATCH_COMPLETED}))
    await store.finish((await claim_one(store, api="echo")).held, Completed(result=b"1"), [hook])
    await store.batches.tell("echo", [hook], 10)
    page = await bench.page(f"/messages/{(await take_one(store, 'echo')).message_id}")
    assert f'href="/-/ui/batches/{opened.id}"' in page
    assert "/-/ui/workloads/-" not in page

    held = (await claim_one(store, "tried", api="-")).held
    await store.finish(held, Completed(result=b"1"), [API.webhooks[0]])
    page = await bench.page(f"/messages/{(await take_one(store, 'echo')).message_id}")
    assert "a trial" in page
    assert "/-/ui/workloads/-" not in page


async def test_a_request_that_comes_while_the_page_is_made_takes_no_row_away(
    make_bench: MakeBench, store: SqliteStore
) -> None:
    meanwhile = Meanwhile(store)
    bench = make_bench(seen=meanwhile)
    box = await bench.make()
    for message_id in ("first", "second"):
        await bench.ring(box, message_id=message_id)
    meanwhile.after(2, lambda: bench.ring(box, message_id="first"))  # the inbox and its captures have been read
    page = await bench.page(f"/{box}")
    assert await meanwhile.at_last()
    assert re.findall(r'data-key="m (\w+)" data-number="(\d)"', page) == [("second", "2"), ("first", "1")]

    page = await bench.page(f"/{box}")
    assert re.findall(r'data-key="m (\w+)" data-number="(\d)"', page) == [("first", "3"), ("second", "2")]
    older = await bench.page(f"/{box}?cursor={encode_cursor(2)}")
    assert "data-key" not in older, "further back it stands no more: it is on the first page"


async def test_a_store_that_fails_under_a_stream_ends_it_in_order(make_bench: MakeBench, store: SqliteStore) -> None:
    meanwhile = Meanwhile(store)
    bench = make_bench(seen=meanwhile)
    box = await bench.make()
    await bench.ring(box)
    for path in (f"/{box}/events?after=0", "/live?message=msg_1"):

        async def fail() -> None:
            raise StoreBusy("another program has it")

        meanwhile.after(2, fail)
        answer = await asyncio.wait_for(bench.call("GET", f"/-/inspector{path}"), 10)
        assert answer.status == 200, path
        assert await meanwhile.at_last()
