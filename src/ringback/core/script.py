"""How an inbox answers, without code: steps, each for so many requests of one message, then the next. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ringback.core.errors import InvalidPayload
from ringback.core.quantities import format_duration, parse_duration

LONGEST_SECONDS: Final = 300.0
"""The most that an answer is delayed, and the longest that a sender is kept hanging, dripped or babbled at."""
DRIP_BYTES_PER_SECOND: Final = 4

_MOST_STEPS: Final = 20
_MOST_HEADERS: Final = 50
_MOST_TIMES: Final = 1_000_000
_BODY_LIMIT_BYTES: Final = 64 * 1024
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}")  # RFC 9110, section 5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,4000}")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
_KEYS: Final = frozenset({"do", "times", "status", "headers", "body", "delay", "bytes_per_second"})


class Act(StrEnum):
    """What a step does with a request."""

    ANSWER = "answer"
    HANG = "hang"  # says nothing until the sender leaves
    HANG_AFTER_HEADERS = "hang-after-headers"  # the head of an answer, and nothing more
    RESET = "reset"  # breaks the connection (TCP RST)
    RESET_AFTER_HEADERS = "reset-after-headers"
    DRIP = "drip"  # the body a few bytes at a time
    ENDLESS = "endless"  # a body that does not end
    RELAY = "relay"  # what the inbox's forward URL answers

    @property
    def has_status(self) -> bool:
        """Whether the sender gets a status line, and which it is is known beforehand."""
        return self not in {Act.HANG, Act.RESET, Act.RELAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One way to answer."""

    act: Act = Act.ANSWER
    times: int | None = None
    """For how many requests of one message; None: for all that follow."""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    """None: whatever fits, a short note as a rule."""
    delay_seconds: float = 0.0
    """Before anything is said or done."""
    bytes_per_second: int = DRIP_BYTES_PER_SECOND


Script = tuple[Step, ...]
"""Steps in their order. Where they end, requests are answered 200."""

PLAIN: Final = Step()


def counts_turns(script: Script) -> bool:
    """Whether its answers depend on how many requests of a message came before."""
    return bool(script) and script[0].times is not None


def step_for(script: Script, nth: int) -> Step:
    """The step that answers the nth request, counted from 1, of one message."""
    for step in script:
        if step.times is None or nth <= step.times:
            return step
        nth -= step.times
    return PLAIN


def told(step: Step) -> str:
    """A step in a few words."""
    wait = f"after {format_duration(step.delay_seconds)}, " if step.delay_seconds else ""
    return (
        wait
        + {
            Act.ANSWER: f"answer {step.status}",
            Act.HANG: "say nothing",
            Act.HANG_AFTER_HEADERS: f"begin to answer {step.status}, then say nothing",
            Act.RESET: "reset the connection",
            Act.RESET_AFTER_HEADERS: f"begin to answer {step.status}, then reset the connection",
            Act.DRIP: f"answer {step.status} at {step.bytes_per_second} bytes a second",
            Act.ENDLESS: f"answer {step.status} with a body that does not end",
            Act.RELAY: "answer what the forward URL answers",
        }[step.act]
    )


# ── As JSON ─────────────────────────────────────────────────────────────────────────────────────


def script_of(value: object) -> Script:
    """The script a JSON value stands for: a list of steps, or one step.

    Raises:
        InvalidPayload: it stands for none; the message names the step, the key and what was expected.
    """
    steps = [value] if isinstance(value, Mapping) else value
    if not isinstance(steps, Sequence) or isinstance(steps, str | bytes):
        raise InvalidPayload('the script is no list of steps; send for example [{"status": 500, "times": 3}]')
    if len(steps) > _MOST_STEPS:
        raise InvalidPayload(f"the script has {len(steps)} steps; at most {_MOST_STEPS} are played")
    return tuple(_step(each, f"step {number} of the script") for number, each in enumerate(steps, start=1))


def as_json(script: Script) -> list[dict[str, Any]]:
    """What `script_of` reads; defaults are left out."""
    return [_step_as_json(step) for step in script]


def _step_as_json(step: Step) -> dict[str, Any]:
    written: dict[str, Any] = {"do": step.act.value}
    if step.times is not None:
        written["times"] = step.times
    if step.act.has_status:
        written["status"] = step.status
    if step.headers:
        written["headers"] = [list(pair) for pair in step.headers]
    if step.body is not None:
        written["body"] = step.body
    if step.delay_seconds:
        written["delay"] = format_duration(step.delay_seconds)
    if step.act is Act.DRIP:
        written["bytes_per_second"] = step.bytes_per_second
    return written


def _step(value: object, where: str) -> Step:
    if not isinstance(value, Mapping):
        raise InvalidPayload(f"{where} is no JSON object")
    if unknown := value.keys() - _KEYS:
        raise InvalidPayload(f"{where} has an unknown key {min(unknown)[:40]!r}; known are {', '.join(sorted(_KEYS))}")
    return Step(
        act=_act(value.get("do", Act.ANSWER.value), where),
        times=_whole(value.get("times"), f"{where}: times", 1, _MOST_TIMES),
        status=_whole(value.get("status"), f"{where}: status", 200, 599) or 200,
        headers=_headers(value.get("headers"), where),
        body=_body(value.get("body"), where),
        delay_seconds=_delay(value.get("delay"), where),
        bytes_per_second=_whole(value.get("bytes_per_second"), f"{where}: bytes_per_second", 1, 1_000_000)
        or DRIP_BYTES_PER_SECOND,
    )


def _act(value: object, where: str) -> Act:
    try:
        return Act(str(value))
    except ValueError:
        raise InvalidPayload(f"{where}: do={str(value)[:40]!r} is none of {', '.join(Act)}") from None


def _whole(value: object, what: str, least: int, most: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidPayload(f"{what}={str(value)[:40]!r} is no whole number from {least} to {most}")
    return value


def _headers(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """From `{"name": "value"}`, or from pairs, which may repeat a name."""
    if value is None:
        return ()
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, Sequence) or isinstance(pairs, str | bytes) or len(pairs) > _MOST_HEADERS:
        raise InvalidPayload(f"{where}: headers is no object of at most {_MOST_HEADERS} names and values")
    return tuple(_header(pair, where) for pair in pairs)


def _header(pair: object, where: str) -> tuple[str, str]:
    if not isinstance(pair, Sequence) or len(pair) != 2 or not all(isinstance(each, str) for each in pair):
        raise InvalidPayload(f"{where}: a header is a name and a value, both text")
    name, value = pair
    if _TOKEN.fullmatch(name) is None:
        raise InvalidPayload(f"{where}: {name[:40]!r} is no header name")
    if name.lower() in _FRAMING:
        raise InvalidPayload(f"{where}: the header {name} follows from the body; leave it out")
    if _VALUE.fullmatch(value) is None:
        raise InvalidPayload(f"{where}: the value of {name} has a character that no header can carry, or is too long")
    return name, value


def _body(value: object, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value.encode("utf-8", "replace")) > _BODY_LIMIT_BYTES:
        raise InvalidPayload(f"{where}: the body is no text of at most {_BODY_LIMIT_BYTES} bytes")
    return value


def _delay(value: object, where: str) -> float:
    if value is None:
        return 0.0
    try:
        seconds = parse_duration(str(value))
    except ValueError as error:
        raise InvalidPayload(f"{where}: delay: {error}") from None
    if seconds > LONGEST_SECONDS:
        raise InvalidPayload(f"{where}: a delay of {format_duration(seconds)} is over {LONGEST_SECONDS:g} s")
    return seconds
