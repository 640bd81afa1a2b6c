"""Who gets in through a browser, and what a page of another site cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ringback.core.clock import HandWound
from ringback.core.errors import NotFound
from ringback.gateway import Front, Gateway, Rules
from ringback.pages import ASSETS_PATH, Mount, Pages, Visitor, visitor_of
from ringback.pages.sessions import SESSION_SECONDS
from ringback.store.sqlite import SqliteStore, open_sqlite
from support.asgi import Answer, Caller
from support.waiting import eventually
from unit.gateway.conftest import IRIS, Facts

FORM = {"content-type": "application/x-www-form-urlencoded"}
HTML = {"accept": "text/html,*/*"}
HOST = {"host": "127.0.0.1:8080"}
OWN = {**HOST, "sec-fetch-site": "same-origin"}
HOSTS = frozenset({"127.0.0.1", "localhost"})


@dataclass(slots=True)
class Part:
    """A part with pages: remembers who asked and what came, answers 200."""

    visitors: list[Visitor | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    lines: int = 0
    wanted: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/-/part/missing":
            raise NotFound("there is no <b>such</b> thing")
        if scope["path"] == "/-/part/stream":
            await self.stream(receive, send)
            return
        self.visitors.append(visitor_of(scope) if "ringback.visitor" in scope else None)
        self.bodies.append((await receive()).get("body", b""))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part"})

    async def stream(self, receive: Any, send: Any) -> None:
        """A line whenever it is asked for, until whoever reads it is gone."""
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": b"line\n", "more_body": True})
            self.lines += 1
            await asyncio.wait({gone, asyncio.ensure_future(self.wanted.wait())}, return_when="FIRST_COMPLETED")
            self.wanted.clear()
        assert (await gone)["type"] == "http.disconnect"


@pytest.fixture
def part() -> Part:
    return Part()


def caller(store: SqliteStore, part: Part, *keys: str, public_url: str = "") -> Caller:
    async def metrics() -> bytes:
        return b""

    mount = Mount(paths=("/", "/-/part"), application=part, open_paths=("/-/part/open",))
    return Caller(
        Gateway(
            store,
            [IRIS],
            Facts(),
            rules=Rules(max_body_bytes=1_000, api_keys=frozenset(keys), hosts=HOSTS),
            metrics=metrics,
            front=Front(pages=Pages(), mounts=[mount], public_url=public_url),
        )
    )


def form(**fields: str) -> bytes:
    return urlencode(fields).encode()


async def log_in(call: Caller, key: str = "sesame", **headers: str) -> Answer:
    page = await call("GET", "/-/login", headers=OWN | headers)
    token = page.body.decode().partition('name="form_token" value="')[2].partition('"')[0]
    return await call("POST", "/-/login", form(key=key, form_token=token, next="/-/part"), OWN | FORM | headers)


def cookie_of(answer: Answer) -> dict[str, str]:
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


# ── What is hung in ─────────────────────────────────────────────────────────────────────────────


async def test_a_mounted_part_gets_its_paths_and_a_browser_its_first_page(store: SqliteStore, part: Part) -> None:
    call = caller(store, part)

    assert (await call("GET", "/-/part/x", headers=HOST)).body == b"part"
    assert (await call("GET", "/", headers=HOST | HTML)).body == b"part"
    assert "ringback" in (await call("GET", "/", headers=HOST | {"accept": "application/json"})).json()
    assert "ringback" in (await call("GET", "/", headers=HOST)).json()
    assert (await call("GET", "/-/parts", headers=HOST)).problem == "not_found"


async def test_what_a_part_raises_is_a_page_for_a_browser_and_a_problem_else(store: SqliteStore, part: Part) -> None:
    call = caller(store, part)
    page = await call("GET", "/-/part/missing", headers=HOST | HTML)

    assert (await call("GET", "/-/part/missing", headers=HOST)).problem == "not_found"
    assert page.status == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert b"&lt;b&gt;such&lt;/b&gt;" in page.body


async def test_an_open_path_is_asked_for_by_anybody_with_any_method(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    foreign = {"host": "evil.example", "origin": "https://evil.example", "sec-fetch-site": "cross-site"}

    for method in ("GET", "POST", "PURGE"):
        assert (await call(method, "/-/part/open/here", b"x", headers=foreign)).status == 200
    assert part.visitors == [None] * 3
    assert (await call("GET", "/-/part/opened", headers=HOST)).problem == "unauthorized"


async def test_assets_are_for_everyone_and_for_ever(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    page = (await call("GET", "/-/login", headers=HOST)).body.decode()
    path = ASSETS_PATH + page.partition(f'href="{ASSETS_PATH}')[2].partition('"')[0]
    asset = await call("GET", path, headers=HOST)

    assert asset.status == 200
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["x-content-type-options"] == "nosniff"
    assert (await call("GET", f"{ASSETS_PATH}/base.000000000000.css", headers=HOST)).problem == "not_found"
    assert (await call("POST", path, headers=HOST)).problem == "method_not_allowed"


# ── Names ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_name_that_is_not_its_own_is_refused(store: SqliteStore, part: Part) -> None:
    call = caller(store, part)

    for path in ("/", "/-/part", "/iris", "/-/apis", "/-/login"):
        refused = await call("GET", path, headers={"host": "evil.example:8080"})
        assert (refused.status, refused.problem) == (421, "unknown_host"), path
    assert (await call("POST", "/iris", b"{}", {"host": "evil.example"})).problem == "unknown_host"
    assert (await call("GET", "/-/apis", headers={"host": "LOCALHOST:1"})).status == 200
    assert (await call("GET", "/-/apis")).status == 200, "HTTP/1.0 has no Host, and no browser speaks it"
    assert (await call("GET", "/healthz", headers={"host": "10.0.0.1"})).status == 200


async def test_who_has_a_key_may_call_it_what_they_like(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    headers = {"host": "behind.proxy", "authorization": "Bearer sesame"}

    assert (await call("GET", "/-/apis", headers=headers)).status == 200


# ── Other sites ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:8080"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://[oops"},
    ],
)
async def test_a_page_of_another_site_can_send_nothing(store: SqliteStore, part: Part, headers: dict[str, str]) -> None:
    call = caller(store, part)
    token = {"x-form-token": "whatever", "content-type": "text/plain"}

    for path in ("/iris", "/-/part", "/-/endpoints/iris/disable"):
        refused = await call("POST", path, b"x", HOST | token | headers)
        assert (refused.status, refused.problem) == (403, "cross_site"), path
    assert part.bodies == []


async def test_a_form_of_its_own_pages_goes_through_whole(store: SqliteStore, part: Part) -> None:
    call = caller(store, part)
    await call("GET", "/-/part", headers=OWN)
    assert part.visitors[0] is not None
    token = part.visitors[0].form_token
    body = form(a="1", form_token=token)

    assert (await call("POST", "/-/part", body, OWN | FORM)).status == 200
    assert part.bodies[-1] == body
    null = HOST | {"origin": "null"}
    assert (await call("POST", "/-/part", body, null | FORM)).status == 200, "as browsers send it over plain http"
    assert (await call("POST", "/-/part", b"{}", OWN | {"x-form-token": token})).status == 200
    for wrong in (form(a="1"), form(form_token="x"), b"\xff", b""):
        assert (await call("POST", "/-/part", wrong, OWN | FORM)).problem == "cross_site"
    assert (await call("POST", "/-/part", b"{}", OWN)).problem == "cross_site"
    assert (await call("POST", "/-/part", body + b"x" * 1_000, OWN | FORM)).problem == "payload_too_large"


async def test_a_script_of_its_own_pages_brings_the_token_to_the_json_routes(store: SqliteStore, part: Part) -> None:
    call = caller(store, part)
    await call("GET", "/-/part", headers=OWN)
    assert part.visitors[0] is not None
    token = {"x-form-token": part.visitors[0].form_token}

    assert (await call("POST", "/-/endpoints/iris/disable", headers=OWN)).problem == "cross_site"
    assert (await call("POST", "/-/endpoints/iris/disable", headers=OWN | token)).status == 200


async def test_programs_need_no_token(store: SqliteStore, part: Part) -> None:
    assert (await caller(store, part)("POST", "/-/part", b"x", HOST)).status == 200
    keyed = caller(store, part, "sesame")
    headers = HOST | {"authorization": "Bearer sesame", "origin": "https://elsewhere.example"}
    assert (await keyed("POST", "/-/part", b"x", headers)).status == 200


# ── Sessions ────────────────────────────────────────────────────────────────────────────────────


async def test_without_a_session_a_browser_is_asked_to_log_in(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    sent_on = await call("GET", "/-/part/a?b=c&d=%C3%BC", headers=HOST | HTML)

    assert sent_on.status == 303
    assert sent_on.headers["location"] == "/-/login?next=/-/part/a%3Fb%3Dc%26d%3D%25C3%25BC"
    assert (await call("GET", "/", headers=HOST | HTML)).headers["location"] == "/-/login?next=/"
    assert (await call("POST", "/-/part", b"", OWN | HTML)).status == 401
    assert (await call("GET", "/-/part", headers=HOST)).problem == "unauthorized"


async def test_a_key_opens_a_session_that_everything_heeds(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    opened = await log_in(call)
    flags = {each.strip().lower() for each in opened.headers["set-cookie"].split(";")[1:]}

    assert (opened.status, opened.headers["location"]) == (303, "/-/part")
    assert {"httponly", "samesite=strict", "path=/", f"max-age={SESSION_SECONDS}"} <= flags
    assert "secure" not in flags
    cookie = cookie_of(opened)
    assert (await call("GET", "/-/part", headers=HOST | cookie)).status == 200
    assert (await call("GET", "/-/apis", headers=HOST | cookie)).status == 200
    assert part.visitors[0] is not None
    assert part.visitors[0].session


async def test_a_cookie_alone_changes_nothing(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    cookie = cookie_of(await log_in(call))

    refused = await call("POST", "/iris", b"{}", HOST | cookie | {"content-type": "application/json"})
    assert refused.problem == "cross_site"
    await call("GET", "/-/part", headers=HOST | cookie)
    assert part.visitors[-1] is not None
    token = {"x-form-token": part.visitors[-1].form_token}
    taken = await call("POST", "/iris", b"{}", OWN | cookie | token | {"content-type": "application/json"})
    assert taken.status == 200


async def test_a_token_is_worth_nothing_in_another_session(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    mine, other = cookie_of(await log_in(call)), cookie_of(await log_in(call))
    await call("GET", "/-/part", headers=HOST | other)
    assert part.visitors[-1] is not None
    body = form(form_token=part.visitors[-1].form_token)

    assert (await call("POST", "/-/part", body, OWN | FORM | mine)).problem == "cross_site"
    assert (await call("POST", "/-/part", body, OWN | FORM | other)).status == 200


async def test_a_wrong_key_opens_nothing(store: SqliteStore, part: Part) -> None:
    refused = await log_in(caller(store, part, "sesame"), "rice")

    assert refused.status == 403
    assert "set-cookie" not in refused.headers
    assert b"none of this server" in refused.body


async def test_a_login_form_of_another_site_is_refused(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")

    assert (await call("POST", "/-/login", form(key="sesame"), OWN | FORM)).problem == "cross_site"
    foreign = HOST | {"sec-fetch-site": "cross-site"}
    assert (await call("POST", "/-/login", form(key="sesame"), foreign | FORM)).problem == "cross_site"


async def test_logging_out_ends_the_session(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    cookie = cookie_of(await log_in(call))
    await call("GET", "/-/part", headers=HOST | cookie)
    assert part.visitors[-1] is not None
    left = await call("POST", "/-/logout", form(form_token=part.visitors[-1].form_token), OWN | FORM | cookie)

    assert (left.status, left.headers["location"]) == (303, "/-/login")
    assert (await call("GET", "/-/part", headers=HOST | cookie)).problem == "unauthorized"
    assert (await call("GET", "/-/logout", headers=HOST)).problem == "method_not_allowed"


async def test_a_stream_ends_with_its_session(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    cookie = cookie_of(await log_in(call))
    await call("GET", "/-/part", headers=HOST | cookie)
    assert part.visitors[-1] is not None
    reading = asyncio.create_task(call("GET", "/-/part/stream", headers=HOST | cookie))
    await eventually(lambda: part.lines == 1)
    part.wanted.set()
    await eventually(lambda: part.lines == 2)
    await call("POST", "/-/logout", form(form_token=part.visitors[-1].form_token), OWN | FORM | cookie)
    part.wanted.set()
    answer = await asyncio.wait_for(reading, 10)

    assert (answer.status, answer.body) == (200, b"line\nline\n")


async def test_logging_out_of_one_member_is_logging_out_of_all(store: SqliteStore, part: Part, tmp_path: Path) -> None:
    elsewhere = await open_sqlite(tmp_path / "ringback.db", clock=store.clock)
    here, there = caller(store, part, "sesame"), caller(elsewhere, part, "sesame")
    cookie = cookie_of(await log_in(here))
    assert (await there("GET", "/-/part", headers=HOST | cookie)).status == 200
    assert part.visitors[-1] is not None
    await here("POST", "/-/logout", form(form_token=part.visitors[-1].form_token), OWN | FORM | cookie)

    session = part.visitors[-1].session
    assert session is not None
    await eventually(lambda: elsewhere.logouts.has_ended(session))
    assert (await there("GET", "/-/part", headers=HOST | cookie)).problem == "unauthorized"
    await elsewhere.close()


async def test_wrong_keys_are_slowed_down_in_so_many_words_and_the_right_one_is_then_no_key_either(
    store: SqliteStore, part: Part
) -> None:
    call = caller(store, part, "sesame")
    answers = [await log_in(call, key="barley") for _ in range(12)]
    assert [answer.status for answer in answers] == [403] * 10 + [429] * 2
    assert answers[-1].headers["retry-after"] == "6"
    assert b"Too many wrong keys have been tried. Try again in 6 s." in answers[-1].body
    assert (await log_in(call)).status == 429, "else whoever guesses would learn of the right one"
    assert (await call("GET", "/-/part", headers=HOST | {"authorization": "Bearer sesame"})).status == 200

    assert isinstance(store.clock, HandWound)
    store.clock.wind(6)
    assert (await log_in(call)).status == 303
    assert (await log_in(call, key="barley")).status == 403, "a slip is forgiven whoever has the key"


async def test_a_session_ends_with_its_time(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    cookie = cookie_of(await log_in(call))
    assert isinstance(store.clock, HandWound)
    store.clock.wind(SESSION_SECONDS)

    assert (await call("GET", "/-/part", headers=HOST | cookie)).problem == "unauthorized"


async def test_behind_a_proxy_with_tls_the_cookie_is_secure(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame", public_url="https://localhost:444")
    opened = await log_in(call, host="localhost:444")

    assert opened.headers["set-cookie"].startswith("__Host-ringback_session=")
    assert "Secure" in opened.headers["set-cookie"]
    assert (await call("GET", "/-/part", headers={"host": "localhost:444"} | cookie_of(opened))).status == 200
    assert (await log_in(call)).headers["set-cookie"].startswith("ringback_session=")


async def test_cookies_of_other_programs_are_passed_over(store: SqliteStore, part: Part) -> None:
    call = caller(store, part, "sesame")
    cookie = cookie_of(await log_in(call))["cookie"]

    crowded = {"cookie": f'odd={{"a": [1, 2]}}; lonely; ; =x; {cookie}; z="'}
    assert (await call("GET", "/-/part", headers=HOST | crowded)).status == 200


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "x", "/\r\nX: y", ""])
async def test_after_the_login_one_stays_here(store: SqliteStore, part: Part, target: str) -> None:
    call = caller(store, part, "sesame")
    page = (await call("GET", "/-/login", headers=OWN)).body.decode()
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    opened = await call("POST", "/-/login", form(key="sesame", form_token=token, next=target), OWN | FORM)

    assert opened.headers["location"] == "/"


async def test_where_no_key_is_asked_for_the_login_leads_on(store: SqliteStore, part: Part) -> None:
    assert (await log_in(caller(store, part), "anything")).headers["location"] == "/-/part"


async def test_light_or_dark_is_remembered_without_a_script(store: SqliteStore, part: Part) -> None:
    call = caller(store, part)
    await call("GET", "/-/part", headers=OWN)
    assert part.visitors[0] is not None
    token = part.visitors[0].form_token
    chosen = await call("POST", "/-/theme", form(theme="dark", next="/-/part", form_token=token), OWN | FORM)

    assert (chosen.status, chosen.headers["location"]) == (303, "/-/part")
    await call("GET", "/-/part", headers=OWN | cookie_of(chosen))
    assert part.visitors[-1] is not None
    assert part.visitors[-1].theme == "dark"
    back = await call("POST", "/-/theme", form(theme="puce", form_token=token), OWN | FORM)
    assert "Max-Age=0" in back.headers["set-cookie"]
