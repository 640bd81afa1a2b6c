"""A pool of real replicas over a real store, in one process with the test."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

from ringback.core.clock import HandWound
from ringback.core.spec import Api, Autoscaling, Predictor
from ringback.core.workload import Workload
from ringback.store.blobs import Large
from ringback.store.sqlite import SqliteStore
from ringback.work import Pool
from ringback.work.cluster import RayEngine
from ringback.work.engine import Engine, LocalEngine
from ringback.work.environments import Environments
from ringback.work.memory import Reaper
from support.facts import Facts
from support.processes import running_in
from support.stores import API, submission

HEAD: Final = """
import asyncio, os, pathlib, signal, sys, time

HERE = pathlib.Path(__file__).parent
"""


@dataclass(slots=True)
class World:
    """A folder with a predictor, a store, and what happens."""

    folder: Path
    store: SqliteStore
    clock: HandWound
    facts: Facts = field(default_factory=Facts)
    ray: RayEngine | None = None
    """What replicas run on, instead of this machine."""

    def api(self, predict: str, *, replicas: int = 1, **spec: Any) -> Api:
        """What serves this predictor class (or body of `predict`), which is written down for it."""
        path = self.folder / "predictor.py"
        path.write_text(HEAD + predictor_of(predict))
        fixed = Autoscaling(min_replicas=replicas, max_replicas=replicas)
        return Api(**{"name": API, "endpoint": API, "predictor": Predictor(path=path), "autoscaling": fixed, **spec})

    def engine(self, *, reaper: Reaper | None = None, uv: str | None = None) -> Engine:
        """An engine whose environments are kept in the folder."""
        environments = Environments(self.folder / "environments", self.facts, uv=uv)
        return LocalEngine(environments=environments, reaper=reaper or Reaper())

    @contextlib.asynccontextmanager
    async def serving(
        self,
        predict: str,
        *,
        replicas: int = 1,
        grace_seconds: float = 5,
        engine: Engine | None = None,
        large: Large | None = None,
        **spec: Any,
    ) -> AsyncIterator[Pool]:
        """A pool of replicas with this predictor class (or body of `predict`), drained at the end."""
        api = self.api(predict, replicas=replicas, **spec)
        pool = Pool(
            api, self.store, self.facts, chance=lambda: 0.0, engine=engine or self.ray or self.engine(), large=large
        )
        await pool.start()
        try:
            yield pool
        finally:
            await pool.drain(grace_seconds)

    async def submit(self, payload: bytes = b"{}", workload_id: str | None = None) -> str:
        return (await self.store.submit(submission(payload=payload, workload_id=workload_id))).id

    async def ended(self, workload_id: str) -> Workload:
        workload = await self.store.ended(API, workload_id, 20)
        assert workload.status.is_terminal, workload
        return workload

    async def run(self, payload: bytes = b"{}") -> Workload:
        return await self.ended(await self.submit(payload))

    async def begun(self, *names: str) -> None:
        """Wait until predict has left these files beside itself."""
        async with asyncio.timeout(20):
            while not all((self.folder / name).exists() for name in names):
                await asyncio.to_thread(os.sched_yield)

    def pid(self, number: int = -1) -> int:
        """The process of a replica, by its place among those that have started; on Ray, among those that run."""
        pid = self.facts.of("replica.started")[number]["pid"] if self.ray is None else running_in(self.folder)[number]
        assert isinstance(pid, int)
        assert pid > 0
        return pid


def predictor_of(predict: str) -> str:
    text = dedent(predict)
    if "class PythonPredictor" in text:
        return text
    body = "\n".join(f"        {line}" for line in text.strip().splitlines())
    return f"class PythonPredictor:\n    def predict(self, payload, workload, request_id):\n{body}\n"


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than one that has ended and whose parent has not asked."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_gone(pid: int) -> None:
    """Wait for a process's end."""
    async with asyncio.timeout(10):
        while is_running(pid):
            await asyncio.to_thread(os.sched_yield)
