"""What can be wrong with a store, and what to do about it: a row for each statement of `sql/checking.sql`. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ringback.core.errors import StoreError
from ringback.store.statements import migrations


class Weight(StrEnum):
    """How bad it is."""

    PROBLEM = "problem"  # something is lost, or will go wrong
    NOTE = "note"  # worth knowing; it mends itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    name: str
    """For programs: part of the output's form."""
    weight: Weight
    count: int
    words: str
    """What it is, with one of them by name."""
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One statement's meaning: `words` say what it counts; `{one}` is one of them."""

    statement: str
    words: str
    cure: str
    weight: Weight = Weight.PROBLEM

    def found(self, count: int, one: object) -> Finding:
        words = f"{count} {self.words.format(one=one)}"
        name = self.statement.removeprefix("check_").replace("_", "-")
        return Finding(name=name, weight=self.weight, count=count, words=words, cure=self.cure.format(one=one))


_REPORT: Final = "no release of Ringback leaves this behind: report it, with what the server's log says of the time"


def _drop(table: str, column: str, where: str) -> str:
    statement = f"DELETE FROM {table} WHERE {column} NOT IN (SELECT seq FROM {where})"  # noqa: S608 - to be read
    return f"they are seen by nobody; with all servers stopped, remove them: {statement}"


CHECKS: Final = (
    Check(
        statement="check_unknown_status", words="workloads have a status that does not exist (seq {one})", cure=_REPORT
    ),
    Check(
        statement="check_end_without_moment",
        words="workloads have ended at no time, or are going on although they have ended (seq {one})",
        cure=_REPORT,
    ),
    Check(
        statement="check_holders",
        words="workloads run with nobody, or are held although they do not run (seq {one})",
        cure=_REPORT,
    ),
    Check(
        statement="check_places",
        words="workloads stand in the queue although they are not in it (seq {one})",
        cure=_REPORT,
    ),
    Check(statement="check_results", words="completed workloads have lost their result (seq {one})", cure=_REPORT),
    Check(
        statement="check_tallies",
        words="counts of unfinished workloads differ from the workloads themselves (API {one}): the queue's limit is "
        "judged by them",
        cure="stop all servers; then for that API: DELETE FROM tallies WHERE api = '{one}', and INSERT INTO tallies "
        "(api, tenant, member, unfinished) SELECT api, CASE WHEN batch IS NULL THEN tenant ELSE ' batched' END, '', "
        "count(*) FROM workloads WHERE api = '{one}' AND status IN ('in_queue', 'in_progress') GROUP BY 1, 2",
    ),
    Check(
        statement="check_deliveries_of_nobody",
        words="webhooks belong to no workload (seq {one})",
        cure=_drop("deliveries", "workload", "workloads"),
    ),
    Check(
        statement="check_attempts_of_nobody",
        words="attempts belong to no webhook (delivery {one})",
        cure=_drop("attempts", "delivery", "deliveries"),
    ),
    Check(
        statement="check_lost_attempts",
        words="webhooks have been tried more often than there are attempts (seq {one})",
        cure="the attempts are lost, the webhooks are not: nothing has to be done for them to go out",
    ),
    Check(statement="check_delivery_states", words="webhooks are settled at no time (seq {one})", cure=_REPORT),
    Check(
        statement="check_held_by_nobody",
        words="pending webhooks are held by a server that is gone, and wait (seq {one})",
        cure="with all servers stopped: UPDATE deliveries SET holder = NULL WHERE state = 'pending'",
    ),
    Check(
        statement="check_journal_of_nobody",
        words="lines of logs belong to no workload (seq {one})",
        cure=_drop("journal", "workload", "workloads"),
    ),
    Check(
        statement="check_past_attempts_of_nobody",
        words="attempts belong to no workload (seq {one})",
        cure=_drop("past_attempts", "workload", "workloads"),
    ),
    Check(
        statement="check_checkpoints_of_nobody",
        words="checkpoints belong to no workload (seq {one})",
        cure=_drop("checkpoints", "workload", "workloads"),
    ),
    Check(
        statement="check_staged_of_nobody",
        words="lines belong to no batch (batch {one})",
        cure=_drop("staged", "batch", "batches"),
    ),
    Check(
        statement="check_captures_of_nobody",
        words="captures belong to no inbox (seq {one})",
        cure=_drop("captures", "inbox", "inboxes"),
    ),
    Check(statement="check_batch_counts", words="batches count what they do not have (batch {one})", cure=_REPORT),
    Check(
        statement="check_large_without_blob",
        words="workloads miss the row that says where their large data is (seq {one})",
        cure="the bytes cannot be found without it: restore the store from a backup",
    ),
    Check(
        statement="check_blobs_of_nobody",
        words="blobs belong to no workload and are kept for ever (key {one})",
        cure="with all servers stopped: UPDATE blobs SET is_doomed = 1 WHERE key = '{one}', for each; upkeep removes "
        "them",
    ),
    Check(
        statement="check_revisions",
        words="endpoints have a number that is yet to be given (endpoint {one}): changes may go unseen",
        cure="with all servers stopped: UPDATE revisions SET value = (SELECT max(revision) FROM endpoints) "
        "WHERE name = 'endpoints'",
    ),
    Check(
        statement="check_moved",
        words="move is noted here ({one}): nobody can serve from this store",
        cure="serve from where it is, finish `ringback store move`, or take it back with --undo",
        weight=Weight.NOTE,
    ),
    Check(
        statement="check_dead",
        words="workloads were running on a server that has been killed (server {one})",
        cure="start a server: it takes them over within its lease",
        weight=Weight.NOTE,
    ),
)
"""In the order in which they are told."""


def given_twice(table: str, given: int, highest: int, cure: str) -> Finding:
    """The next row of a table would get a number that another has."""
    return Finding(
        name="sequence",
        weight=Weight.PROBLEM,
        count=1,
        words=f"the next number of {table} ({given + 1}) has been given already (up to {highest})",
        cure=f"with all servers stopped: {cure}",
    )


def must_be_current(version: int, place: object) -> None:
    """See that a schema of this version can be looked over.

    Raises:
        StoreError: there is none, or it is older than this release's.
    """
    known = len(migrations(defaultdict(str)))
    if version == 0:
        raise StoreError(f"there is no store at {place}: name the one you mean with --store")
    if version < known:
        raise StoreError(f"{place} has schema {version}, this release has {known}: run `ringback store migrate` first")
