"""A host that is cut off from the others past its lease, goes on working, and comes back with late results.

Comes before the tests that lead every address here: after that there are no two hosts any more.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import requests

from support.catcher import Catcher
from support.hosts import away, database_at
from support.members import members
from support.processes import RINGBACK
from support.served import folder_of
from support.waiting import until

LEASE = "3s"

TELLING = '''
import os, pathlib, time

HERE = pathlib.Path(__file__).parent


class PythonPredictor:
    """Says where and in which attempt it runs, and ends when it is let."""

    def predict(self, payload, workload):
        where = os.environ["WHERE"]
        (HERE / f"begun-{payload}-{workload.attempt}-{where}").touch()
        while not (HERE / f"let-{payload}").exists():
            time.sleep(0.01)
        (HERE / f"ended-{payload}-{workload.attempt}-{where}").touch()
        return {"attempt": workload.attempt, "where": where}
'''


def test_what_comes_late_from_a_host_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    database = os.environ["RINGBACK_APART_DATABASE"]
    with Catcher() as catcher, database_at(database) as url:
        file = folder_of(tmp_path / "api", predictor=TELLING, webhook=catcher.url, retries={"max_losses": 3})
        seen = file.parent
        (tmp_path / "elsewhere").mkdir()
        with members(file, database, tmp_path / "members", "--lease", LEASE, "--grace", "1s") as here:
            gateway = here.start("gateway,dispatcher")
            gateway.wait_for("/readyz", 200, within=60)
            command = [str(RINGBACK), "serve", str(file), "--roles", "worker", "--store", url, "--lease", LEASE]
            env = {"WHERE": "away", "TMPDIR": str(tmp_path / "elsewhere")}  # locks are not seen from host to host
            log = tmp_path / "away.log"
            with log.open("ab") as words, away(command, env, words) as host:
                requests.put(f"{gateway.url}/echo/first", json="first", timeout=10).raise_for_status()
                until(
                    lambda: (seen / "begun-first-1-away").exists() or host.process.poll() is not None,
                    within=40,
                    wanted="it to run there",
                )
                assert host.process.poll() is None, log.read_text()

                host.cut_off()
                worker = here.start("worker", env={"WHERE": "here"})
                until(lambda: list(seen.glob("begun-first-*-here")), within=40, wanted="it to be taken over")
                (seen / "let-first").touch()
                until((seen / "ended-first-1-away").exists, within=20, wanted="both to have ended")
                ended = requests.get(f"{gateway.url}/echo/first?wait=20", timeout=30).json()
                assert (ended["status"], ended["result"]["where"]) == ("completed", "here")
                assert ended["result"]["attempt"] > 1

                host.bring_back()
                until(lambda: "starting over" in log.read_text(), within=60, wanted="it to hear that it was given up")
                assert worker.terminate() == 0
                (seen / "let-second").touch()
                requests.put(f"{gateway.url}/echo/second", json="second", timeout=10).raise_for_status()
                second = requests.get(f"{gateway.url}/echo/second?wait=60", timeout=70).json()
                assert second["result"] == {"attempt": 1, "where": "away"}, "it is one of us again"

                assert requests.get(f"{gateway.url}/echo/first", timeout=10).json() == ended
                catcher.wait_for_all({"first", "second"}, within=20)
            [rung] = catcher.of("first")
            assert json.loads(rung.body)["result"] == ended["result"]
