"""One call of predict: arguments by name, coroutines and generators brought to an end, every outcome a frame."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final

from .context import Ask, Line, Send, Workload
from .log import note
from .results import NotSerializable, Outputs, encode
from .sink import Sink
from .spool import Spool, is_file
from .wire import MOST_OUTPUTS, MOST_OUTPUTS_BYTES, MOST_TEXT_BYTES, Answer, Kind, Work, numbered_frame, output_frame

_MESSAGE_CHARACTERS: Final = 8_192

RunAsync = Callable[[int, Awaitable[Any]], Any]
"""Brings what a workload, named by its number, awaits to its end."""


class Cancelled(Exception):
    """A generator's workload is to end."""


_QUIET: Final = (asyncio.CancelledError, Cancelled)


def _nobody_answers(_: int, __: bytes) -> tuple[Answer, bytes]:
    return Answer.REFUSAL, b"there is nobody to ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How to run one workload: the user's method and all that it may be given."""

    api: str
    predict: Callable[..., Any]
    names: frozenset[str]
    send: Send
    cancelled: Callable[[int], bool]
    ask: Ask = _nobody_answers
    spool: Spool = field(default_factory=Spool)
    process: int = field(default_factory=os.getpid)
    """The replica's: forks of it have no say."""

    def arguments(self, work: Work) -> dict[str, Any]:
        """What predict names, by name."""
        names, given = self.names, {}
        if "payload" in names:
            given["payload"] = self.spool.payload(work)
        if "request_id" in names:
            given["request_id"] = work.id
        if "headers" in names:
            given["headers"] = json.loads(work.headers)
        if "workload" in names:
            given["workload"] = Workload(
                self.api, work, Line(send=self.send, cancelled=self.cancelled, ask=self.ask), self.spool
            )
        return given

    def run(self, work: Work, run_async: RunAsync) -> bytes:
        """Run predict to its end; the frame to answer with. `run_async` brings a coroutine to its end."""
        try:
            value = self.predict(**self.arguments(work))
            if inspect.isawaitable(value):
                value = run_async(work.number, value)
            if inspect.isasyncgen(value):
                return self._done(work, run_async(work.number, self._all_awaited(work, value)))
            if inspect.isgenerator(value):
                return self._done(work, self._all(work, value))
            return self._returned(work, value)
        except NotSerializable as error:
            return self._unserializable(work, error)
        except BaseException as error:
            return self._failed(work, error)
        finally:
            self._over(work)

    async def run_task(self, work: Work) -> bytes:
        """The same on a running event loop."""
        try:
            value = self.predict(**self.arguments(work))
            if inspect.isawaitable(value):
                value = await value
            if inspect.isasyncgen(value):
                return self._done(work, await self._all_awaited(work, value))
            if inspect.isgenerator(value):
                return self._done(work, self._all(work, value))
            if is_file(value):  # a large one must not hold up the others
                return await asyncio.to_thread(self._returned, work, value)
            return self._returned(work, value)
        except NotSerializable as error:
            return self._unserializable(work, error)
        except BaseException as error:
            return self._failed(work, error)
        finally:
            self._over(work)

    def _returned(self, work: Work, value: Any) -> bytes:
        """The frame that answers with what predict has returned."""
        try:
            text = encode(value)
        except NotSerializable:
            stored = self.spool.file(work, value)
            if stored is None:
                raise
            return stored
        return self._done(work, text)

    def _done(self, work: Work, result: bytes | Sink) -> bytes:
        if not isinstance(result, bytes):
            return result.frame()
        if len(result) > self.spool.threshold:
            return self.spool.text(work, result)
        return numbered_frame(Kind.DONE, work.number, result)

    def _all(self, work: Work, values: Generator[Any, Any, Any]) -> bytes | Sink:
        """The list of all that predict yields, each told as it comes; closed in between when it is to end."""
        with contextlib.closing(values), contextlib.ExitStack() as undo:
            outputs = self.spool.outputs(work)
            undo.callback(outputs.drop)
            for value in values:
                self._tell(work, outputs, value)
                self._stop_if_cancelled(work)
            undo.pop_all()
        return outputs.as_list()

    async def _all_awaited(self, work: Work, values: AsyncGenerator[Any, Any]) -> bytes | Sink:
        async with contextlib.aclosing(values):
            with contextlib.ExitStack() as undo:
                outputs = self.spool.outputs(work)
                undo.callback(outputs.drop)
                async for value in values:
                    self._tell(work, outputs, value)
                    self._stop_if_cancelled(work)
                undo.pop_all()
        return outputs.as_list()

    def _tell(self, work: Work, outputs: Outputs, value: Any) -> None:
        text = outputs.add(value)
        is_one_of_the_first = len(outputs) <= MOST_OUTPUTS and outputs.size <= MOST_OUTPUTS_BYTES
        if (work.wants_outputs or is_one_of_the_first) and len(text) <= MOST_TEXT_BYTES:
            self.send(output_frame(work.number, len(outputs) - 1, text))

    def _stop_if_cancelled(self, work: Work) -> None:
        if self.cancelled(work.number):
            raise Cancelled

    def _unserializable(self, work: Work, error: NotSerializable) -> bytes:
        note(logging.WARNING, "workload %s: %s", work.id, error)
        return _failure(work.number, "result_not_serializable", str(error))

    def _failed(self, work: Work, error: BaseException) -> bytes:
        if self.cancelled(work.number):
            told = f", and predict raised {type(error).__name__}: {_message_of(error)}"
            ending = "" if isinstance(error, _QUIET) else told
            note(logging.INFO, "workload %s was canceled%s", work.id, ending)
            return canceled(work)
        steps = error.__traceback__.tb_next if error.__traceback__ is not None else None
        note(logging.ERROR, "workload %s failed", work.id, raised=error, steps=steps)
        return _failure(work.number, type(error).__name__, _message_of(error), _kinds_of(error))

    def _over(self, work: Work) -> None:
        if os.getpid() != self.process:  # a fork has come out of predict: its parent answers, and needs the folder
            os._exit(1)
        self.spool.clear(work)

    @property
    def is_async(self) -> bool:
        """Whether predict runs on an event loop."""
        return inspect.iscoroutinefunction(self.predict) or inspect.isasyncgenfunction(self.predict)


def canceled(work: Work) -> bytes:
    """The answer about a workload that has ended because it was told to, or was never begun for that."""
    return _failure(work.number, "canceled", "somebody asked for it to end")


def _message_of(error: BaseException) -> str:
    try:
        return str(error)[:_MESSAGE_CHARACTERS]
    except Exception:
        return "(the exception has no readable message)"


def _kinds_of(error: BaseException) -> list[str]:
    """The names of its class and of those above it, alone and after their modules."""
    classes = [each for each in type(error).__mro__ if each is not object]
    return [*(each.__name__ for each in classes), *(f"{each.__module__}.{each.__qualname__}" for each in classes)]


def _failure(number: int, kind: str, message: str, kinds: list[str] | None = None) -> bytes:
    told = {"type": kind, "message": message, **({} if kinds is None else {"kinds": kinds})}
    return numbered_frame(Kind.FAILED, number, json.dumps(told).encode())
