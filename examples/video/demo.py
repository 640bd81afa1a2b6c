"""The demo: transcode a film of our own making, watch it frame by frame, and be rung back when it is done.

Stops everything it started, however it ends. Exit status 0 only if the webhook arrived and verified, and the new film
is there.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from pathlib import Path
from typing import Any, Final

import film

from ringback import Client

sys.path.append(str(Path(__file__).parents[1]))
from receiver import DEMO_SECRET, Receiver, Rung
from stage import run, served

FOLDER: Final = Path(__file__).parent
STEP: Final = 0.1
"""How far it comes between two lines."""

WEBHOOK_SECONDS: Final = 30.0


def main() -> int:
    """Run the demo; returns the exit status."""
    print("\nA film made smaller, as a workload that tells how far it is and rings back\n")
    if not film.FILM.exists():
        print(f"  film      making {film.SECONDS:g} s of it ...", flush=True)
        film.make()
    print(f"  film      {film.FILM.name}, {film.WIDTH}x{film.HEIGHT}, {film.FILM.stat().st_size / 1e6:.1f} MB")
    with Receiver(DEMO_SECRET) as receiver, served(FOLDER / "ringback.yaml", receiver.url) as serving:
        started = time.perf_counter()
        serving.wait_until_ready()
        print(f"  server    {serving.url}/video  ready after {time.perf_counter() - started:.1f} s")
        print(f"  receiver  {receiver.url}\n")
        with Client(serving.url) as client:
            workload = client.submit("video", json.loads((FOLDER / "sample.json").read_text()))
            print(f"  GET /video/{workload.id}/events")
            follow(workload)
            print(f"\n  GET /video/{workload.id}/logs")
            print("".join(f"  {line}\n" for line in workload.logs().splitlines()))
            rung = webhook_of(receiver.rung, workload.id)
            status = serving.stop()
            return judge(rung, status)


def follow(workload: Any) -> None:
    """A line for each tenth of the way, and for each change of status."""
    began, told = time.perf_counter(), -1.0
    for event in workload.events():
        after = f"{time.perf_counter() - began:6.2f} s"
        if event.kind == "status":
            print(f"  {after}  {event.data['status']}", flush=True)
        elif event.kind == "progress" and (event.data["fraction"] >= told + STEP or event.data["fraction"] == 1.0):
            told = event.data["fraction"]
            print(f"  {after}  {bar(told)} {event.data['message']}", flush=True)


def bar(fraction: float) -> str:
    """A progress bar in text."""
    return f"{'█' * round(20 * fraction):░<20} {fraction:4.0%} "


def webhook_of(rung: queue.Queue[Rung], workload_id: str) -> Rung | None:
    """The webhook about the workload's end; those about its progress are counted on the way."""
    on_the_way = 0
    deadline = time.perf_counter() + WEBHOOK_SECONDS
    while True:
        try:
            each = rung.get(timeout=max(0.0, deadline - time.perf_counter()))
        except queue.Empty:
            return None
        if each.body["id"] != workload_id:
            continue
        if each.body["status"] == "in_progress":
            on_the_way += each.verified
            continue
        print(f"  webhooks  {on_the_way} about its progress, then this one:\n")
        return each


def judge(rung: Rung | None, status: int) -> int:
    """Show the webhook, and see that the film it tells of is there."""
    if rung is None:
        print(f"  no webhook about its end within {WEBHOOK_SECONDS:.0f} s")
        return 1
    print("".join(f"  {line}\n" for line in json.dumps(rung.body, indent=2).splitlines()))
    is_there = rung.body["status"] == "completed" and (FOLDER / rung.body["result"]["file"]).is_file()
    signature = "verified" if rung.verified else "NOT VERIFIED"
    print(
        f"  signature {signature}; the film is {'' if is_there else 'NOT '}there; the server stopped with {status}.\n"
    )
    return 0 if rung.verified and is_there and status == 0 else 1


if __name__ == "__main__":
    run(main)
