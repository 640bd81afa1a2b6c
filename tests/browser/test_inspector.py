"""Journeys through the inspector: a webhook seen live, judged, failed by a script, sent once more, read plainly."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browser.conftest import Visits, assert_cells_apart, assert_within
from ringback.core.clock import SECOND, SystemClock
from ringback.core.keys import new_secret
from ringback.core.signing import Signer
from support.processes import Server, free_port, serving
from support.served import SECRET, folder_of
from support.waiting import until

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Locator, Page, expect  # noqa: E402

Serve = Callable[..., Server]

EVIL = "{\"note\": \"<script>document.title='taken'</script><img src=x onerror='document.title=1'>\"}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For all journeys that stay in inboxes of their own."""
    folder = tmp_path_factory.mktemp("house")
    with serving(folder_of(folder), folder / "store" / "ringback.db") as started:
        yield started


def make(server: Server, **wanted: Any) -> dict[str, Any]:
    answer = requests.post(f"{server.url}/-/inspector", json=wanted, timeout=10)
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


def ring(
    url: str,
    body: str = '{"n": 1}',
    *,
    secret: str = SECRET,
    message_id: str = "msg_1",
    late_seconds: int = 0,
    came: str | None = None,
) -> int:
    """A signed webhook; `came` is what arrives in place of the body that was signed."""
    stamp = SystemClock().now() // SECOND - late_seconds
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": Signer(secret).sign(message_id, stamp, body.encode()),
    }
    return requests.post(url, data=(came or body).encode(), headers=headers, timeout=10).status_code


def live(page: Page) -> None:
    expect(page.get_by_text("live", exact=True)).to_be_visible()


def row(page: Page, words: str) -> Locator:
    return page.get_by_role("row").filter(has_text=words)


def test_an_inbox_is_made_at_a_click_and_shows_what_comes_at_once(serve: Serve, visits: Visits) -> None:
    server = serve()
    page = visits.open(server.url)
    page.get_by_role("link", name="Inspector").click()
    page.get_by_label("Name").fill("orders")
    page.get_by_label("Secret").fill(SECRET)
    page.get_by_role("button", name="Make an inbox").click()
    live(page)
    url = page.locator("#url").inner_text()
    ring(url, message_id="evt_live")
    requests.put(f"{url}/plain?q=1", data="hello there", timeout=10)

    expect(row(page, "evt_live").get_by_text("verified")).to_be_visible()
    expect(row(page, "hello there").get_by_text("unsigned")).to_be_visible()
    row(page, "hello there").get_by_role("link", name="PUT").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("/plain?q=1")
    expect(page.get_by_label("The body as text")).to_have_text("hello there")


