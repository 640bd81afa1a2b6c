"""What becomes of workloads that are canceled, late, lost or tried again; real servers, killed and stopped for real."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from support.catcher import Catcher
from support.ground import is_on_ray, tables_with
from support.processes import Server, serving
from support.served import SECRET, file_of, folder_of
from support.waiting import pause, until

pytestmark = pytest.mark.every_engine

WORK = '''
import os
import pathlib
import time

HERE = pathlib.Path(__file__).parent


class PythonPredictor:
    """Does what its payload says, and leaves a line for each attempt that begins."""

    def predict(self, payload, workload):
        with (HERE / f"begun-{workload.id}").open("a") as file:
            file.write(f"{workload.attempt} {os.getpid()} {time.monotonic()}\\n")
        if payload.get("held"):
            sum(range(10**13))  # one call into C that never lets go of the interpreter
        if "steps" in payload:
            done = int(workload.resume() or b"0")
            for step in range(done, payload["steps"]):
                time.sleep(0.05)
                workload.checkpoint(b"%d" % (step + 1))
                with (HERE / f"steps-{workload.id}").open("a") as file:
                    file.write(f"{step}\\n")
            return [done, workload.attempt]
        if payload.get("heeds"):
            while not workload.cancelled:
                time.sleep(0.005)
            return "stopped half way"
        if workload.attempt <= payload.get("raises", 0):
            raise ConnectionError("not yet")
        if "secret" in payload:
            print(payload["secret"][:100])
            return payload["secret"]
        if payload.get("dies"):
            os.kill(os.getpid(), 11)
        time.sleep(payload.get("seconds", 0))
        return workload.attempt
'''
GRACE = 1.0
START = 10.0 if is_on_ray() else 1.0
"""Seconds that a new replica may take, at most."""


def served(folder: Path, url: str | None = None, **more: Any) -> Path:
    folder_of(folder, predictor=WORK)
    hook = {} if url is None else {"webhook": {"url": url, "secret": SECRET, "retry": ["1s"] * 30, **EVERY_END}}
    api = {"name": "work", "predictor": {"path": "predictor.py"}, "cancel_grace": f"{GRACE}s", **hook}
    return file_of(folder, api | more)


EVERY_END = {"events": ["completed", "failed", "canceled"]}


class Bench:
    """A served folder, and what its workloads have left in it."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server

    def submit(self, **payload: Any) -> str:
        answer = requests.post(f"{self.server.url}/work", json=payload, timeout=10)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def begun(self, workload_id: str) -> list[tuple[int, int, float]]:
        """Attempt, process and moment of each time that predict has begun with it."""
        file = self.folder / f"begun-{workload_id}"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(attempt), int(pid), float(at)) for attempt, pid, at in map(str.split, lines)]

    def wait_until_begun(self, workload_id: str) -> tuple[int, int, float]:
        return until(lambda: self.begun(workload_id), within=20, wanted=f"{workload_id} begun")[-1]

    def state(self, workload_id: str) -> dict[str, Any]:
        told: dict[str, Any] = requests.get(f"{self.server.url}/work/{workload_id}", timeout=10).json()
        return told

    def wait_until_over(self, workload_id: str, *, within: float = 30) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            told = self.state(workload_id)
            return told if told["status"] in {"completed", "failed", "canceled"} else None

        told = until(look, within=within, wanted=f"the end of {workload_id}")
        assert told is not None
        return told

    def post(self, workload_id: str, verb: str) -> requests.Response:
        return requests.post(f"{self.server.url}/work/{workload_id}/{verb}", timeout=10)

    def attempts(self, workload_id: str) -> list[dict[str, Any]]:
        record = requests.get(f"{self.server.url}/-/workloads/{workload_id}", timeout=10).json()
        told: list[dict[str, Any]] = record["attempts"]
        return told


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts servers, and ends them."""
    import contextlib  # noqa: PLC0415 - for this alone

    with contextlib.ExitStack() as started:

        def start(name: str = "api", *, options: tuple[str, ...] = (), file: Path | None = None, **spec: Any) -> Bench:
            folder = tmp_path / "api"
            server = serving(
                file or served(folder, **spec), tmp_path / "store" / "ringback.db", options=["--grace", "3s", *options]
            )
            return Bench(folder, started.enter_context(server))

        yield start


# ── Cancel ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.alone
@pytest.mark.parametrize("payload", [{"seconds": 600}, {"held": True}], ids=["sleeping", "holding the interpreter"])
def test_a_call_into_c_is_ended_within_the_grace_and_the_next_workload_starts_at_once(
    bench: Callable[..., Bench], say: Callable[[str], None], payload: dict[str, Any]
) -> None:
    with Catcher() as catcher:
        here = bench(url=catcher.url)
        stubborn = here.submit(**payload)
        _, pid, _ = here.wait_until_begun(stubborn)
        following = here.submit()
        asked = time.monotonic()
        assert here.post(stubborn, "cancel").json() == {"id": stubborn, "status": "in_progress"}
        assert here.state(stubborn)["status"] == "in_progress"
        assert here.wait_until_over(stubborn) == {"id": stubborn, "status": "canceled"}
        ended = time.monotonic()
        _, next_pid, next_began = here.wait_until_begun(following)

        say(f"ended {ended - asked - GRACE:.2f} s after the grace, the next began {next_began - ended:.2f} s later")
        assert GRACE <= ended - asked <= GRACE + 0.5
        assert next_began - ended <= START
        assert next_pid != pid
        caught = catcher.wait_for(stubborn)
        catcher.wait_for(following)
        assert Webhook(SECRET).verify(caught.body, caught.headers) == {"id": stubborn, "status": "canceled"}
        assert here.post(stubborn, "cancel").json()["status"] == "canceled"
        assert here.post(following, "cancel").status_code == 409
        assert len(catcher.of(stubborn)) == 1


def test_one_that_heeds_its_cancel_keeps_its_replica(bench: Callable[..., Bench]) -> None:
    here = bench()
    first = here.submit(heeds=True)
    _, pid, _ = here.wait_until_begun(first)
    here.server.ringback("cancel", "work", first, "--wait")
    assert here.state(first) == {"id": first, "status": "canceled"}
    second = here.submit()
    assert here.wait_until_begun(second)[1] == pid


def test_a_cancel_survives_the_death_of_the_server_that_took_it(bench: Callable[..., Bench]) -> None:
    with Catcher() as catcher:
        here = bench(url=catcher.url, cancel_grace="1h")
        waiting, running = here.submit(seconds=600), ""
        running, waiting = waiting, here.submit()
        here.wait_until_begun(running)
        assert here.post(waiting, "cancel").json() == {"id": waiting, "status": "canceled"}, "at once"
        assert here.post(running, "cancel").json() == {"id": running, "status": "in_progress"}
        here.server.kill()
        here.server.start_and_wait()
        for each in (running, waiting):
            assert here.wait_until_over(each)["status"] == "canceled"
            assert catcher.wait_for(each).json == {"id": each, "status": "canceled"}
        assert len(here.begun(running)) == 1
        assert here.begun(waiting) == []
        pause(0.5)
        assert [len(ids) for ids in catcher.webhook_ids().values()] == [1, 1]


@pytest.mark.alone
def test_a_dead_receiver_does_not_hold_up_a_cancel(bench: Callable[..., Bench]) -> None:
    here = bench(url="http://127.0.0.1:9/hook")
    workload_id = here.submit(heeds=True)
    here.wait_until_begun(workload_id)
    asked = time.monotonic()
    here.post(workload_id, "cancel")
    assert here.wait_until_over(workload_id)["status"] == "canceled"
    assert time.monotonic() - asked < GRACE + 0.5


# ── Erase ───────────────────────────────────────────────────────────────────────────────────────


def places_of(words: bytes, server: Server) -> list[str]:
    """The files beside a server's store that hold the words, and its database's tables; its log is not the store's."""
    files = [each for each in server.store.parent.rglob("*") if each.is_file() and each != server.log_file]
    return [str(each) for each in files if words in each.read_bytes()] + tables_with(server.store, words)


