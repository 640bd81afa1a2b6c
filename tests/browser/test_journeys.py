"""Journeys through the dashboard as a person makes them: by what is written on the page, not by how it is built."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import requests

from browser.conftest import Visits, assert_cells_apart, assert_within, submit_batch
from support.catcher import Catcher
from support.processes import Server
from support.waiting import until

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect  # noqa: E402

Serve = Callable[..., Server]

NASTY = "<script>document.title='taken'</script><b>bold</b>"


def submit(server: Server, payload: object, **headers: str) -> str:
    answer = requests.post(f"{server.url}/iris", json=payload, headers=headers, timeout=10)
    answer.raise_for_status()
    told: str = answer.json()["id"]
    return told


def ended(server: Server, workload_id: str) -> str:
    """The status once the workload has ended."""
    answer = requests.get(f"{server.url}/iris/{workload_id}?wait=30", timeout=40)
    told: str = answer.json()["status"]
    return told


def live(page: Page) -> None:
    expect(page.get_by_role("status").get_by_text("live", exact=True)).to_be_visible()


def test_a_workload_is_submitted_and_watched_as_it_happens(serve: Serve, visits: Visits) -> None:
    server = serve()
    page = visits.open(server.url)
    page.get_by_role("link", name="Submit", exact=True).first.click()
    field = page.get_by_label("Payload for")
    expect(field).to_have_value('{"sepal_length": 5.2}')
    field.fill('{"steps": 20, "pause": 0.1}')
    page.get_by_role("button", name="Submit").click()

    expect(page.get_by_text("Submitted.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^step \d+ of 20$")).first).to_be_visible()
    expect(page.get_by_label("Log")).to_contain_text("step 3 of 20")
    expect(page.get_by_text("completed", exact=True).first).to_be_visible()
    expect(page.get_by_label("Result")).to_contain_text('"label": "setosa"')
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_running_workload_is_canceled(serve: Serve, visits: Visits) -> None:
    server = serve()
    workload_id = submit(server, {"steps": 3_000, "pause": 0.1})
    page = visits.open(f"{server.url}/-/ui/workloads/iris/{workload_id}")
    expect(page.get_by_text("in progress", exact=True)).to_be_visible()
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_text("It is told to stop.")).to_be_visible()
    expect(page.locator(".state").get_by_text("canceled", exact=True)).to_be_visible()
    assert ended(server, workload_id) == "canceled"
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".state").get_by_text("in progress", exact=True)).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".state").get_by_text("canceled", exact=True)).to_be_visible()

    beside = visits.open(f"{server.url}/-/ui/workloads/iris/{workload_id}")
    live(beside)
    page.get_by_text("Delete …").click()
    page.get_by_role("button", name="Erase").click()
    expect(page.get_by_text("are erased")).to_be_visible()
    expect(beside.get_by_role("status").get_by_text("gone")).to_be_visible()
    assert requests.get(f"{server.url}/iris/{workload_id}", timeout=10).status_code == 410


def test_parked_deliveries_are_recovered(serve: Serve, visits: Visits) -> None:
    with Catcher() as catcher:
        server = serve(webhook=catcher.url)
        page = visits.open(f"{server.url}/-/ui/deliveries")
        live(page)
        with catcher.busy():
            ids = {submit(server, {"number": number}) for number in range(3)}
            # No reload: the stream brings them.
            expect(page.locator("tbody").get_by_text("parked", exact=True)).to_have_count(
                6
            )  # in both of the page's lists

        page.get_by_role("link", name=re.compile("^dlv_")).first.click()
        expect(page.get_by_text("all 2 attempts failed; the last one: answered 503")).to_be_visible()
        page.get_by_role("button", name="Replay").click()
        expect(page.get_by_text("Will be sent again: 1.")).to_be_visible()

        page.get_by_label("all parked of").select_option("iris")
        page.get_by_role("button", name="Send them again").click()
        expect(page.get_by_text("Will be sent again: 2.")).to_be_visible()
        catcher.wait_for_all(ids, within=20)
        expect(page.locator("tbody").get_by_text("delivered", exact=True)).to_have_count(3)
        expect(page.locator("tbody").get_by_text("parked", exact=True)).to_have_count(0)


def test_those_ticked_are_replayed(serve: Serve, visits: Visits) -> None:
    with Catcher() as catcher:
        server = serve(webhook=catcher.url)
        with catcher.busy():
            for number in range(3):
                submit(server, {"number": number})
            page = visits.open(f"{server.url}/-/ui/deliveries?state=parked")
            expect(page.locator("tbody").get_by_text("parked", exact=True)).to_have_count(3)
        page.get_by_role("checkbox", name="Choose").first.check()
        page.get_by_role("checkbox", name="Choose").last.check()
        page.get_by_role("button", name="Replay those ticked").click()

        expect(page.get_by_text("Will be sent again: 2.")).to_be_visible()
        until(lambda: len(catcher.all()) == 2, within=15, wanted="two webhooks")
        expect(page.locator("tbody").get_by_text("parked", exact=True)).to_have_count(1)


def test_an_endpoint_is_tried_out_and_put_to_rest(serve: Serve, visits: Visits) -> None:
    with Catcher() as catcher:
        server = serve(webhook=catcher.url)
        page = visits.open(f"{server.url}/-/ui/endpoints")
        page.get_by_role("button", name="Test").click()
        expect(page.get_by_text("arrived")).to_be_visible()
        assert len(catcher.all()) == 1

        page.get_by_role("link", name="Endpoints").click()
        page.get_by_role("button", name="Disable").click()
        expect(page.get_by_text("disabled", exact=True)).to_be_visible()
        page.get_by_role("button", name="Enable").click()
        expect(page.get_by_text("active", exact=True)).to_be_visible()


def test_the_stream_goes_on_after_the_server_has_been_restarted(serve: Serve, visits: Visits) -> None:
    server = serve()
    page = visits.open(f"{server.url}/-/ui/workloads")
    live(page)
    before = submit(server, {})
    expect(page.get_by_role("link", name=before)).to_be_visible()

    server.kill()
    expect(page.get_by_text("reconnecting")).to_be_visible()
    server.start_and_wait()
    after = submit(server, {})
    expect(page.get_by_role("link", name=after)).to_be_visible()
    live(page)
    expect(page.get_by_role("link", name=before)).to_be_visible()


def test_a_batch_is_watched_to_its_end(serve: Serve, visits: Visits) -> None:
    server = serve()
    batch = submit_batch(server, [{"raise": NASTY}, {"steps": 3_000, "pause": 0.1}, {}])
    page = visits.open(f"{server.url}/-/ui/batches")
    live(page)
    page.get_by_role("link", name=batch).click()
    expect(page.get_by_role("img", name="1 failed, 1 in progress, 1 in queue")).to_be_visible()
    page.get_by_text("Cancel …").click()
    page.get_by_role("button", name="Cancel all that have not ended").click()
    expect(page.get_by_text("Told to stop: 2.")).to_be_visible()
    # No reload: the stream brings it.
    expect(page.get_by_role("img", name="1 failed, 2 canceled")).to_be_visible()
    expect(page.locator(".state").get_by_text("completed", exact=True).first).to_be_visible()
    page.get_by_role("link", name="failed", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("ValueError: <script>")
    page.locator("tbody a").first.click()
    expect(page.get_by_label("Payload")).to_contain_text("document.title='taken'")
    page.get_by_role("link", name=batch).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(batch)


def test_what_a_predictor_says_stays_text(serve: Serve, visits: Visits) -> None:
    server = serve()
    workload_id = submit(server, {"raise": NASTY, "steps": 1, NASTY: NASTY})
    assert ended(server, workload_id) == "failed"
    for path in ("/", "/-/ui/workloads", f"/-/ui/workloads/iris/{workload_id}"):
        page = visits.open(server.url + path)
        live(page)
        expect(page.get_by_text("document.title").first).to_be_visible()
        assert "taken" not in page.title()
        assert page.locator("main b", has_text="bold").count() == 0


def test_light_or_dark_is_chosen_and_kept(serve: Serve, visits: Visits) -> None:
    server = serve()
    page = visits.open(server.url, color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    dark = page.evaluate(ground)
    page.get_by_role("link", name="Workloads", exact=True).click()
    page.wait_for_url("**/-/ui/workloads")

    assert light != dark
    assert page.evaluate(ground) == dark, "the next page has it from the server, without a flash"


# ── With less ───────────────────────────────────────────────────────────────────────────────────


def test_on_a_narrow_screen_nothing_runs_over_its_edge(serve: Serve, visits: Visits) -> None:
    with Catcher() as catcher:
        server = serve(webhook=catcher.url)
        with catcher.busy():
            workload_id = submit(server, {"raise": "a_name_without_any_place_to_break_" * 8})
            ended(server, workload_id)
            batch = submit_batch(server, [{}])
            for path in (
                "/",
                "/-/ui/workloads",
                f"/-/ui/workloads/iris/{workload_id}",
                "/-/ui/batches",
                f"/-/ui/batches/{batch}",
                "/-/ui/deliveries",
                "/-/ui/deliveries/dlv_1",
                "/-/ui/endpoints",
                "/-/ui/apis/iris",
                "/-/ui/submit",
            ):
                page = visits.open(server.url + path, viewport={"width": 340, "height": 700})
                assert_within(page, 340)
                expect(page.get_by_role("link", name="Workloads", exact=True)).to_be_visible()


def test_everything_is_reached_with_the_keyboard_alone(serve: Serve, visits: Visits) -> None:
    server = serve()
    workload_id = submit(server, {"steps": 3_000, "pause": 0.1})
    page = visits.open(server.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    tab_to(page, "Workloads")
    page.keyboard.press("Enter")
    page.wait_for_url("**/-/ui/workloads")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(workload_id[:13])
    page.keyboard.press("Enter")
    page.wait_for_url("**q=**")
    tab_to(page, workload_id)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{workload_id}")
    tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.locator(".state").get_by_text("canceled", exact=True)).to_be_visible()


def tab_to(page: Page, words: str) -> None:
    """Press Tab until what has these words is focused, and is seen to be."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == words:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{words} does not show that it is focused"
            return
    pytest.fail(f"{words!r} is not reached with Tab")


