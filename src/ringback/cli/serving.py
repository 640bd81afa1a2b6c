"""`init`, `check` and `serve`: from an empty folder to a running server."""

from __future__ import annotations

import os
import shlex
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ringback.cli.context import Context, table, usage_error
from ringback.core.errors import SpecError
from ringback.core.quantities import format_duration
from ringback.core.settings import read_settings
from ringback.core.spec import Api, Autoscaling, Endpoint
from ringback.runtime.specfile import SpecFile, find, load

_STARTER: Final = {
    "ringback.yaml": "ringback.yaml",
    "predictor.txt": "predictor.py",
    "sample.json": "sample.json",
    "gitignore.txt": ".gitignore",
}
"""What `init` writes, under which name."""

File = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE", help="ringback.yaml, cortex.yaml or a predictor's .py; by default the YAML in this folder."
    ),
]


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put it; made if need be.")] = Path(),
) -> None:
    """Make a starter: ringback.yaml, predictor.py and sample.json."""
    targets = {source: folder / name for source, name in _STARTER.items()}
    ignores = targets["gitignore.txt"]
    if ignores.exists():  # a repository has one; what it says is its owner's word
        del targets["gitignore.txt"]
    taken = [str(path) for path in targets.values() if path.exists()]
    if taken:
        stands = "is there already and is" if len(taken) == 1 else "are there already and are"
        raise typer.Exit(usage_error(f"{', '.join(taken)} {stands} left alone; name an empty folder"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, path in targets.items():
            path.write_text((files(__package__) / "starter" / source).read_text("utf-8"), "utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise typer.Exit(usage_error(f"{folder} cannot be written to ({reason}); name another folder")) from None
    into = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    typer.echo(f"made {', '.join(str(path) for path in targets.values())}\n")
    typer.echo(f"start it:  {into}ringback dev")
    typer.echo("use it:    the curl line that it prints, or  ringback submit hello -d @sample.json --wait")
    typer.echo("change it: predictor.py is taken up at each save; `ringback serve` is for production")


def check(
    context: typer.Context,
    file: File = None,
    install: Annotated[bool, typer.Option("--install", help="Make the environments that APIs ask for.")] = False,
) -> None:
    """Read the file and print what would be served."""
    told: Context = context.obj
    spec = loaded(file)
    if any(api.predictor.requirements is not None for api in spec.apis):
        from ringback.runtime.environments import report  # noqa: PLC0415 - few files need it

        problems = report(spec, make=install)
        for problem in problems:
            sys.stderr.write(f"{problem}\n")
        if problems and install:
            raise typer.Exit(1)
    columns = ("api", "path", "predictor", "replicas", "timeout", "webhooks")
    told.say(
        f"{spec.file} is fine.\n\n{table([_row(api) for api in spec.apis], columns)}",
        {"file": str(spec.file), "warnings": list(spec.warnings), "apis": [_told(api) for api in spec.apis]},
    )


def serve(
    context: typer.Context,
    file: File = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on; 0 takes any free one [default: 8080].")] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="sqlite:///file.db or postgresql://host/database [default: .ringback/ringback.db beside the file]."
        ),
    ] = None,
    blobs: Annotated[
        str | None,
        typer.Option(help="Folder or URL for large data: file://, s3://, gs://, az:// [default: beside the store]."),
    ] = None,
    roles: Annotated[
        list[str] | None,
        typer.Option(help="gateway, worker, dispatcher: what of the work it does; repeatable [default: all]."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="local, ray: where replicas run [default: local].")] = None,
    api_key: Annotated[list[str] | None, typer.Option(help="A key that requests must bring; repeatable.")] = None,
    public_url: Annotated[
        str | None, typer.Option(help="Where receivers reach the server [default: where it listens].")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="A host or network that webhooks named in requests may reach; repeatable.")
    ] = None,
    trusted_hosts: Annotated[
        list[str] | None, typer.Option(help="A name by which a server on loopback may be asked for; repeatable.")
    ] = None,
    inspector: Annotated[
        bool | None,
        typer.Option("--inspector/--no-inspector", help="Inboxes that capture any request [default: on loopback]."),
    ] = None,
    max_body: Annotated[str | None, typer.Option(help="Largest payload taken in [default: 64MiB].")] = None,
    blob_threshold: Annotated[
        str | None, typer.Option(help="Payloads and results larger than this are blobs [default: 1MiB].")
    ] = None,
    file_threshold: Annotated[
        str | None, typer.Option(help="Payloads larger than this reach predict as a file [default: 64MiB].")
    ] = None,
    grace: Annotated[str | None, typer.Option(help="Time for running workloads at the end [default: 30s].")] = None,
    lease: Annotated[
        str | None, typer.Option(help="Silence after which another server takes over [default: 30s].")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error [default: info].")] = None,
    log_format: Annotated[str | None, typer.Option(help="text, json [default: text].")] = None,
) -> None:
    """Serve the file's APIs until stopped."""
    given = {
        "host": host,
        "port": port,
        "store": store,
        "blobs": blobs,
        "roles": ",".join(roles) if roles else None,
        "engine": engine,
        "public-url": public_url,
        "allow": ",".join(allow) if allow else None,
        "trusted-hosts": ",".join(trusted_hosts) if trusted_hosts else None,
        "api-keys": ",".join(api_key) if api_key else _own_key(context),
        "inspector": None if inspector is None else ("on" if inspector else "off"),
        "max-body": max_body,
        "blob-threshold": blob_threshold,
        "file-threshold": file_threshold,
        "grace": grace,
        "lease": lease,
        "log-level": log_level,
        "log-format": log_format,
    }
    try:
        settings = read_settings(given, os.environ)
    except SpecError as error:
        raise typer.Exit(usage_error(str(error))) from None
    spec = loaded(file)
    from ringback.runtime.serve import serve as run  # noqa: PLC0415 - brings the whole server with it

    raise typer.Exit(run(spec, settings))


def _own_key(context: typer.Context) -> str | None:
    """The key given before the command, or RINGBACK_API_KEY; that one is a client's, and gives way to the server's."""
    told: Context = context.obj
    source = context.parent.get_parameter_source("api_key") if context.parent is not None else None
    is_typed = source is not None and source.name == "COMMANDLINE"
    return told.api_key if is_typed or "RINGBACK_API_KEYS" not in os.environ else None


def loaded(file: Path | None) -> SpecFile:
    """The file that was named, or the one in this folder; what is wrong with it is told, with exit status 2."""
    try:
        spec = load(file if file is not None else find(Path.cwd()), os.environ)
    except SpecError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from None
    for warning in spec.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return spec


def _row(api: Api) -> dict[str, str]:
    return {
        "api": api.name,
        "path": f"/{api.endpoint}",
        "predictor": api.predictor.path.name,
        "replicas": _replicas(api.autoscaling),
        "timeout": format_duration(api.timeout_seconds),
        "webhooks": ", ".join(map(_webhook, api.webhooks)) or "none",
    }


def _replicas(scaling: Autoscaling) -> str:
    least, most = scaling.min_replicas, scaling.max_replicas
    return str(least) if least == most else f"{least} to {most}"


def _webhook(hook: Endpoint) -> str:
    return f"{hook.shown_url} ({'unsigned' if hook.secret is None else 'signed'})"


def _told(api: Api) -> dict[str, Any]:
    webhooks = [
        {"endpoint": hook.key, "url": hook.shown_url, "signed": hook.secret is not None} for hook in api.webhooks
    ]
    return {
        "name": api.name,
        "path": f"/{api.endpoint}",
        "predictor": str(api.predictor.path),
        "timeout_seconds": api.timeout_seconds,
        "webhooks": webhooks,
    }