def test_each_verdict_says_why(server: Server, visits: Visits) -> None:
    box = make(server, secret=SECRET)
    url = box["url"]
    ring(url, message_id="good")
    ring(url, message_id="key", secret=new_secret())
    ring(url, message_id="clock", late_seconds=4_000)
    ring(url, '{"n":1}', message_id="body", came='{\n  "n": 1\n}')
    requests.post(url, data="x", headers={"webhook-id": "none"}, timeout=10)
    page = visits.open(f"{server.url}/-/inspector/{box['id']}")
    for message, words in (
        ("good", "verified"),
        ("key", "no match"),
        ("clock", re.compile(r"clock -4\d\d\d s")),
        ("body", "body altered"),
        ("none", "unsigned"),
    ):
        expect(row(page, message).get_by_text(words).first).to_be_visible()
    row(page, "body").get_by_role("link", name="POST").click()
    expect(page.get_by_text("the signature holds for the same JSON written without spaces")).to_be_visible()
    page.get_by_role("link", name=box["name"]).click()
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Another secret").fill(new_secret())
    page.get_by_role("button", name="Save").click()
    expect(row(page, "good").get_by_text("old key")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Another secret").fill("whsec_" + "ab12" * 16)
    page.get_by_role("button", name="Save").click()
    row(page, "good").get_by_role("link", name="POST").click()
    expect(page.get_by_text("is hexadecimal; write those bytes in base64")).to_be_visible()


def test_each_other_bad_verdict_says_why(serve: Serve, visits: Visits) -> None:
    server = serve()
    box = make(server, secret=SECRET, body_limit=64)
    url, stamp = box["url"], SystemClock().now() // SECOND
    code = SECRET.removeprefix("whsec_").encode()
    made = base64.b64encode(hmac.digest(code, f"slip.{stamp}.x".encode(), "sha256")).decode()
    signatures = {"slip": f"v1,{made}", "other": f"v1a,{'A' * 86}==", "unreadable": "nothing"}
    for message_id, signature in signatures.items():
        headers = {"webhook-id": message_id, "webhook-timestamp": str(stamp), "webhook-signature": signature}
        requests.post(url, data="x", headers=headers, timeout=10)
    ring(url, '{"long": "' + "x" * 200 + '"}', message_id="long")
    ring(make(server, name="bare")["url"], message_id="unknown")
    page = visits.open(f"{server.url}/-/inspector/{box['id']}")
    verdicts = {"slip": "wrong key", "other": "other version", "unreadable": "malformed", "long": "cut"}
    for message, words in verdicts.items():
        expect(row(page, message).get_by_text(words).first).to_be_visible()
    row(page, "slip").get_by_role("link", name="POST").click()
    expect(page.get_by_text("was taken for the key; its base64 must be decoded first")).to_be_visible()
    page.get_by_role("link", name="Inspector").last.click()
    page.get_by_role("link", name="bare").click()
    expect(row(page, "unknown").get_by_text("no secret")).to_be_visible()


def test_a_registered_endpoint_is_judged_by_its_keys_and_by_those_before(serve: Serve, visits: Visits) -> None:
    server = serve(options=("--allow", "127.0.0.1"))
    box = make(server, name="registered")
    wanted = {"url": box["url"], "events": ["completed"]}
    endpoint = requests.post(f"{server.url}/-/endpoints", json=wanted, timeout=10).json()["endpoint"]

    def tried(number: int) -> None:
        requests.post(f"{server.url}/-/endpoints/{endpoint}/test", timeout=30).raise_for_status()
        expect(page.locator("#rows tr")).to_have_count(number)

    page = visits.open(f"{server.url}/-/inspector/{box['id']}")
    expect(page.get_by_text("No secret to verify with")).to_have_count(0)
    tried(1)
    expect(page.locator("#rows").get_by_text("verified")).to_have_count(1)
    requests.post(f"{server.url}/-/endpoints/{endpoint}/rotate", timeout=10).raise_for_status()
    tried(2)
    page.reload()
    expect(page.locator("#rows").get_by_text("verified")).to_have_count(1)
    expect(page.locator("#rows").get_by_text("old key")).to_have_count(1)
    page.get_by_role("link", name="POST").last.click()
    expect(page.get_by_text("signs on beside the new one until")).to_be_visible()

    page.goto(f"{server.url}/-/inspector/{box['id']}/settings")
    page.get_by_label("Secret").fill(new_secret())
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#rows").get_by_text("wrong key")).to_have_count(2)


def test_a_scripted_failure_and_then_success_are_one_timeline(serve: Serve, visits: Visits) -> None:
    port = free_port()
    server = serve(webhook=f"http://127.0.0.1:{port}/-/inspector/in/rung-by-iris", port=port)
    page = visits.open(f"{server.url}/-/inspector/rung-by-iris")
    page.get_by_label("Answers").select_option("500 once, then 200")
    page.get_by_role("button", name="Set").click()
    live(page)
    requests.post(f"{server.url}/iris", json={"n": 1}, timeout=10).raise_for_status()

    chips = row(page, "msg_").locator(".chips a")
    expect(chips).to_have_text(["500", "200"])
    expect(row(page, "msg_").get_by_text("verified")).to_be_visible()
    row(page, "msg_").get_by_role("link", name="msg_").click()
    line = page.locator(".timeline > li")
    expect(line).to_have_count(2)
    expect(line.nth(0)).to_contain_text("attempt 1")
    expect(line.nth(0)).to_contain_text("request 1")
    expect(line.nth(1)).to_contain_text("attempt 2")
    expect(page.get_by_text("delivered", exact=True)).to_be_visible()
    page.get_by_role("link", name="dlv_").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("dlv_")
    page.get_by_role("link", name="Captured request").first.click()
    page.wait_for_url("**/-/inspector/messages/msg_*#dlv_1-2")
    expect(page.locator("#dlv_1-2")).to_contain_text("attempt 2")


def test_a_capture_is_sent_once_more(server: Server, visits: Visits) -> None:
    box, other = make(server, name="first"), make(server, name="second", script={"status": 418, "body": "tea"})
    ring(box["url"])
    page = visits.open(f"{server.url}/-/inspector/{box['id']}/1")
    page.get_by_role("textbox", name="To").fill(other["url"])
    page.get_by_role("button", name="Replay").click()

    expect(page.get_by_text("replayed: 418")).to_be_visible()
    page.get_by_text("Its answer").click()
    expect(page.get_by_text("tea", exact=False).last).to_be_visible()
    page.get_by_role("textbox", name="To").fill("http://10.0.0.1/")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("name it with --allow")).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("replayed: 200")).to_be_visible()