def test_without_script_pages_are_read_and_forms_work(serve: Serve, visits: Visits) -> None:
    server = serve(webhook="http://127.0.0.1:1/")
    page = visits.open(server.url, java_script_enabled=False, color_scheme="light")
    expect(page.get_by_text("as of loading")).to_be_visible()
    page.get_by_role("link", name="Submit", exact=True).first.click()
    page.get_by_label("Payload for").fill('{"steps": 1, "pause": 0.01}')
    page.get_by_role("button", name="Submit").click()
    workload_id = page.url.rpartition("/")[2].partition("?")[0]
    ended(server, workload_id)
    page.reload()
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator(".state").get_by_text("completed", exact=True)).to_be_visible()
    expect(page.get_by_label("Result")).to_contain_text("setosa")
    expect(page.get_by_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")).first).to_be_visible()
    page.get_by_role("link", name="Workloads", exact=True).click()
    expect(page.get_by_role("link", name=workload_id)).to_be_visible()
    for name in ("Workloads", "Deliveries", "Overview"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.locator("tbody tr").first).to_be_visible()
        assert_cells_apart(page)


def test_with_a_key_one_logs_in_and_out(serve: Serve, visits: Visits) -> None:
    server = serve(options=("--api-key", "open-sesame"))
    page = visits.open(f"{server.url}/-/ui/workloads?status=failed")
    expect(page.get_by_role("heading", name="Ringback")).to_be_visible()
    page.get_by_label("API key").fill("open-barley")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("That is none of this server's API keys.")
    page.get_by_label("API key").fill("open-sesame")
    page.keyboard.press("Enter")

    page.wait_for_url("**/-/ui/workloads?status=failed")
    live(page)
    cookies = page.context.cookies()
    assert [(each["httpOnly"], each["sameSite"]) for each in cookies] == [(True, "Strict")]
    page.get_by_role("link", name="Submit", exact=True).first.click()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Submitted.")).to_be_visible()
    server.kill()
    server.start_and_wait()
    page.reload()
    live(page)

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.goto(f"{server.url}/-/ui/endpoints")
    expect(page.get_by_label("API key")).to_be_visible()
