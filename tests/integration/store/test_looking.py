"""`ringback store check` and `export`, on both backends, beside servers that run."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ringback.core.blob import PayloadDigest
from ringback.core.errors import StoreError
from ringback.core.workload import Completed
from ringback.runtime.looking import check, write_out
from ringback.store.blobs import open_blobs
from ringback.store.findings import CHECKS, Finding, Weight
from ringback.store.postgres.bridge import run
from ringback.store.postgres.connecting import Statements
from ringback.store.postgres.statements import all_statements
from ringback.store.sqlite import SqliteStore
from ringback.store.sqlite import opening as sqlite_opening
from ringback.store.statements import migrations
from ringback.store.verbs.checking import examine
from support.everything import OTHER_API, fill_with_everything
from support.postgres import database_of
from support.stores import API, BACKENDS, LEASE_SECONDS, SqliteBackend, claim_one, rows_of, submission

PAYLOAD = b'"' + b"x" * 3_000 + b'"'


@pytest.fixture(params=sorted(BACKENDS))
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteBackend]:
    made = BACKENDS[request.param](tmp_path)
    yield made
    await made.close()
    await asyncio.to_thread(made.remove)


@pytest.fixture
async def place(backend: SqliteBackend, tmp_path: Path) -> Path | str:
    return backend.path if isinstance(backend, SqliteBackend) else await asyncio.to_thread(database_of, tmp_path)


@pytest.fixture
async def store(backend: SqliteBackend) -> SqliteStore:
    return await backend.open()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "blobs"
    made.mkdir()
    return made


async def large(store: SqliteStore, folder: Path) -> list[Path]:
    """A workload whose payload and result are blobs; their files."""
    blobs = open_blobs(str(folder), space=store.blob_space, name=store.name_blob, spool=folder)
    payload, result = [await blobs.write(pieces(data)) for data in (PAYLOAD, b"12345")]
    digest = PayloadDigest("application/json", PAYLOAD).value()
    await store.submit(replace(submission(workload_id="big", payload=b""), blob=payload, digest=digest))
    await store.finish((await claim_one(store)).held, Completed(blob=result), [])
    await blobs.close()
    return [folder / store.blob_space / blob.key[-2:] / blob.key for blob in (payload, result)]


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


def names(found: list[Finding]) -> list[str]:
    return [each.name for each in found]


# ── A store that is well ────────────────────────────────────────────────────────────────────────


async def test_nothing_is_wrong_with_a_store_that_has_everything_in_it(
    backend: SqliteBackend, store: SqliteStore, place: Path | str, folder: Path
) -> None:
    await fill_with_everything(store)
    found = await check(place, str(folder), reads_blobs=False)
    assert names(found) == ["blob-missing"]  # the generator makes rows alone
    assert "2 large payloads or results are not where they were put" in found[0].words
    await store.submit(submission(workload_id="goes on"))


async def test_what_a_kill_leaves_is_worth_a_note(
    backend: SqliteBackend, store: SqliteStore, place: Path | str, folder: Path
) -> None:
    await large(store, folder)
    await store.submit(submission(workload_id="w1"))
    await claim_one(store)
    other = await backend.open()
    backend.crash(store)
    backend.clock.wind(LEASE_SECONDS + 1)
    assert await check(place, str(folder), reads_blobs=True) == []
    await other.heartbeat()
    await other.take_over(["nobody's"], 1)  # the dead is struck off; its workload waits for a server of its API
    [found] = await check(place, str(folder), reads_blobs=True)
    assert (found.name, found.weight) == ("dead", Weight.NOTE)


# ── One that is not ─────────────────────────────────────────────────────────────────────────────

BROKEN = {
    "unknown-status": "UPDATE workloads SET status = 'lost' WHERE id = 'canceled'",
    "end-without-moment": "UPDATE workloads SET finished_at = NULL WHERE id = 'canceled'",
    "holders": "UPDATE workloads SET holder = 'x' WHERE id = 'canceled'",
    "places": "UPDATE workloads SET place = 1 WHERE id = 'canceled'",
    "results": "UPDATE workloads SET result = NULL WHERE status = 'completed'",
    "tallies": "UPDATE tallies SET unfinished = unfinished + 1",
    "deliveries-of-nobody": "UPDATE deliveries SET workload = 999999",
    "attempts-of-nobody": "UPDATE attempts SET delivery = 999999 WHERE number = 1 AND delivery = 1",
    "lost-attempts": "UPDATE deliveries SET tries = tries + 1 WHERE tries > 0",
    "delivery-states": "UPDATE deliveries SET settled_at = NULL",
    "held-by-nobody": "UPDATE deliveries SET holder = 'x' WHERE state = 'pending'",
    "journal-of-nobody": "UPDATE journal SET workload = workload + 999999",
    "past-attempts-of-nobody": "UPDATE past_attempts SET workload = 999999",
    "checkpoints-of-nobody": "UPDATE checkpoints SET workload = workload + 999999",
    "staged-of-nobody": "UPDATE staged SET batch = 999999",
    "captures-of-nobody": "UPDATE captures SET inbox = 999999",
    "batch-counts": "UPDATE batches SET completed = 100",
    "large-without-blob": "DELETE FROM blobs",
    "blobs-of-nobody": "UPDATE blobs SET workload = 999999",
    "revisions": "UPDATE revisions SET value = 0",
    "moved": "INSERT INTO keys (name, value) SELECT 'moved', value FROM keys WHERE name = 'links'",
    "dead": "UPDATE workloads SET holder = 'x' WHERE status = 'in_progress'",
}


def test_every_check_is_proved_to_find_something() -> None:
    assert set(BROKEN) == {check.statement.removeprefix("check_").replace("_", "-") for check in CHECKS}


async def test_each_check_finds_what_it_is_for_and_names_a_cure(store: SqliteStore, place: Path | str) -> None:
    await fill_with_everything(store)
    assert await found_when(place, "DELETE FROM pauses") == []
    for name, statement in BROKEN.items():
        found = {each.name: each for each in await found_when(place, statement)}
        assert name in found, statement
        assert found[name].count > 0
        assert "{" not in found[name].words + found[name].cure


async def found_when(place: Path | str, statement: str) -> list[Finding]:
    """What is found in a transaction that has broken something, and is rolled back."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None)) as tables:
            tables.execute("BEGIN")
            tables.execute(statement)
            found = examine(tables, sqlite_opening.all_statements())
            tables.execute("ROLLBACK")
        return found
    connection = await asyncpg.connect(place)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(statement)
    found = await run(lambda: examine(Statements(connection), all_statements()))
    await transaction.rollback()
    await connection.close()
    return found


