"""The engine that runs replicas as Ray actors, wherever Ray finds room for them.

`ray` is imported only when an engine is opened: `pip install 'ringback[ray]'`.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ringback.core.emit import Emit
from ringback.core.errors import Unavailable
from ringback.core.quantities import about_size
from ringback.core.spec import Api
from ringback.work.budget import Budget
from ringback.work.cluster.door import Door
from ringback.work.cluster.host import Host, Order
from ringback.work.cluster.link import Line
from ringback.work.cluster.remote import RemoteProcess
from ringback.work.environments import digest_of
from ringback.work.memory import Reaper
from ringback.work.process import Process

_LOOPBACK: Final = "127.0.0.1"
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ADDRESS: Final = "RAY_ADDRESS"
_PORT: Final = 6379
"""Where a cluster is found, unless it was told otherwise."""
_ANSWER_SECONDS: Final = 5.0
_STORE_BYTES: Final = 100_000_000
"""Of a cluster of our own: nothing of ours goes through its object store."""


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Replicas are Ray actors."""

    ray: Any
    door: Door
    emit: Emit
    host: str
    """The address of this server as the cluster's nodes see it."""
    budget: Budget
    reaper: Reaper
    log_form: str = "text"
    patience_seconds: float = 10.0
    """A replica that has not begun by then is told of: the cluster may have no room for it."""

    async def python_for(self, requirements: Path) -> Path:
        """Ray makes the environment, on the node, for what the file says now; each content has one of its own.

        Returns:
            A name for it, which is no interpreter's.
        """
        return Path(await asyncio.to_thread(digest_of, requirements))

    def start(self, api: Api, python: Path, folder: Path | None, waits: Callable[[str | None], None]) -> Process:
        token, line = self.door.expect()
        order = Order(
            host=self.host,
            port=self.door.port,
            token=token,
            predictor=api.predictor,
            mem_bytes=api.compute.mem_bytes,
        )
        try:
            actor = self._actor(api, python.name)
            fate = asyncio.wrap_future(actor.serve.remote(order).future())
        except Exception as error:
            line.cancel()
            raise Unavailable(f"Ray could not be asked for an actor: {error}") from error
        return RemoteProcess(lambda: self._called(api, line, fate, waits), lambda: self._end(actor, fate), folder)

    async def close(self) -> None:
        await self.door.close()
        self.ray.shutdown()

    def _actor(self, api: Api, digest: str) -> Any:
        compute, requirements = api.compute, api.predictor.requirements
        # The comment tells Ray, which keeps environments by their text, that the file has another content.
        environment = None if requirements is None else {"pip": [f"-r {requirements}", f"# {digest}"]}
        return (
            self.ray.remote(Host)
            .options(
                num_cpus=compute.cpu or 0,
                num_gpus=compute.gpu,
                memory=compute.mem_bytes,
                max_restarts=0,
                runtime_env=environment,
            )
            .remote()
        )

    async def _called(
        self, api: Api, line: asyncio.Future[Line], fate: asyncio.Future[None], waits: Callable[[str | None], None]
    ) -> Line:
        """The line of a host that has called; what it has to wait for until then is told.

        Raises:
            Unavailable: it has ended without having called.
        """
        try:
            if api.predictor.requirements is not None:
                waits(f"installing {api.predictor.requirements.name}, by Ray")
            either: list[asyncio.Future[Any]] = [line, fate]
            done, _ = await asyncio.wait(either, timeout=self.patience_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                reason = f"Ray has not placed it yet; it asks for {needs_of(api)}"
                self.emit("replica.waiting", api=api.name, reason=reason)
                waits(reason)
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if line.done():
                return line.result()
            error = fate.exception()
            raise Unavailable(f"could not be started by Ray: {_in_words(error)}")
        finally:
            line.cancel()
            waits(None)

    def _end(self, actor: Any, fate: asyncio.Future[None]) -> None:
        fate.add_done_callback(lambda done: done.cancelled() or done.exception())  # known already, by the line
        if not fate.done():
            self.ray.kill(actor, no_restart=True)


async def ray_engine(emit: Emit, *, log_form: str = "text") -> RayEngine:
    """Join the cluster that `RAY_ADDRESS` names, or start one of this machine's own; from the main thread.

    Args:
        emit: is told which.
        log_form: how replicas write into the server's log.

    Raises:
        Unavailable: Ray is not installed, or the cluster cannot be joined; the message says what to do.
    """
    address = os.environ.get(_ADDRESS)
    if address and "://" in address:
        raise Unavailable(_refusal_of(address))
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise Unavailable("the ray engine needs Ray: pip install 'ringback[ray]'") from error
    if address:
        await must_answer(address)
    try:
        join(ray, address)
    except Exception as error:
        where = f"at {address} ({_ADDRESS})" if address else "on this machine"
        raise Unavailable(f"Ray {where} cannot be used: {_in_words(error)}") from error
    host = ray.util.get_node_ip_address() if address else _LOOPBACK
    try:
        engine = await engine_on(ray, host, emit)
    except Unavailable:
        ray.shutdown()
        raise
    emit("engine.joined", address=address, nodes=len(ray.nodes()))
    return replace(engine, log_form=log_form)


async def must_answer(address: str) -> None:
    """See that somebody is there before Ray is asked to join, who would try for minutes and hear no signal meanwhile.

    Raises:
        Unavailable: nobody is.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit()):
        return  # `auto` and the like: Ray knows where that is
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, OverflowError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else str(error)
        raise Unavailable(
            f"no Ray at {address} ({_ADDRESS}): {reason}; see that the cluster's head runs and can be reached from "
            f"here, or leave {_ADDRESS} out for a cluster of this machine's own"
        ) from error
    writer.close()


def _refusal_of(address: str) -> str:
    """What to do instead: behind that address is a proxy, and all replicas would die with it."""
    head = f"{urlsplit(address).hostname or 'HEAD'}:{_PORT}"
    return (
        f"{_ADDRESS}={address} is an address of Ray's client, which this engine does not use; make this machine a node "
        f"of the cluster, `ray start --address={head} --num-cpus=0`, and name the cluster itself: {_ADDRESS}={head}"
    )


def join(ray: Any, address: str | None) -> None:
    """Become a part of a cluster; one's own has the loopback address alone, and asks nobody outside for anything.

    Must be called from the main thread: Ray's own processes end with the thread that has started them. Signals stay
    with whoever has them: Ray would take SIGTERM for itself, and leave the house without a word.
    """
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        if address:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        else:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(
                address="local",  # or it would join whichever was started last on this machine
                _node_ip_address=_LOOPBACK,
                object_store_memory=_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
            )
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


async def engine_on(ray: Any, host: str, emit: Emit) -> RayEngine:
    """The engine on a cluster that has been joined.

    Args:
        ray: the module.
        host: the address of this machine as the cluster's nodes see it.
        emit: is told of replicas that the cluster keeps waiting.

    Raises:
        Unavailable: it cannot be listened there.
    """
    door = Door()
    await door.open(host)
    return RayEngine(ray, door, emit, host, Budget(None), Reaper(kills=lambda: None))


def needs_of(api: Api) -> str:
    """What a replica asks of a node, in words."""
    compute = api.compute
    memory = None if compute.mem_bytes is None else about_size(compute.mem_bytes)
    asked = {"compute.cpu": compute.cpu, "compute.gpu": compute.gpu or None, "compute.mem": memory}
    needs = [f"{name} {value}" for name, value in asked.items() if value is not None]
    if api.predictor.requirements is not None:
        needs.append(f"the packages of {api.predictor.requirements.name}, which are installed there first")
    return ", ".join(needs) or "nothing"


def _in_words(error: BaseException | None) -> str:
    """The part of Ray's words that says something, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
