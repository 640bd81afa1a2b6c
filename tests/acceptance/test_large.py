"""Large payloads and results through the real command: streamed, resumed, killed half-way, on a disk and on S3."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from ringback.core.clock import SECOND, Instant, SystemClock, after
from ringback.core.links import signed_link
from support.catcher import Catcher
from support.ground import change, is_on_ray, locked, open_store
from support.objects import S3, s3
from support.processes import Server, processes, ringback, serving
from support.served import folder_of
from support.waiting import pause, until

MIB: Final = 1024 * 1024
SIZE: Final = 256 * MIB
GROWTH: Final = 64 * MIB
BYTES: Final = {"Content-Type": "application/octet-stream"}

PREDICTOR: Final = '''
import hashlib
from pathlib import Path


class PythonPredictor:
    """Says what it got, or makes as much as it is asked for."""

    def __init__(self, config):
        pass

    def predict(self, payload, workload):
        if isinstance(payload, dict) and "make" in payload:
            if payload["as"] == "json":
                return "x" * payload["make"]
            made = workload.folder / ("made." + payload["as"])
            with made.open("wb") as file:
                for number in range(payload["make"] >> 20):
                    file.write(bytes([number % 251]) * (1 << 20))
            return made
        digest, size = hashlib.sha256(), 0
        with workload.open() as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
                size += len(piece)
        return {"sha256": digest.hexdigest(), "size": size, "file": workload.file, "in_memory": payload is not None}
'''


@dataclass(slots=True)
class Memory:
    """The most that one process has had resident while it was watched."""

    pid: int
    before: int = 0
    most: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.before = self.most = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join(10)

    @property
    def growth(self) -> int:
        return self.most - self.before

    def _now(self) -> int:
        return next(each.rss_bytes for each in processes() if each.pid == self.pid)

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            with contextlib.suppress(StopIteration):
                self.most = max(self.most, self._now())


def pieces(size: int) -> Iterator[bytes]:
    for number in range(size // MIB):
        yield bytes([number % 251]) * MIB


def sha256(data: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in data:
        digest.update(piece)
    return digest.hexdigest()


def blobs_of(server: Server) -> list[Path]:
    return sorted(server.store.parent.glob("blobs/*/??/*"))


def spooled(server: Server) -> list[str]:
    """What is on its way, by the names of the files."""
    places = (server.store.parent, server.store.parent / "blobs", server.file.parent / ".ringback")
    folders = [place / "spool" for place in places]
    return [name for folder in folders for _, _, names in os.walk(folder) for name in names if name != ".lock"]


def submit(server: Server, payload: Any) -> str:
    answer = requests.post(f"{server.url}/echo", json=payload, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def ended(server: Server, workload_id: str) -> dict[str, Any]:
    state: dict[str, Any] = requests.get(f"{server.url}/echo/{workload_id}?wait=60", timeout=90).json()
    assert state["status"] in {"completed", "failed"}, state
    return state


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., contextlib.AbstractContextManager[Server]]:
    def serve(*options: str, webhook: str | None = None, **more: Any) -> contextlib.AbstractContextManager[Server]:
        file = folder_of(tmp_path / "api", predictor=PREDICTOR, webhook=webhook)
        return serving(file, tmp_path / "store" / "ringback.db", options=options, **more)

    return serve


Serve = Callable[..., contextlib.AbstractContextManager[Server]]


# ── Memory ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.every_engine
def test_a_quarter_of_a_gigabyte_in_and_out_within_64_mib(serve: Serve, say: Callable[[str], None]) -> None:
    with serve("--max-body", "1GiB") as server:
        ended(server, submit(server, {"make": 2 * MIB, "as": "bin"}))  # everything is loaded
        with Memory(server.pid) as memory:
            answer = requests.post(
                f"{server.url}/echo",
                data=pieces(SIZE),
                headers={"Content-Type": "application/octet-stream"},
                timeout=120,
            )
            went_in = ended(server, answer.json()["id"])
            made = submit(server, {"make": SIZE, "as": "mp4"})
            came_out = ended(server, made)
            with requests.get(came_out["result_url"], stream=True, timeout=120) as result:
                digest = sha256(iter(lambda: result.raw.read(MIB), b""))

        say(f"the server grew by {memory.growth / MIB:.1f} MiB for {SIZE // MIB} MiB in and out")
        assert went_in["result"]["size"] == SIZE
        assert went_in["result"]["sha256"] == digest == sha256(pieces(SIZE))
        assert went_in["result"]["in_memory"] is False
        assert is_on_ray() or went_in["result"]["file"] in map(str, blobs_of(server)), "it is read where it lies"
        assert result.headers["content-type"] == "video/mp4"
        assert memory.growth < GROWTH
        assert spooled(server) == []


# ── In pieces ───────────────────────────────────────────────────────────────────────────────────────


def raw(server: Server, method: str, target: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """One request, with nothing between the test and the bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read()


