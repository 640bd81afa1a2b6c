"""Reads server-sent events as the HTML standard says (9.2.6), apart from the project's own reader."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sent:
    """One event."""

    name: str
    id: int
    data: Any

    @property
    def status(self) -> str | None:
        status: str | None = self.data.get("status")
        return status


def sent(stream: bytes) -> list[Sent]:
    """The complete events of a stream; whatever follows the last empty line is not one."""
    return [each for block in stream.split(b"\n\n")[:-1] if (each := event_of(block)) is not None]


def event_of(block: bytes) -> Sent | None:
    """One block between empty lines; None for a comment or a `retry`."""
    fields: dict[str, list[str]] = {}
    for line in block.decode().split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        assert fields.keys() <= {"", "retry"}, block
        return None
    assert fields.keys() == {"event", "id", "data"}, block
    return Sent(fields["event"][0], int(fields["id"][0]), json.loads("\n".join(fields["data"])))


def stream_of(*events: tuple[int, str, dict[str, Any]]) -> bytes:
    """A stream as the server writes it, from ids, names and data."""
    told = [
        f"event: {name}\nid: {number}\ndata: {json.dumps({'attempt': 1, 'at': None} | data)}\n\n"
        for number, name, data in events
    ]
    return "".join(["retry: 1000\n\n", ":\n\n", *told]).encode()


def text_of(events: Iterable[Sent]) -> str:
    """What predict said."""
    return "".join(each.data["text"] for each in events if each.name == "log")
