"""I1 to I8: large bytes come back as they were, or are not there at all; wherever they are kept."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import ringback
from ringback.core.blob import Blob
from ringback.core.errors import BlobLost, BlobsUnavailable, StoreError, StoreFull
from ringback.store.contract import Blobs
from support.objects import S3, Folder, Place, Room

MIB = 1024 * 1024
BYTES = os.urandom(9 * MIB + 12_345)
"""More than one part of an upload, and more than one piece of a read."""


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Folder(tmp_path / "blobs")
    return Room(request.getfixturevalue("moto"), tmp_path.name, tmp_path / "spool")


@pytest.fixture
async def blobs(place: Place) -> AsyncIterator[Blobs]:
    opened = place.open()
    yield opened
    await opened.close()


async def pieces(data: bytes, size: int = MIB) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def all_of(blobs: Blobs, blob: Blob, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join([piece async for piece in blobs.read(blob, start, blob.size_bytes if stop is None else stop)])


async def nothing_spooled(blobs: Blobs) -> bool:
    return {each.name for each in blobs.spool.iterdir()} <= {".lock"}


# ── Written ─────────────────────────────────────────────────────────────────────────────────────────


async def test_I1_what_is_written_is_there_after_a_restart(place: Place, blobs: Blobs) -> None:
    blob = await blobs.write(pieces(BYTES), "video/mp4")

    assert (blob.size_bytes, blob.content_type) == (len(BYTES), "video/mp4")
    again = place.open()
    assert await all_of(again, blob) == BYTES
    await again.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to see what is synced")
def test_I1_a_local_blob_is_synced_before_it_is_named_and_its_folder_after(tmp_path: Path) -> None:
    """What no test in process can see: the order of calls to the system."""
    script = (
        "import asyncio, pathlib\n"
        "from support.objects import Folder\n"
        "async def source():\n    yield b'abc'\n"
        "async def main():\n"
        f"    blobs = Folder(pathlib.Path({str(tmp_path / 'blobs')!r})).open()\n"
        "    await blobs.write(source())\n    await blobs.close()\n"
        "asyncio.run(main())\n"
    )
    log = tmp_path / "calls"
    traced = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o", str(log)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(ringback.__file__).parents[1])])
    command = [*traced, sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0 and "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")

    calls = re.findall(r"(fsync|rename)", log.read_text())
    named = calls.index("rename")
    assert calls[named - 1] == calls[named + 1] == "fsync"


async def test_I15_what_is_there_is_measured_and_what_is_not_is_lost(blobs: Blobs) -> None:
    blob = await blobs.write(pieces(BYTES))
    empty = await blobs.write(pieces(b""))
    assert [await blobs.measure(each) for each in (blob, empty)] == [len(BYTES), 0]
    await blobs.remove([blob.key])
    with pytest.raises(BlobLost):
        await blobs.measure(blob)


async def test_I2_a_source_that_raises_leaves_nothing(place: Place, blobs: Blobs) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        async for piece in pieces(BYTES):
            yield piece
        raise LookupError("the client left")

    with pytest.raises(LookupError, match="the client left"):
        await blobs.write(breaks())

    assert place.names() == set()
    assert await nothing_spooled(blobs)


async def test_I2_a_writer_that_is_cancelled_leaves_nothing(place: Place, blobs: Blobs, moto: S3) -> None:
    begun = asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        async for piece in pieces(BYTES):
            yield piece
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(blobs.write(hangs()))
    async with asyncio.timeout(20):
        await begun.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    assert place.names() == set()
    assert moto.unfinished() == 0
    assert await nothing_spooled(blobs)


async def test_I2_what_a_killed_process_left_goes_when_the_next_one_starts(place: Place) -> None:
    killed = place.open()
    spool = killed.spool
    (spool / "half.part").write_bytes(b"half")
    os.close(killed._spool._lock)  # type: ignore[attr-defined] # as the kernel does it

    following = place.open()

    assert not spool.exists()
    assert following.spool.exists()
    other = place.open()
    assert following.spool.exists()
    for each in (following, other):
        await each.close()
        assert not each.spool.exists()


@pytest.mark.parametrize("size", [0, 1, MIB, 8 * MIB, 8 * MIB + 1, len(BYTES)])
async def test_I3_bytes_come_back_as_they_were(blobs: Blobs, size: int) -> None:
    blob = await blobs.write(pieces(BYTES[:size]))

    assert blob.size_bytes == size
    assert await all_of(blobs, blob) == BYTES[:size]


@pytest.mark.parametrize("size", [1, 4_097, 3 * MIB])
async def test_I3_however_they_were_cut(blobs: Blobs, size: int) -> None:
    data = BYTES[: 20_000 if size == 1 else len(BYTES)]

    assert await all_of(blobs, await blobs.write(pieces(data, size))) == data


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (0, 0), (5, 4 * MIB), (MIB - 1, MIB + 1), (len(BYTES) - 1, len(BYTES)), (123, len(BYTES) - 321)],
)
async def test_I3_any_range_of_them(blobs: Blobs, start: int, stop: int) -> None:
    blob = await blobs.write(pieces(BYTES))

    assert await all_of(blobs, blob, start, stop) == BYTES[start:stop]


async def test_I3_a_reader_may_stop_early(blobs: Blobs) -> None:
    blob = await blobs.write(pieces(BYTES))

    reading = blobs.read(blob, 0, blob.size_bytes)
    first = await anext(reading)
    await reading.aclose()

    assert BYTES.startswith(first)


# ── Trouble ─────────────────────────────────────────────────────────────────────────────────────────


async def test_I4_no_room(place: Place, blobs: Blobs, tmp_path: Path) -> None:
    if isinstance(place, Room):  # the bucket has room: it is the copy on the local disk that has none
        blob = await blobs.write(pieces(BYTES))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, hard))
    try:
        with pytest.raises(StoreFull):
            await (blobs.borrow(blob) if isinstance(place, Room) else blobs.write(pieces(BYTES)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert await nothing_spooled(blobs)
    assert await all_of(blobs, await blobs.write(pieces(BYTES))) == BYTES


async def test_I16_a_place_that_works_is_said_nothing_of_and_left_as_it_is(place: Place, blobs: Blobs) -> None:
    await blobs.must_be_usable()
    assert not place.names()


async def test_I16_a_place_that_cannot_be_reached_may_come_back(place: Place) -> None:
    blobs = place.unreachable()
    with pytest.raises(BlobsUnavailable):
        await blobs.must_be_usable()
    await blobs.close()


async def test_I16_a_bucket_that_is_not_there_is_refused_with_the_cure(place: Place) -> None:
    if not isinstance(place, Room):
        return  # a folder is made, or the server does not start
    blobs = place.missing()
    words = r"s3://no-such-bucket cannot be used: .*NoSuchBucket.*: make it, or name another with --blobs"
    with pytest.raises(StoreError, match=words):
        await blobs.must_be_usable()
    await blobs.close()


@pytest.mark.parametrize("how", ["unreachable", "missing"])
async def test_I4_not_to_be_reached(place: Place, tmp_path: Path, how: str) -> None:
    blobs = place.unreachable() if how == "unreachable" else place.missing()
    made = tmp_path / "made"
    made.write_bytes(b"abc")
    blob = Blob(key=f"{1:016x}-{1:016x}", size_bytes=3)

    for act in (
        blobs.write(pieces(b"abc")),
        blobs.adopt(made),
        all_of(blobs, blob),
        blobs.borrow(blob),
        all_keys(blobs),
    ):
        with pytest.raises(BlobsUnavailable):
            await act
    await blobs.close()


async def test_I4_not_there(blobs: Blobs, tmp_path: Path) -> None:
    blob = Blob(key=f"{1:016x}-{1:016x}", size_bytes=3)

    for act in (all_of(blobs, blob), blobs.borrow(blob), blobs.adopt(tmp_path / "never made")):
        with pytest.raises(BlobLost):
            await act


async def test_I4_shorter_than_it_was(blobs: Blobs) -> None:
    blob = await blobs.write(pieces(b"abc"))

    with pytest.raises((BlobLost, BlobsUnavailable)):
        await all_of(blobs, Blob(key=blob.key, size_bytes=9), 3, 9)


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────


async def test_I5_a_file_becomes_a_blob_and_stays(blobs: Blobs) -> None:
    made = blobs.spool / "made"
    made.write_bytes(BYTES)

    blob = await blobs.adopt(made, "video/mp4")

    assert (blob.size_bytes, blob.content_type) == (len(BYTES), "video/mp4")
    assert made.read_bytes() == BYTES
    made.unlink()
    assert await all_of(blobs, blob) == BYTES


async def test_I5_on_one_file_system_nothing_is_copied(tmp_path: Path) -> None:
    blobs = Folder(tmp_path / "blobs").open()
    made = blobs.spool / "made"
    made.write_bytes(b"abc")

    blob = await blobs.adopt(made)

    assert (await blobs.borrow(blob)).samefile(made)
    await blobs.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A file on another file system."""
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    made = other / f"ringback-{os.getpid()}"
    made.write_bytes(BYTES)
    yield made
    made.unlink()


