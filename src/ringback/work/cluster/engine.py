"""The engine that runs replicas as Ray actors, wherever Ray finds room for them.

`ray` is imported only when an engine is opened: `pip install 'ringback[ray]'`.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ringback.core.emit import Emit
from ringback.core.errors import Unavailable
from ringback.core.spec import Api
from ringback.work.budget import Budget
from ringback.work.cluster.door import Door
from ringback.work.cluster.host import Host, Order
from ringback.work.cluster.link import Line
from ringback.work.cluster.remote import RemoteProcess
from ringback.work.memory import Reaper
from ringback.work.process import Process

_LOOPBACK: Final = "127.0.0.1"
_ADDRESS: Final = "RAY_ADDRESS"
_STORE_BYTES: Final = 100_000_000
"""Of a cluster of our own: nothing of ours goes through its object store."""


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Replicas are Ray actors."""

    ray: Any
    door: Door
    host: str
    """The address of this server as the cluster's nodes see it."""
    budget: Budget
    reaper: Reaper

    async def python_for(self, requirements: Path) -> Path:
        """Ray makes the environment, on the node; here it is only seen that there is something to make it from."""
        try:
            await asyncio.to_thread(requirements.read_bytes)
        except OSError as error:
            raise Unavailable(f"{requirements} cannot be read: {error.strerror}") from error
        return requirements

    def start(self, api: Api, python: Path, folder: Path | None) -> Process:  # noqa: ARG002 - Ray makes the environment
        token, line = self.door.expect()
        order = Order(
            host=self.host,
            port=self.door.port,
            token=token,
            predictor=api.predictor,
            mem_bytes=api.compute.mem_bytes,
        )
        try:
            actor = self._actor(api)
            fate = asyncio.wrap_future(actor.serve.remote(order).future())
        except Exception as error:
            line.cancel()
            raise Unavailable(f"Ray could not be asked for an actor: {error}") from error
        return RemoteProcess(lambda: self._called(line, fate), lambda: self._end(actor, fate), folder)

    async def close(self) -> None:
        await self.door.close()
        self.ray.shutdown()

    def _actor(self, api: Api) -> Any:
        compute, requirements = api.compute, api.predictor.requirements
        return (
            self.ray.remote(Host)
            .options(
                num_cpus=compute.cpu or 0,
                num_gpus=compute.gpu,
                memory=compute.mem_bytes,
                max_restarts=0,
                runtime_env=None if requirements is None else {"pip": str(requirements)},
            )
            .remote()
        )

    async def _called(self, line: asyncio.Future[Line], fate: asyncio.Future[None]) -> Line:
        """The line of a host that has called.

        Raises:
            Unavailable: it has ended without having called.
        """
        try:
            waits: list[asyncio.Future[Any]] = [line, fate]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if line.done():
                return line.result()
            error = fate.exception()
            raise Unavailable(f"could not be started by Ray: {_in_words(error)}")
        finally:
            line.cancel()

    def _end(self, actor: Any, fate: asyncio.Future[None]) -> None:
        fate.add_done_callback(lambda done: done.cancelled() or done.exception())  # known already, by the line
        if not fate.done():
            self.ray.kill(actor, no_restart=True)


async def ray_engine(emit: Emit, *, logs_as_json: bool = False) -> RayEngine:
    """Join the cluster that `RAY_ADDRESS` names, or start one of this machine's own; from the main thread.

    Args:
        emit: is told which.
        logs_as_json: how replicas write into the server's log.

    Raises:
        Unavailable: Ray is not installed, or the cluster cannot be joined; the message says what to do.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise Unavailable("the ray engine needs Ray: pip install 'ringback[ray]'") from error
    address = os.environ.get(_ADDRESS)
    try:
        join(ray, address)
    except Exception as error:
        where = f"at {address} ({_ADDRESS})" if address else "on this machine"
        raise Unavailable(f"Ray {where} cannot be used: {_in_words(error)}") from error
    host = ray.util.get_node_ip_address() if address else _LOOPBACK
    try:
        engine = await engine_on(ray, host)
    except Unavailable:
        ray.shutdown()
        raise
    emit("engine.joined", address=address, nodes=len(ray.nodes()))
    return replace(engine, logs_as_json=logs_as_json)


def join(ray: Any, address: str | None) -> None:
    """Become a part of a cluster; one's own has the loopback address alone, and asks nobody outside for anything.

    Must be called from the main thread: Ray's own processes end with the thread that has started them.
    """
    if address:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        _node_ip_address=_LOOPBACK,
        object_store_memory=_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
    )


async def engine_on(ray: Any, host: str) -> RayEngine:
    """The engine on a cluster that has been joined.

    Args:
        ray: the module.
        host: the address of this machine as the cluster's nodes see it.

    Raises:
        Unavailable: it cannot be listened there.
    """
    door = Door()
    await door.open(host)
    return RayEngine(ray, door, host, Budget(None), Reaper(kills=lambda: None))


def _in_words(error: BaseException | None) -> str:
    """The part of Ray's words that says something, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
