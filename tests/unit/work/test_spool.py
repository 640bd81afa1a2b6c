"""What is too large for a frame, at the child's side: payloads that are files, results that become some."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from ringback.work.child import wire
from ringback.work.child.calling import Call
from ringback.work.child.context import Workload
from ringback.work.child.spool import Spool
from ringback.work.child.wire import Frames, Kind, Work
from support.waiting import pause

THRESHOLD = 100
WORK = Work(
    number=7, attempt=1, timeout=60.0, id="w1", content_type="application/json", headers=b"{}", payload=b'{"n": 1}'
)


def answer_of(
    predict: Callable[..., Any], folder: Path | None, *, work: Work = WORK, as_task: bool = False
) -> tuple[Kind, Any]:
    """Kind and body of the frame that is answered with."""
    call = Call(
        api="iris",
        predict=predict,
        names=frozenset({"payload", "workload"}),
        send=lambda _: None,
        cancelled=lambda _: False,
        spool=Spool(None if folder is None else str(folder), THRESHOLD),
    )
    if as_task:
        frame = asyncio.run(call.run_task(work))
    else:
        with asyncio.Runner() as runner:
            frame = call.run(work, lambda _, awaited: runner.run(awaited))
    [(kind, body)] = Frames().feed(frame)
    number, text = wire.read_numbered(body)
    assert number == 7
    return kind, json.loads(text)


def stored(predict: Callable[..., Any], folder: Path, **more: Any) -> tuple[str, bytes]:
    """Type and bytes of what the answer says is in the folder, where nothing else is left."""
    kind, told = answer_of(predict, folder, **more)
    assert (kind, told["name"]) == (Kind.STORED, "result-7"), told
    assert [each.name for each in folder.iterdir()] == ["result-7"]
    return told["type"], (folder / told["name"]).read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


# ── Payloads ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content_type", "data", "given"),
    [
        ("application/json", b'[1, "x"]', [1, "x"]),
        ("text/plain; charset=latin-1", b"\xfc", "ü"),
        ("image/png", b"\x89PNG", b"\x89PNG"),
    ],
)
def test_a_payload_in_a_file_is_given_in_memory_as_any_other(
    tmp_path: Path, folder: Path, content_type: str, data: bytes, given: object
) -> None:
    file = tmp_path / "payload"
    file.write_bytes(data)
    work = replace(WORK, payload=b"", content_type=content_type, file=str(file))
    seen: list[object] = []

    def predict(payload: Any, workload: Workload) -> None:
        with workload.open() as opened:
            seen.extend((payload, workload.file, opened.read()))

    assert answer_of(predict, folder, work=work) == (Kind.DONE, None)
    assert seen == [given, None, data]


def test_one_that_is_too_large_for_memory_is_a_path(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(b"no json at all")
    work = replace(WORK, payload=b"", file=str(file), in_memory=False)
    seen: list[object] = []

    def predict(payload: Any, workload: Workload) -> None:
        with workload.open() as opened:
            seen.extend((payload, workload.file, opened.read()))

    assert answer_of(predict, folder, work=work) == (Kind.DONE, None)
    assert seen == [None, str(file), b"no json at all"]


def test_a_small_payload_can_be_opened_too(folder: Path) -> None:
    assert answer_of(lambda payload, workload: workload.open().read().decode(), folder) == (Kind.DONE, '{"n": 1}')


def test_a_file_that_is_not_there_is_a_failure_that_says_so(folder: Path) -> None:
    kind, told = answer_of(lambda payload, workload: 1, folder, work=replace(WORK, file="/nowhere/payload"))

    assert (kind, told["type"]) == (Kind.FAILED, "FileNotFoundError")


def test_where_the_payload_is_goes_before_the_work() -> None:
    work = replace(WORK, payload=b"", file="/x/ü", in_memory=False)

    (first, said), (second, body) = Frames().feed(
        wire.file_frame(Path("/x/ü"), in_memory=False) + wire.work_frame(work)
    )

    assert (first, second) == (Kind.FILE, Kind.WORK)
    assert wire.with_file(wire.read_work(body), said) == work


# ── JSON over the threshold ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("as_task", [True, False])
def test_a_large_value_goes_into_a_file(folder: Path, as_task: bool) -> None:
    assert answer_of(lambda payload, workload: "x" * 98, folder, as_task=as_task) == (Kind.DONE, "x" * 98)
    kind, data = stored(lambda payload, workload: "ü" * 99, folder, as_task=as_task)
    assert (kind, data) == ("application/json", ('"' + "ü" * 99 + '"').encode())


@pytest.mark.parametrize("as_task", [True, False])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 500])
def test_what_a_generator_yields_goes_there_when_it_becomes_too_much(tmp_path: Path, count: int, as_task: bool) -> None:
    def predict(payload: Any, workload: Workload) -> Iterator[str]:
        yield from ("x" * 7 for _ in range(count))

    async def predict_async(payload: Any, workload: Workload) -> AsyncIterator[str]:
        for _ in range(count):
            yield "x" * 7

    for number, each in enumerate((predict, predict_async)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if count <= 9:
            assert answer_of(each, folder, as_task=as_task) == (Kind.DONE, ["x" * 7] * count)
        else:
            kind, data = stored(each, folder, as_task=as_task)
            assert (kind, json.loads(data)) == ("application/json", ["x" * 7] * count)


def test_a_generator_that_raises_leaves_no_file(folder: Path) -> None:
    def predict(payload: Any, workload: Workload) -> Iterator[str]:
        yield "x" * 200
        raise LookupError("half way")

    kind, told = answer_of(predict, folder)

    assert (kind, told["type"]) == (Kind.FAILED, "LookupError")
    assert list(folder.iterdir()) == []


def test_without_a_folder_everything_has_to_fit_a_frame() -> None:
    assert answer_of(lambda payload, workload: "x" * 500, None) == (Kind.DONE, "x" * 500)
    kind, told = answer_of(lambda payload, workload: Path(__file__), None)
    assert (kind, told["type"]) == (Kind.FAILED, "result_not_serializable")


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("as_task", [True, False])
@pytest.mark.parametrize(
    ("name", "kind"),
    [("clip.mp4", "video/mp4"), ("table.csv", "text/csv"), ("what", "application/octet-stream")],
)
def test_a_path_is_the_file_it_leads_to(tmp_path: Path, folder: Path, name: str, kind: str, as_task: bool) -> None:
    made = tmp_path / name
    made.write_bytes(b"abc" * 1_000)

    assert stored(lambda payload, workload: made, folder, as_task=as_task) == (kind, b"abc" * 1_000)
    assert made.read_bytes() == b"abc" * 1_000  # the user's own file stays


def test_a_file_open_for_reading_is_what_is_left_to_read(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"12345")
    opened: list[IO[bytes]] = []

    def predict(payload: Any, workload: Workload) -> IO[bytes]:
        opened.append((tmp_path / "a.png").open("rb"))
        opened[0].seek(2)
        return opened[0]

    assert stored(predict, folder) == ("image/png", b"345")
    assert opened[0].closed


@pytest.mark.parametrize(
    ("source", "kind", "told"),
    [
        (b"bytes", "application/pdf", "application/pdf"),
        (b"bytes", None, "application/octet-stream"),
        (bytearray(b"bytes"), None, "application/octet-stream"),
        (io.BytesIO(b"bytes"), "text/html; charset=utf-8", "text/html; charset=utf-8"),
    ],
)
def test_what_is_said_to_be_a_file(folder: Path, source: Any, kind: str | None, told: str) -> None:
    assert stored(lambda payload, workload: workload.result_from(source, kind), folder) == (told, b"bytes")


def test_what_is_no_file_or_no_type_is_said_where_it_is_wrong(folder: Path) -> None:
    for source, kind, error in (
        (17, "image/png", "a result is made from a path, bytes or an open file, not int"),
        (b"bytes", "png", "'png' is no content type; write for example image/png"),
        (b"bytes", "a/b\r\nSet-Cookie: x", "is no content type"),
    ):
        answered, told = answer_of(lambda payload, workload, it=source, of=kind: workload.result_from(it, of), folder)  # type: ignore[misc] # bound now
        assert (answered, error in told["message"]) == (Kind.FAILED, True), told


def test_a_path_as_text_when_it_is_said_to_be_one(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "a.svg").write_bytes(b"<svg/>")

    assert stored(lambda payload, workload: workload.result_from(str(tmp_path / "a.svg")), folder) == (
        "image/svg+xml",
        b"<svg/>",
    )
    assert answer_of(lambda payload, workload: str(tmp_path / "b.svg"), folder)[0] is Kind.DONE  # text is JSON


def test_a_file_made_in_the_works_own_folder_is_moved(folder: Path) -> None:
    made: list[int] = []

    def predict(payload: Any, workload: Workload) -> Path:
        assert workload.folder == workload.folder
        assert workload.folder.parent == folder
        (workload.folder / "other").write_bytes(b"x")
        (workload.folder / "clip.mp4").write_bytes(b"abc")
        made.append((workload.folder / "clip.mp4").stat().st_ino)
        return workload.folder / "clip.mp4"

    assert stored(predict, folder) == ("video/mp4", b"abc")
    assert (folder / "result-7").stat().st_ino == made[0]


def test_a_link_in_that_folder_is_not(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine").write_bytes(b"abc")

    def predict(payload: Any, workload: Workload) -> Path:
        (workload.folder / "link").symlink_to(tmp_path / "mine")
        return workload.folder / "link"

    assert stored(predict, folder) == ("application/octet-stream", b"abc")
    assert not (folder / "result-7").is_symlink()
    assert (tmp_path / "mine").exists()


def test_the_folder_goes_with_the_attempt_however_it_ends(folder: Path) -> None:
    def predict(payload: Any, workload: Workload) -> None:
        (workload.folder / "x").write_bytes(b"x")
        raise LookupError

    assert answer_of(predict, folder)[0] is Kind.FAILED
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (lambda tmp: tmp / "nothing", "FileNotFoundError", "nothing"),
        (lambda tmp: tmp, "IsADirectoryError", "directory"),
        (lambda tmp: io.StringIO("text"), "result_not_serializable", "opened as text"),
        (lambda tmp: {"video": tmp / "x"}, "result_not_serializable", "$.video is a pathlib"),
        (lambda tmp: b"bytes", "result_not_serializable", "$ is a bytes"),
    ],
)
def test_what_cannot_be_a_result(
    tmp_path: Path, folder: Path, value: Callable[[Path], Any], error: str, words: str
) -> None:
    kind, told = answer_of(lambda payload, workload: value(tmp_path), folder)

    assert (kind, told["type"]) == (Kind.FAILED, error)
    assert words in told["message"]
    assert list(folder.iterdir()) == []


# ── A full disk ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("as_file", [True, False])
def test_a_full_disk_is_waited_for(folder: Path, as_file: bool, caplog: pytest.LogCaptureFixture) -> None:
    text = os.urandom(4_096).hex()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def free_some() -> None:
        while "cannot be kept yet" not in caplog.text:
            pause(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    freeing = threading.Thread(target=free_some, daemon=True)
    freeing.start()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        _, data = stored(lambda payload, workload: workload.result_from(text.encode()) if as_file else text, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    freeing.join(10)

    assert data.decode().strip('"') == text
    assert caplog.text.count("cannot be kept yet") == 1
