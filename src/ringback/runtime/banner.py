"""What `ringback serve` says when it is up: where the APIs answer, and a line to paste that works. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ringback import __version__
from ringback.core.roles import Role, written
from ringback.core.spec import Api
from ringback.runtime.specfile import SpecFile

_SAMPLE: Final = "sample.json"


def banner(
    spec: SpecFile,
    url: str,
    pages: Mapping[str, str] | None = None,
    *,
    wants_key: bool = False,
    links_to: str | None = None,
) -> str:
    """Lines for the terminal.

    Args:
        spec: the file.
        url: where the server is reached from this machine.
        pages: those to look at in a browser, by what they are called.
        wants_key: whether a request has to bring an API key.
        links_to: where links in webhooks lead, if other machines may want them to lead elsewhere.
    """
    lines = [f"ringback {__version__} serves {spec.file.name} on {url}", ""]
    width = max(len(api.name) for api in spec.apis)
    for api in spec.apis:
        told = ", ".join(hook.shown_url for hook in api.webhooks) or "nobody (no webhook in the file)"
        lines.append(f"  {api.name:{width}}  POST {url}/{api.endpoint}   rings {told}")
    key = ' -H "Authorization: Bearer $RINGBACK_API_KEY"' if wants_key else ""
    if pages:
        lines += ["", *(f"  {name:{max(map(len, pages))}}  {page}" for name, page in pages.items())]
    if links_to is not None:
        lines += ["", f"  Links in webhooks lead to {links_to}; --public-url says where receivers elsewhere reach it."]
    lines += ["", "Try it:", f"  {curl_line(spec.apis[0], url, spec.folder)}{key}", ""]
    return "\n".join(lines) + "\n"


def banner_of_others(roles: frozenset[Role], spec: SpecFile, url: str) -> str:
    """Lines for the terminal, of a server that takes nothing in."""
    return (
        f"ringback {__version__} is {written(roles).replace(',', ' and ')} for {spec.file.name}\n"
        f"\n  {url}/readyz says whether it is ready, {url}/metrics what it does\n"
    )


def curl_line(api: Api, url: str, folder: Path) -> str:
    """A submit to paste into a shell, with the sample beside the file if there is one."""
    sample = folder / _SAMPLE
    data = f"@{sample}" if sample.is_file() else json.dumps({"hello": "world"})
    target = f"{url}/{api.endpoint}"
    return f"curl -s {shlex.quote(target)} -H 'Content-Type: application/json' -d {shlex.quote(data)}"
