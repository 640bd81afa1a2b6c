"""The seed's own design: FastAPI, `BackgroundTasks`, and a best-effort `requests.post` from the workload.

Written as FastAPI's guide writes it: a pydantic body, and `def` where the library in use is a blocking one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.processes import NotThere, free_port, running, wait_until_answers
from benchmarks.systems import Running

_APP: Final = """
import uuid
from datetime import datetime, timezone

import requests
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

app = FastAPI()
results = {}


class Flower(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


def predict(payload):
    return payload


def work(request_id, payload):
    result = predict(payload)
    try:
        requests.post(
            "http://127.0.0.1:RECEIVER/",
            json={
                "id": request_id,
                "status": "completed",
                "result": result,
                "timestamp": datetime.now(timezone.utc).isoformat(),
            },
        )
    except Exception:
        pass
    results[request_id] = result


@app.get("/")
def alive():
    return {}


@app.post("/noop")
def submit(payload: Flower, background: BackgroundTasks):
    request_id = str(uuid.uuid4())
    background.add_task(work, request_id, payload.model_dump())
    return {"id": request_id}


@app.get("/noop/{request_id}")
def get(request_id: str):
    return {"id": request_id, "status": "completed" if request_id in results else "in_progress"}
"""


@contextlib.contextmanager
def start(folder: Path, receiver_port: int) -> Iterator[Running]:
    for module in ("fastapi", "requests"):
        if importlib.util.find_spec(module) is None:
            raise NotThere(f"the package {module} is not installed (pip install --group bench)")
    (folder / "app.py").write_text(_APP.replace("RECEIVER", str(receiver_port)))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    with running(command, folder=folder) as process:
        wait_until_answers(f"http://127.0.0.1:{port}/", process, folder)
        yield Running(url=f"http://127.0.0.1:{port}/noop", pids=(process.pid,))
