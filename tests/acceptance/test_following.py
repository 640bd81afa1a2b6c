"""A workload followed through the real command: live, across kill -9, from another server, in a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
import requests

from support.ground import size_bytes
from support.processes import RINGBACK, Server, processes, serving
from support.served import file_of, folder_of
from support.sse import Follower, Sent, sent, text_of
from support.waiting import until

pytestmark = pytest.mark.every_engine

STEPS = '''
import os, pathlib, time

HERE = pathlib.Path(__file__).parent


class PythonPredictor:
    """Counts, saying so in every way there is; the second half only once it is let."""

    def __init__(self, config):
        pass

    def predict(self, payload, workload):
        for number in range(payload):
            print(f"attempt {workload.attempt} step {number}", flush=True)
            os.write(2, b"on the other stream\\n")
            workload.progress((number + 1) / payload, f"step {number}")
            yield {"step": number, "attempt": workload.attempt}
            while number == payload // 2 and not (HERE / "go").exists():
                time.sleep(0.005)
            time.sleep(0.002)
'''

TIMES = """
import time


class PythonPredictor:
    def predict(self, payload):
        for _ in range(40):
            print(time.time(), flush=True)
            time.sleep(0.06)
"""

NOISY = """
class PythonPredictor:
    def predict(self, payload):
        for number in range(payload):
            print(f"{number} of very many lines that nobody will ever read to their end")
        return payload
"""

QUICK = """
class PythonPredictor:
    def predict(self, payload):
        return payload
