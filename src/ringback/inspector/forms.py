"""The inspector's forms as the JSON that would ask for the same. Pure; checks only what forms alone have.

A form plays at most two steps: first one for so many requests of each message, then another for all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ringback.core.errors import InvalidPayload
from ringback.core.script import Act, Script, Step, as_json
from ringback.inspector.presets import BY_KEY

_PLAIN: Final = frozenset({"name", "secret", "forward", "keep_bytes", "body_limit"})


def settings_of_form(fields: Mapping[str, str]) -> dict[str, Any]:
    """The settings a form asks for; fields it does not have are left as they are, as is a script it cannot show.

    Raises:
        InvalidPayload: a number is none, or a line of the headers has no colon.
    """
    wanted: dict[str, Any] = {name: fields[name].strip() for name in _PLAIN if name in fields}
    if fields.get("secret_kept") and not wanted.get("secret"):
        wanted.pop("secret", None)  # an empty field of an inbox that has one: it stays, unless it is to be taken away
    if fields.get("secret_gone"):
        wanted["secret"] = ""
    if "keep" in fields:
        wanted["keep"] = _whole(fields["keep"], "keep")
    if fields.get("preset") in BY_KEY:
        wanted["script"] = as_json(BY_KEY[fields["preset"]].script)
    elif "then_do" in fields and (not fields.get("script_kept") or fields.get("script_replaced")):
        wanted["script"] = _script(fields)
    return wanted


def form_of_script(script: Script) -> dict[str, Any]:
    """What the form's fields hold for a script; `is_longer` when it has more steps than the form can show."""
    first = script[0] if script and script[0].times is not None else None
    rest = script[1:] if first is not None else script
    then = rest[0] if rest else Step()
    return {
        "first": first,
        "then": then,
        "is_longer": len(rest) > 1 or then.times is not None,
        "first_headers": _header_text(first),
        "then_headers": _header_text(then),
    }


def _script(fields: Mapping[str, str]) -> list[dict[str, Any]]:
    times = fields.get("first_times", "").strip()
    first = [{**_step(fields, "first"), "times": _whole(times, "first_times")}] if times not in {"", "0"} else []
    return [*first, _step(fields, "then")]


def _step(fields: Mapping[str, str], part: str) -> dict[str, Any]:
    step: dict[str, Any] = {"do": fields.get(f"{part}_do", Act.ANSWER.value)}
    if status := fields.get(f"{part}_status", "").strip():
        step["status"] = _whole(status, f"{part}_status")
    if headers := fields.get(f"{part}_headers", "").strip():
        step["headers"] = [_header(line) for line in headers.splitlines() if line.strip()]
    if body := fields.get(f"{part}_body", ""):
        step["body"] = body.replace("\r\n", "\n")
    if delay := fields.get(f"{part}_delay", "").strip():
        step["delay"] = delay
    if speed := fields.get(f"{part}_speed", "").strip():
        step["bytes_per_second"] = _whole(speed, f"{part}_speed")
    return step


def _header(line: str) -> list[str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise InvalidPayload(f"the header {line.strip()[:60]!r} has no colon; write Name: value, one a line")
    return [name.strip(), value.strip()]


def _header_text(step: Step | None) -> str:
    return "" if step is None else "\n".join(f"{name}: {value}" for name, value in step.headers)


def _whole(text: str, name: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit() and len(text) <= 12):
        raise InvalidPayload(f"{name}={text[:40]!r} is no whole number")
    return int(text)