async def test_numbers_that_would_be_given_twice(
    backend: SqliteBackend, store: SqliteStore, place: Path | str, folder: Path
) -> None:
    await fill_with_everything(store, many=5)
    await backend.number_on(store, "workloads", 3)
    found = [each for each in await check(place, str(folder), reads_blobs=False) if each.name == "sequence"]
    assert len(found) == 1
    assert "the next number of workloads (4) has been given already" in found[0].words


async def test_blobs_that_are_gone_short_or_changed(store: SqliteStore, place: Path | str, folder: Path) -> None:
    payload, result = await large(store, folder)
    assert await check(place, str(folder), reads_blobs=True) == []
    for file in (payload, result):
        file.chmod(0o600)
    payload.write_bytes(PAYLOAD.replace(b"x", b"y"))
    assert await check(place, str(folder), reads_blobs=False) == []  # its length is right
    assert names(await check(place, str(folder), reads_blobs=True)) == ["blob-content"]
    payload.write_bytes(PAYLOAD[:-1])
    result.unlink()
    found = await check(place, str(folder), reads_blobs=False)
    assert names(found) == ["blob-length", "blob-missing"]
    assert "(payload of seq 1)" in found[0].words
    with pytest.raises(StoreError, match="name their place with --blobs"):
        await check(place, str(folder / "elsewhere"), reads_blobs=False)