def test_a_download_is_gone_on_with_where_it_broke(serve: Serve) -> None:
    with serve() as server:
        workload_id = submit(server, {"make": 8 * MIB, "as": "bin"})
        ended(server, workload_id)
        target = f"/echo/{workload_id}/result"

        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", target)
        answer = connection.getresponse()
        etag = answer.headers["ETag"]
        begun = answer.read(3 * MIB + 17)
        connection.close()  # in the middle of it
        rest, body = raw(server, "GET", target, Range=f"bytes={len(begun)}-", If_Range=etag)

        assert (rest.status, rest.headers["Content-Range"]) == (206, f"bytes {len(begun)}-{8 * MIB - 1}/{8 * MIB}")
        assert begun + body == b"".join(pieces(8 * MIB))


def test_ranges_over_the_wire(serve: Serve) -> None:
    with serve() as server:
        workload_id = submit(server, {"make": 2 * MIB, "as": "bin"})
        ended(server, workload_id)
        whole, target = b"".join(pieces(2 * MIB)), f"/echo/{workload_id}/result"

        head, nothing = raw(server, "HEAD", target)
        assert (head.status, nothing, head.headers["Content-Length"]) == (200, b"", str(2 * MIB))
        assert head.headers["Accept-Ranges"] == "bytes"
        for text, part in {
            "bytes=0-9": whole[:10],
            "bytes=1048570-1048585": whole[1048570:1048586],
            "bytes=-5": whole[-5:],
            "bytes=2097151-": whole[-1:],
        }.items():
            answer, body = raw(server, "GET", target, Range=text)
            assert (answer.status, body, answer.headers["Content-Length"]) == (206, part, str(len(part)))
        for text in ("bytes=0-1,4-5", "lines=1-2"):
            answer, body = raw(server, "GET", target, Range=text)
            assert (answer.status, len(body), answer.headers["Content-Range"]) == (200, 2 * MIB, None)
        refused, problem = raw(server, "GET", target, Range="bytes=2097152-")
        assert (refused.status, refused.headers["Content-Range"]) == (416, f"bytes */{2 * MIB}")
        assert json.loads(problem)["type"] == "urn:ringback:problem:range_not_satisfiable"
        unchanged, _ = raw(server, "GET", target, If_None_Match=head.headers["ETag"])
        assert unchanged.status == 304
        # The same connection goes on after each of them.
        session = requests.Session()
        for _ in range(3):
            assert session.get(server.url + target, headers={"Range": "bytes=0-0"}, timeout=10).content == whole[:1]


# ── Told ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_webhook_links_to_it_and_the_link_needs_no_key(serve: Serve) -> None:
    with Catcher() as catcher, serve("--api-key", "sesame", webhook=catcher.url, ready=False) as server:
        server.wait_for("/readyz", 200)
        key = {"Authorization": "Bearer sesame"}
        made = requests.post(f"{server.url}/echo", json={"make": 2 * MIB, "as": "png"}, headers=key, timeout=30)

        caught = catcher.wait_for(made.json()["id"])

        assert list(caught.json) == ["id", "status", "result_url", "timestamp"]
        fetched = requests.get(caught.json["result_url"], timeout=30)
        assert (fetched.status_code, fetched.headers["content-type"]) == (200, "image/png")
        assert fetched.content == b"".join(pieces(2 * MIB))
        forged = requests.get(caught.json["result_url"].replace("expires=1", "expires=2"), timeout=30)
        assert forged.status_code == 403
        assert requests.get(f"{server.url}/echo/{made.json()['id']}/result", timeout=30).status_code == 401


def signing_key(server: Server) -> bytes:
    """What the store signs its links with."""

    async def read() -> bytes:
        member = await open_store(server.store)
        try:
            return member.link_key
        finally:
            await member.close()

    return asyncio.run(read())