async def test_I5_on_another_one_it_is_copied(tmp_path: Path, elsewhere: Path) -> None:
    blobs = Folder(tmp_path / "blobs").open()

    assert await all_of(blobs, await blobs.adopt(elsewhere)) == BYTES
    assert await nothing_spooled(blobs)
    await blobs.close()


async def test_I6_a_borrowed_file_is_read_only_and_can_be_given_back_twice(place: Place, blobs: Blobs) -> None:
    blob = await blobs.write(pieces(BYTES))
    before = place.names()

    first, second = await blobs.borrow(blob), await blobs.borrow(blob)
    assert first.read_bytes() == second.read_bytes() == BYTES
    blobs.give_back(first)
    blobs.give_back(first)
    assert second.read_bytes() == BYTES
    blobs.give_back(second)

    assert place.names() == before
    assert await nothing_spooled(blobs)
    assert await all_of(blobs, blob) == BYTES


# ── Removed ─────────────────────────────────────────────────────────────────────────────────────────


async def all_keys(blobs: Blobs) -> set[str]:
    return {key async for portion in blobs.listed() for key in portion}


async def test_I7_what_is_removed_is_gone_and_may_be_removed_again(place: Place, blobs: Blobs) -> None:
    kept, gone, never = await blobs.write(pieces(b"kept")), await blobs.write(pieces(b"gone")), f"{9:016x}-{9:016x}"

    await blobs.remove([gone.key, never])
    await blobs.remove([gone.key, never])
    await blobs.remove([])

    assert place.names() == await all_keys(blobs) == {kept.key}
    with pytest.raises(BlobLost):
        await all_of(blobs, gone)


async def test_I7_a_local_reader_that_has_begun_comes_to_its_end(tmp_path: Path) -> None:
    blobs = Folder(tmp_path / "blobs").open()
    blob = await blobs.write(pieces(BYTES))
    reading = blobs.read(blob, 0, blob.size_bytes)
    first = await anext(reading)

    await blobs.remove([blob.key])

    assert first + b"".join([piece async for piece in reading]) == BYTES
    await blobs.close()


async def test_I8_only_our_own_are_listed(place: Place, blobs: Blobs) -> None:
    mine = await blobs.write(pieces(b"mine"))
    neighbour = place.open(space="ffffffffffffffff")
    theirs = await neighbour.write(pieces(b"theirs"))
    place.put("README.txt")
    place.put(f"{7:016x}-{7:016x}", space="0011")

    assert await all_keys(blobs) == {mine.key}
    assert await all_keys(neighbour) == {theirs.key}
    await neighbour.close()


async def test_I8_in_portions(blobs: Blobs) -> None:
    made = {(await blobs.write(pieces(b"x"))).key for _ in range(20)}

    assert await all_keys(blobs) == made
