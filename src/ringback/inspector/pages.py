"""What the inspector's pages show: values for the templates, and the rows that a page is sent while it is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from ringback.core.delivery import DeliveryRecord
from ringback.core.diagnosis import Finding
from ringback.core.errors import Erased, UnknownWorkload
from ringback.core.inbox import PATH, Capture, Inbox, header, header_lines
from ringback.core.quantities import format_size
from ringback.core.script import Act
from ringback.core.workload import Workload
from ringback.inspector.bodies import HEX_BYTES, SHOWN_BYTES, fields_of, hex_rows, indented, text_of, views_of
from ringback.inspector.desk import Desk
from ringback.inspector.exporting import curl_of
from ringback.inspector.forms import form_of_script
from ringback.inspector.joining import Exchange, exchanges
from ringback.inspector.presets import PRESETS, preset_of, told_script
from ringback.inspector.rows import answer_mark, forward_mark, key_of, path_of, rows_of, rows_of_messages, verdict_mark
from ringback.inspector.streaming import event
from ringback.pages import BACK, CURSOR, Visitor, pager

MOST_OF_MESSAGE: Final = 200
"""Captures of one message that are shown."""
ROWS_SENT: Final = 12
"""Rows made anew at most for one piece of news: more than anybody reads in that time; the page says how many passed."""


def _inbox_values(desk: Desk, inbox: Inbox) -> dict[str, Any]:
    return {
        "inbox": inbox,
        "url": desk.base_url + inbox.path,
        "home": f"{PATH}/{inbox.id}",
        "secrets": desk.judge.secrets_of(inbox),
        "script": told_script(inbox.settings.script),
        "kept": inbox.captured - inbox.dropped,
    }


def inboxes(desk: Desk, found: Sequence[Inbox]) -> dict[str, Any]:
    """The first page: every inbox."""
    return {"inboxes": [_inbox_values(desk, each) for each in found], "home": PATH}


async def inbox(
    desk: Desk, inbox: Inbox, captures: Sequence[Capture], *, given: Mapping[str, str], cursor: str | None
) -> dict[str, Any]:
    """An inbox's page: what it is set to, and what it holds."""
    search = given.get("search", "")
    is_grouped = not search and given.get("view") != "each"
    kept = {"search": search} if search else {}
    live = {"rows": "grouped" if is_grouped else "each", "after": inbox.change}
    newest = captures[0].number if captures and CURSOR not in given else None
    rows = rows_of_messages(desk, inbox, captures, upto=newest) if is_grouped else rows_of(desk, inbox, captures)
    return {
        **_inbox_values(desk, inbox),
        "rows": await rows,
        "search": search,
        "is_grouped": is_grouped,
        "pager": pager(given, cursor, {name: value for name, value in given.items() if name not in {CURSOR, BACK}}),
        "export_query": f"?{urlencode(kept)}" if kept else "",
        "presets": PRESETS,
        "preset": preset_of(inbox.settings.script),
        "stream": None if search or CURSOR in given else f"{PATH}/{inbox.id}/events?{urlencode(live)}",
    }


def settings(desk: Desk, inbox: Inbox) -> dict[str, Any]:
    """The page of an inbox's settings."""
    return {
        **_inbox_values(desk, inbox),
        "form": form_of_script(inbox.settings.script),
        "keep_bytes": format_size(inbox.settings.keep_bytes),
        "body_limit": format_size(inbox.settings.body_limit_bytes),
        "acts": [(act.value, _ACT_WORDS[act]) for act in Act],
    }


