"""The demo: serve a real model, submit ten flowers and one broken payload, watch eleven webhooks come back.

Stops everything it started, however it ends. Exit status 0 only if all eleven arrived and verified.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import train

sys.path.append(str(Path(__file__).parents[1]))
from receiver import DEMO_SECRET, Receiver, Rung
from stage import call, run, served

FOLDER: Final = Path(__file__).parent
WEBHOOKS_SECONDS: Final = 30.0
ROW: Final = "{:>4}  {:<19}  {:<10}  {:<10}  {:<9}  {:>8}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One submitted payload."""

    number: int
    flower: str
    species: str
    at: float


def main() -> int:
    """Run the demo; returns the exit status."""
    print("\nTen irises and one broken payload, as workloads that ring back\n")
    if not train.MODEL.exists():
        print("  model     ", end="", flush=True)
        train.main()
    with Receiver(DEMO_SECRET) as receiver, served(FOLDER / "ringback.yaml", receiver.url) as serving:
        started = time.perf_counter()
        serving.wait_until_ready()
        print(f"  server    {serving.url}/iris  ready after {time.perf_counter() - started:.1f} s, model loaded")
        print(f"  receiver  {receiver.url}\n")
        sent = submit_all(serving.url)
        good = show_all(receiver.rung, sent)
        show_one(serving.url, next(iter(sent)))
        status = serving.stop()
        print(f"  {good} of {len(sent)} webhooks arrived and verified; the server stopped with status {status}.\n")
        return 0 if good == len(sent) and status == 0 else 1


def submit_all(url: str) -> dict[str, Sent]:
    """Submit ten flowers the model has never seen, then a payload that makes predict raise; by workload id."""
    sent: dict[str, Sent] = {}
    for number, flower in enumerate(train.unseen_flowers(10), start=1):
        measures = "  ".join(f"{value:.1f}" for value in flower.measures.values())
        at = time.perf_counter()
        sent[submit(url, flower.measures)] = Sent(number=number, flower=measures, species=flower.species, at=at)
    at = time.perf_counter()
    sent[submit(url, {"petals": 5})] = Sent(number=11, flower='{"petals": 5}', species="", at=at)
    return sent


def submit(url: str, payload: dict[str, Any]) -> str:
    """The id of the accepted workload."""
    workload_id: str = call(f"{url}/iris", payload)["id"]
    return workload_id


def show_all(rung: queue.Queue[Rung], sent: dict[str, Sent]) -> int:
    """Print a line for each webhook as it arrives; returns how many of the workloads had a verified one."""
    print(ROW.format("#", "sepal and petal, cm", "predicted", "true", "signature", "after"))
    verified: set[str] = set()
    shown: set[str] = set()
    deadline = time.perf_counter() + WEBHOOKS_SECONDS
    while len(shown) < len(sent):
        try:
            each = rung.get(timeout=max(0.0, deadline - time.perf_counter()))
        except queue.Empty:
            print(f"\n  {len(sent) - len(shown)} webhooks did not come within {WEBHOOKS_SECONDS:.0f} s")
            break
        workload_id = each.body["id"]
        if workload_id in sent and workload_id not in shown:
            shown.add(workload_id)
            show(each, sent[workload_id])
            if each.verified:
                verified.add(workload_id)
    print()
    return len(verified)


def show(rung: Rung, sent: Sent) -> None:
    """One line: what was sent, what came back."""
    signature = "verified" if rung.verified else "WRONG"
    after = f"{(rung.at - sent.at) * 1_000:.1f} ms"
    if rung.body["status"] == "completed":
        predicted, reason = rung.body["result"]["label"], ""
    else:
        predicted, reason = rung.body["status"], "\n      {type}: {message}".format(**rung.body["error"])
    print(ROW.format(sent.number, sent.flower, predicted, sent.species, signature, after) + reason, flush=True)


def show_one(url: str, workload_id: str) -> None:
    """Ask the server for a workload, as anybody may at any time."""
    print(f"  GET /iris/{workload_id}")
    print(f"  {json.dumps(call(f'{url}/iris/{workload_id}'))}\n")


if __name__ == "__main__":
    run(main)