def test_what_is_erased_is_stopped_and_gone(bench: Callable[..., Bench]) -> None:
    """Also from the files: payload, result, log and the webhook that nobody has received, large and small."""
    here = bench(url="http://127.0.0.1:9/hook")
    over = here.submit(secret="very-private")
    large = here.submit(secret="very-private" * 200_000)
    for each in (over, large):
        assert here.wait_until_over(each)["status"] == "completed"
    running = here.submit(seconds=600, why="very-private")
    here.wait_until_begun(running)
    assert len(places_of(b"very-private", here.server)) >= 3, "two blobs, and the store"
    for each in (running, over, large):
        here.server.ringback("erase", "work", each)
        assert requests.get(f"{here.server.url}/work/{each}", timeout=10).status_code == 410
    after = here.submit()
    assert here.wait_until_over(after)["status"] == "completed"
    assert requests.get(f"{here.server.url}/work", timeout=10).json()["workloads"][1:] == []
    assert here.server.terminate() == 0
    assert places_of(b"very-private", here.server) == []


# ── Time-outs, retries, losses ──────────────────────────────────────────────────────────────────


def test_a_time_out_that_came_with_the_submit_ends_one_attempt(bench: Callable[..., Bench]) -> None:
    here = bench(timeout="1m")
    answer = requests.post(
        f"{here.server.url}/work", json={"seconds": 600}, headers={"Ringback-Timeout": "500ms"}, timeout=10
    )
    told = here.wait_until_over(answer.json()["id"])
    assert told["error"] == {"type": "timeout", "message": "predict ran longer than its time-out of 0.5 s"}
    assert here.wait_until_over(here.submit())["status"] == "completed"
    longer = requests.post(f"{here.server.url}/work", json={}, headers={"Ringback-Timeout": "2m"}, timeout=10)
    assert (longer.status_code, "at most" in longer.json()["detail"]) == (400, True)


