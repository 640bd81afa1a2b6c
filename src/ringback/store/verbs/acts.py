"""What follows a commit: acts that know nothing of each other, of which none may keep another from being done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable


def do_each(acts: Iterable[Callable[[], object]]) -> None:
    """Do all of them, in their order; what one raises is told to the loop's exception handler, as a callback's is.

    What they follow has happened: whoever has written it must not hear that it has not, nor wait for ever.
    """
    for act in acts:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever was told
            message = "whoever was told of a commit has raised"  # but not with what: that may be a webhook's body
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
