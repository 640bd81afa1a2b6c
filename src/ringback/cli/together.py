"""Options that several commands share: said once, as the fields of a dataclass, and given to each command together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import wraps
from typing import Any, get_type_hints

Command = Callable[..., None]


def taking(form: type[Any]) -> Callable[[Command], Command]:
    """Decorates a command with a parameter of this form: an option for each of its fields, where the parameter stands.

    Args:
        form: a dataclass whose fields are annotated for typer, and all have a default.
    """

    def taken(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        [whole] = [name for name, hint in hints.items() if hint is form]
        names = [each.name for each in fields(form)]
        shown = list(_parameters(command, hints, form))

        @wraps(command)
        def run(**given: Any) -> None:
            told = form(**{name: given.pop(name) for name in names})
            command(**{whole: told}, **given)

        run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined] # which typer reads
        run.__annotations__ = {each.name: each.annotation for each in shown}
        return run

    return taken


def _parameters(command: Command, hints: dict[str, Any], form: type[Any]) -> Iterator[inspect.Parameter]:
    """The command's own, and those of the form in place of the one that stands for them."""
    told = get_type_hints(form, include_extras=True)
    for name, own in inspect.signature(command).parameters.items():
        if hints[name] is not form:
            yield own.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        for each in fields(form):
            yield inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=told[each.name]
            )
