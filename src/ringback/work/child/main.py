"""A replica's life: say hello, make the predictor, then run workloads until the parent goes away."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from .calling import Call
from .channel import Channel
from .context import MetricsClient
from .loading import LoadError, import_file, make, predict_of
from .runners import run_as_tasks, run_on_threads, run_one_by_one
from .spool import Spool
from .wire import Kind, frame, object_frame, read_object

_PR_SET_PDEATHSIG: Final = 1


def main(arguments: list[str]) -> int:
    """Serve one socket; its file descriptor and the parent's process id are the two arguments."""
    _, descriptor, parent = arguments
    _die_with(int(parent))
    signal.signal(signal.SIGTERM, _leave_it_to_the_parent)
    signal.signal(signal.SIGINT, _leave_it_to_the_parent)
    end = socket.socket(fileno=int(descriptor))
    end.set_inheritable(False)
    channel = Channel(end)
    with contextlib.suppress(ConnectionError):
        return _serve(channel)
    return 0


def _serve(channel: Channel) -> int:
    received = channel.receive()
    if received is None:
        return 0
    hello = read_object(received[1])
    logging.basicConfig(
        level=hello["log_level"].upper(),
        format=f"%(asctime)s {hello['api']} %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        call = _prepare(channel, hello)
    except LoadError as error:
        logging.getLogger("ringback.replica").error("%s", error, exc_info=error.__cause__)  # noqa: TRY400 - the cause, not the wrapper
        channel.send(frame(Kind.BROKEN, str(error).encode("utf-8", "replace")))
        return 1
    channel.send(object_frame(Kind.READY, {"in_order": hello["concurrency"] == 1}))
    if hello["concurrency"] == 1:
        run_one_by_one(channel, call)
    elif call.is_async:
        run_as_tasks(channel, call)
    else:
        run_on_threads(channel, call, hello["concurrency"])
    return 0


def _prepare(channel: Channel, hello: dict[str, Any]) -> Call:
    path = Path(hello["path"])
    module = import_file(path, Path(hello["python_path"]) if hello["python_path"] else None)
    offers = {"config": hello["config"], "metrics_client": MetricsClient(channel.send)}
    predict, names = predict_of(make(module, path, offers))
    return Call(
        api=hello["api"],
        predict=predict,
        names=names,
        send=channel.send,
        cancelled=channel.cancelled,
        spool=_spool(hello),
    )


def _spool(hello: dict[str, Any]) -> Spool:
    told = hello.get("spool")
    return Spool() if told is None else Spool(told["folder"], told["threshold"])


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere the closed socket must do)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _leave_it_to_the_parent(number: int, _: object) -> None:
    """Signals that reach the whole group must not cut a workload off: the parent drains, then ends its replicas."""
    logging.getLogger("ringback.replica").debug("left signal %d to the parent", number)
