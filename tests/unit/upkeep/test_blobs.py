"""What upkeep does about blobs: removes those of erased workloads, and sweeps those whose rows never came."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ringback.core.blob import STRAY_SECONDS, Blob
from ringback.core.clock import HandWound
from ringback.core.errors import BlobsUnavailable
from ringback.core.workload import Completed
from ringback.store.blobs import open_blobs
from ringback.store.contract import Blobs
from ringback.store.sqlite import SqliteStore, open_sqlite
from ringback.upkeep import Keeper
from support.facts import Facts
from support.stores import API, claim_one, submission


@dataclass(slots=True)
class Yard:
    """A store, its blobs, and whoever keeps them in order."""

    store: SqliteStore
    clock: HandWound
    blobs: Blobs
    folder: Path
    facts: Facts

    def keeper(self, blobs: Blobs | None = None) -> Keeper:
        return Keeper(self.store, [], self.facts, lease_seconds=30.0, blobs=blobs or self.blobs)

    async def blob(self) -> Blob:
        async def once() -> AsyncIterator[bytes]:
            yield b"x"

        return await self.blobs.write(once())

    async def ended(self, workload_id: str) -> tuple[Blob, Blob]:
        payload, result = await self.blob(), await self.blob()
        await self.store.submit(replace(submission(workload_id=workload_id, payload=b""), blob=payload, digest=b"x"))
        await self.store.finish((await claim_one(self.store)).held, Completed(blob=result), [])
        return payload, result

    def names(self) -> set[str]:
        return {file.name for file in self.folder.glob("[!s]*/*/*")}

    def removed(self, why: str) -> list[object]:
        return [each["count"] for each in self.facts.of("blobs.removed") if each["why"] == why]


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    clock = HandWound()
    store = await open_sqlite(tmp_path / "ringback.db", clock=clock)
    folder = tmp_path / "blobs"
    blobs = open_blobs(str(folder), space=store.blob_space, name=store.name_blob, spool=tmp_path / "spool")
    yield Yard(store, clock, blobs, folder, Facts())
    await blobs.close()
    await store.close()


async def test_blobs_of_what_has_been_erased_are_removed(yard: Yard) -> None:
    await yard.ended("old")
    yard.clock.wind(100)
    kept = await yard.ended("new")
    await yard.store.erase_expired({API: 50.0}, 10)

    await yard.keeper().clear()
    await yard.keeper().clear()

    assert yard.names() == {blob.key for blob in kept}
    assert yard.removed("erased") == [2]
    assert await yard.store.doomed(10) == []


async def test_what_cannot_be_removed_now_stays_doomed(yard: Yard) -> None:
    await yard.ended("old")
    await yard.store.erase_expired({API: 0.0}, 10)

    class Away:
        async def remove(self, keys: object) -> None:
            raise BlobsUnavailable("gone fishing")

    with pytest.raises(BlobsUnavailable):
        await yard.keeper(Away()).clear()  # type: ignore[arg-type] # what is asked of it
    assert len(await yard.store.doomed(10)) == 2

    await yard.keeper().clear()
    assert yard.names() == set()


async def test_strays_are_swept_when_they_are_old_enough(yard: Yard) -> None:
    stray = await yard.blob()
    kept = {blob.key for blob in await yard.ended("w1")}
    await yard.keeper().sweep()
    assert yard.names() == {stray.key, *kept}

    yard.clock.wind(STRAY_SECONDS + 1)
    young = await yard.blob()
    await yard.keeper().sweep()

    assert yard.names() == {young.key, *kept}
    assert yard.removed("stray") == [1]


async def test_a_store_without_blobs_has_none_to_keep_in_order(yard: Yard) -> None:
    keeper = Keeper(yard.store, [], yard.facts, lease_seconds=30.0)

    await keeper.clear()
    await keeper.sweep()

    assert yard.facts.of("blobs.removed") == []