def test_a_link_holds_for_a_week_and_then_no_longer(serve: Serve) -> None:
    week, now = 7 * 86_400, SystemClock().now
    with serve() as server:
        made = submit(server, {"make": 2 * MIB, "as": "bin"})
        before = now() // SECOND
        link = ended(server, made)["result_url"]
        expires = int(parse_qs(urlsplit(link).query)["expires"][0])
        assert before + week <= expires <= now() // SECOND + week

        # The same link at other times of its life: the store's own key stands for the days that do not pass here.
        signed = partial(signed_link, server.url, f"/-/results/echo/{made}", signing_key(server))
        assert signed(Instant(expires * SECOND)) == link
        assert requests.get(link, timeout=30).content == b"".join(pieces(2 * MIB))
        last = signed(after(now(), 3.0))
        until(lambda: requests.get(last, timeout=30).status_code == 403, within=20, wanted="a link that ends")
        assert now() // SECOND >= int(parse_qs(urlsplit(last).query)["expires"][0])
        refused = requests.get(last, timeout=30)
        assert refused.json()["type"] == "urn:ringback:problem:link_refused"
        assert "has expired" in refused.json()["detail"]
        assert requests.get(link, timeout=30).status_code == 200


def test_the_command_line_sends_and_saves_files(serve: Serve, tmp_path: Path) -> None:
    sent, saved = tmp_path / "big.mp4", tmp_path / "saved.bin"
    sent.write_bytes(b"".join(pieces(9 * MIB)))
    with serve() as server:
        told = json.loads(server.ringback("submit", "echo", "-d", f"@{sent}", "--wait", "--json"))
        made = submit(server, {"make": 2 * MIB, "as": "bin"})
        shown = server.ringback("get", "echo", made, "--wait")
        server.ringback("get", "echo", made, "-o", str(saved))

        assert told["result"]["sha256"] == sha256(pieces(9 * MIB))
        assert f"ringback get echo {made} -o FILE" in shown
        assert saved.read_bytes() == b"".join(pieces(2 * MIB))
        refused = ringback("get", "echo", made, "-o", str(tmp_path / "no" / "where"), "--url", server.url)
        assert (refused.returncode, "cannot be written" in refused.stderr) == (2, True)


# ── Trouble ─────────────────────────────────────────────────────────────────────────────────────────


def test_killed_between_a_payload_and_its_row(serve: Serve) -> None:
    """What was not acknowledged is a stray at worst; what was, is there."""
    with serve() as server:
        kept = requests.put(f"{server.url}/echo/kept", data=b"".join(pieces(3 * MIB)), headers=BYTES, timeout=30)
        assert kept.status_code == 200
        before = blobs_of(server)
        with locked(server.store):
            hung = threading.Thread(target=_put_and_be_cut_off, args=(server, "cut-off"), daemon=True)
            hung.start()
            until(lambda: len(blobs_of(server)) > len(before), within=20, wanted="the blob, without its row")
            server.kill()
        hung.join(20)
        server.start_and_wait()

        assert requests.get(f"{server.url}/echo/cut-off", timeout=30).status_code == 404
        assert ended(server, "kept")["result"]["sha256"] == sha256(pieces(3 * MIB))
        assert spooled(server) == []
        [stray] = set(blobs_of(server)) - set(before)
        again = requests.put(f"{server.url}/echo/cut-off", data=b"".join(pieces(3 * MIB)), headers=BYTES, timeout=30)
        assert again.status_code == 200
        assert ended(server, "cut-off")["result"]["size"] == 3 * MIB
        assert stray in blobs_of(server)  # too young to be swept

        assert server.terminate() == 0
        mine = set(blobs_of(server)) - {stray}
        let_pass(server, days=1.1)
        server.start_and_wait()
        until(lambda: not stray.exists(), within=20, wanted="the stray swept")
        metrics = requests.get(f"{server.url}/metrics", timeout=10).text
        assert 'ringback_blobs_removed_total{why="stray"} 1.0' in metrics.splitlines()
        assert set(blobs_of(server)) == mine, "those that have rows stay, however old"
        assert ended(server, "kept")["result"]["sha256"] == sha256(pieces(3 * MIB))


