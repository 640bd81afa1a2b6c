"""U6: what was submitted, read again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.core.blob import Blob, PayloadDigest
from ringback.core.errors import Erased, UnknownWorkload
from ringback.core.workload import Completed, Payload
from ringback.store.sqlite import SqliteStore
from support.stores import API, claim_one, submission

ALL = 2**31 - 1


async def test_U6_a_payload_is_read_byte_for_byte_whatever_has_become_of_it(store: SqliteStore) -> None:
    body = bytes(range(256)) * 40
    await store.submit(replace(submission(workload_id="w"), payload=body, content_type="image/x-odd"))
    whole = Payload(content_type="image/x-odd", body=body)
    assert await store.payload(API, "w", most_bytes=ALL) == whole
    assert (await store.payload(API, "w", most_bytes=3)).body == body[:3]
    await store.finish((await claim_one(store)).held, Completed(result=b"1"), [])
    assert await store.payload(API, "w", most_bytes=ALL) == whole


async def test_U6_an_empty_one_is_empty(store: SqliteStore) -> None:
    await store.submit(replace(submission(workload_id="w"), payload=b"", content_type="text/plain"))
    assert await store.payload(API, "w", most_bytes=9) == Payload(content_type="text/plain", body=b"")


async def test_U6_of_a_large_one_it_is_told_where_it_is(store: SqliteStore) -> None:
    blob = Blob(key=store.name_blob(), size_bytes=9_000_000, content_type="video/mp4")
    digest = PayloadDigest("video/mp4", b"x").value()
    await store.submit(replace(submission(workload_id="w", payload=b""), blob=blob, digest=digest))
    found = await store.payload(API, "w", most_bytes=ALL)
    assert (found.body, found.blob) == (b"", blob)


async def test_U6_what_is_not_there_or_erased_says_so(store: SqliteStore) -> None:
    with pytest.raises(UnknownWorkload):
        await store.payload(API, "none", most_bytes=9)
    await store.finish((await claim_one(store, "w")).held, Completed(result=b"1"), [])
    await store.erase(API, "w")
    with pytest.raises(Erased):
        await store.payload(API, "w", most_bytes=9)
