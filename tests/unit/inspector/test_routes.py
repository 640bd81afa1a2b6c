"""The inspector's API and its pages: what is made, shown, found, changed, exported, streamed and sent once more."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ringback.core.inbox import FORWARDS_KEPT
from ringback.core.keys import new_secret
from ringback.core.netguard import Trust
from ringback.core.registration import Registration, rekeyed
from ringback.core.spec import Endpoint
from support.asgi import Caller
from support.receiver import answering, receiving
from support.served import SECRET
from support.waiting import turned
from unit.inspector.conftest import BASE, HTML, SERVED, Bench

EVIL = b'{"a":"<script>alert(1)</script>","b":"</pre><img src=x onerror=alert(2)>"}'


# ── Inboxes ─────────────────────────────────────────────────────────────────────────────────────


async def test_an_inbox_is_made_with_an_unguessable_url(bench: Bench) -> None:
    ids = {await bench.make() for _ in range(20)}

    assert {len(each) for each in ids} == {22}  # 16 random bytes
    listed = (await bench.get(""))["inboxes"]
    assert {each["url"] for each in listed} == {f"{BASE}/-/inspector/in/{each}" for each in ids}


async def test_a_name_stands_for_one_inbox(bench: Bench) -> None:
    box = await bench.make(name="orders", script={"status": 201})
    again = await bench.call("POST", "/-/inspector", b'{"name":"orders"}')

    assert (again.status, again.json()["id"], again.json()["script"]) == (200, box, [{"do": "answer", "status": 201}])


async def test_secrets_are_not_told(bench: Bench) -> None:
    box = await bench.make(secret=SECRET)
    told = json.dumps(await bench.get(f"/{box}")) + await bench.page(f"/{box}") + await bench.page(f"/{box}/settings")

    assert SECRET not in told
    assert (await bench.get(f"/{box}"))["inbox"]["secrets"] == 1


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        ({"colour": 1}, "invalid_payload", "known are body_limit"),
        ({"name": "x" * 81}, "invalid_payload", "at most 80 characters"),
        ({"name": 5}, "invalid_payload", "the name"),
        ({"secret": 5}, "invalid_payload", "the secret is no text"),
        ({"secret": "x" * 5_000}, "invalid_payload", "longer than"),
        ({"script": [{"do": "explode"}]}, "invalid_payload", "step 1 of the script"),
        ({"forward": "ftp://x/"}, "forbidden_target", "no webhook URL"),
        ({"forward": "http://a:b@x/"}, "forbidden_target", "names a user"),
        ({"forward": "http://x/" + "y" * 3_000}, "forbidden_target", "longer than"),
        ({"forward": 5}, "invalid_payload", "forward URL is no text"),
        ({"keep": 0}, "invalid_payload", "keep=0 is no whole number from 1 to 100000"),
        ({"keep": True}, "invalid_payload", "keep=True"),
        ({"keep_bytes": "much"}, "invalid_payload", "keep_bytes: 'much' is no size"),
        ({"keep_bytes": 1}, "invalid_payload", "keep_bytes=1"),
        ({"body_limit": "1GiB"}, "invalid_payload", "body_limit"),
        ([], "invalid_payload", "not a JSON object"),
        ("{", "invalid_payload", "not JSON"),
    ],
)
async def test_what_cannot_be_set_is_refused_by_name(bench: Bench, wanted: Any, code: str, words: str) -> None:
    body = wanted if isinstance(wanted, str) else json.dumps(wanted)
    answer = await bench.call("POST", "/-/inspector", body.encode())

    assert answer.problem == code
    assert words in answer.json()["detail"]
    assert (await bench.get(""))["inboxes"] == []


async def test_settings_change_one_by_one_and_hold_at_once(bench: Bench) -> None:
    box = await bench.make(secret=SECRET)
    for change in ({"script": {"status": 503}}, {"keep": 5}, {"keep_bytes": "1MiB"}, {"forward": "http://x/"}):
        assert (await bench.call("PATCH", f"/-/inspector/{box}", json.dumps(change).encode())).status == 200

    assert (await bench.send(box)).status == 503
    told = (await bench.get(f"/{box}"))["inbox"]
    assert (told["keep"], told["keep_bytes"], told["forward"], told["secrets"]) == (5, 2**20, "http://x/", 1)
    refused = await bench.call("PATCH", f"/-/inspector/{box}", b'{"name":"another"}')
    assert refused.problem == "invalid_payload"


async def test_clear_and_delete(bench: Bench) -> None:
    box = await bench.make()
    await bench.send(box)
    assert (await bench.call("POST", f"/-/inspector/{box}/clear")).json() == {"id": box, "cleared": True}
    assert await bench.captures(box) == []
    assert (await bench.call("DELETE", f"/-/inspector/{box}")).json() == {"id": box, "deleted": True}
    assert (await bench.call("GET", f"/-/inspector/{box}")).problem == "unknown_inbox"
    assert (await bench.call("POST", f"/-/inspector/{box}/delete")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "", "GET, HEAD, POST"),
        ("POST", "/{box}", "GET, HEAD, PATCH, DELETE"),
        ("GET", "/{box}/clear", "POST"),
        ("DELETE", "/{box}/1", "GET, HEAD"),
        ("GET", "/{box}/1/replay", "POST"),
        ("POST", "/{box}/events", "GET"),
    ],
)
async def test_a_method_that_is_not_for_a_path_is_told_which_are(
    bench: Bench, method: str, path: str, allowed: str
) -> None:
    box = await bench.make()
    answer = await bench.call(method, f"/-/inspector{path.format(box=box)}")

    assert (answer.status, answer.headers["allow"]) == (405, allowed)


async def test_what_is_not_there_is_404_and_what_is_no_parameter_400(bench: Bench) -> None:
    box = await bench.make()
    for path in (f"/{box}/1", f"/{box}/nothing", "/none", "/messages/none", f"/{box}/0/body"):
        assert (await bench.call("GET", f"/-/inspector{path}")).status == 404, path
    for query in ("?colour=red", "?limit=x", "?limit=1001", "?search=status:x", "?cursor=x", "?after=-1&wait=1"):
        assert (await bench.call("GET", f"/-/inspector/{box}{query}")).status == 400, query
    assert (await bench.call("GET", f"/-/inspector/{box}/export.csv")).problem == "invalid_parameter"


# ── Captures ────────────────────────────────────────────────────────────────────────────────────


async def test_a_search_finds_and_pages(bench: Bench) -> None:
    box = await bench.make()
    for number in range(1, 6):
        await bench.send(box, b"order %d" % number, webhook_id=f"m{number}", x_shop="Berlin" if number > 3 else "Rome")

    assert [each["number"] for each in await bench.captures(box, "?search=header:berlin")] == [5, 4]
    assert [each["number"] for each in await bench.captures(box, "?search=order+2")] == [2]
    assert [each["number"] for each in await bench.captures(box, "?search=id:m3")] == [3]
    first = await bench.get(f"/{box}?limit=3")
    rest = await bench.get(f"/{box}?limit=3&cursor={first['cursor']}")
    assert [each["number"] for each in first["captures"] + rest["captures"]] == [5, 4, 3, 2, 1]
    assert rest["cursor"] is None


async def test_the_verdict_is_by_the_inbox_s_secret_and_by_the_file_s(bench: Bench) -> None:
    await bench.inspector.start()
    await bench.ring(SERVED)
    assert (await bench.captures(SERVED))[0]["verdict"] == {"reason": "good", "sentence": "the signature is good"}

    box = await bench.make()
    await bench.ring(box)
    assert (await bench.captures(box))[0]["verdict"]["reason"] == "no_secret"
    for secret, reason in ((SECRET, "good"), (new_secret(), "old_key"), ("whsec_x", "malformed_secret")):
        await bench.call("PATCH", f"/-/inspector/{box}", json.dumps({"secret": secret}).encode())
        assert (await bench.captures(box))[0]["verdict"]["reason"] == reason


async def test_the_verdict_knows_the_keys_of_registered_endpoints_and_what_they_were_before(bench: Bench) -> None:
    box = await bench.make()
    first, second = new_secret(), new_secret()
    endpoint = Endpoint(key="ep_1", url=f"{BASE}/-/inspector/in/{box}/hooks", trust=Trust.GUEST, secret=first)
    await bench.store.register(Registration(endpoint=endpoint, created_at=bench.clock.now()))
    await bench.ring(box, secret=first)
    assert (await bench.captures(box))[0]["verdict"]["reason"] == "good"
    assert (await bench.get(f"/{box}"))["inbox"]["verifies_with"] == "ep_1"

    now = bench.clock.now()
    await bench.store.amend("ep_1", lambda known: rekeyed(known, second, now=now, overlap_seconds=60))
    await bench.ring(box, secret=f"{second} {first}", message_id="both")
    await bench.ring(box, secret=second, message_id="new")
    await bench.ring(box, secret=new_secret(), message_id="neither")
    told = {each["webhook_id"]: each["verdict"] for each in await bench.captures(box)}
    reasons = {name: verdict["reason"] for name, verdict in told.items()}
    assert reasons == {"msg_1": "old_key", "both": "good", "new": "good", "neither": "no_match"}
    assert "signs on beside the new one until 2023-11-14 22:14 UTC" in told["msg_1"]["sentence"]

    bench.clock.wind(61)
    await bench.ring(box, secret=first, message_id="late")
    late = (await bench.captures(box))[0]["verdict"]
    assert (late["reason"], "time was over" in late["sentence"]) == ("old_key", True)


async def test_a_long_body_is_judged_whole_in_listings(bench: Bench) -> None:
    box = await bench.make(secret=SECRET)
    await bench.ring(box, b"x" * 10_000)

    assert (await bench.captures(box))[0]["verdict"]["reason"] == "good"


async def test_new_captures_can_be_waited_for(bench: Bench) -> None:
    box = await bench.make()
    assert await bench.get(f"/{box}?after=0") == {"captures": [], "change": 0}
    waiting = asyncio.create_task(bench.get(f"/{box}?after=0&wait=30"))
    await bench.send(box, b"at last")
    told = await asyncio.wait_for(waiting, 10)

    assert ([each["begins"] for each in told["captures"]], told["change"]) == (["at last"], 1)


async def test_a_replay_goes_to_a_url_and_is_written_down(bench: Bench) -> None:
    async with receiving(*[answering(202, body=b"again")] * (FORWARDS_KEPT + 1)) as receiver:
        box = await bench.make()
        await bench.ring(box, EVIL)
        wanted = json.dumps({"to": receiver.url}).encode()
        told = await bench.call("POST", f"/-/inspector/{box}/1/replay", wanted)
        for _ in range(FORWARDS_KEPT):
            await bench.call("POST", f"/-/inspector/{box}/1/replay", wanted)

    assert (told.json()["status"], told.json()["body"], told.json()["replay"]) == (202, "again", True)
    assert receiver.requests[0].body == EVIL
    assert receiver.requests[0].headers["webhook-id"] == "msg_1"
    assert len((await bench.get(f"/{box}/1"))["forwards"]) == FORWARDS_KEPT


async def test_a_replay_reaches_only_what_may_be_reached(bench: Bench) -> None:
    box = await bench.make()
    await bench.send(box)
    told = await bench.call("POST", f"/-/inspector/{box}/1/replay", b'{"to":"http://10.0.0.1/"}')
    refused = await bench.call("POST", f"/-/inspector/{box}/1/replay", b'{"to":"gopher://x"}')

    assert "name it with --allow" in told.json()["error"]
    assert refused.problem == "forbidden_target"


# ── Messages ────────────────────────────────────────────────────────────────────────────────────


async def test_the_requests_of_a_message_stand_in_one_line(bench: Bench) -> None:
    box = await bench.make(script={"status": 500, "times": 1}, secret=SECRET)
    other = await bench.make()
    await bench.ring(box)
    await bench.ring(box)
    await bench.ring(other)
    told = await bench.get("/messages/msg_1")

    assert told["deliveries"] == []
    seen = [(each["inbox"], each["answer"]["status"]) for row in told["requests"] for each in row["captures"]]
    assert seen == [(box, 500), (box, 200), (other, 200)]


# ── Export ──────────────────────────────────────────────────────────────────────────────────────


async def test_everything_is_exported_as_lines_and_as_an_archive(bench: Bench) -> None:
    box = await bench.make()
    for number in range(120):
        await bench.call("POST", f"/-/inspector/in/{box}/p?n={number}", b"\xff%d" % number, {"X-A": "1"})
    lines = await bench.call("GET", f"/-/inspector/{box}/export.jsonl")
    archive = await bench.call("GET", f"/-/inspector/{box}/export.har?search=number:7")

    numbers = [json.loads(line)["number"] for line in lines.body.splitlines()]
    assert numbers == list(range(120, 0, -1))
    assert lines.headers["content-disposition"] == f'attachment; filename="{box}.jsonl"'
    log = archive.json()["log"]
    assert (log["version"], len(log["entries"])) == ("1.2", 1)
    request = log["entries"][0]["request"]
    assert request["url"] == f"{BASE}/-/inspector/in/{box}/p?n=6"
    assert request["queryString"] == [{"name": "n", "value": "6"}]
    assert request["postData"]["comment"] == "base64"
    assert (await bench.call("GET", f"/-/inspector/{box}/export.har?search=none")).json()["log"]["entries"] == []


# ── Live ────────────────────────────────────────────────────────────────────────────────────────


async def events(bench: Bench, path: str, count: int, **headers: str) -> list[dict[str, Any]]:
    """The first `count` named events of a stream."""
    found: list[dict[str, Any]] = []

    async def read() -> AsyncIterator[None]:
        leaves = asyncio.Event()
        seen = b""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            async def sent(message: Any) -> None:
                nonlocal seen
                seen += message.get("body", b"")
                while b"\n\n" in seen:
                    block, _, seen = seen.partition(b"\n\n")
                    fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
                    if "event" in fields and len(found) < count:
                        found.append({**fields, "data": json.loads(fields["data"])})
                if len(found) >= count:
                    leaves.set()
                await send(message)

            await bench.gateway(scope, receive, sent)

        await asyncio.wait_for(Caller(watched)("GET", f"/-/inspector{path}", headers=headers, leaves=leaves), 10)
        yield

    async for _ in read():
        pass
    return found


async def test_the_stream_brings_what_comes_and_goes_on_where_it_was(bench: Bench) -> None:
    box = await bench.make(secret=SECRET)
    await bench.ring(box)
    await bench.send(box)
    first = await events(bench, f"/{box}/events?after=0", 3)

    assert [each["event"] for each in first] == ["capture", "capture", "inbox"]
    assert [each["data"]["verdict"]["reason"] for each in first[:2]] == ["good", "unsigned"]
    assert first[2]["data"]["kept"] == 2
    await bench.send(box, b"while away")
    again = await events(bench, f"/{box}/events?after=0", 1, last_event_id="x", **{"last-event-id": first[1]["id"]})
    assert [each["data"]["begins"] for each in again] == ["while away"]


async def test_the_stream_begins_anew_for_an_inbox_that_begins_anew(bench: Bench) -> None:
    box = await bench.make()
    await bench.send(box)

    assert (await events(bench, f"/{box}/events", 1, **{"last-event-id": "999"}))[0]["data"]["number"] == 1


async def test_the_stream_of_a_page_brings_rows_and_ends_with_its_inbox(bench: Bench) -> None:
    box = await bench.make()
    await bench.send(box, EVIL, webhook_id="m")
    [rows, _] = await events(bench, f"/{box}/events?after=0&rows=grouped", 2)

    [row] = rows["data"]["rows"]
    assert (row["key"], row["number"], rows["data"]["passed"]) == ("m m", 1, 0)
    assert "&lt;script&gt;" in row["html"]
    assert "<script" not in row["html"]
    [each, _] = await events(bench, f"/{box}/events?after=0&rows=each", 2)
    assert each["data"]["rows"][0]["key"] == "1"


async def test_a_stream_of_more_than_a_page_can_show_says_how_many_passed(bench: Bench) -> None:
    box = await bench.make()
    for _ in range(120):
        await bench.send(box)
    [rows] = await events(bench, f"/{box}/events?after=0&rows=grouped", 1)

    assert ([each["number"] for each in rows["data"]["rows"]], rows["data"]["passed"]) == (list(range(109, 121)), 108)


async def test_what_stands_in_a_row_that_is_shown_has_not_passed(bench: Bench) -> None:
    box = await bench.make()
    for _ in range(20):
        await bench.ring(box)
    [rows] = await events(bench, f"/{box}/events?after=0&rows=grouped", 1)

    assert ([each["number"] for each in rows["data"]["rows"]], rows["data"]["passed"]) == ([20], 0)


async def test_a_dropped_inbox_ends_its_stream(bench: Bench) -> None:
    box = await bench.make()
    reading = asyncio.create_task(events(bench, f"/{box}/events?after=0", 2))
    await turned(bench.is_streaming, wanted="a stream")
    await bench.call("DELETE", f"/-/inspector/{box}")

    assert (await reading)[-1] == {"event": "gone", "data": {"inbox": box}}


# ── Pages ───────────────────────────────────────────────────────────────────────────────────────


async def test_captured_content_is_text_on_every_page(bench: Bench) -> None:
    box = await bench.make(name="<i>box</i>", secret=SECRET)
    await bench.call(
        "POST",
        f"/-/inspector/in/{box}/<b>?<u>=</u>",
        EVIL,
        {"X-Evil": "<img src=x>", "webhook-id": "<em>", "Content-Type": "text/html"},
    )
    paths = ["", f"/{box}", f"/{box}?search=script", f"/{box}?view=each", f"/{box}/settings", "/messages/%3Cem%3E"]
    paths += [f"/{box}/1?view={view}" for view in ("json", "text", "hex")]
    for path in paths:
        page = (await bench.page(path)).partition("<main")[2]
        for tag in ("<script", "<img", "<i>", "<b>?", "<u>", "<em>"):
            assert tag not in page, path
    assert "alert(1)" in await bench.page(f"/{box}/1?view=json")


async def test_pages_say_how_each_request_of_a_message_was_answered(bench: Bench) -> None:
    box = await bench.make(script=[{"status": 500, "times": 1}, {"do": "reset", "times": 1}], secret=SECRET)
    for _ in range(3):
        await bench.ring(box)
    await bench.send(box, b"a=1&b=two+words", content_type="application/x-www-form-urlencoded")
    page = await bench.page(f"/{box}")

    assert page.count("<tr data-key") == 2
    for words in (">500</a>", ">reset</a>", ">200</a>", "verified", "unsigned", "msg_1"):
        assert words in page
    assert "two words" in await bench.page(f"/{box}/4")
    assert "Not captured" not in await bench.page("/messages/msg_1")


async def test_forms_make_set_replay_clear_and_delete(bench: Bench) -> None:
    made = await bench.post_form("", name="by hand", secret=SECRET)
    assert made.status == 303
    place = made.headers["location"].removeprefix("/-/inspector")
    box = place.removeprefix("/")
    await bench.post_form(f"{place}/settings", preset="fail-1")
    assert [(await bench.ring(box)).status for _ in range(2)] == [500, 200]
    fields = {"secret_kept": "1", "secret": "", "keep": "7", "keep_bytes": "1MiB", "body_limit": "1KiB", "forward": ""}
    script = {"first_times": "0", "then_do": "answer", "then_status": "418", "then_headers": "X-Tea: yes\r\nX-B:"}
    saved = await bench.post_form(f"{place}/settings", **fields, **script, then_body="no\r\ncoffee", then_delay="1ms")
    assert saved.status == 303
    told = (await bench.get(place))["inbox"]
    assert (told["keep"], told["secrets"], told["body_limit"]) == (7, 1, 1024)
    headers = [["X-Tea", "yes"], ["X-B", ""]]
    step = {"do": "answer", "status": 418, "headers": headers, "body": "no\ncoffee", "delay": "0.001s"}
    assert told["script"] == [step]
    await bench.post_form(f"{place}/settings", secret_gone="1")
    assert (await bench.get(place))["inbox"]["secrets"] == 0
    async with receiving() as receiver:
        replayed = await bench.post_form(f"{place}/1/replay", to=receiver.url)
        assert (replayed.status, len(receiver.requests)) == (303, 1)
    assert "replayed: 200" in await bench.page(f"{place}/1")
    assert (await bench.post_form(f"{place}/clear")).status == 303
    assert await bench.captures(box) == []
    assert (await bench.post_form(f"{place}/delete")).headers["location"] == "/-/inspector"


async def test_a_form_that_is_amiss_is_answered_by_a_page(bench: Bench) -> None:
    box = await bench.make()
    for fields in (
        {"keep": "many"},
        {"then_do": "answer", "then_headers": "no colon"},
        {"first_times": "x", "then_do": "hang"},
    ):
        answer = await bench.post_form(f"/{box}/settings", **fields)
        assert (answer.status, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    foreign = await bench.call("POST", f"/-/inspector/{box}/delete", b"", {**HTML, "sec-fetch-site": "cross-site"})
    assert foreign.status == 403
    assert (await bench.get(""))["inboxes"] != []


async def test_a_script_that_a_form_cannot_show_stays_until_it_is_to_be_replaced(bench: Bench) -> None:
    script = [{"status": 500, "times": 1}, {"status": 429, "times": 1}, {"status": 204}]
    box = await bench.make(script=script)
    page = await bench.page(f"/{box}/settings")

    assert "more steps than this form shows" in page
    fields = dict(re.findall(r'<input[^>]*name="(script_\w+|keep)"[^>]*value="(\d+)"', page))
    replaced = fields.pop("script_replaced")
    await bench.post_form(f"/{box}/settings", **fields, then_do="answer", then_status="418", first_times="0")
    assert [each["status"] for each in (await bench.get(f"/{box}"))["inbox"]["script"]] == [500, 429, 204]
    assert "once answer 500, then once answer 429, then answer 204" in await bench.page(f"/{box}")

    await bench.post_form(
        f"/{box}/settings", **fields, script_replaced=replaced, then_do="answer", then_status="418", first_times="0"
    )
    assert [each["status"] for each in (await bench.get(f"/{box}"))["inbox"]["script"]] == [418]