def let_pass(server: Server, *, days: float) -> None:
    """Everything in the store of a server that is down is so much older when it comes back."""
    statement = f"UPDATE timelines SET origin = origin + {round(days * 86_400 * SECOND)}"
    change(server.store, sqlite=statement, postgresql=statement)


def _put_and_be_cut_off(server: Server, workload_id: str) -> None:
    with pytest.raises(requests.RequestException):
        requests.put(f"{server.url}/echo/{workload_id}", data=b"".join(pieces(3 * MIB)), headers=BYTES, timeout=30)


def test_killed_between_a_result_and_its_row(serve: Serve) -> None:
    with serve() as server:
        workload_id = submit(server, {"make": 0, "as": "bin"})
        ended(server, workload_id)
        before = blobs_of(server)
        workload_id = submit(server, {"make": 64 * MIB, "as": "bin"})
        until(lambda: _status(server, workload_id) == "in_progress", within=20, wanted="a workload that runs")
        with locked(server.store):
            until(lambda: len(blobs_of(server)) > len(before), within=30, wanted="the blob, without its row")
            assert _status(server, workload_id) == "in_progress"
            server.kill()
        server.start_and_wait()

        state = ended(server, workload_id)  # run once more, by whoever takes over
        assert requests.get(state["result_url"], timeout=60).content == b"".join(pieces(64 * MIB))
        assert spooled(server) == []
        assert len(blobs_of(server)) == len(before) + 2  # one of them a stray


def _status(server: Server, workload_id: str) -> str:
    return str(requests.get(f"{server.url}/echo/{workload_id}", timeout=30).json()["status"])


def test_killed_at_any_moment_of_an_upload(serve: Serve) -> None:
    with serve() as server:
        for number in range(6):
            names = [f"w{number}-{each}" for each in range(4)]
            threads = [threading.Thread(target=_try_to_put, args=(server, name), daemon=True) for name in names]
            for thread in threads:
                thread.start()
            pause(0.02 + 0.03 * number)
            server.kill()
            for thread in threads:
                thread.join(20)
            server.start_and_wait()
            assert spooled(server) == []
            for name in names:
                if requests.get(f"{server.url}/echo/{name}", timeout=30).status_code == 200:
                    assert ended(server, name)["result"]["sha256"] == sha256(pieces(4 * MIB))
                else:
                    assert name not in ACKNOWLEDGED


ACKNOWLEDGED: Final[set[str]] = set()


def _try_to_put(server: Server, name: str) -> None:
    with contextlib.suppress(requests.RequestException):
        answer = requests.put(f"{server.url}/echo/{name}", data=pieces(4 * MIB), headers=BYTES, timeout=30)
        if answer.status_code == 200:
            ACKNOWLEDGED.add(name)


def test_a_full_disk_refuses_what_is_large_and_loses_nothing(serve: Serve) -> None:
    with serve() as server:
        [replica] = server.wait_for_replicas()
        for pid in (server.pid, replica):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (6 * MIB, resource.RLIM_INFINITY))

        refused = requests.post(f"{server.url}/echo", data=pieces(8 * MIB), headers=BYTES, timeout=30)
        made = submit(server, {"make": 8 * MIB, "as": "json"})
        until(lambda: "cannot be kept yet" in server.log(), within=20, wanted="a result that waits for room")

        assert (refused.status_code, refused.json()["type"]) == (503, "urn:ringback:problem:store_full")
        assert int(refused.headers["retry-after"]) > 0
        assert blobs_of(server) == []
        assert _status(server, made) == "in_progress"

        for pid in (server.pid, replica):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert requests.get(ended(server, made)["result_url"], timeout=30).content == b'"' + b"x" * 8 * MIB + b'"'


# ── S3 ──────────────────────────────────────────────────────────────────────────────────────────────


