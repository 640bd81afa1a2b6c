"""`submit`, `get` and `list` against answers written down beforehand: what is sent, printed, and ended with."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback import __version__
from ringback.cli import hoisted, main
from ringback.cli.app import app
from support.canned import Canned
from support.sse import stream_of
from unit.cli.conftest import Run

QUEUED = {"id": "w-1", "status": "in_queue"}
RUNNING = {"id": "w-1", "status": "in_progress", "progress": {"fraction": 0.5, "message": "half"}}
DONE = {"id": "w-1", "status": "completed", "result": {"label": "ä"}, "timestamp": "2026-01-31T12:00:00+00:00"}
FAILED = {"id": "w-1", "status": "failed", "error": {"type": "ValueError", "message": "no petals"}}
SUMMARY = {
    "id": "w-1",
    "status": "failed",
    "attempt": 2,
    "submitted_at": "2026-01-31T12:00:00.123456+00:00",
    "error": {"type": "ValueError", "message": "no petals"},
}
EVENTS = "text/event-stream; charset=utf-8"
API = {"name": "iris", "path": "/iris", "replicas": 1, "starting": 2, "in_queue": 3, "in_progress": 4, "problem": None}


def main_status(*arguments: str) -> int:
    """The exit status of a command whose output goes where it goes."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@contextlib.contextmanager
def terminal() -> Iterator[list[str]]:
    """Standard error is a terminal within the block; what it was shown is there afterwards."""
    shown: list[str] = []
    master, slave = os.openpty()
    try:
        with open(slave, "w") as screen, contextlib.redirect_stderr(screen):  # noqa: PTH123 - a descriptor
            yield shown
        raw = b""
        with contextlib.suppress(OSError):  # which is how a terminal's other side ends
            while more := os.read(master, 65_536):
                raw += more
        shown.append(raw.decode())
    finally:
        os.close(master)


@pytest.fixture(autouse=True)
def at(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_URL", server.url)


# ── submit ──────────────────────────────────────────────────────────────────────────────────────


def test_submit_prints_the_id(run: Run, server: Canned) -> None:
    server.will_say({"id": "w-1"})

    ended = run("submit", "iris", "-d", '{"a": 1}')

    assert (ended.status, ended.out, ended.err) == (0, "w-1\n", "")
    [asked] = server.asked
    assert (asked.line, asked.body) == ("POST /iris", b'{"a": 1}')


def test_submit_for_machines(run: Run, server: Canned) -> None:
    server.will_say({"id": "w-1"})

    assert json.loads(run("submit", "iris", "-d", "1", "--json").out) == {"id": "w-1"}


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        ("{}", "application/json"),
        ("5", "application/json"),
        ('"ä"', "application/json"),
        ("hello", "text/plain; charset=utf-8"),
        ("", "text/plain; charset=utf-8"),
        ("{broken", "text/plain; charset=utf-8"),
        ("NaN", "text/plain; charset=utf-8"),
        ('{"a": -Infinity}', "text/plain; charset=utf-8"),
        ("[" * 100_000, "text/plain; charset=utf-8"),
        ("\udcff\udcfe", "application/octet-stream"),
    ],
    ids=lambda text: text[:10].encode("ascii", "replace").decode(),
)
def test_submit_sends_the_very_bytes_under_the_type_they_have(
    data: str, content_type: str, run: Run, server: Canned
) -> None:
    server.will_say({"id": "w-1"})

    run("submit", "iris", "-d", data)

    [asked] = server.asked
    assert asked.headers["content-type"] == content_type
    assert asked.body == data.encode("utf-8", "surrogateescape")


def test_submit_sends_a_file_or_standard_input(run: Run, server: Canned, folder: Path) -> None:
    server.will_say({"id": "w-1"})
    (folder / "photo.png").write_bytes(b"\x89PNG\x00\xff")

    run("submit", "iris", "-d", "@photo.png")
    CliRunner().invoke(app, ["submit", "iris", "-d", "-"], input=b"\x00\xff", catch_exceptions=False)

    assert [asked.body for asked in server.asked] == [b"\x89PNG\x00\xff", b"\x00\xff"]
    assert {asked.headers["content-type"] for asked in server.asked} == {"application/octet-stream"}


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "no such file or directory"), ("", "is a directory")])
def test_submit_of_a_file_that_cannot_be_read(name: str, reason: str, run: Run, server: Canned) -> None:
    ended = run("submit", "iris", "-d", f"@{name}")

    assert (ended.status, ended.err) == (2, f"ringback: {name} cannot be read: {reason}\n")
    assert server.asked == []


def test_submit_hands_on_id_key_type_and_api_key(run: Run, server: Canned) -> None:
    server.will_say({"id": "mine"})

    run("submit", "iris", "-d", "x", "--id", "mine", "--idempotency-key", "k", "--content-type", "image/png")
    run("submit", "iris", "-d", "x", "--api-key", "secret")

    first, second = server.asked
    assert first.line == "PUT /iris/mine"
    assert (first.headers["idempotency-key"], first.headers["content-type"]) == ("k", "image/png")
    assert "authorization" not in first.headers
    assert second.headers["authorization"] == "Bearer secret"


