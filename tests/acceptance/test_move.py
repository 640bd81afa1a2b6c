"""A store moved from its file into PostgreSQL by the real command, killed -9 on the way, and served from there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import asyncpg
import pytest
import requests

from ringback.core.clock import SystemClock
from ringback.store.sqlite import open_sqlite
from support.catcher import Catcher
from support.postgres import empty_database
from support.processes import RINGBACK, ringback, serving
from support.served import folder_of
from support.stores import submission
from support.waiting import eventually, until

MANY = 40
BULK = 3_000
KILLS = 3


async def _fill(store: Path) -> None:
    """Enough of another API's workloads that a move takes a while."""
    member = await open_sqlite(store, clock=SystemClock())
    await asyncio.gather(
        *(member.submit(submission(workload_id=f"b{each}", api="bulk", payload=b"x" * 20_000)) for each in range(BULK))
    )
    await member.close()


async def _moved_killed(store: Path, url: str) -> int:
    """Start a move and kill it once something more has arrived; how many rows there are then."""
    connection = await asyncpg.connect(url)
    before = await _arrived(connection)
    process = await asyncio.create_subprocess_exec(
        RINGBACK, "store", "move", "--from", f"sqlite:///{store}", "--to", url
    )

    async def is_further() -> bool:
        return process.returncode is not None or await _arrived(connection) != before

    await eventually(is_further, within=60)
    if process.returncode is None:
        os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL, "it came to its end before it could be killed"
    count = await _arrived(connection)
    await connection.close()
    return count


async def _arrived(connection: asyncpg.Connection) -> int:
    try:
        count: int = await connection.fetchval("SELECT count(*) FROM workloads")
    except asyncpg.UndefinedTableError:
        return 0
    return count


async def _count(url: str) -> int:
    connection = await asyncpg.connect(url)
    count = await _arrived(connection)
    await connection.close()
    return count


def _pending(server_url: str) -> int:
    told = requests.get(f"{server_url}/-/endpoints", timeout=10).json()["endpoints"]
    return sum(each["pending"] for each in told)


@pytest.mark.timeout(300)
def test_a_store_moves_through_kills_and_is_served_on(tmp_path: Path) -> None:
    store, url = tmp_path / "ringback.db", empty_database()
    place = f"sqlite:///{store}"
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api", webhook=catcher.url)
        with catcher.down():
            options: tuple[str, ...] = ("--store", place, "--blob-threshold", "64KiB", "--file-threshold", "1MiB")
            with serving(file, store, options=options) as server:
                payloads = [{"n": n, "x": "y" * (100_000 if n == 0 else 10)} for n in range(MANY)]
                ids = [requests.post(f"{server.url}/echo", json=each, timeout=10).json()["id"] for each in payloads]
                for each in ids:
                    server.wait_for(f"/echo/{each}?wait=30", 200)
                refused = ringback("store", "move", "--from", place, "--to", url)
                assert refused.returncode == 1
                assert "1 server runs on" in refused.stderr
                server.kill()
            asyncio.run(_fill(store))
            killed_at = [asyncio.run(_moved_killed(store, url)) for _ in range(KILLS)]
            assert killed_at == sorted(set(killed_at)), "each goes on where the last one was killed"
            done = ringback("store", "move", "--from", place, "--to", url)
            assert done.returncode == 0, done.stderr
            assert "large payloads and results (1) stay where they are" in done.stdout
            assert asyncio.run(_count(url)) == MANY + BULK

            looked = ringback("store", "check", "--store", url, "--blobs", str(tmp_path / "blobs"), "--read-blobs")
            assert (looked.returncode, looked.stdout) == (0, "nothing is wrong\n")
            written = ringback("store", "export", "--store", url, "--api", "echo")
            assert json.loads(written.stdout.splitlines()[-1])["workload"] == MANY

            again = ringback("serve", str(file), "--store", place, "--port", "0")
            assert again.returncode == 1
            assert f"{place} has moved: serve from postgresql://" in again.stderr

        options = ("--store", url, "--blobs", str(tmp_path / "blobs"))
        with serving(file, tmp_path / "unused" / "none.db", options=options) as server:
            for each, payload in zip(ids, payloads, strict=True):
                told = requests.get(f"{server.url}/echo/{each}", timeout=10).json()
                assert (told["status"], told["result"]) == ("completed", payload)
            catcher.wait_for_all(set(ids), within=60)
            until(lambda: _pending(server.url) == 0, within=30, wanted="all webhooks noted as delivered")
            assert sorted(each.workload_id for each in catcher.all()) == sorted(ids), "each goes out once"
