"""Every step of the schema can be taken while the release before it runs: decision 0021."""

from __future__ import annotations

import re
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest

from ringback.store import postgres, sqlite
from ringback.store.sqlite import opening
from ringback.store.statements import migrations
from support.growing import Judge, judged

FIRST_RULED: Final = 16
"""The steps before were taken by nobody yet when the rule was made, and no release is without them."""
FOLDER: Final = files("ringback.store") / "sql"
STEPS: Final = sorted(
    (entry.name.removesuffix(".sql"), entry.read_text("utf-8")) for entry in (FOLDER / "migrations").iterdir()
)
USED: Final = "\n".join(entry.read_text("utf-8") for entry in FOLDER.iterdir() if entry.name.endswith(".sql"))


def test_every_step_keeps_to_the_rule() -> None:
    ruled = [(name, text) for name, text in STEPS if int(name[:4]) >= FIRST_RULED]
    assert judged(ruled, USED) == {}, "see docs/decisions/0021-migrations.md for how such a step is written"


def test_steps_are_numbered_without_a_gap() -> None:
    assert [int(name[:4]) for name, _ in STEPS] == list(range(1, len(STEPS) + 1))


def test_the_judge_reads_the_schema_that_is_there() -> None:
    found = judged(STEPS, USED)
    assert any("drops something in a step that is no contract" in fault for fault in found["0013_queue"])
    assert "0008_blobs" not in found
    assert "0015_checkpoints" not in found


@pytest.mark.parametrize(
    "step",
    [
        "CREATE TABLE a (b {int} NOT NULL UNIQUE); CREATE UNIQUE INDEX a_b ON a (b); INSERT INTO a (b) VALUES (1);",
        "ALTER TABLE workloads ADD COLUMN a {int};",
        "ALTER TABLE workloads ADD COLUMN a TEXT NOT NULL DEFAULT 'x'; ALTER TABLE members ADD COLUMN b {int};",
        "CREATE INDEX {concurrently}IF NOT EXISTS a_b ON workloads (b);",
        "CREATE UNIQUE INDEX {concurrently}IF NOT EXISTS a_b ON workloads (b) WHERE b IS NOT NULL;",
        "-- Contract: nothing uses it since 0.2.\nDROP INDEX {concurrently}IF EXISTS nowhere_named;",
        "-- Contract: as above.\nALTER TABLE workloads DROP COLUMN nowhere_named;",
    ],
)
def test_what_a_step_may_do(step: str) -> None:
    assert Judge(USED).faults(step) == []


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("ALTER TABLE workloads ADD COLUMN a {int} NOT NULL;", "NOT NULL without a constant default"),
        ("ALTER TABLE workloads ADD COLUMN a {int} DEFAULT random();", "no constant"),
        ("ALTER TABLE workloads ADD COLUMN a {int} REFERENCES batches;", "REFERENCES"),
        ("CREATE INDEX a_b ON workloads (b);", "is in use"),
        ("CREATE INDEX {concurrently}a_b ON workloads (b);", "is in use"),
        ("CREATE UNIQUE INDEX {concurrently}IF NOT EXISTS a_b ON workloads (b);", "may be refused"),
        (
            "ALTER TABLE workloads ADD COLUMN a {int}; CREATE INDEX {concurrently}IF NOT EXISTS a_b ON workloads (b);",
            "a step of their own",
        ),
        ("INSERT INTO tallies (api) SELECT api FROM workloads;", "leave it to upkeep"),
        ("UPDATE workloads SET tenant = '';", "does what no step may"),
        ("ALTER TABLE workloads RENAME COLUMN id TO name;", "does what no step may"),
        ("ALTER TABLE workloads ALTER COLUMN id SET NOT NULL;", "does what no step may"),
        ("DROP TABLE pauses;", "no contract"),
        ("-- Contract: too early.\nDROP TABLE pauses;", "sql/ still names"),
        ("-- Contract: too early.\nALTER TABLE workloads DROP COLUMN tenant;", "sql/ still names"),
        ("-- Contract: and more.\nDROP INDEX {concurrently}IF EXISTS nowhere; CREATE TABLE a (b {int});", "only drops"),
        ("-- Contract: locks.\nDROP INDEX nowhere_named;", "without {concurrently}"),
    ],
)
def test_what_no_step_may_do(step: str, why: str) -> None:
    assert why in " ".join(Judge(USED).faults(step))


@pytest.mark.parametrize(
    "dialect", [sqlite.opening.FRAGMENTS, postgres.statements.FRAGMENTS], ids=["sqlite", "postgres"]
)
def test_both_dialects_read_every_step_to_its_last_word(dialect: dict[str, str]) -> None:
    for step, (name, text) in zip(migrations(dialect), STEPS, strict=True):
        assert step.name == name
        whole = re.sub("--.*", "", text).format_map(dialect)
        assert len(step.statements) == len([part for part in whole.split(";") if part.strip()])
        assert not any("{" in statement for statement in step.statements)


def test_the_sum_of_the_steps_is_what_a_fresh_file_has(tmp_path: Path) -> None:
    fresh = sqlite3.connect(opening.prepare(tmp_path / "fresh.db"))
    stepwise = tmp_path / "stepwise.db"
    steps = migrations(opening.FRAGMENTS)
    for known in range(1, len(steps) + 1):
        opening.prepare(stepwise, steps=steps[:known])
    grown = sqlite3.connect(stepwise)
    schema = "SELECT name, sql FROM sqlite_master ORDER BY name"
    assert grown.execute(schema).fetchall() == fresh.execute(schema).fetchall()
    for connection in (fresh, grown):
        connection.close()
