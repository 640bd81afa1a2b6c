"""What has to be done before replicas can start: an environment made, in the background, and again if need be."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ringback.core.emit import Emit
from ringback.core.errors import Unavailable
from ringback.core.retry import doubling_wait
from ringback.core.spec import Api
from ringback.work.engine import Engine

_AGAIN_SECONDS: Final = 10.0
_AGAIN_MOST_SECONDS: Final = 600.0


class Preparation:
    """Comes to one API's interpreter, as of the version that was begun with last."""

    def __init__(self, engine: Engine, emit: Emit, *, chance: Callable[[], float], changed: Callable[[], None]) -> None:
        """Begin with nothing.

        Args:
            engine: has the interpreters of APIs with requirements.
            emit: is told of what cannot be made.
            chance: spreads the times at which it is tried again.
            changed: is called whenever `python`, `doing` or `problem` has.
        """
        self.python: Path | None = None
        """The interpreter, once there is one."""
        self.doing: str | None = None
        """What is being done, in words."""
        self.problem: str | None = None
        """Why there is no interpreter; it is tried again."""
        self._engine = engine
        self._emit = emit
        self._chance = chance
        self._changed = changed
        self._task: asyncio.Task[None] | None = None

    def begin(self, api: Api) -> None:
        """Come to the interpreter for `api`; what was begun before is given up."""
        self.stop()
        self.python = self.doing = self.problem = None
        requirements = api.predictor.requirements
        if requirements is None:
            self.python = Path(sys.executable)
        else:
            self.doing = f"installing {requirements.name}"
            self._task = asyncio.create_task(self._prepare(api.name, requirements), name=f"ringback-prepare-{api.name}")

    def stop(self) -> None:
        """Do nothing more."""
        if self._task is not None:
            self._task.cancel()

    async def _prepare(self, api: str, requirements: Path) -> None:
        failures, doing = 0, self.doing
        while self.python is None:
            if self.doing is None:
                self.doing = doing
                self._changed()
            try:
                self.python = await self._engine.python_for(requirements)
            except Unavailable as error:
                failures += 1
                self.problem = str(error)
                self._emit("environment.failed", api=api, reason=self.problem)
            else:
                self.problem = None
            self.doing = None
            self._changed()
            if self.python is None:
                await asyncio.sleep(doubling_wait(_AGAIN_SECONDS, _AGAIN_MOST_SECONDS, failures, self._chance()))
