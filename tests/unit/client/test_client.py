"""What the clients send, and what their callers get back."""

from __future__ import annotations

import httpx2
import pytest

from ringback.core.errors import InvalidHeader, Unreachable, WorkloadFailed
from unit.client.conftest import Connect, Server, answer, listed, told

DONE = {"id": "w-1", "status": "completed", "result": {"label": "setosa"}, "timestamp": "2026-01-31T12:00:00+00:00"}
FAILED = {"id": "w-1", "status": "failed", "error": {"type": "ValueError", "message": "no petals"}}
RUNNING = {"id": "w-1", "status": "in_progress", "progress": {"fraction": 0.5, "message": "half"}}
QUEUED = {"id": "w-1", "status": "in_queue"}


@pytest.mark.parametrize(
    ("payload", "content_type", "body"),
    [
        ({"a": [1, None]}, "application/json", b'{"a": [1, null]}'),
        (None, "application/json", b"null"),
        (5, "application/json", b"5"),
        ("grüße", "text/plain; charset=utf-8", "grüße".encode()),
        ("", "text/plain; charset=utf-8", b""),
        (b"\x00\xff", "application/octet-stream", b"\x00\xff"),
        (bytearray(b"x"), "application/octet-stream", b"x"),
    ],
)
async def test_a_submit_carries_the_payload_by_its_kind(
    payload: object, content_type: str, body: bytes, connect: Connect, server: Server
) -> None:
    handle = await told(connect(answer({"id": "w-1"})).submit("iris", payload))

    [request] = server.asked
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:8080/iris")
    assert request.headers["content-type"] == content_type
    assert request.content == body
    assert (handle.api, handle.id, handle.status, handle.is_terminal) == ("iris", "w-1", "in_queue", False)
    assert (handle.progress, handle.message, handle.error, handle.timestamp) == (None, None, None, None)


async def test_two_submits_without_an_id_have_keys_of_their_own(connect: Connect, server: Server) -> None:
    client = connect(answer({"id": "w-1"}))
    await told(client.submit("iris", 1))
    await told(client.submit("iris", 1))

    first, second = (request.headers["idempotency-key"] for request in server.asked)
    assert first != second


async def test_an_id_is_put_and_needs_no_key(connect: Connect, server: Server) -> None:
    await told(connect(answer({"id": "a/b"})).submit("iris", 1, id="a/b"))

    [request] = server.asked
    assert (request.method, server.paths) == ("PUT", ["/iris/a%2Fb"])
    assert "idempotency-key" not in request.headers


@pytest.mark.parametrize("how", [{"idempotency_key": "k"}, {"headers": {"Idempotency-Key": "k"}}])
async def test_a_key_of_the_callers_own_is_kept(how: dict[str, object], connect: Connect, server: Server) -> None:
    await told(connect(answer({"id": "w-1"})).submit("iris", 1, **how))

    assert server.asked[0].headers.get_list("idempotency-key") == ["k"]


@pytest.mark.parametrize("how", [{"content_type": "image/png"}, {"headers": {"Content-Type": "image/png"}}])
async def test_a_content_type_of_the_callers_own_is_kept(
    how: dict[str, object], connect: Connect, server: Server
) -> None:
    await told(connect(answer({"id": "w-1"})).submit("iris", b"x", **how))

    assert server.asked[0].headers.get_list("content-type") == ["image/png"]


