"""A replica's life: say hello, make the predictor, then run workloads until the parent goes away."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from .calling import Call
from .capture import Capture
from .channel import Channel
from .context import MetricsClient
from .loading import LoadError, import_file, make, predict_of, story_of
from .log import Log, note
from .runners import run_as_tasks, run_on_threads, run_one_by_one
from .spool import Spool
from .wire import Kind, object_frame, read_object

_PR_SET_PDEATHSIG: Final = 1
_STANDARD_ERROR: Final = 2
_OOM_SCORE: Final = Path("/proc/self/oom_score_adj")
_OOM_SCORE_HIGHER: Final = 200
_OOM_SCORE_MOST: Final = 1000


def main(arguments: list[str]) -> int:
    """Serve one socket.

    The arguments are file descriptors and a process id: the socket, the parent, the end to read of what standard
    output and standard error are, and the server's log.
    """
    _, descriptor, parent, pipe, log = arguments
    _die_with(int(parent))
    _go_first_when_memory_runs_out()
    signal.signal(signal.SIGTERM, _leave_it_to_the_parent)
    signal.signal(signal.SIGINT, _leave_it_to_the_parent)
    end = socket.socket(fileno=int(descriptor))
    for each in (end.fileno(), int(pipe), int(log)):
        os.set_inheritable(each, False)
    faulthandler.enable(file=_STANDARD_ERROR)
    channel = Channel(end)
    with contextlib.suppress(ConnectionError):
        received = channel.receive()
        if received is not None:
            hello = read_object(received[1])
            into = Log(int(log), api=hello["api"], replica=hello["replica"], form=hello["log_form"])
            capture = Capture(int(pipe), into, send=channel.send)
            try:
                return _serve(channel, capture, hello)
            finally:
                capture.settle()
    return 0


def _serve(channel: Channel, capture: Capture, hello: dict[str, Any]) -> int:
    capture.start(tells_apart=hello["concurrency"] > 1)
    logging.basicConfig(
        level=hello["log_level"].upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        call = _prepare(channel, capture, hello)
    except LoadError as error:
        channel.send(object_frame(Kind.BROKEN, {"reason": str(error), "traceback": story_of(error.__cause__)}))
        return 1
    capture.settle()
    channel.send(object_frame(Kind.READY, {"in_order": hello["concurrency"] == 1}))
    if hello["concurrency"] == 1:
        run_one_by_one(channel, call, capture)
    elif call.is_async:
        run_as_tasks(channel, call, capture)
    else:
        run_on_threads(channel, call, capture, hello["concurrency"])
    return 0


def _prepare(channel: Channel, capture: Capture, hello: dict[str, Any]) -> Call:
    path = Path(hello["path"])
    module = import_file(path, Path(hello["python_path"]) if hello["python_path"] else None)
    offers = {"config": hello["config"], "metrics_client": MetricsClient(channel.send)}
    predict, names = predict_of(make(module, path, offers))
    return Call(
        api=hello["api"],
        predict=predict,
        names=names,
        send=capture.tell,
        cancelled=channel.cancelled,
        ask=channel.ask,
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


def _go_first_when_memory_runs_out() -> None:
    """Have the kernel take this process, or what it has started, rather than the server (proc_pid_oom_score_adj(5)).

    By as much as if it used a fifth of the memory more: a server is larger than a replica with a small model, and with
    it would go everything.
    """
    with contextlib.suppress(OSError, ValueError):  # another system than Linux
        score = int(_OOM_SCORE.read_text()) + _OOM_SCORE_HIGHER
        _OOM_SCORE.write_text(str(min(score, _OOM_SCORE_MOST)))


def _leave_it_to_the_parent(number: int, _: object) -> None:
    """Signals that reach the whole group must not cut a workload off: the parent drains, then ends its replicas."""
    note(logging.DEBUG, "left signal %d to the parent", number)
