"""A store with something in every table, made by its verbs: what a move, a check or an export must not lose."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ringback.core.blob import Blob, PayloadDigest
from ringback.core.clock import after
from ringback.core.delivery import AttemptClass, Delivered, Park, Pause, PauseKind, TryAgain
from ringback.core.inbox import DEFAULTS, Arrival
from ringback.core.journal import Said
from ringback.core.netguard import Trust
from ringback.core.queueing import Wish
from ringback.core.registration import Registration
from ringback.core.spec import Endpoint, Event, Order, guest_endpoint
from ringback.core.workload import Completed, Failed, Output, Progress, Spent
from ringback.store.contract import ReplicaState, Store
from support.signed import SECRET
from support.stores import API, DONE, HOOK, OTHER_HOOK, attempt, submission

OTHER_API: Final = "other"
REGISTERED: Final = "ep_registered"
INBOX: Final = "an-inbox-of-this-store"
WHY: Final = Failed(type="ValueError", message="não 🌸")
IN_LINE: Final = replace(OTHER_HOOK, order=Order.FIFO)


async def fill_with_everything(store: Store, *, many: int = 40) -> None:
    """Every table gets rows, whatever clock the store has; `many` plain workloads are in various states at the end."""
    await _fill_registrations(store)
    await _fill_workloads(store, many)
    await _fill_lives(store)
    await _fill_batches(store)
    await _fill_inbox(store)
    await store.pause(OTHER_HOOK.key, Pause(kind=PauseKind.DISABLED, reason="no answer", since=store.clock.now()))
    await store.report(API, ReplicaState(ready=1))
    await store.take_lane(HOOK.key)
    await store.note_tripped(HOOK.key, is_tripped=True)
    await store.logouts.end("a login", after(store.clock.now(), 3_600))


async def _fill_registrations(store: Store) -> None:
    endpoint = Endpoint(key=REGISTERED, url="https://hooks.example/a?b=ü", trust=Trust.GUEST, secret=SECRET)
    await store.register(Registration(endpoint=endpoint, apis=frozenset({OTHER_API}), created_at=store.clock.now()))


async def _fill_workloads(store: Store, many: int) -> None:
    for number in range(many):
        wish = Wish(priority=number % 3, tenant=f"t{number % 4}" if number % 2 else "")
        hooks = (guest_endpoint("https://guest.example/", frozenset({Event.COMPLETED})),) if number % 5 == 0 else ()
        taken = submission(
            workload_id=f"w{number}",
            payload=bytes(range(number % 256)),
            key=f"key {number}" if number % 3 else None,
            wish=wish,
        )
        taken = replace(taken, webhooks=hooks, order_key=f"o{number % 2}", trace_id=f"{number:032x}")
        await store.submit(replace(taken, content_type="application/octet-stream"))
    claimed, _ = await store.claim(API, many * 3 // 4)
    for number, each in enumerate(claimed):
        match number % 5:
            case 0:
                await store.finish(each.held, DONE, [HOOK, IN_LINE])
            case 1:
                await store.finish(each.held, WHY, [HOOK])
            case 2:
                await store.requeue(each.held, spent=Spent.ATTEMPT, delay_seconds=3_600, why=WHY)
            case 3:
                await store.enter(each.held, [Said(line=1, text="hello\n"), Output(index=0, value=b"[1]")])
                await store.progress(each.held, Progress(fraction=0.5, message="halfway"))
            case 4:
                await store.checkpoint(each.held, bytes(range(256)))
    await _send(store)


async def _send(store: Store) -> None:
    taken, _ = await store.take_due(HOOK.key, 6, again=False)
    for number, each in enumerate(taken[:5]):
        match number:
            case 0 | 1:
                await store.record(each, attempt(1, store), Delivered())
            case 2 | 3:
                await store.record(each, attempt(1, store, AttemptClass.STATUS), TryAgain(wait_seconds=7_200))
            case 4:
                await store.record(each, attempt(1, store, AttemptClass.STATUS), Park(reason="gone"))


async def _fill_lives(store: Store) -> None:
    payload = b'"' + b"x" * 2_000 + b'"'
    blob = Blob(key=store.name_blob(), size_bytes=len(payload))
    digest = PayloadDigest("application/json", payload).value()
    await store.submit(replace(submission(workload_id="large", api=OTHER_API, payload=b""), blob=blob, digest=digest))
    [large] = (await store.claim(OTHER_API, 1))[0]
    await store.finish(large.held, Completed(blob=Blob(key=store.name_blob(), size_bytes=9)), [])
    for name in ("canceled", "retried", "erased"):
        await store.submit(submission(workload_id=name, api=OTHER_API))
        await store.cancel(OTHER_API, name, [HOOK])
    await store.retry(OTHER_API, "retried")
    await store.erase(OTHER_API, "erased")


async def _fill_batches(store: Store) -> None:
    opened = await store.batches.open(submission(api=OTHER_API, key="batch key"))
    await store.batches.stage(opened.seq, 1, [b"%d" % line for line in range(9)])
    await store.batches.accept(opened.seq, 9, b"print")
    await store.batches.pour(opened.seq, 4)


async def _fill_inbox(store: Store) -> None:
    await store.inboxes.make(INBOX, "a box", DEFAULTS)
    for number in range(3):
        arrival = Arrival(
            received_at=store.clock.now(),
            read_us=7,
            method="POST",
            target="/a",
            http_version="1.1",
            peer="127.0.0.1:5",
            head=b"Host: x\r\n",
            body=bytes([number]) * 100,
            size_bytes=100,
            message_id=f"msg_{number}",
        )
        await store.inboxes.capture(INBOX, arrival)
