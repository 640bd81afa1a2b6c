"""Large payloads and results between real replicas and blobs, on a disk and in an object store."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ringback.core.blob import COMMIT_SECONDS, Blob, PayloadDigest
from ringback.core.errors import BlobsUnavailable
from ringback.core.spec import Endpoint, Retries
from ringback.core.workload import Outcome, Status, Workload
from ringback.store.blobs import Large, open_blobs
from ringback.store.blobs.objects import ObjectBlobs
from ringback.store.contract import Blobs
from ringback.store.sqlite import open_sqlite
from ringback.work.child.wire import WireError
from ringback.work.files import Files, Stored, stored_in
from support.objects import S3
from support.stores import API, submission
from support.waiting import eventually
from support.world import World

KIB = 1024
BLOB_THRESHOLD = 4 * KIB
FILE_THRESHOLD = 64 * KIB

SEES = """
path = workload.file
data = workload.open().read()
(HERE / "attempts").open("a").write(f"{path}\\n")
return {"payload": None if payload is None else len(payload), "file": path, "sum": sum(data), "size": len(data)}
"""


@dataclass(slots=True)
class Shaky:
    """A place for blobs that can be made to refuse, and that remembers what it was asked."""

    inner: Blobs
    refuses: set[str] = field(default_factory=set)
    refused: asyncio.Event = field(default_factory=asyncio.Event)
    lent: list[Path] = field(default_factory=list)
    returned: list[Path] = field(default_factory=list)

    @property
    def spool(self) -> Path:
        return self.inner.spool

    def _check(self, what: str) -> None:
        if what in self.refuses:
            self.refused.set()
            raise BlobsUnavailable(f"cannot {what} now")

    async def must_be_usable(self) -> None:
        await self.inner.must_be_usable()

    async def write(self, source: AsyncIterable[bytes], content_type: str = "application/json") -> Blob:
        return await self.inner.write(source, content_type)

    async def adopt(self, file: Path, content_type: str = "application/json") -> Blob:
        self._check("adopt")
        return await self.inner.adopt(file, content_type)

    def read(self, blob: Blob, start: int, stop: int) -> Any:
        return self.inner.read(blob, start, stop)

    async def borrow(self, blob: Blob) -> Path:
        self._check("borrow")
        self.lent.append(await self.inner.borrow(blob))
        return self.lent[-1]

    async def measure(self, blob: Blob) -> int:
        return await self.inner.measure(blob)

    def give_back(self, file: Path) -> None:
        self.returned.append(file)
        self.inner.give_back(file)

    async def remove(self, keys: Any) -> None:
        await self.inner.remove(keys)

    def listed(self) -> AsyncIterator[list[str]]:
        return self.inner.listed()

    async def close(self) -> None:
        await self.inner.close()


@dataclass(slots=True)
class Warehouse:
    """A world with a place for large data."""

    world: World
    blobs: Shaky

    @property
    def large(self) -> Large:
        return Large(blobs=self.blobs, blob_threshold_bytes=BLOB_THRESHOLD, file_threshold_bytes=FILE_THRESHOLD)

    @property
    def is_remote(self) -> bool:
        return isinstance(self.blobs.inner, ObjectBlobs)

    async def submit(self, payload: bytes, content_type: str = "application/octet-stream") -> str:
        async def once() -> AsyncIterator[bytes]:
            yield payload

        blob = await self.blobs.write(once(), content_type)
        handed_in = replace(submission(payload=b""), content_type=content_type, blob=blob)
        digest = PayloadDigest(content_type, payload).value()
        return (await self.world.store.submit(replace(handed_in, digest=digest))).id

    async def read(self, workload: Workload) -> bytes:
        blob = workload.blob
        assert blob is not None, workload
        return b"".join([piece async for piece in self.blobs.read(blob, 0, blob.size_bytes)])

    async def keys(self) -> set[str]:
        return {key async for portion in self.blobs.listed() for key in portion}

    async def is_waiting(self, workload_id: str) -> bool:
        return (await self.world.store.get(API, workload_id)).status.value == "in_queue"

    async def tidy(self) -> None:
        """Wait until nothing is left of replicas and of what was lent to them."""
        await eventually(lambda: files_in(self.blobs.spool) <= {".lock"})
        assert sorted(self.blobs.returned) == sorted(self.blobs.lent)


@pytest.fixture
async def warehouse(
    request: pytest.FixtureRequest, world: World, blob_place: str, tmp_path: Path
) -> AsyncIterator[Warehouse]:
    space, name, spool = world.store.blob_space, world.store.name_blob, tmp_path / "spool"
    if blob_place == "folder":
        inner = open_blobs(str(tmp_path / "blobs"), space=space, name=name, spool=spool)
    else:
        moto: S3 = request.getfixturevalue("moto")
        inner = ObjectBlobs(moto.store(tmp_path.name), f"s3://{tmp_path.name}", space, name=name, spool=spool)
    yield Warehouse(world, Shaky(inner))
    await inner.close()


def files_in(folder: Path) -> set[str]:
    """The names of all files, at any depth; folders may go while it looks."""
    return {name for _, _, names in os.walk(folder) for name in names}


def result_of(workload: Workload) -> Any:
    assert workload.result is not None, workload
    return json.loads(workload.result)


# ── Payloads ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.every_engine
async def test_a_payload_too_large_for_memory_is_a_file(warehouse: Warehouse, tmp_path: Path) -> None:
    payload = bytes(range(256)) * 300
    async with warehouse.world.serving(SEES, large=warehouse.large):
        told = result_of(await warehouse.world.ended(await warehouse.submit(payload)))

        assert (told["payload"], told["size"], told["sum"]) == (None, len(payload), sum(payload))
        if warehouse.world.ray is None:
            assert told["file"] == str(warehouse.blobs.lent[0])
            assert Path(told["file"]).is_relative_to(warehouse.blobs.spool) == warehouse.is_remote
        else:
            assert not Path(told["file"]).is_relative_to(tmp_path), "a copy of the host's own"
        assert (told["file"] in map(str, warehouse.blobs.spool.iterdir())) is False  # a copy is gone
    await warehouse.tidy()


async def test_one_that_fits_is_given_in_memory_as_ever(warehouse: Warehouse) -> None:
    async with warehouse.world.serving("return [payload, workload.file]", large=warehouse.large):
        text = json.dumps({"a": "x" * 10 * KIB}).encode()
        as_json = await warehouse.world.ended(await warehouse.submit(text, "application/json"))
        as_text = await warehouse.world.ended(await warehouse.submit("ü".encode() * 2_100, "text/plain"))

    assert json.loads(await warehouse.read(as_json)) == [json.loads(text), None]
    assert json.loads(await warehouse.read(as_text)) == ["ü" * 2_100, None]
    await warehouse.tidy()


@pytest.mark.every_engine
async def test_every_attempt_has_it_again(warehouse: Warehouse) -> None:
    raises = SEES.replace("return", "if workload.attempt < 3: raise OSError\nreturn")
    retries = Retries(max_attempts=3, initial_seconds=0.0)
    async with warehouse.world.serving(raises, large=warehouse.large, retries=retries):
        told = result_of(await warehouse.world.ended(await warehouse.submit(b"x" * 100_000)))

    assert told["size"] == 100_000
    assert len((warehouse.world.folder / "attempts").read_text().split()) == 3
    assert len(warehouse.blobs.lent) == 3
    await warehouse.tidy()


@pytest.mark.every_engine
async def test_a_replica_that_dies_with_it_leaves_nothing(warehouse: Warehouse) -> None:
    dies = SEES.replace(
        "return", "(workload.folder / 'x').write_bytes(b'x')\nif workload.attempt < 2: os._exit(9)\nreturn"
    )
    async with warehouse.world.serving(dies, large=warehouse.large):
        assert result_of(await warehouse.world.ended(await warehouse.submit(b"x" * 100_000)))["size"] == 100_000
        await eventually(lambda: "x" not in files_in(warehouse.blobs.spool))
    await warehouse.tidy()


async def test_blobs_that_cannot_be_reached_are_waited_for(warehouse: Warehouse) -> None:
    warehouse.blobs.refuses.add("borrow")
    async with warehouse.world.serving(SEES, large=warehouse.large):
        workload_id = await warehouse.submit(b"x" * 100_000)
        small = await warehouse.world.run()
        await asyncio.wait_for(warehouse.blobs.refused.wait(), 10)
        assert small.status.value == "completed"

        warehouse.blobs.refuses.clear()
        await eventually(lambda: warehouse.is_waiting(workload_id))
        warehouse.world.clock.wind(2.0)
        warehouse.world.store._session.meeting.queued.call_all()
        workload = await warehouse.world.ended(workload_id)
        assert result_of(workload)["size"] == 100_000
        assert (await warehouse.world.store.describe(API, workload_id)).raised == 0
    await warehouse.tidy()


async def test_a_payload_that_somebody_has_removed(warehouse: Warehouse) -> None:
    async with warehouse.world.serving(SEES, large=warehouse.large):
        await warehouse.world.run()  # up and running
        workload_id = (
            await warehouse.world.store.submit(
                replace(
                    submission(payload=b""),
                    blob=Blob(key=warehouse.world.store.name_blob(), size_bytes=3),
                    digest=b"x",
                )
            )
        ).id
        workload = await warehouse.world.ended(workload_id)

    assert workload.error is not None
    assert workload.error.type == "payload_lost"
    assert "/" not in workload.error.message, "where it was is for the log"


async def test_a_drain_gives_back_what_is_still_being_fetched(warehouse: Warehouse) -> None:
    hung = asyncio.Event()

    class Slow(Shaky):
        async def borrow(self, blob: Blob) -> Path:
            hung.set()
            await asyncio.Event().wait()
            raise AssertionError

    slow = Slow(warehouse.blobs.inner)
    large = replace(warehouse.large, blobs=slow)
    async with warehouse.world.serving(SEES, large=large):
        workload_id = await warehouse.submit(b"x" * 100_000)
        await asyncio.wait_for(hung.wait(), 10)

    assert (await warehouse.world.store.get(API, workload_id)).status.value == "in_queue"


# ── Results ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.every_engine
@pytest.mark.parametrize(
    ("returns", "kind", "data"),
    [
        ("return 'x' * 10_000", "application/json", b'"' + b"x" * 10_000 + b'"'),
        ("for n in range(3_000): yield 'x'", "application/json", b"[" + b",".join([b'"x"'] * 3_000) + b"]"),
        ("(HERE / 'a.png').write_bytes(b'png'); return HERE / 'a.png'", "image/png", b"png"),
        ("p = workload.folder / 'a.mp4'; p.write_bytes(b'mp4' * 99); return p", "video/mp4", b"mp4" * 99),
        ("return workload.result_from(b'pdf', 'application/pdf')", "application/pdf", b"pdf"),
    ],
)  # fmt: skip
async def test_a_large_result_becomes_a_blob(warehouse: Warehouse, returns: str, kind: str, data: bytes) -> None:
    async with warehouse.world.serving(returns, large=warehouse.large):
        workload = await warehouse.world.run()

        assert workload.blob is not None
        assert (workload.result, workload.blob.content_type, workload.blob.size_bytes) == (None, kind, len(data))
        assert await warehouse.read(workload) == data
        assert await warehouse.keys() == {workload.blob.key}
        await warehouse.tidy()
    await eventually(lambda: not any(warehouse.blobs.spool.glob("replica-*")))


async def test_a_result_that_is_told_inline_stays_in_its_row(warehouse: Warehouse) -> None:
    hook = Endpoint(key="hook", url="http://127.0.0.1:1/", inline_limit_bytes=20 * KIB)
    async with warehouse.world.serving("return 'x' * payload['n']", large=warehouse.large, webhooks=(hook,)):
        told = await warehouse.world.run(b'{"n": 20000}')
        linked = await warehouse.world.run(b'{"n": 21000}')

    assert (told.blob, linked.result) == (None, None)
    assert [len((await warehouse.world.store.take_due("hook", 1, again=False))[0][0].body) > 20_000 for _ in "ab"] == [
        True,
        False,
    ]


@pytest.mark.every_engine
async def test_many_at_once(warehouse: Warehouse) -> None:
    predictor = """
    class PythonPredictor:
        async def predict(self, payload, workload):
            await asyncio.sleep(0)
            return workload.result_from(workload.open().read() + workload.id.encode(), "text/plain")
    """
    async with warehouse.world.serving(predictor, large=warehouse.large, concurrency=8, replicas=2):
        ids = [await warehouse.submit(bytes([n]) * 70_000) for n in range(24)]
        for n, workload_id in enumerate(ids):
            workload = await warehouse.world.ended(workload_id)
            assert await warehouse.read(workload) == bytes([n]) * 70_000 + workload_id.encode()
    await warehouse.tidy()


async def test_a_result_that_cannot_be_kept_waits_and_is_not_lost(warehouse: Warehouse) -> None:
    warehouse.blobs.refuses.add("adopt")
    async with warehouse.world.serving("return 'x' * 10_000", large=warehouse.large):
        workload_id = await warehouse.world.submit()
        await asyncio.wait_for(warehouse.blobs.refused.wait(), 20)
        assert (await warehouse.world.store.get(API, workload_id)).status.value == "in_progress"
        assert await warehouse.world.facts.wait_for("store.fault", 1) is None

        warehouse.world.clock.wind(COMMIT_SECONDS)
        warehouse.blobs.refuses.clear()
        workload = await warehouse.world.ended(workload_id)
        assert await warehouse.read(workload) == b'"' + b"x" * 10_000 + b'"'
        assert len(await warehouse.keys()) == 1
    await warehouse.tidy()


async def test_a_result_whose_blob_has_become_too_old_gets_another(warehouse: Warehouse) -> None:
    clock = warehouse.world.clock

    class Slow(Shaky):
        async def adopt(self, file: Path, content_type: str = "application/json") -> Blob:
            blob = await self.inner.adopt(file, content_type)
            if not self.refused.is_set():
                self.refused.set()
                clock.wind(COMMIT_SECONDS + 1)
            return blob

    slow = Slow(warehouse.blobs.inner)
    async with warehouse.world.serving("return 'x' * 10_000", large=replace(warehouse.large, blobs=slow)):
        workload = await warehouse.world.run()

    assert workload.blob is not None
    assert len(await warehouse.keys() - {workload.blob.key}) == 1  # a stray, to be swept


async def test_a_result_that_comes_too_late_leaves_nothing(warehouse: Warehouse) -> None:
    world = warehouse.world
    warehouse.blobs.refuses.add("adopt")
    async with world.serving("return 'x' * 10_000", large=warehouse.large):
        workload_id = await world.submit()
        await asyncio.wait_for(warehouse.blobs.refused.wait(), 20)
        other = await open_sqlite(world.folder / "ringback.db", clock=world.clock)
        world.clock.wind(31)
        [taken] = await other.take_over([API], 10)

        warehouse.blobs.refuses.clear()
        await eventually(lambda: files_in(warehouse.blobs.spool) <= {".lock"})
        assert taken.held.id == workload_id
        assert await warehouse.keys() == set()
        await other.close()


async def test_a_result_of_a_workload_that_was_canceled_meanwhile_is_removed(warehouse: Warehouse) -> None:
    (made := warehouse.blobs.spool / "result-1").write_bytes(b"x")
    told: list[Outcome] = []

    async def finish(outcome: Outcome) -> Status:
        told.append(outcome)
        return Status.CANCELED

    await Files(warehouse.large).landing(Stored(file=made, content_type="a/b")).land(finish)

    assert len(told) == 1
    assert await warehouse.keys() == set()
    assert files_in(warehouse.blobs.spool) == {".lock"}


@pytest.mark.every_engine
async def test_the_replicas_folder_goes_with_it(warehouse: Warehouse) -> None:
    async with warehouse.world.serving("return 1", large=warehouse.large):
        await warehouse.world.run()
        assert len([*warehouse.blobs.spool.glob("replica-*")]) == 1
    await eventually(lambda: not any(warehouse.blobs.spool.glob("replica-*")))


async def test_of_replicas_that_have_gone_nothing_is_kept_however_many_they_are(warehouse: Warehouse) -> None:
    returns = "(workload.folder / 'x').write_bytes(b'x')\nreturn workload.folder / 'x'"
    async with warehouse.world.serving(returns, large=warehouse.large, recycle_after=1) as pool:
        for _ in range(4):
            assert (await warehouse.world.run()).status is Status.COMPLETED
        await warehouse.world.facts.wait_for("replica.retired", 4)
        await eventually(lambda: not pool.files._left)
        assert len([*warehouse.blobs.spool.glob("replica-*")]) == 1


# ── What a replica says ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "prepare",
    [
        lambda folder: {"name": "../result-1", "type": "a/b"},
        lambda folder: {"name": "/etc/passwd", "type": "a/b"},
        lambda folder: {"name": "result-x", "type": "a/b"},
        lambda folder: {"name": 1, "type": "a/b"},
        lambda folder: {"type": "a/b"},
        lambda folder: {"name": "result-1", "type": "a/b"},
        lambda folder: (folder / "result-2").mkdir() or {"name": "result-2", "type": "a/b"},
        lambda folder: (folder / "result-3").symlink_to("/etc/passwd") or {"name": "result-3", "type": "a/b"},
    ],
)
def test_only_a_plain_file_of_its_own_is_believed(tmp_path: Path, prepare: Callable[[Path], dict[str, Any]]) -> None:
    with pytest.raises(WireError):
        stored_in(tmp_path, prepare(tmp_path))
    with pytest.raises(WireError):
        stored_in(None, {"name": "result-1", "type": "a/b"})


@pytest.mark.parametrize("kind", [None, 7, "", "text", "text/html\r\nSet-Cookie: a=b", "a/" + "b" * 300, "text/hтml"])
def test_a_type_that_no_header_can_carry_is_not_passed_on(tmp_path: Path, kind: object) -> None:
    (tmp_path / "result-1").write_bytes(b"x")

    assert stored_in(tmp_path, {"name": "result-1", "type": kind}).content_type == "application/octet-stream"
    assert stored_in(tmp_path, {"name": "result-1", "type": "text/html; charset=x"}).content_type.startswith(
        "text/html;"
    )
