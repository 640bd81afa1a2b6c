"""`ringback top`: queues, replicas and endpoints in the terminal, as they stand from one second to the next."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ringback.cli.context import Context
from ringback.cli.standing import lacking
from ringback.core.errors import Unreachable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from ringback.client import Client

Snapshot = dict[str, Any]

_PARKED_SHOWN: Final = 5
_GOOD: Final = "green"
_BAD: Final = "red"
_WARN: Final = "yellow"


def top(
    context: typer.Context,
    every: Annotated[float, typer.Option(help="Seconds from one look to the next.", min=0.2, max=60)] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end, as when the output is no terminal.")] = False,
) -> None:
    """Watch queues, replicas and endpoints until stopped."""
    told: Context = context.obj
    with told.client() as client:
        first = look(client)
        if told.as_json or once or not sys.stdout.isatty():
            _say_once(told, first)
            return
        with contextlib.suppress(KeyboardInterrupt):
            _watch(client, told.url, first, every)


def look(client: Client) -> Snapshot:
    """How the server stands.

    Raises:
        Unreachable: it gives no answer.
    """
    return {
        "apis": list(client.apis()),
        "endpoints": list(client.endpoints()),
        "parked": client.deliveries(state="parked", limit=_PARKED_SHOWN)["deliveries"],
    }


def _say_once(told: Context, seen: Snapshot) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    if told.as_json:
        told.say("", seen)
    else:
        Console(soft_wrap=False).print(screen(seen, None, told.url))


def _watch(client: Client, url: str, seen: Snapshot, every: float) -> None:
    from rich.live import Live  # noqa: PLC0415 - only a terminal needs it

    pace = threading.Event()
    before: Snapshot | None = None
    with Live(screen(seen, None, url), screen=True, auto_refresh=False) as live:
        while not pace.wait(every):
            try:
                before, seen = seen, look(client)
                live.update(screen(seen, before, url), refresh=True)
            except Unreachable as error:
                live.update(screen(seen, None, url, trouble=str(error)), refresh=True)


def screen(seen: Snapshot, before: Snapshot | None, url: str, *, trouble: str = "") -> RenderableType:
    """All of it as one thing to print; with an earlier look, how queues have grown or shrunk since."""
    from rich.console import Group  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415

    head = Text.assemble(("Ringback ", "bold"), (url, "dim"))
    if trouble:
        head.append(f"\n{trouble}; what follows is what was seen last", style=_BAD)
    for line in lacking(seen["apis"]):
        head.append(f"\n{line}", style=_WARN)
    parts: list[RenderableType] = [head, "", _apis(seen, before)]
    if seen["endpoints"]:
        parts += ["", _endpoints(seen)]
    if seen["parked"]:
        parts += ["", _parked(seen)]
    return Group(*parts)


def _apis(seen: Snapshot, before: Snapshot | None) -> Table:
    earlier = {each["name"]: each["in_queue"] for each in before["apis"]} if before is not None else {}
    table = _table("API", "state", "replicas", "in queue", "since last look", "oldest", "running")
    for each in seen["apis"]:
        starting = f" +{each['starting']}" if each["starting"] else ""
        change = each["in_queue"] - earlier.get(each["name"], each["in_queue"])
        table.add_row(
            each["name"],
            _standing(each),
            f"{each['replicas']}{starting}",
            f"{each['in_queue']:,}",
            f"{change:+,}" if change else "",
            _seconds(each.get("oldest_seconds")),
            f"{each['in_progress']:,}",
        )
    return table


def _standing(api: Snapshot) -> str:
    if api["ready"] and api["problem"]:
        return f"[{_GOOD}]ready[/], [{_BAD}]but new replicas cannot start: {_plain(api['problem'])}[/]"
    if api["ready"]:
        return f"[{_GOOD}]ready[/]"
    if api["problem"]:
        return f"[{_BAD}]cannot start: {_plain(api['problem'])}[/]"
    return f"[{_WARN}]starting[/]" if api["starting"] else "no replica"


def _endpoints(seen: Snapshot) -> Table:
    table = _table("endpoint", "state", "pending", "parked", "oldest", "url")
    for each in seen["endpoints"]:
        colour = _GOOD if each["state"] == "active" else _WARN
        reason = f": {_plain(each['reason'])}" if each["reason"] else ""
        table.add_row(
            _plain(each["endpoint"]),
            f"[{colour}]{each['state']}{reason}[/]",
            f"{each['pending']:,}",
            f"[{_BAD}]{each['parked']:,}[/]" if each["parked"] else "0",
            _seconds(each["oldest_seconds"]),
            _plain(each["url"]),
        )
    return table


def _parked(seen: Snapshot) -> Table:
    table = _table("parked", "event", "endpoint", "why")
    for each in seen["parked"]:
        table.add_row(each["id"], each["event"], _plain(each["endpoint"]), _plain(each["reason"] or ""))
    return table


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    numbers = {"replicas", "in queue", "since last look", "oldest", "running", "pending"}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in columns:
        is_number = name in numbers or (name == "parked" and name != columns[0])
        table.add_column(
            name,
            justify="right" if is_number else "left",
            overflow="ellipsis",
            no_wrap=is_number or name == columns[0],
        )
    return table


def _plain(text: str) -> str:
    """Text that Rich reads as nothing but text: neither its own markup nor a terminal's commands."""
    from rich.markup import escape  # noqa: PLC0415

    return escape("".join(character if character.isprintable() else "�" for character in text))


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return (
        f"{seconds:.1f} s"
        if seconds < 60
        else f"{seconds / 60:.0f} min"
        if seconds < 3_600
        else f"{seconds / 3_600:.0f} h"
    )
