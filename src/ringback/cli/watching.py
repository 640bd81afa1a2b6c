"""Captures watched from the terminal: an inbox on the running server, or on a small one of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Final

import httpx2

from ringback.cli.context import Context
from ringback.core.errors import RingbackError
from ringback.core.inbox import PATH

_PAUSE_SECONDS: Final = 1.0
_FORWARD_SECONDS: Final = 30.0
_QUIET_SECONDS: Final = 60.0
"""The server says something every 15 s: one that says nothing for so long is gone, whatever the connection says."""
_LEFT_OUT: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect"}
)
_COLOURS: Final = {"good": "32", "no_secret": "2", "cut": "2", "unsigned": "33", "old_key": "33", "clock_skew": "33"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for."""

    forward: str | None
    inbox: str | None
    secret: str | None
    port: int
    count: int | None


def run(told: Context, wanted: Wanted) -> None:
    """Listen until interrupted, or until there have been enough captures.

    Raises:
        RingbackError: the server refuses, or has no inspector.
    """
    with contextlib.ExitStack() as stack:
        http = stack.enter_context(_server(told, wanted.port))
        asked = {"name": wanted.inbox, "secret": wanted.secret}
        box = _json(http.post(PATH, json={name: value for name, value in asked.items() if value is not None}))
        if wanted.inbox is not None and wanted.secret is not None:
            _json(http.patch(f"{PATH}/{box['id']}", json={"secret": wanted.secret}))
        if wanted.inbox is None:
            stack.callback(_forget, http, box["id"])
        _greet(told, http, box)
        with contextlib.suppress(KeyboardInterrupt):
            _watch(told, http, box, wanted)


@contextlib.contextmanager
def _server(told: Context, port: int) -> Iterator[httpx2.Client]:
    """The server that is running, or a small one for as long as this takes."""
    headers = {} if told.api_key is None else {"Authorization": f"Bearer {told.api_key}"}
    timeout = httpx2.Timeout(30.0, read=_QUIET_SECONDS)
    with httpx2.Client(base_url=told.server, headers=headers, timeout=timeout) as http:
        try:
            http.get("/healthz")
        except httpx2.TransportError:
            pass
        else:
            yield http
            return
    from ringback.runtime.alone import inspector_alone  # noqa: PLC0415 - brings the whole server with it

    with inspector_alone(port) as url, httpx2.Client(base_url=url, timeout=timeout) as http:
        if not told.as_json:
            sys.stderr.write(f"no server answers at {told.url}: listening on {url}\n")
        yield http


def _json(answer: httpx2.Response) -> Any:
    if answer.status_code == httpx2.codes.NOT_FOUND and not answer.url.path.startswith(f"{PATH}/"):
        raise RingbackError("the server has no inspector: start it with --inspector")
    try:
        value = answer.json()
    except ValueError:
        raise RingbackError(f"{answer.url} answered what is no JSON ({answer.status_code})") from None
    if not answer.is_success:
        raise RingbackError(str(value.get("detail", answer.status_code)))
    return value


def _forget(http: httpx2.Client, inbox_id: str) -> None:
    with contextlib.suppress(httpx2.HTTPError):
        http.delete(f"{PATH}/{inbox_id}")


def _greet(told: Context, http: httpx2.Client, box: dict[str, Any]) -> None:
    page = f"{str(http.base_url).rstrip('/')}{PATH}/{box['id']}"
    told.say(f"{box['url']}\n\nSend webhooks there. The same in a browser: {page}\n", {"inbox": box, "page": page})


# ── Captures as they come ───────────────────────────────────────────────────────────────────────


def _watch(told: Context, http: httpx2.Client, box: dict[str, Any], wanted: Wanted) -> None:
    seen: int = box["captured"]
    shown = 0
    with httpx2.Client(timeout=_FORWARD_SECONDS, follow_redirects=False) as onward:
        for capture in _captures(http, box):
            if capture["number"] <= seen:
                continue  # a change of one that was shown
            seen, shown = capture["number"], shown + 1
            answer = None if wanted.forward is None else _sent_on(http, onward, capture, wanted.forward)
            told.say(_line(capture, answer), capture if answer is None else {**capture, "forwarded": answer})
            if shown == wanted.count:
                return


def _captures(http: httpx2.Client, box: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each capture and each change of one, across broken connections, none lost and none twice.

    Raises:
        RingbackError: the inbox has been deleted.
    """
    last = str(box["change"])
    while True:
        try:
            headers = {"Last-Event-ID": last, "Accept": "text/event-stream"}
            with http.stream("GET", f"{PATH}/{box['id']}/events", headers=headers) as stream:
                if stream.status_code == httpx2.codes.NOT_FOUND:
                    raise RingbackError("the inbox has been deleted")
                for name, event_id, data in _events(stream.iter_lines()):
                    if name == "gone":
                        raise RingbackError("the inbox has been deleted")
                    if name == "capture":
                        yield data
                        last = event_id or last
        except httpx2.HTTPError:
            pass
        threading.Event().wait(_PAUSE_SECONDS)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    """Name, id and data of each event of a stream."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"])
            fields = {}
        else:
            fields = {}


def _sent_on(http: httpx2.Client, onward: httpx2.Client, capture: dict[str, Any], url: str) -> dict[str, Any]:
    """What the URL answered, or why it did not."""
    whole = _json(http.get(f"{PATH}/{capture['inbox']}/{capture['number']}"))
    body = whole["body"].encode() if whole["body_base64"] is None else base64.b64decode(whole["body_base64"])
    headers = [(name, value) for name, value in whole["headers"] if name.lower() not in _LEFT_OUT]
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    began = perf_counter_ns()
    try:
        answer = onward.request(whole["method"], _joined(url, whole["target"]), headers=raw, content=body)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return {"url": url, "error": str(error) or type(error).__name__}
    duration_ms = (perf_counter_ns() - began) / 1_000_000
    return {"url": url, "status": answer.status_code, "duration_ms": duration_ms, "body": answer.text[:2_000]}


def _joined(url: str, target: str) -> str:
    path, _, query = target.partition("?")
    joined = url.rstrip("/") + path if path.strip("/") else url
    return f"{joined}{'&' if '?' in joined else '?'}{query}" if query else joined


def _line(capture: dict[str, Any], answer: dict[str, Any] | None) -> str:
    verdict, answered = capture["verdict"], capture["answer"]
    what = f"{capture['method']} {capture['target']}".strip()
    words = verdict["reason"].replace("_", " ")
    parts = [
        f"{capture['received_at'][11:23]}  #{capture['number']}  {what}",
        _coloured(words, _COLOURS.get(verdict["reason"], "31")),
        f"answered {answered['status'] or answered['act']}",
        f"{capture['size']} B",
        *([capture["webhook_id"]] if capture["webhook_id"] else []),
    ]
    lines = ["  ".join(parts)]
    if verdict["reason"] not in {"good", "no_secret"}:
        lines.append(f"    {verdict['sentence']}")
    if capture["begins"]:
        lines.append(f"    {capture['begins']}")
    if answer is not None and "error" in answer:
        lines.append(f"    {_coloured('not sent on', '31')} to {answer['url']}: {answer['error']}")
    elif answer is not None:
        colour = "32" if answer["status"] < 300 else "31"
        lines.append(
            f"    {_coloured(str(answer['status']), colour)} from {answer['url']} in {answer['duration_ms']:.0f} ms"
        )
    return "\n".join(lines)


def _coloured(words: str, code: str) -> str:
    return f"\033[{code}m{words}\033[0m" if sys.stdout.isatty() else words