def test_on_s3(serve: Serve, moto: S3, tmp_path: Path, say: Callable[[str], None]) -> None:
    size, room = 48 * MIB, tmp_path.name
    limits = ("--max-body", "1GiB", "--file-threshold", "16MiB")
    with serve(*limits, "--blobs", f"s3://ringback/{room}", env=moto.env) as server:
        ended(server, submit(server, {"make": 6 * MIB, "as": "bin"}))
        with Memory(server.pid) as memory:
            answer = requests.post(f"{server.url}/echo", data=pieces(size), headers=BYTES, timeout=120)
            went_in = ended(server, answer.json()["id"])["result"]
            came_out = ended(server, submit(server, {"make": size, "as": "mp4"}))
            whole = requests.get(came_out["result_url"], timeout=120)
        part = requests.get(came_out["result_url"], headers={"Range": "bytes=9000000-9000009"}, timeout=60)

        say(f"the server grew by {memory.growth / MIB:.1f} MiB for {size // MIB} MiB in and out of S3")
        assert (went_in["size"], went_in["sha256"]) == (size, sha256(pieces(size)))
        assert went_in["in_memory"] is False
        assert not Path(went_in["file"]).exists()
        assert whole.content == b"".join(pieces(size))
        assert (part.status_code, part.content) == (206, whole.content[9_000_000:9_000_010])
        assert memory.growth < GROWTH
        assert len(moto.names(room)) == 3
        assert blobs_of(server) == []
        assert spooled(server) == []


def test_s3_that_goes_and_comes_back(serve: Serve) -> None:
    with contextlib.ExitStack() as running:
        store = running.enter_context(s3())
        with serve("--blobs", "s3://ringback/room", env=store.env) as server:
            ended(server, submit(server, {"make": 2 * MIB, "as": "bin"}))
            running.close()

            refused = requests.post(f"{server.url}/echo", data=pieces(4 * MIB), headers=BYTES, timeout=60)
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:ringback:problem:blobs_unavailable")
            made = submit(server, {"make": 6 * MIB, "as": "bin"})
            until(lambda: "store.fault" in server.log(), within=60, wanted="a result that waits for S3")
            assert _status(server, made) == "in_progress"

            with s3(port=int(store.url.rpartition(":")[2])):
                state = ended(server, made)
                assert requests.get(state["result_url"], timeout=60).content == b"".join(pieces(6 * MIB))
            assert spooled(server) == []


def test_a_place_that_makes_no_sense_is_said_at_once(tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=PREDICTOR)

    for place, words in {
        "ftp://x": "is no place for blobs",
        "file://x": "names no folder",
        "s3://": "names no bucket",
    }.items():
        refused = ringback("serve", str(file), "--blobs", place)
        assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr
    (tmp_path / "taken").write_text("a file")
    refused = ringback("serve", str(file), "--port", "0", env={"RINGBACK_BLOBS": str(tmp_path / "taken")})
    assert (refused.returncode, "cannot be made" in refused.stderr) == (1, True), refused.stderr


def test_a_bucket_that_refuses_is_told_at_the_start_with_the_cure(moto: S3, tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", predictor=PREDICTOR)
    for store, place, words in (
        (moto, "s3://no-such-bucket/room", "make it, or name another with --blobs"),
        (None, "s3://ringback/room", "does not exist in our records): see to the credentials in the server's"),
    ):
        with contextlib.ExitStack() as running:
            asked = store or running.enter_context(s3(knows_nobody=True))
            refused = ringback("serve", str(file), "--port", "0", "--blobs", place, env=asked.env)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"ringback: {place} cannot be used: "), refused.stderr
        assert (words in refused.stderr, len(refused.stderr.splitlines())) == (True, 1), refused.stderr


def test_a_server_starts_while_its_bucket_cannot_be_reached_and_says_so(serve: Serve) -> None:
    with s3() as store:
        env = store.env
    with serve("--blobs", "s3://ringback/room", env=env) as server:
        assert "blobs.away" in server.log()
        assert server.wait_for("/readyz", 200).json()["ready"]


def test_two_stores_in_one_place_leave_each_other_alone(serve: Serve, tmp_path: Path) -> None:
    place = str(tmp_path / "shared")
    file = folder_of(tmp_path / "api", predictor=PREDICTOR)
    with (
        serving(file, tmp_path / "one" / "r.db", options=("--blobs", place)) as one,
        serving(file, tmp_path / "two" / "r.db", options=("--blobs", place)) as two,
    ):
        ids = [submit(each, {"make": 2 * MIB, "as": "bin"}) for each in (one, two)]
        links = [ended(each, workload_id)["result_url"] for each, workload_id in zip((one, two), ids, strict=True)]

        assert len({each.parents[1] for each in Path(place).glob("[!s]*/??/*")}) == 2
        assert [len(requests.get(each, timeout=30).content) for each in links] == [2 * MIB] * 2