def test_submit_and_wait_shows_the_end(run: Run, server: Canned) -> None:
    server.will_say({"id": "w-1"}, RUNNING, DONE)

    ended = run("submit", "iris", "-d", "1", "--wait")

    assert (ended.status, ended.err) == (0, "")
    assert ended.out == 'w-1  completed\n{\n  "label": "ä"\n}\n'
    assert [asked.line for asked in server.asked] == ["POST /iris", *["GET /iris/w-1?wait=30"] * 2]


def test_a_wait_that_takes_too_long_is_status_1(run: Run, server: Canned) -> None:
    server.will_say({"id": "w-1"}, QUEUED)

    ended = run("submit", "iris", "-d", "1", "--wait", "--timeout", "0.02")

    assert (ended.status, ended.err) == (1, "ringback: workload w-1 has not ended within 0.02 s\n")


def test_a_person_at_a_terminal_sees_progress_which_is_gone_in_the_end(run: Run, server: Canned) -> None:
    message = "half [/of it]"  # no markup of ours
    server.will_say({"id": "w-1"})
    running = (2, "status", {"status": "in_progress"}), (3, "progress", {"fraction": 0.5, "message": message})
    server.will_send(stream_of((1, "status", {"status": "in_queue"}), *running), EVENTS)
    server.will_send(stream_of((4, "log", {"line": 1, "text": "x"}), (9, "status", {"status": "completed"})), EVENTS)
    server.will_say(DONE)

    with terminal() as seen:
        status = main_status("submit", "iris", "-d", "1", "--wait")

    assert (status, len(seen)) == (0, 1)
    assert "in progress" in seen[0]
    assert message in seen[0]
    assert seen[0].endswith("\x1b[2K")  # the line is wiped
    assert [asked.line for asked in server.asked[1:]] == [*["GET /iris/w-1/events"] * 2, "GET /iris/w-1"]
    assert server.asked[2].headers["last-event-id"] == "3"


def test_a_person_at_a_terminal_is_told_when_time_is_up(run: Run, server: Canned) -> None:
    server.will_say({"id": "w-1"})
    server.will_send(stream_of((1, "status", {"status": "in_queue"})), EVENTS)

    with terminal() as seen:
        status = main_status("submit", "iris", "-d", "1", "--wait", "--timeout", "0.05")

    assert status == 1
    assert "workload w-1 has not ended within 0.05 s" in seen[0]
    assert len(server.asked) < 6


# ── get ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "status", "text"),
    [
        (QUEUED, 0, "w-1  in_queue\n"),
        (RUNNING, 0, "w-1  in_progress  50% half\n"),
        (DONE, 0, 'w-1  completed\n{\n  "label": "ä"\n}\n'),
        (FAILED, 1, "w-1  failed\nValueError: no petals\n"),
    ],
)
def test_get_shows_where_a_workload_stands(
    value: dict[str, object], status: int, text: str, run: Run, server: Canned
) -> None:
    server.will_say(value)

    ended = run("get", "iris", "w-1")
    assert (ended.status, ended.out, ended.err) == (status, text, "")

    ended = run("get", "iris", "w-1", "--json")
    assert (ended.status, json.loads(ended.out)) == (status, value)


def test_get_can_wait(run: Run, server: Canned) -> None:
    server.will_say(QUEUED, FAILED)

    assert run("get", "iris", "w-1", "--wait").status == 1


# ── list ────────────────────────────────────────────────────────────────────────────────────────


def test_list_without_an_api_shows_what_is_served(run: Run, server: Canned) -> None:
    server.will_say({"apis": [API, API | {"name": "other", "problem": "no module"}]})

    assert run("list").out.splitlines() == [
        "api    path   ready  queued  running  problem",
        "iris   /iris  1/3    3       4",
        "other  /iris  1/3    3       4        no module",
    ]
    assert [json.loads(line)["name"] for line in run("list", "--json").out.splitlines()] == ["iris", "other"]


def test_list_says_what_no_server_does(run: Run, server: Canned) -> None:
    server.will_say(
        {
            "apis": [
                API | {"workers": 0, "dispatchers": 0},
                API | {"name": "other", "workers": 0, "dispatchers": 0, "problem": "no module"},
            ]
        }
    )

    assert run("list").out.splitlines()[3:] == [
        "no server runs iris: start one with the worker role and this API in its file",
        "no server sends webhooks: start one with the dispatcher role",
    ]


def test_list_says_that_servers_have_other_files(run: Run, server: Canned) -> None:
    server.will_say(
        {"apis": [API | {"differing": 1}, API | {"name": "other", "differing": 2}, API | {"name": "third"}]}
    )

    advice = "as while a new one is rolled out; if it stays so, give all servers the same"
    assert run("list").out.splitlines()[4:] == [
        f"of iris, 1 other server has another file: {advice}",
        f"of other, 2 other servers have another file: {advice}",
    ]


