"""What no server does of all there is to do, and what they do not agree on, in the words of `list` and `top`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def lacking(apis: Sequence[Mapping[str, Any]]) -> list[str]:
    """What waits because nobody does it, and what is done in two ways, a line each.

    Args:
        apis: as `/-/apis` tells of them; a server of an earlier release does not say.
    """
    lines = [
        f"no server runs {api['name']}: start one with the worker role and this API in its file"
        for api in apis
        if api.get("workers") == 0 and not api["problem"]
    ]
    if any(api.get("dispatchers") == 0 for api in apis):
        lines.append("no server sends webhooks: start one with the dispatcher role")
    lines += [
        f"of {api['name']}, {count} other {'server has' if count == 1 else 'servers have'} another file: "
        "as while a new one is rolled out; if it stays so, give all servers the same"
        for api in apis
        if (count := api.get("differing"))
    ]
    return lines
