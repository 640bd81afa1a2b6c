"""`deliveries`: what became of each webhook, and what to do about it."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ringback.cli.context import Context, table
from ringback.core.delivery import TRIAL_API

deliveries = typer.Typer(help="Webhooks, one by one: what came of each, and again.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id: dlv_… as `deliveries list` shows it.")]
Key = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's key, as `endpoints list` shows it.")]


@deliveries.command("list")
def list_deliveries(
    context: typer.Context,
    endpoint: Annotated[str | None, typer.Option(help="Only those to this endpoint.")] = None,
    state: Annotated[str | None, typer.Option(help="Only pending, delivered or parked ones.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
) -> None:
    """List deliveries, newest first."""
    told: Context = context.obj
    with told.client() as client:
        page = client.deliveries(endpoint=endpoint, state=state, limit=limit, cursor=cursor)
    if told.as_json:
        for delivery in page["deliveries"]:
            told.say("", delivery)
    else:
        rows = [
            {
                "id": each["id"],
                "created": each["created_at"][:19],
                "endpoint": each["endpoint"],
                "event": each["event"],
                "state": _standing(each),
                "tries": str(each["tries"]),
                "workload": each["workload"],
            }
            for each in page["deliveries"]
        ]
        told.say(table(rows, ("id", "created", "endpoint", "event", "state", "tries", "workload")), None)
    if page["cursor"] is not None:
        sys.stderr.write(f"more: --cursor {page['cursor']}\n")


@deliveries.command("show")
def show_delivery(context: typer.Context, delivery: Id) -> None:
    """Show a delivery with each of its attempts."""
    told: Context = context.obj
    with told.client() as client:
        value = client.delivery(delivery)
    told.say(story(value), value)


@deliveries.command("replay")
def replay(context: typer.Context, delivery: Id) -> None:
    """Send a delivery again, whatever became of it."""
    told: Context = context.obj
    with told.client() as client:
        value = client.replay(delivery)
    told.say(f"{value['id']} will be sent again to {value['url']}", value)


@deliveries.command("skip")
def skip(context: typer.Context, delivery: Id) -> None:
    """Let others pass a parked delivery they wait for.

    With `order: fifo` they do; it stays parked.
    """
    told: Context = context.obj
    with told.client() as client:
        value = client.skip(delivery)
    told.say(f"{value['id']} stands aside; what waited for it goes on", value)


@deliveries.command("recover")
def recover(
    context: typer.Context,
    endpoint: Key,
    since: Annotated[str | None, typer.Option(help="How long ago (2h, 7d), or a moment; without it, all.")] = None,
) -> None:
    """Send again all that an endpoint's schedule gave up on."""
    told: Context = context.obj
    with told.client() as client:
        count = client.recover(endpoint, since)
    told.say(f"{count} deliveries to {endpoint} will be sent again", {"endpoint": endpoint, "recovered": count})


def _standing(delivery: dict[str, Any]) -> str:
    """A delivery's state, and what it means for others of its order key."""
    if delivery["behind"] is not None:
        return f"{delivery['state']}, behind {delivery['behind']}"
    if delivery.get("at_rest") is not None:
        return f"{delivery['state']}, at rest"
    if delivery.get("tripped"):
        return f"{delivery['state']}, endpoint tripped"
    return f"{delivery['state']}, holds up {delivery['holds_up']}" if delivery["holds_up"] else str(delivery["state"])


def story(delivery: dict[str, Any]) -> str:
    """A delivery for people: what it is, then a line for each attempt."""
    whose = "a trial" if delivery["api"] == TRIAL_API else f"{delivery['api']} {delivery['workload']}"
    lines = [
        f"{delivery['id']}  {_standing(delivery)}  {delivery['event']} of {whose}",
        f"  to {delivery['endpoint']}, {delivery['url']}",
        f"  webhook-id {delivery['webhook_id']}",
    ]
    for each in delivery["attempts"]:
        status = "" if each["status"] is None else f" {each['status']}"
        detail = f": {each['detail']}" if each["detail"] else ""
        detail += "; whether it arrived is unknown" if each.get("unknown") else ""
        lines.append(
            f"  {each['number']:3}  {each['started_at'][:19]}  {each['duration_ms']:8.1f} ms  "
            f"{each['outcome']}{status}{detail}"
        )
        if phases := [f"{name} {took:.1f}" for name, took in each["phases_ms"].items() if took is not None]:
            lines.append(f"       {', '.join(phases)} ms")
    if not delivery["attempts"]:
        lines.append("  not tried yet")
    if delivery["reason"]:
        lines.append(f"  parked: {delivery['reason']}")
    if delivery.get("at_rest") is not None:
        lines.append(f"  waits for its endpoint to be enabled: {delivery['at_rest']}")
    elif delivery["due_at"] is not None:
        once = ", once its endpoint works again: it fails, and is probed" if delivery.get("tripped") else ""
        lines.append(f"  next attempt at {delivery['due_at'][:19]}{once}")
    return "\n".join(lines)
