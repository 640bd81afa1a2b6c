"""The command line. Speaks and listens; whatever it does is done by the client or the runtime."""

from __future__ import annotations

import sys

from ringback.core.errors import RingbackError


def main() -> None:
    """Entry of the `ringback` command. Exit status: 0, 1 failed, 2 usage."""
    from ringback.cli.app import app  # noqa: PLC0415 - so that a broken import is reported, too

    try:
        app(args=hoisted(sys.argv[1:]), prog_name="ringback")
    except RingbackError as error:
        sys.stderr.write(f"ringback: {error}\n")
        sys.exit(1)
    except TimeoutError as error:
        sys.stderr.write(f"ringback: {error}\n")
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)


def hoisted(arguments: list[str]) -> list[str]:
    """The arguments with `--json` and `--url` in front, where they belong, wherever they were typed."""
    first: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--json" or word.startswith("--url="):
            first.append(word)
        elif word == "--url":
            first += [word, *(value for value in [next(words, None)] if value is not None)]
        else:
            rest.append(word)
    return first + rest
