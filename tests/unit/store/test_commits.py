"""Group commit: who shares one, who spoils one, and what becomes of those who wait for the lock."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ringback.core.errors import StoreBusy, StoreError, StoreFull
from ringback.store.sqlite.commits import Around, GroupCommit, Transaction
from ringback.store.sqlite.opening import connect
from ringback.store.sqlite.sets import Sets
from ringback.store.verbs.transaction import Kin

_PUT_ALL = (
    "INSERT INTO words SELECT json_extract(value, '$[0]') FROM json_each(:rows) WHERE TRUE ON CONFLICT DO NOTHING"
)


class Table:
    """One table of words behind a group commit, and what was told of it."""

    def __init__(self, path: Path, patience_seconds: float = 10.0, max_pages: int | None = None) -> None:
        setting_up = sqlite3.connect(path, isolation_level=None)
        setting_up.execute("PRAGMA journal_mode = WAL")
        setting_up.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY)")
        setting_up.close()
        self.path = path
        self.connection = connect(path, max_pages=max_pages)
        self.commits_of: list[int] = []
        self.rolled_back = 0
        self.last_words: list[str] = []
        self.run_apart: list[str] = []
        self.keys: list[tuple[str, int]] = []
        self.group = GroupCommit(
            self.connection,
            path,
            emit=self._told,
            around=Around(began=lambda: None, ending=self._say_last_words, rolled_back=self._undone),
            sets=Sets({"put_all": _PUT_ALL}, "nobody", parts={"put": ("put_all",)}),
            patience_seconds=patience_seconds,
        )

    def put(self, word: str) -> asyncio.Future[str]:
        return self.group.write(self.putting(word))

    def put_in_set(self, word: str) -> asyncio.Future[None]:
        def in_set(tx: Transaction) -> None:
            tx.put("put", (word,), lambda key: self.keys.append((word, key)))

        def write(tx: Transaction) -> None:
            self.run_apart.append(word)
            tx.execute("INSERT INTO words VALUES (?)", (word,))

        return self.group.write_in_set(in_set, write, Kin.ATTEMPTS)

    @staticmethod
    def putting(word: str) -> Callable[[Transaction], str]:
        def write(tx: Transaction) -> str:
            tx.execute("INSERT INTO words VALUES (?)", (word,))
            return word

        return write

    async def under_way(self) -> None:
        """Let the loop turn until a commit is on its way to the disk."""
        for _ in range(20):
            if self.group.is_committing:
                return
            await asyncio.sleep(0)
        pytest.fail("nothing was committed in twenty turns")

    def on_disk(self) -> set[str]:
        reading = sqlite3.connect(self.path)
        words = {word for (word,) in reading.execute("SELECT word FROM words")}
        reading.close()
        return words

    def _told(self, name: str, **details: object) -> None:
        assert name == "store.committed"
        writes = details["writes"]
        assert isinstance(writes, int)
        self.commits_of.append(writes)

    def _say_last_words(self) -> None:
        for word in self.last_words:
            self.connection.execute("INSERT INTO words VALUES (?)", (word,))

    def _undone(self) -> None:
        self.rolled_back += 1


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Table]:
    made = Table(tmp_path / "words.db")
    yield made
    await made.group.close()
    made.connection.close()


async def test_writes_of_one_moment_share_one_commit(table: Table) -> None:
    assert await asyncio.gather(*(table.put(f"w{number}") for number in range(100))) == [f"w{n}" for n in range(100)]
    assert table.commits_of == [100]
    assert len(table.on_disk()) == 100


async def test_nothing_is_answered_before_it_is_on_disk(table: Table) -> None:
    seen: list[bool] = []
    future = table.put("early")
    future.add_done_callback(lambda _: seen.append("early" in table.on_disk()))
    assert not future.done()
    await future
    assert seen == [True]


async def test_what_comes_while_a_commit_is_under_way_shares_the_next(table: Table) -> None:
    first = table.put("first")
    await table.under_way()
    rest = [table.put(f"w{number}") for number in range(10)]
    await asyncio.gather(first, *rest)
    assert table.commits_of == [1, 10]


async def test_one_that_reacts_to_a_write_may_ride_with_it(table: Table) -> None:
    follower: list[asyncio.Future[str]] = []

    def write(tx: Transaction) -> None:
        tx.execute("INSERT INTO words VALUES ('leader')")
        asyncio.get_running_loop().call_soon(lambda: follower.append(table.put("follower")))

    await table.group.write(write)
    await follower[0]
    assert table.commits_of == [2]


async def test_a_write_that_breaks_the_transaction_fails_alone(table: Table) -> None:
    good, bad, later = table.put("one"), table.put("one"), table.put("two")
    results = await asyncio.gather(good, bad, later, return_exceptions=True)
    assert results[0] == "one"
    assert isinstance(results[1], StoreError)
    assert results[2] == "two"
    assert await table.put("three") == "three"
    assert table.on_disk() == {"one", "two", "three"}
    assert (table.rolled_back, table.commits_of) == (1, [2, 1])


async def test_what_was_to_follow_an_undone_write_follows_once(table: Table) -> None:
    told: list[str] = []

    def write(tx: Transaction) -> None:
        tx.execute("INSERT INTO words VALUES ('kept')")
        tx.after(lambda: told.append("kept"))

    kept, bad = table.group.write(write), table.put("kept")
    await asyncio.gather(kept, bad, return_exceptions=True)
    assert told == ["kept"]


async def test_any_other_error_belongs_to_its_caller_alone(table: Table) -> None:
    def write(tx: Transaction) -> None:
        raise LookupError("mine")

    bad, good = table.group.write(write), table.put("fine")
    with pytest.raises(LookupError, match="mine"):
        await bad
    assert await good == "fine"


async def test_rows_of_a_set_go_in_together_and_share_the_commit_with_what_is_beside_them(table: Table) -> None:
    rows = [table.put_in_set(f"w{number}") for number in range(50)]
    beside = table.put("beside")
    assert await asyncio.gather(*rows) == [None] * 50
    assert await beside == "beside"
    assert table.on_disk() == {"beside", *(f"w{number}" for number in range(50))}
    assert (table.commits_of, table.run_apart, table.rolled_back) == ([51], [], 0)
    assert table.keys == [(f"w{number}", number + 2) for number in range(50)]


@pytest.mark.parametrize("twin", ["in the set", "before it", "long ago"])
async def test_a_set_without_its_whole_effect_is_written_one_by_one(table: Table, twin: str) -> None:
    if twin == "long ago":
        await table.put("same")
    rows = [table.put_in_set("first")]
    if twin != "long ago":
        rows.append(table.put_in_set("same") if twin == "in the set" else asyncio.ensure_future(table.put("same")))
    rows += [table.put_in_set("same"), table.put_in_set("last")]
    *good, bad, last = await asyncio.gather(*rows, return_exceptions=True)
    assert not any(isinstance(each, Exception) for each in (*good, last))
    assert isinstance(bad, StoreError)
    assert table.on_disk() == {"first", "same", "last"}
    assert {"first", "same", "last"} <= set(table.run_apart)
    assert table.keys == []


@pytest.mark.parametrize(
    ("word", "why"), [("x" * 40_000, "no room"), ("no text: \ud800", "surrogates")], ids=["too large", "no text"]
)
async def test_a_set_that_cannot_be_written_shows_whose_row_it_was(tmp_path: Path, word: str, why: str) -> None:
    table = Table(tmp_path / "words.db", max_pages=8)
    bad, small = table.put_in_set(word), table.put_in_set("small")
    with pytest.raises((StoreFull, UnicodeEncodeError), match=why):
        await bad
    await small
    assert table.on_disk() == {"small"}
    await table.group.close()
    table.connection.close()


async def test_abandoning_while_a_set_is_written_keeps_it_whole_or_not_at_all(tmp_path: Path) -> None:
    table = Table(tmp_path / "words.db")
    rows = [table.put_in_set(word) for word in ("one", "two")]
    await table.under_way()
    table.group.abandon()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(row.done() for row in rows)
    table.connection.close()
    assert table.on_disk() in (set(), {"one", "two"})


async def test_one_who_no_longer_waits_hinders_nobody(table: Table) -> None:
    gone, stays = table.put("gone"), table.put("stays")
    gone.cancel()
    assert await stays == "stays"
    assert table.on_disk() == {"gone", "stays"}


async def test_one_who_no_longer_waits_for_a_failing_write_hinders_nobody(table: Table) -> None:
    first, gone = table.put("one"), table.group.write(table.putting("two"))
    gone.cancel()
    assert await first == "one"


async def test_a_commit_that_fails_fails_everyone_in_it_and_no_one_after(table: Table) -> None:
    # A deferred foreign key is judged only at the commit.
    table.connection.execute("PRAGMA foreign_keys = ON")
    table.connection.execute("CREATE TABLE pairs (word TEXT REFERENCES words (word) DEFERRABLE INITIALLY DEFERRED)")

    def orphan(tx: Transaction) -> None:
        tx.execute("INSERT INTO pairs VALUES ('nobody')")

    spoilt, beside = table.group.write(orphan), table.put("beside")
    results = await asyncio.gather(spoilt, beside, return_exceptions=True)
    assert all(isinstance(each, StoreError) for each in results)
    assert table.rolled_back == 1
    assert await table.put("after") == "after"
    assert table.on_disk() == {"after"}


async def test_the_last_thing_inside_a_transaction_is_on_disk_with_it(table: Table) -> None:
    table.last_words = ["last"]
    await table.put("first")
    assert table.on_disk() == {"first", "last"}


async def test_a_last_thing_that_fails_fails_everyone_in_the_transaction_and_no_one_after(table: Table) -> None:
    table.last_words = ["same"]
    results = await asyncio.gather(table.put("same"), table.put("beside"), return_exceptions=True)
    assert all(isinstance(each, StoreError) for each in results)
    assert table.rolled_back == 1
    table.last_words = []
    assert await table.put("after") == "after"
    assert table.on_disk() == {"after"}


async def test_a_lock_that_is_let_go_is_waited_for(table: Table) -> None:
    hog = sqlite3.connect(table.path, isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")
    waiting = [table.put(f"w{number}") for number in range(5)]
    assert table.group.is_committing
    hog.execute("COMMIT")
    hog.close()
    await asyncio.gather(*waiting)
    assert table.commits_of == [5]


async def test_a_lock_that_is_kept_too_long_fails_all_who_wait_and_then_is_asked_for_again(tmp_path: Path) -> None:
    table = Table(tmp_path / "words.db", patience_seconds=0.0)
    hog = sqlite3.connect(table.path, isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(table.put("one"), table.put("two"), return_exceptions=True)
    assert all(isinstance(each, StoreBusy) for each in results)
    assert "kept" in str(results[0])
    hog.execute("COMMIT")
    hog.close()
    assert await table.put("three") == "three"
    await table.group.close()
    table.connection.close()


async def test_a_transaction_that_cannot_begin_fails_its_write(tmp_path: Path) -> None:
    table = Table(tmp_path / "words.db")
    table.connection.close()
    with pytest.raises(StoreError, match=r"words\.db"):
        await table.put("one")
    await table.group.close()


async def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    table = Table(tmp_path / "words.db", max_pages=4)
    with pytest.raises(StoreFull, match="no room"):
        await asyncio.gather(*(table.put(str(number) * 4_000) for number in range(10)))
    await table.group.close()
    table.connection.close()


async def test_closing_commits_what_is_under_way_and_refuses_the_rest(tmp_path: Path) -> None:
    table = Table(tmp_path / "words.db")
    first = table.put("first")
    closing = asyncio.ensure_future(table.group.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match="closed"):
        await table.put("late")
    await closing
    assert await first == "first"
    assert table.on_disk() == {"first"}
    table.connection.close()


async def test_abandoning_answers_nobody_and_keeps_nothing(tmp_path: Path) -> None:
    table = Table(tmp_path / "words.db")
    first = table.put("first")
    table.group.abandon()
    await asyncio.sleep(0)
    assert not first.done()
    with pytest.raises(StoreError, match="abandoned"):
        await table.put("late")
    table.connection.close()
    assert table.on_disk() == set()


async def test_abandoning_during_a_commit_answers_nobody(tmp_path: Path) -> None:
    table = Table(tmp_path / "words.db")
    first = table.put("first")
    await table.under_way()
    table.group.abandon()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not first.done()
    table.connection.close()
