"""`ringback store check` and `export`: a store looked over, or written out, beside servers that run."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

from ringback.core.blob import PayloadDigest
from ringback.core.errors import BlobLost, StoreError
from ringback.runtime.stores import needs_postgres
from ringback.store.blobs import open_blobs
from ringback.store.contract import Blobs
from ringback.store.findings import Finding, Weight
from ringback.store.sqlite.looking import SqliteLook
from ringback.store.verbs.blobs import PAYLOAD
from ringback.store.verbs.checking import Expected, examine, expected_blobs
from ringback.store.verbs.exporting import FORMAT, Line, export
from ringback.store.verbs.transaction import Connection

T = TypeVar("T")

_MOST_NAMED: Final = 5


class Look(Protocol):
    """A store that is read without being a member of it."""

    @property
    def sql(self) -> Mapping[str, str]: ...

    async def scan(self, reading: Callable[[Connection], T]) -> T: ...

    async def damage(self) -> list[Finding]: ...

    async def close(self) -> None: ...


@asynccontextmanager
async def looking(place: Path | str) -> AsyncIterator[Look]:
    """The store at a place.

    Raises:
        RingbackError: it cannot be read; the message says why.
    """
    look: Look
    if isinstance(place, Path):
        look = SqliteLook(place)
    else:
        with needs_postgres():
            from ringback.store.postgres.looking import PostgresLook  # noqa: PLC0415 - an extra
        look = await PostgresLook.open(place)
    try:
        yield look
    finally:
        await look.close()


async def check(place: Path | str, blobs: str, *, reads_blobs: bool) -> list[Finding]:
    """What is wrong with a store, the worst first.

    Args:
        place: a SQLite file, or a postgresql:// URL.
        blobs: where its large payloads and results are.
        reads_blobs: read them to their end and compare them with what was taken in; otherwise only see that each is
            there and has its length.

    Raises:
        RingbackError: it cannot be read; the message says why.
    """
    async with looking(place) as look:
        found = await look.damage()
        if not any(each.name == "damaged" for each in found):
            found += await look.scan(lambda tables: examine(tables, look.sql))
            found += await _check_blobs(look, blobs, reads_blobs=reads_blobs)
    return sorted(found, key=lambda each: each.weight is not Weight.PROBLEM)


async def write_out(
    place: Path | str, *, apis: frozenset[str] | None, with_data: bool, write: Callable[[Line], None]
) -> None:
    """Every workload with its attempts and webhooks, a line each.

    Raises:
        RingbackError: it cannot be read; the message says why.
    """
    async with looking(place) as look:
        write({"kind": "export", "format": FORMAT, "store": str(look)})
        await look.scan(lambda tables: export(tables, look.sql, apis=apis, with_data=with_data, write=write))


# ── Blobs ───────────────────────────────────────────────────────────────────────────────────────


async def _check_blobs(look: Look, place: str, *, reads_blobs: bool) -> list[Finding]:
    """See that each blob that a row refers to is there, portion by portion, as servers may be at work."""
    wrong: dict[str, list[Expected]] = {}
    blobs: Blobs | None = None
    after = ""
    try:
        while portion := await look.scan(lambda tables, after=after: expected_blobs(tables, look.sql, after)):  # type: ignore[misc]
            if blobs is None:
                [(space,)] = await look.scan(
                    lambda tables: tables.execute(look.sql["key"], {"name": "blobs"}).fetchall()
                )
                blobs = _opened(place, bytes(space).hex())
            for each in portion:
                fault = await _fault(blobs, each, reads_blobs=reads_blobs)
                if fault is not None and await _is_expected(look, each):
                    wrong.setdefault(fault, []).append(each)
            after = portion[-1].blob.key
    finally:
        if blobs is not None:
            await blobs.close()
    return [_finding(fault, of, place) for fault, of in sorted(wrong.items())]


def _opened(place: str, space: str) -> Blobs:
    folder = Path(place)
    if "://" not in place and not folder.is_dir():
        raise StoreError(f"large payloads and results are not in {folder.absolute()}: name their place with --blobs")
    spool = Path(tempfile.gettempdir()) / "ringback-check"
    return open_blobs(place, space=space, name=str, spool=spool)


async def _is_expected(look: Look, lost: Expected) -> bool:
    """Whether a row still refers to it: its workload may have been erased meanwhile."""
    found = await look.scan(
        lambda tables: tables.execute(look.sql["blob_of"], {"seq": lost.workload, "part": lost.part}).fetchall()
    )
    return any(row[0] == lost.blob.key for row in found)


async def _fault(blobs: Blobs, expected: Expected, *, reads_blobs: bool) -> str | None:
    """What is wrong with one blob: `missing`, `length`, `content`, or nothing."""
    blob = expected.blob
    try:
        if await blobs.measure(blob) != blob.size_bytes:
            return "length"
        if not reads_blobs:
            return None
        digest = PayloadDigest(expected.content_type)
        async with aclosing(blobs.read(blob, 0, blob.size_bytes)) as pieces:
            async for piece in pieces:
                digest.feed(piece)
    except BlobLost:
        return "missing"
    is_right = expected.digest is None or expected.part != PAYLOAD or digest.value() == expected.digest
    return None if is_right else "content"


_WORDS: Final = {
    "missing": "large payloads or results are not where they were put",
    "length": "large payloads or results have another length than they had",
    "content": "large payloads are not what was taken in",
}


def _finding(fault: str, of: Sequence[Expected], place: str) -> Finding:
    keys = ", ".join(f"{each.blob.key} ({each.part} of seq {each.workload})" for each in of[:_MOST_NAMED])
    return Finding(
        name=f"blob-{fault}",
        weight=Weight.PROBLEM,
        count=len(of),
        words=f"{len(of)} {_WORDS[fault]}, in {place}: {keys}",
        cure="see that --blobs names the right place; else put them back from a backup. Workloads whose payload stays "
        "away end as payload_lost",
    )
