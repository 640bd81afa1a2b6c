"""How the environments stand that a file's APIs ask for, and those made that are missing; for `ringback check`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ringback.core.emit import silent
from ringback.core.errors import Unavailable
from ringback.core.spec import Api
from ringback.runtime.specfile import SpecFile
from ringback.work import local_engine


def report(spec: SpecFile, *, make: bool) -> list[str]:
    """A line for each API whose environment is not there, with why; with `make`, of those that cannot be made."""
    environments = local_engine(spec.environments, silent).environments
    lines = []
    for api in _with_requirements(spec.apis):
        requirements = api.predictor.requirements
        assert requirements is not None
        if make:
            try:
                asyncio.run(environments.python_for(requirements))
            except Unavailable as error:
                lines.append(f"{api.name}: {error}")
            continue
        is_there, problem = environments.standing(requirements)
        if problem is not None:
            lines.append(f"{api.name}: {problem}")
        elif not is_there:
            lines.append(f"{api.name}: {requirements.name} is not installed yet; serve does that, or check --install")
    return lines


def _with_requirements(apis: Iterable[Api]) -> list[Api]:
    return [api for api in apis if api.predictor.requirements is not None]
