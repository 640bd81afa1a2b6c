"""Three of each role on one PostgreSQL; a random one is killed every second, and the database is restarted under all.

Nothing acknowledged is lost, and each workload ends once. `RINGBACK_CHAOS_WORKLOADS=20000` is the full run;
`RINGBACK_CHAOS_SEED` repeats one.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from support.catcher import Catcher
from support.chaos import Killer, Submitter
from support.database_server import DatabaseServer, database_server
from support.members import Members, members
from support.served import folder_of
from support.waiting import until

WORKLOADS: Final = int(os.environ.get("RINGBACK_CHAOS_WORKLOADS", "300"))
EACH: Final = 3
IN_FLIGHT: Final = min(1_000, WORKLOADS // 5)
SECONDS_BETWEEN_KILLS: Final = 1.0
MOST_SECONDS: Final = 90 + WORKLOADS / 5
AFTERWARDS_SECONDS: Final = 60.0
ROLES: Final = ("gateway", "worker", "dispatcher")

BRIEF_WORK: Final = """
import time


class PythonPredictor:
    def predict(self, payload):
        time.sleep(0.004)
        return payload
"""


@pytest.mark.timeout(MOST_SECONDS + 2 * AFTERWARDS_SECONDS + 60)
def test_nothing_is_lost_whoever_dies(tmp_path: Path, say: Callable[[str], None]) -> None:
    seed = int(os.environ.get("RINGBACK_CHAOS_SEED", random.SystemRandom().randrange(1_000_000)))
    chance = random.Random(seed)
    with Catcher() as catcher, database_server() as database:
        file = folder_of(
            tmp_path / "api",
            predictor=BRIEF_WORK,
            webhook=catcher.url,
            retries={"max_losses": 100},
            autoscaling={"max_replica_concurrency": 2 * WORKLOADS},
        )
        with members(file, database.url, tmp_path / "members", "--lease", "5s") as everyone:
            submitter, killer = _begun(everyone, catcher, chance)
            try:
                until(lambda: len(submitter.acknowledged) > WORKLOADS // 2, within=MOST_SECONDS, wanted="half of it")
                mode = chance.choice(["fast", "immediate"])
                database.restart(mode)
                until(lambda: submitter.is_done, within=MOST_SECONDS, wanted=f"all acknowledged (seed {seed})")
                catcher.wait_for_all(submitter.acknowledged, within=MOST_SECONDS)
            finally:
                submitter.stop()
                killer.stop()
                say(f"seed {seed}: {len(submitter.acknowledged)} acknowledged, {sum(killer.killed.values())} kills")
            until(
                lambda: not database.rows("SELECT 1 FROM deliveries WHERE state = 'pending' LIMIT 1"),
                within=AFTERWARDS_SECONDS,
                wanted="every delivery written down as delivered",
            )
            check(submitter, catcher, database)
            [(again,)] = database.rows("SELECT count(*) FROM workloads WHERE attempt > 1")
            say(
                f"seed {seed}: killed {dict(killer.killed)}, database restarted ({mode}), "
                f"ended of themselves {dict(killer.ended)}, {submitter.unanswered} submits made again; "
                f"{WORKLOADS} acknowledged, 0 lost, {_duplicates(catcher)} webhooks sent twice or more, "
                f"{again} workloads begun twice or more"
            )


def _begun(everyone: Members, catcher: Catcher, chance: random.Random) -> tuple[Submitter, Killer]:
    """All servers up, the first workloads on their way, and the first kill to come."""
    for role in ROLES:
        for _ in range(EACH):
            everyone.start(role)
    for server in everyone.all:
        server.wait_for("/readyz", 200, within=60)
    submitter = Submitter(everyone.all[:EACH], catcher, WORKLOADS, IN_FLIGHT, random.Random(chance.random()))
    killer = Killer(everyone, random.Random(chance.random()), SECONDS_BETWEEN_KILLS)
    submitter.start()
    killer.start()
    return submitter, killer


def _duplicates(catcher: Catcher) -> int:
    return sum(sum(counts.values()) - 1 for counts in catcher.webhook_ids().values())


def check(submitter: Submitter, catcher: Catcher, database: DatabaseServer) -> None:
    """What was acknowledged, what the database says, and what rang are the same."""
    statuses = dict(database.rows("SELECT id, status FROM workloads"))
    assert statuses.keys() == submitter.acknowledged
    assert Counter(statuses.values()) == {"completed": WORKLOADS}
    told: dict[str, set[tuple[str, bytes]]] = {}
    for each in catcher.all():
        told.setdefault(each.workload_id, set()).add((each.webhook_id, each.body))
    assert told.keys() == submitter.acknowledged
    assert all(len(each) == 1 for each in told.values()), "one webhook-id and the same bytes, however often it came"
    for each in catcher.all():
        assert (each.json["status"], each.json["result"]) == ("completed", {"n": int(each.workload_id[2:])})