def test_only_what_the_file_names_is_tried_again(bench: Callable[..., Bench]) -> None:
    here = bench(retries={"max_attempts": 3, "initial": "10ms", "on": ["OSError"]})
    forgiven = here.submit(raises=2)
    assert here.wait_until_over(forgiven)["result"] == 3
    assert [each["ended"] for each in here.attempts(forgiven)] == ["failed", "failed", "completed"]


def test_what_is_never_tried_again_fails_at_once(bench: Callable[..., Bench]) -> None:
    here = bench(retries={"max_attempts": 3, "initial": "10ms", "never_on": ["OSError"]})
    workload_id = here.submit(raises=2)
    assert here.wait_until_over(workload_id)["error"]["type"] == "ConnectionError"
    assert len(here.begun(workload_id)) == 1
    here.server.ringback("retry", "work", workload_id)
    here.wait_until_over(workload_id)
    until(lambda: here.state(workload_id)["status"] == "failed", within=20, wanted="failed again")
    here.server.ringback("retry", "work", workload_id, "--wait")
    assert here.state(workload_id)["result"] == 3
    shown = here.server.ringback("attempts", "work", workload_id)
    assert shown.count("ConnectionError: not yet") == 2


def test_a_poisonous_workload_stops_after_its_losses_and_tells_the_cause(bench: Callable[..., Bench]) -> None:
    here = bench(retries={"max_losses": 2})
    poison = here.submit(dies=True)
    error = here.wait_until_over(poison)["error"]
    assert error["type"] == "replica_lost"
    assert "2 times" in error["message"]
    assert "SIGSEGV" in error["message"]
    assert [each["ended"] for each in here.attempts(poison)] == ["lost", "lost"]


# ── Leases ──────────────────────────────────────────────────────────────────────────────────────


def test_a_workload_twenty_times_longer_than_its_lease_runs_once(bench: Callable[..., Bench]) -> None:
    here = bench(options=("--lease", "500ms"))
    bench(file=here.server.file, options=("--lease", "500ms"))  # which would take it over
    workload_id = here.submit(seconds=10)
    assert here.wait_until_over(workload_id, within=40)["result"] == 1
    assert len(here.begun(workload_id)) == 1


