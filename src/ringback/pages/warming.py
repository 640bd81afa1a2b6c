"""Templates compiled in a process of their own, for half a second that requests would have to wait through."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from ringback.pages.book import Pages

_PATIENCE_SECONDS: Final = 30.0


async def warm(pages: Pages) -> None:
    """Have all pages ready, so that no visitor waits for it, nor anyone else meanwhile."""
    byte_code = await compiled_apart(pages.packages)
    await asyncio.to_thread(pages.warm, byte_code)


async def compiled_apart(packages: Sequence[str], *, python: str = sys.executable) -> Mapping[str, bytes]:
    """The byte code of all templates of these packages; nothing if the other process comes to nothing.

    Args:
        packages: with a `templates` folder each.
        python: the interpreter; byte code of another release is of no use, and does no harm.
    """
    command = (python, "-P", "-m", "ringback.pages", *packages)
    closed, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=closed, stdout=pipe, stderr=closed)
    except OSError:
        return {}
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            written, _ = await process.communicate()
        return dict(marshal.loads(written)) if process.returncode == 0 else {}  # noqa: S302 - of our own making
    except TimeoutError:
        return {}
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