async def test_more_headers_and_the_key_go_along(connect: Connect, server: Server) -> None:
    client = connect(answer({"id": "w-1"}), api_key="secret")
    await told(client.submit("iris", 1, headers={"X-Mine": "yes"}))

    assert server.asked[0].headers["x-mine"] == "yes"
    assert server.asked[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("value", ["a\r\nb", "grüße", "a\0"])
async def test_a_header_that_cannot_be_sent_is_refused_before_it_is_and_not_repeated(
    value: str, connect: Connect, server: Server
) -> None:
    client = connect(answer({"id": "w-1"}))
    for how in ({"headers": {"X": value}}, {"idempotency_key": value}, {"content_type": value}):
        with pytest.raises(InvalidHeader) as refused:
            await told(client.submit("iris", 1, **how))
        assert value not in str(refused.value)
    with pytest.raises(InvalidHeader, match="Authorization"):
        connect(answer({}), api_key=value)

    assert server.asked == []


@pytest.mark.parametrize(
    ("workload_id", "path"),
    [("w-1", "/iris/w-1"), ("a b", "/iris/a%20b"), ("ü?#%", "/iris/%C3%BC%3F%23%25"), ("..", "/iris/%2E%2E")],
)
async def test_any_id_is_one_segment_of_the_path(workload_id: str, path: str, connect: Connect, server: Server) -> None:
    await told(connect(answer(QUEUED)).get("iris", workload_id))

    assert server.paths == [path]


async def test_a_completed_workload_has_its_result(connect: Connect) -> None:
    handle = await told(connect(answer(DONE)).get("iris", "w-1"))

    assert (handle.status, handle.is_terminal, handle.error) == ("completed", True, None)
    assert (handle.result, handle.timestamp) == ({"label": "setosa"}, "2026-01-31T12:00:00+00:00")
    assert repr(handle).endswith("WorkloadHandle iris/w-1 completed>")


async def test_a_failed_workload_raises_what_predict_raised(connect: Connect) -> None:
    handle = await told(connect(answer(FAILED)).get("iris", "w-1"))

    assert (handle.is_terminal, handle.error) == (True, ("ValueError", "no petals"))
    with pytest.raises(WorkloadFailed, match=r"^ValueError: no petals$") as failed:
        _ = handle.result
    assert failed.value.type == "ValueError"


async def test_a_running_workload_tells_its_progress_and_has_no_result_yet(connect: Connect) -> None:
    handle = await told(connect(answer(RUNNING)).get("iris", "w-1"))

    assert (handle.is_terminal, handle.progress, handle.message) == (False, 0.5, "half")
    with pytest.raises(RuntimeError, match="workload w-1 is in_progress; wait for it first"):
        _ = handle.result


async def test_a_page_is_asked_for_as_it_was_wanted(connect: Connect, server: Server) -> None:
    page = {"workloads": [{"id": "w-1"}], "cursor": "c"}

    assert await told(connect(answer(page)).page("iris", status="failed", limit=7, cursor="a&b")) == page
    assert dict(server.asked[0].url.params) == {"limit": "7", "status": "failed", "cursor": "a&b"}


async def test_a_list_goes_on_page_by_page_to_the_last(connect: Connect, server: Server) -> None:
    client = connect(
        answer({"workloads": [{"id": "3"}, {"id": "2"}], "cursor": "next"}),
        answer({"workloads": [{"id": "1"}], "cursor": None}),
    )

    assert await listed(client.list("iris")) == [{"id": "3"}, {"id": "2"}, {"id": "1"}]
    assert [request.url.params.get("cursor") for request in server.asked] == [None, "next"]


async def test_what_is_served_is_asked_of_the_control_plane(connect: Connect, server: Server) -> None:
    assert await told(connect(answer({"apis": [{"name": "iris"}]})).apis()) == ({"name": "iris"},)
    assert server.paths == ["/-/apis"]


@pytest.mark.parametrize("url", ["http://h:1/base", "http://h:1/base/"])
async def test_a_server_may_stand_under_a_path(url: str, connect: Connect, server: Server) -> None:
    await told(connect(answer(QUEUED), url=url).get("iris", "w-1"))

    assert str(server.asked[0].url) == "http://h:1/base/iris/w-1"


@pytest.mark.parametrize(
    "reply",
    [
        httpx2.Response(200, content=b"<html>"),
        httpx2.Response(200, content=b""),
        httpx2.Response(200, content=b"null"),
        httpx2.Response(302, headers={"location": "/login"}),
        httpx2.Response(404, content=b"not found"),
        httpx2.Response(500, content=b'{"type": "about:blank"}'),
        answer([]),
        answer("hello"),
        answer({"hello": "world"}),
        answer({"id": "w-1", "status": "on its way", "error": "x", "workloads": 5, "apis": {}}),
    ],
)
@pytest.mark.parametrize("verb", ["get", "page", "apis"])
async def test_an_answer_that_is_not_ringbacks_says_so(reply: httpx2.Response, verb: str, connect: Connect) -> None:
    arguments = {"get": ("iris", "w-1"), "page": ("iris",), "apis": ()}[verb]

    with pytest.raises(Unreachable, match="is it another server"):
        await told(getattr(connect(reply), verb)(*arguments))


async def test_a_submit_to_another_server_says_so(connect: Connect) -> None:
    with pytest.raises(Unreachable, match="is it another server"):
        await told(connect(answer({"ok": True})).submit("iris", 1))


async def test_a_client_closes_what_it_opened(connect: Connect) -> None:
    client = connect(answer(QUEUED))
    if hasattr(client, "__aenter__"):
        async with client as entered:
            await entered.get("iris", "w-1")
    else:
        with client as entered:
            entered.get("iris", "w-1")

    with pytest.raises(RuntimeError, match="closed"):
        await told(client.get("iris", "w-1"))
