"""Captures for other programs: as a curl command, as JSON lines, as an HTTP Archive (HAR 1.2). Pure."""

from __future__ import annotations

import base64
import json
import shlex
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from ringback import __version__
from ringback.core.clock import isoformat
from ringback.core.inbox import Capture, header, header_lines
from ringback.inspector.telling import text_of

_CURLS_OWN: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect"})
"""What curl writes by itself, from the URL and the data."""
_GLOBS: Final = frozenset("{}[]")


def curl_of(capture: Capture, url: str) -> str:
    """A command for a POSIX shell that sends the capture's bytes again, headers in their order.

    A body that is no text goes through base64, which every system with curl has, so that the command can be pasted.

    Args:
        capture: whole.
        url: where to.
    """
    arrival = capture.arrival
    # What curl makes of a URL by itself: it counts up in braces and brackets, and walks up dots.
    as_it_is = f"{' -g' if _GLOBS & set(url) else ''}{' --path-as-is' if '/.' in url else ''}"
    parts = [f"curl -i{as_it_is} -X {shlex.quote(arrival.method)} {shlex.quote(url)}"]
    names = set()
    for name, value in header_lines(arrival.head):
        names.add(name.lower())
        if name.lower() not in _CURLS_OWN:
            # `-H 'Name;'` is how curl is told to send a header without a value.
            parts.append(f"-H {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    if arrival.body and "content-type" not in names:
        parts.append("-H 'Content-Type:'")
    parts += [f"-H '{name}:'" for name in ("User-Agent", "Accept") if name.lower() not in names]
    if not arrival.body:
        return " \\\n  ".join(parts)
    text = text_of(arrival.body)
    if text is not None and "\0" not in text and not text.startswith("@"):
        return " \\\n  ".join([*parts, f"--data-binary {shlex.quote(text)}"])
    code = base64.b64encode(arrival.body).decode()
    return f"printf %s {code} | base64 -d | " + " \\\n  ".join([*parts, "--data-binary @-"])


HAR_HEAD: Final = json.dumps(
    {"log": {"version": "1.2", "creator": {"name": "Ringback", "version": __version__}, "entries": []}}
).encode()[:-3]
"""What stands before the first entry of an archive; between entries stand commas."""
HAR_TAIL: Final = b"]}}"


def har_entry(capture: Capture, url: str) -> dict[str, Any]:
    """One whole capture in an archive, with the URL it came to."""
    arrival, answered = capture.arrival, capture.answered
    waited = (answered.duration_us or 0) / 1_000
    return {
        "startedDateTime": isoformat(arrival.received_at),
        "time": arrival.read_us / 1_000 + waited,
        "request": {
            "method": arrival.method,
            "url": url,
            "httpVersion": f"HTTP/{arrival.http_version}",
            "cookies": [],
            "headers": [{"name": name, "value": value} for name, value in header_lines(arrival.head)],
            "queryString": [
                {"name": name, "value": value}
                for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True, errors="replace")
            ],
            "headersSize": len(arrival.head),
            "bodySize": arrival.size_bytes,
            **_post_data(capture),
        },
        "response": {
            "status": answered.status or 0,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [],
            "content": {"size": -1, "mimeType": "x-unknown"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "comment": answered.detail or answered.act.value,
        },
        "cache": {},
        "timings": {"send": arrival.read_us / 1_000, "wait": waited, "receive": 0},
        "comment": f"capture {capture.number}",
    }


def _post_data(capture: Capture) -> dict[str, Any]:
    """The body; one that is no text as base64, which the archive's text cannot say but a comment can."""
    body = capture.arrival.body
    if not body:
        return {}
    text = text_of(body)
    kind = header(capture.arrival.head, "content-type") or "application/octet-stream"
    told: dict[str, Any] = {"mimeType": kind, "params": []}
    if text is None:
        return {"postData": {**told, "text": base64.b64encode(body).decode(), "comment": "base64"}}
    return {"postData": {**told, "text": text}}