def test_a_list_of_nothing_is_its_head_alone(run: Run, server: Canned) -> None:
    server.will_say({"apis": []})

    assert run("list").out == "api  path  ready  queued  running  problem\n"


def test_list_shows_workloads_and_how_to_go_on(run: Run, server: Canned) -> None:
    server.will_say({"workloads": [SUMMARY], "cursor": "abc"})

    ended = run("list", "iris", "--status", "failed", "--limit", "1", "--cursor", "x")

    assert server.asked[0].line == "GET /iris?limit=1&status=failed&cursor=x"
    assert ended.out.splitlines() == [
        "id   status  attempt  submitted            error",
        "w-1  failed  2        2026-01-31 12:00:00  ValueError: no petals",
    ]
    assert ended.err == "more: --cursor abc\n"


def test_list_for_machines_is_an_object_a_line_and_tells_how_to_go_on_beside_it(run: Run, server: Canned) -> None:
    server.will_say({"workloads": [SUMMARY, SUMMARY], "cursor": "abc"})

    ended = run("list", "iris", "--json")

    assert [json.loads(line) for line in ended.out.splitlines()] == [SUMMARY, SUMMARY]
    assert ended.err == "more: --cursor abc\n"


def test_an_empty_list_says_so_to_people_and_nothing_to_machines(run: Run, server: Canned) -> None:
    server.will_say({"workloads": [], "cursor": None})

    assert run("list", "iris").out == "no workloads\n"
    assert run("list", "iris", "--json").out == ""


# ── Trouble ─────────────────────────────────────────────────────────────────────────────────────

COMMANDS = [("submit", "iris", "-d", "1"), ("get", "iris", "w-1"), ("list", "iris"), ("list",)]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("how", [(), ("--json",)])
def test_what_the_server_refuses_is_one_line_and_status_1(
    command: tuple[str, ...], how: tuple[str, ...], run: Run, server: Canned
) -> None:
    server.will_refuse(404, "unknown_api", "no API answers at /iris; served are /flowers")

    ended = run(*command, *how)

    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "ringback: no API answers at /iris; served are /flowers\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_is_down_is_named_with_the_cure(command: tuple[str, ...], run: Run) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        ended = run(*command, "--url", url)

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"ringback: no Ringback answers at {url} (")
    assert ended.err.endswith("); start one with `ringback serve`, or name its --url\n")


@pytest.mark.parametrize("url", ["http://[::1", "localhost:8080", "nonsense", ""])
def test_a_url_that_is_none_is_a_wrong_call(url: str, run: Run) -> None:
    ended = run("list", "--url", url)

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"ringback: --url {url!r} is no URL of a server; write for example http://127.0.0.1:8080\n"


def test_another_server_is_told_as_such(run: Run, server: Canned) -> None:
    server.will_say({"hello": "world"})

    for command in COMMANDS:
        ended = run(*command)
        assert (ended.status, ended.out) == (1, "")
        assert "is it another server?" in ended.err


def test_a_key_that_no_header_can_carry(run: Run, server: Canned) -> None:
    ended = run("list", "--api-key", "ключ")

    assert ended.status == 1
    assert "Authorization" in ended.err
    assert server.asked == []


@pytest.mark.parametrize(
    "arguments", [("fly",), ("get", "iris"), ("list", "--limit", "0"), ("submit", "iris"), ("list", "--nope")]
)
def test_a_wrong_call_is_status_2(arguments: tuple[str, ...], run: Run, server: Canned) -> None:
    ended = run(*arguments)

    assert (ended.status, ended.out) == (2, "")
    assert ended.err
    assert server.asked == []


def test_nobody_reading_is_status_1_without_a_word(run: Run, server: Canned) -> None:
    server.will_say({"apis": [API]})
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), open(writer, "w") as nobody, contextlib.redirect_stdout(nobody):  # noqa: PTH123 - a descriptor
        assert main_status("list") == 1


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"ringback {__version__}\n"
    ended = run("--help")
    assert ended.status == 0
    for command in ("init", "check", "serve", "submit", "get", "list"):
        assert f"  {command} " in ended.out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("get iris w --json", "--json get iris w"),
        ("get --url U iris w", "--url U get iris w"),
        ("get iris w --url=U --json", "--url=U --json get iris w"),
        ("list --api-key K", "--api-key K list"),
        ("--api-key K list", "--api-key K list"),
        ("serve --api-key K --api-key=L", "serve --api-key K --api-key=L"),
        ("--api-key K serve", "--api-key K serve"),
        ("submit iris -- --json --url", "submit iris -- --json --url"),
        ("get iris w --url", "--url get iris w"),
        ("", ""),
    ],
)
def test_what_is_common_to_all_commands_may_stand_anywhere(typed: str, meant: str) -> None:
    assert hoisted(typed.split()) == meant.split()
