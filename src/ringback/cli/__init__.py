"""The command line. Speaks and listens; whatever it does is done by the client or the runtime."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Final

from ringback.core.errors import RingbackError

_COMMON: Final = ("--url", "--api-key")
"""Options with a value that belong in front of the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of the `ringback` command. Exit status: 0, 1 failed, 2 usage."""
    try:
        from ringback.cli.app import app  # noqa: PLC0415 - so that a broken import is reported, too

        app(args=hoisted(sys.argv[1:] if arguments is None else arguments), prog_name="ringback")
    except (RingbackError, TimeoutError) as error:
        sys.stderr.write(f"ringback: {error}\n")
        sys.exit(1)
    except (BrokenPipeError, KeyboardInterrupt):  # Ctrl-C that comes before anything has begun
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write("ringback: no room left for what is printed: it is not whole\n")
        sys.exit(1)


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with what is common to all commands in front, where it belongs, wherever it was typed.

    `serve` has an `--api-key` of its own, which may come several times.
    """
    first: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        name, has_value, _ = word.partition("=")
        if word == "--":
            rest += [word, *words]
        elif word == "--json":
            first.append(word)
        elif name not in _COMMON or (name == "--api-key" and rest[:1] == ["serve"]):
            rest.append(word)
        else:
            first += [word] if has_value else [word, *(value for value in [next(words, None)] if value is not None)]
    return first + rest
