"""Procrastinate on PostgreSQL, its workers posting through one aiohttp session each: the peer with the same database.

Written as its guide writes it: `PsycopgConnector`, `defer_async` from FastAPI, `procrastinate worker`, which LISTENs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.postgres import database
from benchmarks.processes import NotThere, free_port, running, wait_until_answers
from benchmarks.systems import Running

_TASKS: Final = """
from datetime import datetime, timezone

import aiohttp
from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo="URL", max_size=10))
session = None


@app.task(name="work", pass_context=True)
async def work(context, payload):
    global session
    if session is None:
        session = aiohttp.ClientSession()
    body = {
        "id": str(context.job.id),
        "status": "completed",
        "result": payload,
        "timestamp": datetime.now(timezone.utc).isoformat(),
    }
    async with session.post("http://127.0.0.1:RECEIVER/", json=body) as answer:
        answer.raise_for_status()
        await answer.read()
    return payload
"""

_APP: Final = """
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel

import tasks


@asynccontextmanager
async def lifespan(app):
    async with tasks.app.open_async():
        yield


app = FastAPI(lifespan=lifespan)


class Flower(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


@app.get("/")
def alive():
    return {}


@app.post("/noop")
async def submit(payload: Flower):
    return {"id": str(await tasks.work.defer_async(payload=payload.model_dump()))}
"""
_WORKERS: Final = 2
_AT_ONCE: Final = "32"


@contextlib.contextmanager
def start(folder: Path, receiver_port: int) -> Iterator[Running]:
    for module in ("fastapi", "procrastinate", "aiohttp"):
        if importlib.util.find_spec(module) is None:
            raise NotThere(f"the package {module} is not installed (pip install --group bench)")
    with database() as at, contextlib.ExitStack() as stack:
        (folder / "tasks.py").write_text(_TASKS.replace("RECEIVER", str(receiver_port)).replace("URL", at.url))
        (folder / "app.py").write_text(_APP)
        port = free_port()
        command = [sys.executable, "-m", "procrastinate", "--app", "tasks.app"]
        # Its command looks for the module where it is started.
        here = {"PYTHONPATH": str(folder)}
        schema = subprocess.run(
            [*command, "schema", "--apply"], cwd=folder, env={**os.environ, **here}, capture_output=True, check=False
        )
        if schema.returncode != 0:
            raise NotThere(f"its schema could not be applied: {schema.stderr.decode()[-500:]}")
        api = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
        worker = [*command, "worker", "--concurrency", _AT_ONCE]
        workers = [stack.enter_context(running(worker, folder=folder, environment=here)) for _ in range(_WORKERS)]
        served = stack.enter_context(running(api, folder=folder))
        wait_until_answers(f"http://127.0.0.1:{port}/", served, folder)
        pids = (served.pid, *(each.pid for each in workers), *at.pids)
        yield Running(url=f"http://127.0.0.1:{port}/noop", pids=pids)