def test_a_reload_and_a_restart_lose_nothing_and_show_nothing_twice(serve: Serve, visits: Visits) -> None:
    server = serve()
    box = make(server)
    page = visits.open(f"{server.url}/-/inspector/{box['id']}?view=each")
    live(page)
    for number in range(3):
        requests.post(box["url"], data=f"before {number}", timeout=10)
    expect(page.locator("#rows tr")).to_have_count(3)
    server.kill()
    expect(page.get_by_text("reconnecting")).to_be_visible()
    server.start_and_wait()
    requests.post(box["url"], data="after it", timeout=10)

    expect(row(page, "after it")).to_be_visible()
    expect(page.locator("#rows tr")).to_have_count(4)
    page.reload()
    expect(page.locator("#rows tr")).to_have_count(4)


def test_what_was_captured_stays_text(server: Server, visits: Visits) -> None:
    box = make(server, name="<i>nasty</i>")
    page = visits.open(f"{server.url}/-/inspector/{box['id']}")
    live(page)
    headers = {"Content-Type": "text/html", "X-Evil": "<script>document.title=2</script>", "webhook-id": "<b>x</b>"}
    requests.post(f"{box['url']}/<u>", data=EVIL, headers=headers, timeout=10)
    expect(page.locator("#rows tr")).to_have_count(1)
    assert page.locator("main script, main img, main u, main i").count() == 0
    for view in ("json", "text", "hex"):
        page.goto(f"{server.url}/-/inspector/{box['id']}/1?view={view}")
        assert page.locator("main script, main img, main u, main i").count() == 0
        assert "Ringback" in page.title()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download the body").click()
    assert downloading.value.suggested_filename == "capture-1.bin"


def test_everything_can_be_read_and_done_without_script(serve: Serve, visits: Visits) -> None:
    server = serve()
    page = visits.open(f"{server.url}/-/inspector", java_script_enabled=False)
    page.get_by_label("Name").fill("plain")
    page.get_by_role("button", name="Make an inbox").click()
    url = page.locator("#url").inner_text()
    ring(url, EVIL)
    page.reload()
    assert_cells_apart(page)
    page.get_by_role("link", name="POST").click()
    expect(page.get_by_label("The body as JSON")).to_contain_text("<script>")
    page.get_by_role("link", name="Hex").click()
    expect(page.get_by_label("The body in hexadecimal")).to_contain_text("7b 22 6e 6f")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("replayed: 200")).to_be_visible()
    page.get_by_role("link", name="msg_1").first.click()
    expect(page.locator(".timeline > li")).to_have_count(2)


