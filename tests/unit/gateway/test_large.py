"""Large payloads into blobs and large results out of them, in process: what is taken in, refused, linked and sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringback.core.blob import Blob
from ringback.core.clock import HandWound
from ringback.core.errors import BlobsUnavailable, RingbackError, StoreFull
from ringback.core.links import LINK_SECONDS
from ringback.core.workload import Claimed, Completed
from ringback.gateway import Gateway, Rules
from ringback.gateway.front_door import Front
from ringback.store.blobs import Large, open_blobs
from ringback.store.contract import Blobs
from ringback.store.sqlite import SqliteStore
from support.asgi import Caller, Message
from unit.gateway.conftest import IRIS, OTHER, Facts

KIB = 1024
BLOB_THRESHOLD = 4 * KIB
FILE_THRESHOLD = 64 * KIB
LIMIT = 256 * KIB
JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}


@dataclass(slots=True)
class Shelf:
    """The blobs of the gateway under test."""

    blobs: Blobs
    folder: Path

    def names(self) -> set[str]:
        return {file.name for file in self.folder.glob("[!s]*/*/*")}

    def spooled(self) -> set[str]:
        return {file.name for file in self.blobs.spool.iterdir()} - {".lock"}

    async def read(self, blob: Blob | None) -> bytes:
        assert blob is not None
        return (await self.blobs.borrow(blob)).read_bytes()


@pytest.fixture
async def shelf(store: SqliteStore, tmp_path: Path) -> AsyncIterator[Shelf]:
    folder = tmp_path / "blobs"
    opened = open_blobs(str(folder), space=store.blob_space, name=store.name_blob, spool=tmp_path / "spool")
    yield Shelf(opened, folder)
    await opened.close()


def gateway_over(store: SqliteStore, facts: Facts, blobs: Blobs | None) -> Gateway:
    async def metrics() -> bytes:
        return b""

    large = blobs and Large(blobs=blobs, blob_threshold_bytes=BLOB_THRESHOLD, file_threshold_bytes=FILE_THRESHOLD)
    rules = Rules(max_body_bytes=LIMIT, large=large or None)
    return Gateway(
        store, [IRIS, OTHER], facts, rules=rules, metrics=metrics, front=Front(public_url="https://rb.example")
    )


@pytest.fixture
def call(store: SqliteStore, facts: Facts, shelf: Shelf) -> Caller:
    return Caller(gateway_over(store, facts, shelf.blobs))


def parts(body: bytes, size: int) -> list[Message]:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    last = len(pieces) - 1
    return [{"type": "http.request", "body": piece, "more_body": at < last} for at, piece in enumerate(pieces)]


def text_of(size: int) -> bytes:
    return json.dumps({"text": "x" * (size - 12)}).encode()


async def claimed(store: SqliteStore) -> Claimed:
    [one], _ = await store.claim("iris", 10)
    return one


# ── Taken in ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("piece", [1_000, 10**6])
@pytest.mark.parametrize("size", [BLOB_THRESHOLD, BLOB_THRESHOLD + 1, 60 * KIB, FILE_THRESHOLD + 1, LIMIT])
async def test_what_is_over_the_threshold_becomes_a_blob(
    call: Caller, store: SqliteStore, shelf: Shelf, size: int, piece: int, announced: bool
) -> None:
    body = text_of(size)
    assert len(body) == size
    headers = JSON | ({"Content-Length": str(size)} if announced else {})

    answer = await call("POST", "/iris", headers=headers, parts=parts(body, piece))

    assert answer.status == 200
    one = await claimed(store)
    assert one.held.id == answer.json()["id"]
    if size > BLOB_THRESHOLD:
        assert (one.payload, await shelf.read(one.blob)) == (b"", body)
    else:
        assert (one.payload, one.blob) == (body, None)
    assert shelf.spooled() == set()


async def test_it_counts_as_what_it_is(call: Caller, facts: Facts) -> None:
    await call("POST", "/iris", text_of(10 * KIB), JSON)

    assert [each["payload_bytes"] for each in facts.of("workload.submitted")] == [10 * KIB]


@pytest.mark.parametrize("announced", [True, False])
async def test_over_the_servers_limit(call: Caller, shelf: Shelf, announced: bool) -> None:
    body = bytes(LIMIT + 1)
    headers = BYTES | ({"Content-Length": str(len(body))} if announced else {})

    answer = await call("POST", "/iris", headers=headers, parts=parts(body, 10_000))

    assert (answer.status, answer.problem) == (413, "payload_too_large")
    assert shelf.names() | shelf.spooled() == set()


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("application/json", text_of(20 * KIB)[:-1], "not JSON: it ends too early at byte 20479"),
        ("application/json", b"[" + b"1," * 10 * KIB + b"nil]", "not JSON: no such value at byte 20481"),
        ("application/vnd.x+json", b"\xff" * 20 * KIB, "not JSON: no UTF-8"),
        ("text/plain", b"\xff" * 20 * KIB, "not utf-8 text"),
        ("text/plain; charset=ascii", "ü".encode() * 20 * KIB, "not ascii text"),
        ("text/plain", b"x" * 20 * KIB + b"\xc3", "not utf-8 text"),
        ("text/plain; charset=klingon", b"x" * 20 * KIB, "no charset 'klingon'"),
    ],
)
async def test_what_is_not_what_it_says_is_refused(
    call: Caller, shelf: Shelf, content_type: str, body: bytes, words: str, announced: bool
) -> None:
    headers = {"Content-Type": content_type} | ({"Content-Length": str(len(body))} if announced else {})

    answer = await call("POST", "/iris", headers=headers, parts=parts(body, 1_000))

    assert (answer.status, answer.problem) == (400, "invalid_payload")
    assert words in answer.json()["detail"]
    assert shelf.names() | shelf.spooled() == set()


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("bad", [b"no json", b"[1, 2"])
async def test_what_predict_reads_as_a_file_is_not_checked(
    call: Caller, store: SqliteStore, shelf: Shelf, bad: bytes, announced: bool
) -> None:
    body = bad + b" " * FILE_THRESHOLD
    headers = JSON | ({"Content-Length": str(len(body))} if announced else {})

    answer = await call("POST", "/iris", headers=headers, parts=parts(body, 1_000))

    assert answer.status == 200
    assert await shelf.read((await claimed(store)).blob) == body


async def test_the_same_again_and_another(call: Caller, store: SqliteStore, shelf: Shelf) -> None:
    body = text_of(10 * KIB)
    first = await call("PUT", "/iris/mine", body, JSON)
    kept = shelf.names()

    again = await call("PUT", "/iris/mine", body, JSON)
    other = await call("PUT", "/iris/mine", text_of(11 * KIB), JSON)
    as_text = await call("PUT", "/iris/mine", body, {"Content-Type": "text/plain"})

    assert (first.status, again.status, again.json()) == (200, 200, {"id": "mine"})
    assert {other.problem, as_text.problem} == {"id_taken"}
    assert shelf.names() == kept
    assert await shelf.read((await claimed(store)).blob) == body


async def test_a_full_queue_leaves_nothing_behind(call: Caller, shelf: Shelf) -> None:
    for _ in range(3):
        await call("POST", "/iris", b"{}", JSON)

    answer = await call("POST", "/iris", text_of(10 * KIB), JSON)

    assert (answer.status, answer.problem) == (503, "queue_full")
    assert shelf.names() | shelf.spooled() == set()


async def test_a_client_that_leaves_half_way(call: Caller, store: SqliteStore, shelf: Shelf) -> None:
    messages = [*parts(text_of(40 * KIB), 5_000)[:5], {"type": "http.disconnect"}]

    answer = await call("POST", "/iris", headers=JSON, parts=messages)

    assert answer.status == 0
    assert shelf.names() | shelf.spooled() == set()
    assert (await store.claim("iris", 10))[0] == []


async def test_a_request_that_is_cut_off_by_the_server(store: SqliteStore, facts: Facts, shelf: Shelf) -> None:
    leaves = asyncio.Event()
    begun = [{"type": "http.request", "body": text_of(40 * KIB), "more_body": True}]
    calling = asyncio.create_task(
        Caller(gateway_over(store, facts, shelf.blobs))("POST", "/iris", headers=JSON, parts=begun, leaves=leaves)
    )
    for _ in range(20):
        await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert shelf.names() | shelf.spooled() == set()


# ── Trouble with blobs ──────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Broken:
    """A place that refuses to take anything."""

    error: RingbackError
    inner: Blobs
    reads: list[Blob] = field(default_factory=list)

    async def write(self, source: AsyncIterator[bytes], content_type: str) -> Blob:
        async for _ in source:
            raise self.error
        raise AssertionError("nothing to write")

    async def read(self, blob: Blob, start: int, stop: int) -> AsyncIterator[bytes]:
        self.reads.append(blob)
        if start == 0:
            raise self.error
        yield b""


@pytest.mark.parametrize(
    ("error", "code"),
    [(BlobsUnavailable("gone fishing", retry_after_seconds=5), "blobs_unavailable"), (StoreFull("full"), "store_full")],
)
async def test_a_place_that_takes_nothing(
    store: SqliteStore, facts: Facts, shelf: Shelf, error: RingbackError, code: str
) -> None:
    call = Caller(gateway_over(store, facts, Broken(error, shelf.blobs)))  # type: ignore[arg-type] # what is asked of it

    answer = await call("POST", "/iris", text_of(10 * KIB), JSON)

    assert (answer.status, answer.problem) == (503, code)
    assert int(answer.headers["retry-after"]) > 0
    assert (await call("POST", "/iris", b"{}", JSON)).status == 200
    assert len((await store.claim("iris", 10))[0]) == 1


FULL = IRIS.autoscaling.max_replica_concurrency


async def fill(call: Caller, count: int = FULL) -> None:
    for number in range(count):
        assert (await call("PUT", f"/iris/w{number}", b"{}", JSON)).status == 200


@dataclass(slots=True)
class Upload:
    """A body that counts how much of it was asked for."""

    pieces: list[Message]
    taken: int = 0

    def __iter__(self) -> Iterator[Message]:
        for piece in self.pieces:
            self.taken += 1
            yield piece


@pytest.mark.parametrize(
    ("headers", "most_taken"),
    [
        ({**JSON, "Content-Length": str(80 * KIB)}, 0),
        ({**JSON, "Content-Length": str(KIB), "Expect": "100-continue"}, 0),
        ({**JSON, "Expect": "100-continue"}, 0),
        (JSON, 1 + BLOB_THRESHOLD // KIB),
    ],
    ids=["large", "small, waits", "of any size, waits", "large, not announced"],
)
async def test_what_will_be_refused_is_not_read(
    call: Caller, shelf: Shelf, headers: dict[str, str], most_taken: int
) -> None:
    await fill(call)
    upload = Upload(parts(text_of(80 * KIB), KIB))

    refused = await call("POST", "/iris", headers=headers, parts=upload)

    assert (refused.status, refused.problem) == (503, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert upload.taken <= most_taken
    assert shelf.names() == shelf.spooled() == set()


async def test_what_is_known_is_read_and_answered_although_the_queue_is_full(call: Caller) -> None:
    body = text_of(80 * KIB)
    headers = {**JSON, "Content-Length": str(len(body)), "Expect": "100-continue"}
    assert (await call("PUT", "/iris/large", body, headers)).status == 200
    await fill(call, FULL - 1)

    again = await call("PUT", "/iris/large", body, headers)
    assert (again.status, again.json()) == (200, {"id": "large"})
    assert (await call("PUT", "/iris/large", text_of(70 * KIB), headers)).problem == "id_taken"


async def test_one_that_becomes_too_many_while_it_is_sent_is_refused_in_the_end(call: Caller, shelf: Shelf) -> None:
    await fill(call, FULL - 1)
    body = text_of(80 * KIB)

    first, second = await asyncio.gather(
        *(call("POST", "/iris", body, {**JSON, "Content-Length": str(len(body))}) for _ in range(2))
    )

    assert sorted([first.status, second.status]) == [200, 503]
    assert len(shelf.names()) == 1


async def test_a_server_without_blobs_takes_what_fits_its_rows(store: SqliteStore, facts: Facts) -> None:
    call = Caller(gateway_over(store, facts, None))

    assert (await call("POST", "/iris", text_of(LIMIT), JSON)).status == 200
    assert (await call("POST", "/iris", text_of(LIMIT + 1), JSON)).status == 413


# ── Results ─────────────────────────────────────────────────────────────────────────────────────────

VIDEO = bytes(range(256)) * 16 * KIB  # 4 MiB: more than one piece of a read


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def completed(store: SqliteStore, shelf: Shelf, data: bytes = VIDEO, kind: str = "video/mp4") -> str:
    """A workload with this result as a blob; its id."""
    one = await claimed(store)
    blob = await shelf.blobs.write(once(data), kind)
    await store.finish(one.held, Completed(blob=blob), [])
    return one.held.id


async def test_a_result_that_is_a_blob_is_linked_to(call: Caller, store: SqliteStore, shelf: Shelf) -> None:
    await call("PUT", "/iris/v", b"{}", JSON)
    await completed(store, shelf)

    state = (await call("GET", "/iris/v")).json()

    assert list(state) == ["id", "status", "result_url", "timestamp"]
    assert state["status"] == "completed"
    link = state["result_url"].removeprefix("https://rb.example")
    assert link.startswith("/-/results/iris/v?expires=")
    answer = await call("GET", link)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "video/mp4", VIDEO)
    assert (await call("GET", f"{link}x")).status == 403


async def test_the_link_expires(call: Caller, store: SqliteStore, shelf: Shelf) -> None:
    await call("PUT", "/iris/v", b"{}", JSON)
    await completed(store, shelf)
    link = (await call("GET", "/iris/v?wait=1")).json()["result_url"].removeprefix("https://rb.example")
    assert isinstance(store.clock, HandWound)

    store.clock.wind(LINK_SECONDS - 1)
    assert (await call("GET", link)).status == 200
    store.clock.wind(1)
    assert (await call("GET", link)).problem == "link_refused"


async def test_the_whole_of_it(call: Caller, store: SqliteStore, shelf: Shelf) -> None:
    await call("PUT", "/iris/v", b"{}", JSON)
    await completed(store, shelf)

    got, head = await call("GET", "/iris/v/result"), await call("HEAD", "/iris/v/result")

    assert (got.status, got.body) == (200, VIDEO)
    assert (head.status, head.body) == (200, b"")
    for answer in (got, head):
        assert answer.headers["content-length"] == str(len(VIDEO))
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    assert got.headers["etag"] == head.headers["etag"]


async def test_the_payload_can_be_had_again_from_wherever_it_is(call: Caller) -> None:
    for size in (10, 200_000):  # in the row, and as a blob
        body = b"<b>" + bytes(size)
        kept = await call("PUT", f"/iris/p{size}", body, {"content-type": "text/html"})
        assert kept.status == 200
        got = await call("GET", f"/iris/p{size}/payload")
        assert (got.status, got.body, got.headers["content-type"]) == (200, body, "text/html")
        assert got.headers["content-disposition"] == f'attachment; filename="iris-p{size}-payload"'
        assert "sandbox" in got.headers["content-security-policy"]
        part = await call("GET", f"/iris/p{size}/payload", headers={"Range": "bytes=1-2"})
        assert (part.status, part.body) == (206, b"b>")
    assert (await call("GET", "/iris/none/payload")).problem == "unknown_workload"
    assert (await call("POST", "/iris/p10/payload")).status == 405


async def test_parts_of_it(call: Caller, store: SqliteStore, shelf: Shelf) -> None:
    await call("PUT", "/iris/v", b"{}", JSON)
    await completed(store, shelf)
    etag = (await call("HEAD", "/iris/v/result")).headers["etag"]

    async def ask(**headers: str) -> tuple[int, bytes, str | None]:
        answer = await call("GET", "/iris/v/result", headers=headers)
        return answer.status, answer.body, answer.headers.get("content-range")

    assert await ask(Range="bytes=5-1048580") == (206, VIDEO[5:1048581], "bytes 5-1048580/4194304")
    assert await ask(Range="bytes=-3") == (206, VIDEO[-3:], "bytes 4194301-4194303/4194304")
    assert await ask(Range="bytes=0-0", **{"If-Range": etag}) == (206, VIDEO[:1], "bytes 0-0/4194304")
    assert await ask(Range="bytes=0-0", **{"If-Range": '"x"'}) == (200, VIDEO, None)
    assert await ask(**{"If-None-Match": etag}) == (304, b"", None)
    refused = await call("GET", "/iris/v/result", headers={"Range": "bytes=4194304-"})
    assert (refused.status, refused.problem) == (416, "range_not_satisfiable")
    assert refused.headers["content-range"] == "bytes */4194304"
    other = await call("GET", "/iris/v/result", headers={"If-Match": '"x"'})
    assert (other.status, other.problem) == (412, "precondition_failed")
    assert (await call("POST", "/iris/v/result")).status == 405


async def test_a_result_in_its_row_is_sent_in_parts_too(call: Caller, store: SqliteStore) -> None:
    await call("PUT", "/iris/v", b"{}", JSON)
    await store.finish((await claimed(store)).held, Completed(result=b'{"a": 1}'), [])
    whole = await call("GET", "/iris/v/result")

    part = await call("GET", "/iris/v/result", headers={"Range": "bytes=1-3", "If-Range": whole.headers["etag"]})

    assert (whole.status, whole.headers["content-type"], whole.body) == (200, "application/json", b'{"a": 1}')
    assert (part.status, part.body, part.headers["content-range"]) == (206, b'"a"', "bytes 1-3/8")
    assert (await call("HEAD", "/iris/v/result")).headers["content-length"] == "8"


async def test_an_empty_result(call: Caller, store: SqliteStore, shelf: Shelf) -> None:
    await call("PUT", "/iris/v", b"{}", JSON)
    await completed(store, shelf, b"", "text/plain")

    answer = await call("GET", "/iris/v/result")

    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


async def test_a_result_that_cannot_be_reached(store: SqliteStore, facts: Facts, shelf: Shelf) -> None:
    broken = Broken(BlobsUnavailable("gone fishing"), shelf.blobs)
    call = Caller(gateway_over(store, facts, broken))  # type: ignore[arg-type] # what is asked of it
    await call("PUT", "/iris/v", b"{}", JSON)
    await completed(store, shelf)

    answer = await call("GET", "/iris/v/result")

    assert (answer.status, answer.problem) == (503, "blobs_unavailable")
    assert broken.reads


async def test_a_reader_that_leaves_is_read_for_no_longer(store: SqliteStore, facts: Facts, shelf: Shelf) -> None:
    call = gateway_over(store, facts, shelf.blobs)
    await Caller(call)("PUT", "/iris/v", b"{}", JSON)
    await completed(store, shelf)
    sent: list[bytes] = []
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        if sent[-1]:
            gone.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "path": "/iris/v/result", "query_string": b"", "headers": []}
    await call({**scope, "root_path": "", "scheme": "http", "server": ("x", 1)}, receive, send)

    assert 0 < sum(map(len, sent)) < len(VIDEO)


async def test_erasing_takes_the_blobs_at_once(call: Caller, store: SqliteStore, shelf: Shelf) -> None:
    await call("PUT", "/iris/v", text_of(10 * KIB), JSON)
    await completed(store, shelf)
    await call("PUT", "/iris/kept", text_of(10 * KIB), JSON)
    assert len(shelf.names()) == 3

    answer = await call("DELETE", "/iris/v")

    assert answer.status == 200
    kept = (await claimed(store)).blob
    assert kept is not None
    assert shelf.names() == {kept.key}
    assert (await call("GET", "/iris/v/result")).status == 410


async def test_no_result_yet(call: Caller) -> None:
    await call("PUT", "/iris/v", b"{}", JSON)

    assert [(await call(method, "/iris/v/result")).status for method in ("GET", "HEAD")] == [404, 404]