def test_a_server_stopped_past_its_lease_and_woken_cannot_finish_what_another_has_taken_over(
    bench: Callable[..., Bench],
) -> None:
    with Catcher() as catcher:
        here = bench(url=catcher.url, options=("--lease", "1s"))
        workload_id = here.submit(seconds=3)
        here.wait_until_begun(workload_id)
        everybody = [here.server.pid, *here.server.replicas()]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        other = bench(file=here.server.file, options=("--lease", "1s"))
        try:
            until(lambda: len(other.begun(workload_id)) == 2, within=30, wanted="taken over")
        finally:
            for pid in everybody:
                os.kill(pid, signal.SIGCONT)
        told = other.wait_until_over(workload_id)
        attempt, _, _ = other.begun(workload_id)[1]
        assert told["result"] == attempt
        until(lambda: "starting over" in here.server.log(), within=20, wanted="the woken server to notice")
        here.server.wait_for("/readyz", 200)
        assert here.state(workload_id) == told
        assert catcher.wait_for(workload_id).json["result"] == attempt
        pause(0.5)
        assert len(catcher.webhook_ids()[workload_id]) == 1
        assert [each["ended"] for each in other.attempts(workload_id)] == ["lost", "completed"]


def test_a_replica_stopped_past_its_time_out_cannot_finish(bench: Callable[..., Bench]) -> None:
    here = bench(timeout="1s", retries={"max_attempts": 2, "initial": "10ms"})
    workload_id = here.submit(seconds=0.5)
    _, pid, _ = here.wait_until_begun(workload_id)
    os.kill(pid, signal.SIGSTOP)
    assert here.wait_until_over(workload_id)["result"] == 2
    assert [each["ended"] for each in here.attempts(workload_id)] == ["failed", "completed"]
    assert here.attempts(workload_id)[0]["error"]["type"] == "timeout"
    assert pid not in here.server.replicas()


def test_nothing_runs_twice_because_of_a_drain(bench: Callable[..., Bench]) -> None:
    here = bench()
    ids = [here.submit(seconds=0.002) for _ in range(300)]
    long = here.submit(seconds=600)
    assert here.server.terminate() == 0
    here.server.start_and_wait()
    for each in ids:
        assert here.wait_until_over(each)["status"] == "completed"
        assert len(here.begun(each)) == 1
    here.wait_until_begun(long)
    assert here.server.terminate() == 0
    times = len(here.begun(long))
    here.server.start_and_wait()
    assert until(lambda: here.begun(long)[times:], within=20, wanted="begun again")
    *before, last = [each["ended"] for each in here.attempts(long)]
    assert (set(before), last) == ({"interrupted"}, "running")
    here.post(long, "cancel")
    here.wait_until_over(long)


# ── Checkpoints ─────────────────────────────────────────────────────────────────────────────────


def test_a_checkpoint_outlives_its_replica_and_its_server(bench: Callable[..., Bench]) -> None:
    here = bench()
    workload_id = here.submit(steps=60)
    file = here.folder / f"steps-{workload_id}"

    def steps() -> list[int]:
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    until(lambda: len(steps()) >= 10, within=20, wanted="ten steps")
    os.kill(here.begun(workload_id)[0][1], signal.SIGKILL)
    until(lambda: len(here.begun(workload_id)) == 2, within=20, wanted="a second attempt")
    until(lambda: len(steps()) >= 25, within=20, wanted="more steps")
    here.server.kill()
    here.server.start_and_wait()
    done, attempt = here.wait_until_over(workload_id)["result"]
    assert done >= 24
    assert attempt == len(here.attempts(workload_id)) + 1  # the number that the take-over had is nobody's
    # A step may be done again whose checkpoint was not answered any more; none is left out, none is done a third time.
    assert sorted(set(steps())) == list(range(60))
    assert len(steps()) <= 62
