"""taskiq with Redis streams, its worker posting through one aiohttp session: the fastest peer we measured.

Written as the guides of FastAPI and taskiq write it, but with Redis told to keep what it acknowledges.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.processes import NotThere, free_port, running, wait_until_answers
from benchmarks.systems import Running

_TASKS: Final = """
from datetime import datetime, timezone

import aiohttp
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

URL = "redis://127.0.0.1:REDIS"
broker = RedisStreamBroker(url=URL).with_result_backend(RedisAsyncResultBackend(redis_url=URL, result_ex_time=600))


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_session(state: TaskiqState) -> None:
    state.session = aiohttp.ClientSession()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_session(state: TaskiqState) -> None:
    await state.session.close()


@broker.task(task_name="work")
async def work(payload: dict, context: Context = TaskiqDepends()) -> dict:
    body = {
        "id": context.message.task_id,
        "status": "completed",
        "result": payload,
        "timestamp": datetime.now(timezone.utc).isoformat(),
    }
    async with context.state.session.post("http://127.0.0.1:RECEIVER/", json=body) as answer:
        answer.raise_for_status()
        await answer.read()
    return payload
"""

_APP: Final = """
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel

from tasks import broker, work


@asynccontextmanager
async def lifespan(app):
    await broker.startup()
    yield
    await broker.shutdown()


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
    task = await work.kiq(payload.model_dump())
    return {"id": task.task_id}
"""


@contextlib.contextmanager
def start(folder: Path, receiver_port: int) -> Iterator[Running]:
    server = shutil.which("redis-server")
    if server is None:
        raise NotThere("redis-server is not installed (apt-get install redis-server)")
    for module in ("fastapi", "taskiq", "taskiq_redis", "aiohttp"):
        if importlib.util.find_spec(module) is None:
            raise NotThere(f"the package {module} is not installed (pip install --group bench)")
    redis_port, port = free_port(), free_port()
    tasks = _TASKS.replace("RECEIVER", str(receiver_port)).replace("REDIS", str(redis_port))
    (folder / "tasks.py").write_text(tasks)
    (folder / "app.py").write_text(_APP)
    # An acknowledged submit is on disk here as it is in Ringback, so that like is compared with like.
    durable = ["--appendonly", "yes", "--appendfsync", "always"]
    redis = [server, "--port", str(redis_port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]
    worker = [sys.executable, "-m", "taskiq", "worker", "tasks:broker", "--workers", "2", "--log-level", "WARNING"]
    api = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    with (
        running(redis, folder=folder) as redis_process,
        running(worker, folder=folder) as worker_process,
        running(api, folder=folder) as api_process,
    ):
        wait_until_answers(f"http://127.0.0.1:{port}/", api_process, folder)
        pids = (redis_process.pid, worker_process.pid, api_process.pid)
        yield Running(url=f"http://127.0.0.1:{port}/noop", pids=pids)
