"""`submit`, `get` and `list`: what curl could do, with less typing and a progress bar."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ringback.cli.batches import submit_batch
from ringback.cli.context import Context, table, usage_error
from ringback.cli.standing import lacking

if TYPE_CHECKING:
    from ringback.client import WorkloadHandle

_LARGE_BYTES: Final = 8 * 1024 * 1024
"""Larger files are not read to find out what is in them."""

ApiName = Annotated[str, typer.Argument(metavar="API", help="The API's endpoint.")]


def submit(
    context: typer.Context,
    api: ApiName,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="The payload: text, @file, or - for standard input.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option("--batch", help="Instead, a file of NDJSON, or -: a workload for each line.")
    ] = None,
    content_type: Annotated[
        str | None, typer.Option(help="By default JSON if it is JSON, else text, else bytes.")
    ] = None,
    id: Annotated[str | None, typer.Option(help="An id of your own.")] = None,  # noqa: A002 - the option's name
    idempotency_key: Annotated[str | None, typer.Option(help="Submits with the same key run once.")] = None,
    webhook: Annotated[str | None, typer.Option(help="A URL to ring besides the API's own.")] = None,
    priority: Annotated[int | None, typer.Option(help="-100 to 100, higher first.", min=-100, max=100)] = None,
    delay: Annotated[str | None, typer.Option(help="Not to begin before: 30s, 5m, 1h30m.")] = None,
    expires: Annotated[str | None, typer.Option(help="The longest wait in the queue, then it fails.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose share of the replicas it takes.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most.")] = None,
) -> None:
    """Submit a workload, or a batch of them."""
    told: Context = context.obj
    wishes = _headers({"Webhook": webhook, "Priority": priority, "Delay": delay, "Expires": expires, "Tenant": tenant})
    if batch is not None:
        if data is not None or id is not None or content_type is not None:
            raise typer.Exit(usage_error("--batch goes without --data, --id and --content-type: its lines are JSON"))
        waits = None if not wait else timeout if timeout is not None else inf
        submit_batch(told, api, batch, idempotency_key=idempotency_key, headers=wishes, wait_seconds=waits)
        return
    if data is None:
        raise typer.Exit(usage_error("name the payload with --data, or a file of many with --batch"))
    payload = _payload(data)
    with told.client() as client:
        handle = client.submit(
            api,
            payload,
            id=id,
            idempotency_key=idempotency_key,
            content_type=content_type or _content_type(payload),
            headers=wishes,
        )
        if not wait:
            told.say(handle.id, {"id": handle.id})
            return
        await_end(told, handle, timeout)
    show(told, handle)


def get(
    context: typer.Context,
    api: ApiName,
    workload_id: Annotated[str, typer.Argument(metavar="ID", help="The workload's id.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Put the result into this file.")] = None,
) -> None:
    """Show a workload, or put its result into a file."""
    told: Context = context.obj
    with told.client() as client:
        handle = client.get(api, workload_id)
        if wait:
            await_end(told, handle, timeout)
        if output is not None and handle.status == "completed":
            saved = _saved(handle, output)
            told.say(str(saved), {"id": handle.id, "status": handle.status, "file": str(saved)})
            return
    show(told, handle)


def _saved(handle: WorkloadHandle, output: Path) -> Path:
    try:
        return handle.download(output)
    except OSError as error:
        raise typer.Exit(usage_error(f"{output} cannot be written: {(error.strerror or '').lower()}")) from None


def list_(
    context: typer.Context,
    api: Annotated[
        str | None, typer.Argument(metavar="API", help="The API's endpoint; without it, what is served.")
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only those of this status.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
) -> None:
    """List an API's workloads, or what is served.

    Workloads come newest first.
    """
    told: Context = context.obj
    with told.client() as client:
        if api is None:
            _show_apis(told, client.apis())
            return
        page = client.page(api, status=status, limit=limit, cursor=cursor)
    if told.as_json:
        for workload in page["workloads"]:
            told.say("", workload)
    else:
        _show_page(told, page)
    if page["cursor"] is not None:
        sys.stderr.write(f"more: --cursor {page['cursor']}\n")


def _show_apis(told: Context, apis: tuple[dict[str, Any], ...]) -> None:
    if told.as_json:
        for api in apis:
            told.say("", api)
        return
    rows = [
        {
            "api": api["name"],
            "path": api["path"],
            "ready": f"{api['replicas']}/{api['replicas'] + api['starting']}",
            "queued": str(api["in_queue"]),
            "running": str(api["in_progress"]),
            "problem": api["problem"] or "",
        }
        for api in apis
    ]
    told.say("\n".join([table(rows, ("api", "path", "ready", "queued", "running", "problem")), *lacking(apis)]), None)


def _show_page(told: Context, page: dict[str, Any]) -> None:
    rows = [
        {
            "id": each["id"],
            "status": each["status"],
            "attempt": str(each["attempt"]),
            "submitted": each["submitted_at"][:19].replace("T", " "),
            "error": "" if "error" not in each else f"{each['error']['type']}: {each['error']['message']}"[:60],
        }
        for each in page["workloads"]
    ]
    told.say(table(rows, ("id", "status", "attempt", "submitted", "error")) if rows else "no workloads", None)


def await_end(told: Context, handle: WorkloadHandle, timeout: float | None) -> None:
    """Wait, with a progress bar on a terminal."""
    if told.as_json or not sys.stderr.isatty():
        handle.wait(timeout)
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(_in_words(handle), total=None, said="")
        for event in handle.events(timeout=timeout):
            if event.kind in {"status", "progress"}:
                bar.update(
                    task,
                    description=_in_words(handle),
                    total=None if handle.progress is None else 1.0,
                    completed=handle.progress or 0.0,
                    said=handle.message or "",
                    refresh=True,
                )


def _in_words(handle: WorkloadHandle) -> str:
    return handle.status.replace("_", " ")


def show(told: Context, handle: WorkloadHandle) -> None:
    """Print the workload's end, or where it stands; one that failed or was canceled is exit status 1."""
    value: dict[str, Any] = {"id": handle.id, "status": handle.status}
    text = f"{handle.id}  {handle.status}"
    if handle.status == "completed":
        if handle.result_url is not None:
            value |= {"result_url": handle.result_url, "timestamp": handle.timestamp}
            text += f"\n{handle.result_url}\nor: ringback get {handle.api} {handle.id} -o FILE"
        else:
            value |= {"result": handle.result, "timestamp": handle.timestamp}
            text += f"\n{json.dumps(handle.result, indent=2, ensure_ascii=False)}"
    elif handle.error is not None:
        kind, message = handle.error
        value["error"] = {"type": kind, "message": message}
        text += f"\n{kind}: {message}"
    elif handle.progress is not None:
        value["progress"] = {"fraction": handle.progress, "message": handle.message}
        text += f"  {handle.progress:.0%} {handle.message or ''}".rstrip()
    told.say(text, value)
    if handle.error is not None or handle.status == "canceled":
        raise typer.Exit(1)


def _headers(wishes: Mapping[str, str | int | None]) -> dict[str, str]:
    return {f"Ringback-{name}": str(value) for name, value in wishes.items() if value is not None}


def _payload(data: str) -> bytes | Path:
    """The very bytes; of a large file, its path: it is then sent as it is read."""
    if data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return os.fsencode(data)  # the very bytes that were typed
    file = Path(data[1:])
    try:
        if file.is_file() and file.stat().st_size > _LARGE_BYTES:
            return file
        return file.read_bytes()
    except OSError as error:
        raise typer.Exit(usage_error(f"{data[1:]} cannot be read: {(error.strerror or '').lower()}")) from None


def _content_type(payload: bytes | Path) -> str | None:
    if isinstance(payload, Path):
        return None  # told from its name
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return "text/plain; charset=utf-8"
    return "application/json"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")  # Python reads NaN and Infinity, which the server rightly refuses
