"""Which files are opened, which are refused, and that a refused one is left as it was."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

import pytest

from ringback.core.errors import StoreBusy, StoreError, StoreFull
from ringback.store.locks import MemberLocks
from ringback.store.sqlite.faults import translated
from ringback.store.sqlite.opening import connect, prepare


def test_the_folder_is_made(tmp_path: Path) -> None:
    assert prepare(tmp_path / "a" / "b" / "ringback.db").is_file()


def test_a_fresh_file_is_its_owners_alone_and_one_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = prepare(tmp_path / "ringback.db")
    connection = connect(path)
    connection.execute("CREATE TABLE t (a)")
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "ringback.db": 0o600,
        "ringback.db-wal": 0o600,
        "ringback.db-shm": 0o600,
    }
    connection.close()
    path.chmod(0o660)
    assert prepare(path).stat().st_mode & 0o777 == 0o660


def test_a_commit_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    connection = connect(prepare(tmp_path / "ringback.db"))
    assert connection.execute("PRAGMA synchronous").fetchall() == [(2,)]  # FULL: the log is synced at every commit
    assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    connection.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be made"):
        prepare(tmp_path / "file" / "ringback.db")


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        prepare(tmp_path)


def test_a_fresh_file_that_somebody_keeps_locked(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    hog = sqlite3.connect(path, isolation_level=None)
    hog.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="cannot be opened: another process keeps"):
        prepare(path, patience_seconds=0.05)
    hog.execute("ROLLBACK")
    hog.close()
    assert prepare(path, patience_seconds=0.05) == path


def test_a_fresh_file_that_somebody_reads(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT 1 FROM sqlite_master").fetchall()
    with pytest.raises(StoreError, match="cannot be opened: another process keeps"):
        prepare(path, patience_seconds=0.05)
    reader.close()


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (sqlite3.SQLITE_FULL, StoreFull, "no room left"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusy, "keeps"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, StoreError, "cannot be written"),
        (sqlite3.SQLITE_CORRUPT, StoreError, "not a usable SQLite database"),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreError, "why"),
    ],
)
def test_sqlites_errors_in_our_words(code: int, kind: type[Exception], words: str) -> None:
    error = sqlite3.OperationalError("why")
    error.sqlite_errorcode = code
    fault = translated(error, Path("ringback.db"))
    assert type(fault) is kind
    assert words in str(fault)
    assert "ringback.db" in str(fault)


# ── The locks beside the file ───────────────────────────────────────────────────────────────────


def test_a_held_lock_is_seen_and_a_dropped_one_leaves_nothing(tmp_path: Path) -> None:
    mine, theirs = MemberLocks(tmp_path / "db"), MemberLocks(tmp_path / "db")
    mine.hold("m1")
    assert not theirs.is_gone("m1")
    mine.drop()
    mine.drop()
    assert not theirs.is_gone("m1")
    assert list(tmp_path.iterdir()) == []


def test_a_dead_member_is_seen_and_forgotten(tmp_path: Path) -> None:
    mine, theirs = MemberLocks(tmp_path / "db"), MemberLocks(tmp_path / "db")
    mine.hold("m1")
    mine.drop(forget=False)
    assert theirs.is_gone("m1")
    theirs.forget("m1")
    assert not theirs.is_gone("m1")


def test_without_a_lock_of_its_own_a_member_is_judged_by_its_lease(tmp_path: Path) -> None:
    folder = tmp_path / "db-members"
    folder.mkdir()
    taken = os.open(folder / "m1.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(taken, fcntl.LOCK_EX)
    mine = MemberLocks(tmp_path / "db")
    mine.hold("m1")
    assert not mine.is_gone("m1")
    mine.drop()
    os.close(taken)


def test_the_last_member_to_leave_takes_the_folder_of_locks_away(tmp_path: Path) -> None:
    mine, theirs = MemberLocks(tmp_path / "db"), MemberLocks(tmp_path / "db")
    mine.hold("member-a")
    theirs.hold("member-b")

    mine.drop()
    assert [file.name for file in (tmp_path / "db-members").iterdir()] == ["member-b.lock"]
    theirs.drop()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_laid_out_by_another_user_is_not_trusted(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = tmp_path / "db-members"
    folder.mkdir()
    (folder / "member-b.lock").touch()
    os.chown(folder, 12345, 12345)
    os.chown(folder / "member-b.lock", 12345, 12345)
    mine = MemberLocks(tmp_path / "db")

    mine.hold("member-a")

    assert [file.name for file in folder.iterdir()] == ["member-b.lock"]
    assert not mine.is_gone("member-b"), "nobody holds its file, but anybody may have laid it there"