"""


def submitted(server: Server, api: str, payload: object) -> str:
    answer = requests.post(f"{server.url}/{api}", json=payload, timeout=10)
    assert answer.status_code == 200, answer.text
    workload_id: str = answer.json()["id"]
    return workload_id


def whole(server: Server, path: str) -> list[Sent]:
    return sent(requests.get(server.url + path, timeout=10).content)


def must_be_in_order(events: list[Sent]) -> None:
    ids = [each.id for each in events]
    assert ids == sorted(set(ids)), "an event came twice, or out of its order"


# ── Across deaths ───────────────────────────────────────────────────────────────────────────────


def test_a_stream_goes_on_over_a_kill_without_loss_or_repetition(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=STEPS)
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        workload_id = submitted(server, "echo", 60)
        path = f"/echo/{workload_id}/events"
        follower = Follower(server.url, path=path)
        followed = tmp_path / "followed.txt"
        with followed.open("w") as output:
            logs = subprocess.Popen([RINGBACK, "--url", server.url, "logs", "echo", workload_id, "-f"], stdout=output)
        until(followed.read_text, within=20, wanted="a first line of the log")
        follower.wait_for(
            lambda events: any(each.name == "output" and each.data["output"]["step"] == 30 for each in events),
            within=30,
            wanted="half of its outputs",
        )
        server.kill()
        server.start_and_wait()
        (tmp_path / "api" / "go").touch()
        events = follower.join(within=60)
        assert logs.wait(30) == 0
        stored, text = whole(server, path), requests.get(f"{server.url}/echo/{workload_id}/logs", timeout=10).text
        last_seen = requests.get(server.url + path, headers={"Last-Event-ID": str(stored[-1].id)}, timeout=10)
        assert (last_seen.status_code, last_seen.text) == (204, ""), "there is nothing more to come"
        strange = requests.get(server.url + path, headers={"Last-Event-ID": "yesterday"}, timeout=10)
        assert strange.status_code == 400

    assert follower.connections >= 2
    must_be_in_order(events)
    assert events == stored
    statuses = [each.data for each in events if each.name == "status"]
    assert [each["status"] for each in statuses] == ["in_queue", "in_progress", "in_queue", "in_progress", "completed"]
    assert statuses[2]["error"]["type"] == "replica_lost"
    # What the killed attempt said up to then is there, and all that the one after it said.
    first, last = events[1].data["attempt"], events[-1].data["attempt"]
    assert first < last
    outputs = [each.data for each in events if each.name == "output"]
    assert [each["index"] for each in outputs if each["attempt"] == first] == list(range(31))
    assert [each["index"] for each in outputs if each["attempt"] == last] == list(range(60))
    assert text_of(events).count(f"attempt {first} step ") == 31
    assert text_of(events).count(f"attempt {last} step ") == 60
    assert followed.read_text() == text
    assert f"── attempt {last} ──\n" in text
    assert text.replace(f"── attempt {last} ──\n", "") == text_of(events)


def test_any_server_on_the_store_tells_the_same_and_goes_on_when_the_other_dies(tmp_path: Path) -> None:
    file, store = folder_of(tmp_path / "api", predictor=STEPS), tmp_path / "store" / "ringback.db"
    with serving(file, store) as one:
        workload_id = submitted(one, "echo", 60)
        path = f"/echo/{workload_id}/events"
        with serving(file, store) as other:
            here, there = Follower(one.url, other.url, path=path), Follower(other.url, path=path)
            for each in (here, there):
                each.wait_for(
                    lambda events: text_of(events).count("step 30\n") == 1, within=30, wanted="half of what it says"
                )
            one.kill()
            (tmp_path / "api" / "go").touch()
            events = there.join(within=60)
            assert here.join(within=60) == events == whole(other, path)
            assert there.connections == 1, "nothing broke for whoever follows at the other server"
    must_be_in_order(events)
    assert events[-1].status == "completed"


# ── Live ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.alone
def test_words_arrive_while_they_are_fresh(tmp_path: Path, say: Callable[[str], None]) -> None:
    file, store = folder_of(tmp_path / "api", predictor=TIMES), tmp_path / "store" / "ringback.db"
    with serving(file, store) as one, serving(file, store) as other:
        workload_id = submitted(one, "echo", 0)
        followers = {"the same server": one, "another server": other}
        late: dict[str, float] = {}
        running = {name: Follower(each.url, path=f"/echo/{workload_id}/events") for name, each in followers.items()}
        for name, follower in running.items():
            events = follower.join(within=60)
            said = [(at, each) for at, each in zip(follower.arrived, events, strict=True) if each.name == "log"]
            ages = [at - float(line) for at, each in said for line in re.findall(r"\d+\.\d+", each.data["text"])[-1:]]
            late[name] = median(ages)
    say(", ".join(f"{1_000 * seconds:.0f} ms to a reader at {name}" for name, seconds in late.items()))
    assert min(late.values()) < 0.25
    assert max(late.values()) < 1.0


def test_a_terminal_shows_the_bar_with_predicts_own_words(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=STEPS)
    (tmp_path / "api" / "go").touch()
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        ours, screen = pty.openpty()
        command = [RINGBACK, "--url", server.url, "submit", "echo", "-d", "150", "--wait"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=screen, text=True) as submitting:
            os.close(screen)
            shown = b""
            try:
                while more := os.read(ours, 65_536):
                    shown += more
            except OSError:  # which is how a terminal's other side ends
                pass
            out, _ = submitting.communicate(timeout=30)
        os.close(ours)
    assert submitting.returncode == 0
    assert len(set(re.findall(rb"step \d+", shown))) > 3
    assert b"in progress" in shown
    assert out.splitlines()[0].endswith("  completed")


def test_what_predict_prints_stands_in_the_servers_log_with_its_name(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=STEPS)
    (tmp_path / "api" / "go").touch()
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        workload_id = submitted(server, "echo", 2)
        requests.get(f"{server.url}/echo/{workload_id}?wait=30", timeout=40)
        lines = [line[24:] for line in server.log().splitlines() if workload_id in line]
    said = ["attempt 1 step 0", "on the other stream", "attempt 1 step 1", "on the other stream"]
    assert lines == [f"echo/1 {workload_id}: {each}" for each in said]


def test_in_a_log_of_json_every_line_of_a_replica_is_an_object_too(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor='print("loading")\n' + STEPS)
    (tmp_path / "api" / "go").touch()
    options = ["--log-format", "json", "--log-level", "debug"]
    with serving(file, tmp_path / "store" / "ringback.db", options=options) as server:
        workload_id = submitted(server, "echo", 2)
        requests.get(f"{server.url}/echo/{workload_id}?wait=30", timeout=40)
        broken = requests.post(f"{server.url}/echo", json="no number", timeout=10).json()["id"]
        requests.get(f"{server.url}/echo/{broken}?wait=30", timeout=40)
        server.terminate()
    lines = server.log().splitlines()
    banner = next(number for number, line in enumerate(lines) if line.startswith("Try it:"))
    first = next(number for number, line in enumerate(lines) if number > banner and line.startswith("{"))
    facts = [json.loads(line) for line in lines[first:]]
    assert {"replica.ready", "workload.finished", "replica.said"} <= {each["fact"] for each in facts}
    said = [each for each in facts if each["fact"] == "replica.said"]
    assert [each["text"] for each in said if each["workload"] is None] == ["loading"]
    assert [each["text"] for each in said if each["workload"] == workload_id] == [
        "attempt 1 step 0",
        "on the other stream",
        "attempt 1 step 1",
        "on the other stream",
    ]
    assert "Traceback (most recent call last):" in [each["text"] for each in said if each["workload"] == broken]
    assert {(each["api"], each["replica"]) for each in said} == {("echo", 1)}


# ── Very much ───────────────────────────────────────────────────────────────────────────────────


def resident(pid: int) -> int:
    return next(each.rss_bytes for each in processes() if each.pid == pid)


@pytest.mark.timeout(240)
def test_a_million_lines_slow_nobody_and_fill_nothing(tmp_path: Path, say: Callable[[str], None]) -> None:
    folder = tmp_path / "api"
    folder.mkdir()
    (folder / "noisy.py").write_text(NOISY)
    (folder / "quick.py").write_text(QUICK)
    file = file_of(
        folder,
        {"name": "noisy", "predictor": {"path": "noisy.py"}},
        {"name": "quick", "predictor": {"path": "quick.py"}},
    )
    many = 1_000_000

    def took(server: Server) -> float:
        began = time.perf_counter()
        answer = requests.post(f"{server.url}/quick", json=1, headers={"Prefer": "wait=30"}, timeout=40)
        assert answer.json()["status"] == "completed"
        return time.perf_counter() - began

    with serving(file, tmp_path / "store" / "ringback.db") as server:
        alone = median(took(server) for _ in range(50))
        before = resident(server.pid)
        began = time.perf_counter()
        noisy = submitted(server, "noisy", many)
        beside, most = [], before
        while requests.get(f"{server.url}/noisy/{noisy}", timeout=10).json()["status"] != "completed":
            beside.append(took(server))
            most = max(most, resident(server.pid))
        seconds = time.perf_counter() - began
        log = requests.get(f"{server.url}/noisy/{noisy}/logs", timeout=10).text
        store = size_bytes(server.store)
    grown = most - before
    say(
        f"{many:,} lines in {seconds:.1f} s; a quick workload took {1_000 * median(beside):.1f} ms beside it and "
        f"{1_000 * alone:.1f} ms alone; the server grew by {grown / 2**20:.1f} MB, its store is {store / 2**20:.1f} MB"
    )
    lines = [line for line in log.splitlines() if not line.startswith("…")]
    numbers = [int(line.split()[0]) for line in lines if line.endswith(" to their end")]
    left_out = sum(int(found) for found in re.findall(r"^… (\d+) lines left out$", log, re.MULTILINE))
    assert len(lines) + left_out == many
    assert numbers[:5_000] == list(range(5_000))
    assert numbers[-900:] == list(range(many - 900, many))
    assert len(log) < 1_200_000
    assert server.log().count(" of very many lines ") == many, "all of it stands in the server's own log"
    assert grown < 32 * 2**20
    assert median(beside) < alone * 10 + 0.05, "the noise is the replica's own affair"


# ── Readers ─────────────────────────────────────────────────────────────────────────────────────


def test_readers_that_take_nothing_harm_nobody(tmp_path: Path) -> None:
    """Two hundred stalled streams of a talkative workload: the server stays small, others are served."""
    file = folder_of(tmp_path / "api", predictor=NOISY)
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        workload_id = submitted(server, "echo", 20_000)
        requests.get(f"{server.url}/echo/{workload_id}?wait=30", timeout=40)
        before = resident(server.pid)
        request = f"GET /echo/{workload_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with contextlib.ExitStack() as stalled:
            for _ in range(200):
                reader = stalled.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                reader.sendall(request)
            began = time.perf_counter()
            again = submitted(server, "echo", 10)
            answer = requests.get(f"{server.url}/echo/{again}?wait=30", timeout=40).json()
            assert answer["status"] == "completed"
            assert time.perf_counter() - began < 5
            assert len(whole(server, f"/echo/{workload_id}/events")) > 5
            assert resident(server.pid) - before < 200 * 512 * 1024
            os.kill(server.pid, signal.SIGTERM)
            assert server.wait_for_end(within=15) == 0, "nor do they hold up its end"


def test_those_who_follow_are_let_go_when_the_server_stops(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=STEPS)
    with serving(file, tmp_path / "store" / "ringback.db", options=["--grace", "1s"]) as server:
        workload_id = submitted(server, "echo", 10)
        follower = Follower(server.url, path=f"/echo/{workload_id}/events")
        follower.wait_for(lambda events: "step 5\n" in text_of(events), within=20, wanted="half of it")
        began = time.perf_counter()
        assert server.terminate() == 0
        assert time.perf_counter() - began < 10
        (tmp_path / "api" / "go").touch()
        server.start_and_wait()
        events = follower.join(within=30)
        must_be_in_order(events)
        assert events == whole(server, f"/echo/{workload_id}/events")
        told = json.loads(server.ringback("--json", "get", "echo", workload_id))
    assert told["status"] == "completed"
    until(lambda: follower.connections >= 2, within=1, wanted="a second connection")