def test_the_inbox_is_searched_by_keyboard(server: Server, visits: Visits) -> None:
    box = make(server)
    for number in range(60):
        requests.post(box["url"], data=f"order {number}", timeout=10)
    page = visits.open(f"{server.url}/-/inspector/{box['id']}")
    page.keyboard.press("/")
    page.keyboard.type("order 17")
    page.keyboard.press("Enter")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.goto(f"{server.url}/-/inspector/{box['id']}")
    expect(page.locator("#rows tr")).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#rows tr")).to_have_count(10)
    page.get_by_text("More", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Export as JSON lines")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Export as JSON lines")).to_be_hidden()
    expect(page.get_by_text("More", exact=True)).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_fault_of_accessibility(server: Server, visits: Visits, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    box = make(server, name=f"{scheme} orders", secret=SECRET, script={"status": 500, "times": 1})
    for secret in (SECRET, SECRET, new_secret()):
        ring(box["url"], secret=secret)
    requests.post(box["url"], data={"a": "1"}, timeout=10)
    requests.post(f"{server.url}/-/inspector/{box['id']}/1/replay", timeout=10)
    home = f"/-/inspector/{box['id']}"
    for path in (
        "/-/inspector",
        home,
        f"{home}/1",
        f"{home}/1?view=hex",
        f"{home}/4",
        f"{home}/settings",
        f"{home}?search=nothing",
        "/-/inspector/messages/msg_1",
    ):
        page = visits.open(server.url + path, color_scheme=scheme)
        found = axe.Axe().run(page).response["violations"]
        told = [f"{each['impact']}: {each['help']}: {each['nodes'][0]['html'][:160]}" for each in found]
        assert told == [], path
        page.context.close()


def test_nothing_sticks_out_of_a_narrow_screen(server: Server, visits: Visits) -> None:
    box = make(server, name="narrow orders", secret=SECRET, script=[{"status": 500, "times": 1}, {"status": 418}])
    ring(box["url"], '{"long": "' + "x" * 500 + '"}', message_id="m" * 100)
    home = f"/-/inspector/{box['id']}"
    for path in ("/-/inspector", home, f"{home}/1", f"{home}/settings", f"/-/inspector/messages/{'m' * 100}"):
        page = visits.open(server.url + path, viewport={"width": 360, "height": 740})
        assert_within(page, 360)


@pytest.mark.alone
def test_a_flood_leaves_the_page_responsive(serve: Serve, visits: Visits, say: Callable[[str], None]) -> None:
    """A small one; `benchmarks/inspector.py` has the whole."""
    server = serve()
    box = make(server, keep=5_000)
    page = visits.open(f"{server.url}/-/inspector/{box['id']}")
    live(page)
    page.evaluate(
        "() => { window.long = []; new PerformanceObserver((list) => { for (const each of list.getEntries())"
        " window.long.push(each.duration); }).observe({ type: 'longtask' }); }"
    )
    session = requests.Session()
    with session:
        for number in range(1_500):
            session.post(box["url"], data=f"order {number}", timeout=10)
    expect(page.locator("[data-count=captured]")).to_have_text("1\u202f500")
    longest = max(page.evaluate("() => window.long"), default=0)
    say(f"1,500 captures with a page open: longest task of the page {longest:.0f} ms")

    told = requests.get(f"{server.url}/-/inspector/{box['id']}", timeout=10).json()["inbox"]
    assert (told["captured"], told["kept"]) == (1_500, 1_500)
    assert longest < 200
    assert until(lambda: page.locator("#rows tr").count() <= 200, within=5, wanted="a bounded list")