async def capture(desk: Desk, inbox: Inbox, capture: Capture, finding: Finding, view: str | None) -> dict[str, Any]:
    """One capture's page."""
    arrival = capture.arrival
    kind = header(arrival.head, "content-type")
    views = views_of(kind, arrival.body)
    chosen = view if view in views else views[0]
    message_id = arrival.message_id
    found = [] if message_id is None else await desk.store.inboxes.of_message(message_id, 50)
    return {
        **_inbox_values(desk, inbox),
        "capture": capture,
        "arrival": arrival,
        "headers": header_lines(arrival.head),
        "query": parse_qsl(arrival.target.partition("?")[2], keep_blank_values=True, errors="replace"),
        "content_type": kind,
        "finding": finding,
        "verdict": verdict_mark(finding),
        "answer": answer_mark(capture.answered),
        "forwards": [(each, forward_mark([each])) for each in reversed(capture.forwards)],
        "views": views,
        "view": chosen,
        "shown": _shown(chosen, kind, arrival.body),
        "is_shown_in_part": len(arrival.body) > (HEX_BYTES if chosen == "hex" else SHOWN_BYTES),
        "curl": curl_of(capture, desk.url_of(capture)),
        "before": capture.number - 1 if capture.number - 1 > inbox.dropped else None,
        "after": capture.number + 1 if capture.number < inbox.captured else None,
        "siblings": [(each, path_of(each), answer_mark(each.answered)) for each in found],
    }


def _shown(view: str, kind: str | None, body: bytes) -> Any:
    match view:
        case "json":
            return indented(body)
        case "form":
            return fields_of(kind or "", body)
        case "hex":
            return hex_rows(body)
        case _:
            return text_of(kind, body)


async def message(desk: Desk, message_id: str) -> dict[str, Any] | None:
    """One message's page: everything known of it in one line; None when nothing is."""
    captures, inboxes = await desk.of_message(message_id, MOST_OF_MESSAGE)
    deliveries = await desk.judge.deliveries_of(message_id)
    if not captures and not deliveries:
        return None
    line = exchanges(deliveries, captures)
    return {
        "message_id": message_id,
        "deliveries": deliveries,
        "workload": await _workload(desk, deliveries),
        "line": [(each, await _marks(desk, each, inboxes)) for each in line],
        "captured": len(captures),
        "stream": f"{PATH}/live?{urlencode({'message': message_id})}",
    }


async def _workload(desk: Desk, deliveries: Sequence[DeliveryRecord]) -> Workload | None:
    if not deliveries:
        return None
    try:
        return await desk.store.get(deliveries[0].api, deliveries[0].workload_id)
    except (UnknownWorkload, Erased):
        return None


async def _marks(desk: Desk, exchange: Exchange, inboxes: Mapping[str, Inbox]) -> list[dict[str, Any]]:
    """How each capture of an exchange was judged and answered, and where it is shown."""
    marks: list[dict[str, Any]] = []
    for each in exchange.captures:
        found = inboxes[each.inbox_id]
        marks.append(
            {
                "capture": each,
                "inbox": found,
                "path": path_of(each),
                "verdict": verdict_mark(await desk.judge.judge(found, each)),
                "answer": answer_mark(each.answered),
                "forward": forward_mark(each.forwards),
            }
        )
    return marks


async def rows_event(
    desk: Desk, visitor: Visitor, is_grouped: bool, inbox: Inbox, captures: Sequence[Capture]
) -> bytes:
    """What a page is sent when captures have come or changed: their rows anew, and how many it does not get."""
    newest = sorted(captures, key=lambda each: each.number, reverse=True)[:ROWS_SENT]
    if is_grouped:
        rows = await rows_of_messages(desk, inbox, newest, are_news=True)
    else:
        rows = await rows_of(desk, inbox, newest)
    shown = {row.key for row in rows}
    told = {
        "rows": [
            {
                "key": row.key,
                "number": row.number,
                "html": desk.pages.render("inspector/row.html", {"row": row}, visitor).decode(),
            }
            for row in reversed(rows)
        ],
        "passed": sum(key_of(each, is_grouped=is_grouped) not in shown for each in captures),
    }
    return event("rows", told, id=captures[-1].change)


_ACT_WORDS: Final = {
    Act.ANSWER: "answer",
    Act.HANG: "say nothing",
    Act.HANG_AFTER_HEADERS: "send the headers, then say nothing",
    Act.RESET: "reset the connection",
    Act.RESET_AFTER_HEADERS: "send the headers, then reset",
    Act.DRIP: "drip the body, a few bytes a second",
    Act.ENDLESS: "answer with a body that does not end",
    Act.RELAY: "answer what the forward URL answers",
}
