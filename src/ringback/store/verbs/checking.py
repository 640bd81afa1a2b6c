"""Looking a store over, in one snapshot, beside servers that run: what should not be, and with what cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringback.core.batch import BATCHES
from ringback.core.blob import Blob
from ringback.core.delivery import TRIAL_API
from ringback.store.findings import CHECKS, Finding
from ringback.store.verbs.tallies import BATCHED
from ringback.store.verbs.transaction import Connection

_PORTION: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One blob that has to be there."""

    blob: Blob
    part: str
    """`payload` or `result`."""
    workload: int
    digest: bytes | None
    """`PayloadDigest` of a payload, with the workload's content type."""
    content_type: str
    """The workload's."""


def examine(connection: Connection, sql: Mapping[str, str]) -> list[Finding]:
    """What is wrong with the rows."""
    names = {"trials": TRIAL_API, "batches": BATCHES, "batched": BATCHED}
    found = []
    for check in CHECKS:
        statement = sql[check.statement]
        wanted = {name: value for name, value in names.items() if f":{name}" in statement}
        [(count, one)] = connection.execute(statement, wanted).fetchall()
        if count:
            found.append(check.found(int(count), one))
    return found


def expected_blobs(connection: Connection, sql: Mapping[str, str], after: str) -> list[Expected]:
    """Some of the blobs that rows refer to, in the order of their names, behind one of them."""
    rows = connection.execute(sql["blobs_after"], {"after": after, "limit": _PORTION}).fetchall()
    return [
        Expected(
            blob=Blob(key=key, size_bytes=size, content_type=content_type),
            part=part,
            workload=workload,
            digest=None if digest is None else bytes(digest),
            content_type=of_workload,
        )
        for key, workload, part, size, content_type, digest, of_workload in rows
    ]