async def test_a_damaged_file_is_told_as_such(tmp_path: Path, folder: Path) -> None:
    backend = SqliteBackend(tmp_path / "ringback.db")
    store = await backend.open()
    await fill_with_everything(store)
    await backend.close()
    with backend.path.open("r+b") as file:
        for page in range(20, 60):
            file.seek(page * 4_096)
            file.write(b"\xff" * 64)
    [found] = await check(backend.path, str(folder), reads_blobs=False)
    assert (found.name, "integrity_check" in found.words, "backup" in found.cure) == ("damaged", True, True)


async def test_a_place_with_no_store_or_an_older_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store at"):
        await check(tmp_path / "none.db", "", reads_blobs=False)
    old = sqlite_opening.prepare(tmp_path / "old.db", steps=migrations(sqlite_opening.FRAGMENTS)[:3])
    with pytest.raises(StoreError, match=r"has schema 3, .* run `ringback store migrate` first"):
        await check(old, "", reads_blobs=False)


# ── Written out ─────────────────────────────────────────────────────────────────────────────────


async def written(place: Path | str, *, apis: frozenset[str] | None = None, with_data: bool = False) -> list[Any]:
    lines: list[str] = []
    await write_out(place, apis=apis, with_data=with_data, write=lambda line: lines.append(json.dumps(line)))
    return [json.loads(line) for line in lines]


async def test_everything_is_written_once_and_counted_at_the_end(store: SqliteStore, place: Path | str) -> None:
    await fill_with_everything(store, many=450)
    head, *lines, end = await written(place)
    assert (head["kind"], head["format"]) == ("export", 1)
    kinds = Counter(line["kind"] for line in lines)
    assert end == {"kind": "end", **kinds}
    [(workloads,)] = await rows_of(store, "SELECT count(*) FROM workloads")
    [(deliveries,)] = await rows_of(store, "SELECT count(*) FROM deliveries")
    [(attempts,)] = await rows_of(store, "SELECT count(*) FROM attempts")
    assert (kinds["workload"], kinds["delivery"], kinds["delivery_attempt"]) == (workloads, deliveries, attempts)
    by_id = {(line["api"], line["id"]): line for line in lines if line["kind"] == "workload"}
    assert len(by_id) == workloads
    assert by_id[OTHER_API, "large"]["payload_bytes"] == 2_002
    assert by_id[OTHER_API, "erased"]["erased_at"] is not None
    requeued = [line for line in lines if line["kind"] == "attempt" and line["ending"] == "failed" and line["error"]]
    assert requeued[0]["error"] == {"type": "ValueError", "message": "não 🌸"}
    pending = [line for line in lines if line["kind"] == "delivery" and line["state"] == "pending"]
    assert all(line["settled_at"] is None for line in pending)


async def test_only_what_is_asked_for_and_with_the_data(store: SqliteStore, place: Path | str) -> None:
    await store.submit(submission(workload_id="json", payload=b'{"a":1}'))
    await store.submit(submission(workload_id="text", payload=b"hello"))
    await store.submit(submission(workload_id="bytes", payload=b"\xff\x00"))
    await store.submit(submission(workload_id="other", api=OTHER_API))
    lines = await written(place, apis=frozenset({API}), with_data=True)
    payloads = {line["id"]: line["payload"] for line in lines if line["kind"] == "workload"}
    assert payloads == {"json": {"text": '{"a":1}'}, "text": {"text": "hello"}, "bytes": {"base64": "/wA="}}


async def test_what_cannot_be_written_is_not_taken_for_a_store_that_is_away(
    store: SqliteStore, place: Path | str
) -> None:
    await store.submit(submission())

    def write(line: dict[str, Any]) -> None:
        if line["kind"] == "workload":
            raise BrokenPipeError("whoever read it has gone")

    with pytest.raises(BrokenPipeError):
        await write_out(place, apis=None, with_data=False, write=write)
