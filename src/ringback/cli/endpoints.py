"""`endpoints`: where webhooks go; those of the file seen and tried out, others registered, changed and removed."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ringback.cli.context import Context, table, usage_error
from ringback.cli.settings import EndpointSettings
from ringback.cli.together import taking
from ringback.cli.webhooks import story

endpoints = typer.Typer(help="Where webhooks go: those of the file, and registered ones.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's key, as `endpoints list` shows it.")]
Secret = Annotated[
    str | None,
    typer.Option(help="A secret of your own, whsec_… or whsk_…; - reads it from standard input. One is made else."),
]
Ed25519 = Annotated[bool, typer.Option("--ed25519", help="Make a key pair: the receiver gets the public key alone.")]


@endpoints.command("list")
def list_endpoints(context: typer.Context) -> None:
    """List the endpoints and how they stand."""
    told: Context = context.obj
    with told.client() as client:
        found = client.endpoints()
    if told.as_json:
        for endpoint in found:
            told.say("", endpoint)
        return
    rows = [
        {
            "endpoint": each["endpoint"],
            "url": each["url"],
            "state": each["state"],
            "pending": str(each["pending"]),
            "parked": str(each["parked"]),
            "oldest": "" if each["oldest_seconds"] is None else f"{each['oldest_seconds']:.0f} s",
            "reason": each["reason"] or "",
        }
        for each in found
    ]
    told.say(table(rows, ("endpoint", "url", "state", "pending", "parked", "oldest", "reason")), None)


# ── Registered ──────────────────────────────────────────────────────────────────────────────────


@endpoints.command("add")
@taking(EndpointSettings)
def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where its webhooks go.")],
    secret: Secret = None,
    ed25519: Ed25519 = False,
    *,
    settings: EndpointSettings,
) -> None:
    """Register an endpoint with the running server.

    Its secret is shown this once.
    """
    told: Context = context.obj
    with told.client() as client:
        value = client.add_endpoint(url, settings.named() | _key_wanted(secret, ed25519))
    told.say(f"{_described(value)}\n{_key_shown(value)}", value)


@endpoints.command("change")
@taking(EndpointSettings)
def change(
    context: typer.Context,
    endpoint: Key,
    url: Annotated[str | None, typer.Option("--to", metavar="URL", help="Where its webhooks go from now on.")] = None,
    *,
    settings: EndpointSettings,
) -> None:
    """Change a registered endpoint.

    What is not named stays as it is; what is empty is as by default again.
    """
    told: Context = context.obj
    changes = settings.named() | ({} if url is None else {"url": url})
    if not changes:
        raise typer.Exit(usage_error("say what to change, such as --event completed; see --help"))
    with told.client() as client:
        value = client.change_endpoint(endpoint, changes)
    told.say(_described(value), value)


@endpoints.command("rotate")
def rotate(
    context: typer.Context,
    endpoint: Key,
    secret: Secret = None,
    ed25519: Ed25519 = False,
    overlap: Annotated[str | None, typer.Option(help="How long the old secret signs on; a day, if not said.")] = None,
) -> None:
    """Give a registered endpoint a new secret.

    It is shown this once; the old one signs beside it for a day.
    """
    told: Context = context.obj
    settings = _key_wanted(secret, ed25519) | ({} if overlap is None else {"overlap": overlap})
    with told.client() as client:
        value = client.rotate_endpoint(endpoint, settings)
    until = max((key["signs_until"][:19] for key in value["keys"] if key["signs_until"]), default=None)
    words = "signs with the new one alone" if until is None else f"signs with both until {until}"
    told.say(f"{endpoint} {words}\n{_key_shown(value)}", value)


@endpoints.command("remove")
def remove(
    context: typer.Context,
    endpoint: Key,
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase what has not reached it, which is parked and kept otherwise.")
    ] = False,
) -> None:
    """Tell a registered endpoint of nothing more."""
    told: Context = context.obj
    with told.client() as client:
        value = client.remove_endpoint(endpoint, "erase" if erase else "park")
    left = f"; {value['pending'] + value['parked']} webhooks that have not reached it are kept"
    told.say(f"{endpoint} is removed{left if value['pending'] + value['parked'] else ''}", value)


# ── Tried out, put to rest ──────────────────────────────────────────────────────────────────────


@endpoints.command("test")
def test(context: typer.Context, endpoint: Key) -> None:
    """Send one webhook to an endpoint now.

    Says what came of it; exit status 1 if it did not arrive.
    """
    told: Context = context.obj
    with told.client() as client:
        value = client.endpoint(endpoint, "test")
    told.say(story(value["delivery"]), value)
    if value["delivery"]["state"] != "delivered":
        raise typer.Exit(1)


@endpoints.command("enable")
def enable(context: typer.Context, endpoint: Key) -> None:
    """Take an endpoint up again.

    What has waited for it is sent.
    """
    _say_endpoint(context, endpoint, "enable", "takes webhooks again")


@endpoints.command("disable")
def disable(context: typer.Context, endpoint: Key) -> None:
    """Put an endpoint to rest.

    Its webhooks are kept and wait.
    """
    _say_endpoint(context, endpoint, "disable", "is at rest; its webhooks wait")


def _say_endpoint(context: typer.Context, endpoint: str, verb: Any, words: str) -> None:
    told: Context = context.obj
    with told.client() as client:
        value = client.endpoint(endpoint, verb)
    told.say(f"{endpoint} {words} ({value['pending']} pending, {value['parked']} parked)", value)


# ── Read and told ───────────────────────────────────────────────────────────────────────────────


def _key_wanted(given: str | None, ed25519: bool) -> dict[str, str]:
    if given is not None and ed25519:
        raise typer.Exit(usage_error("--secret gives a key and --ed25519 has one made; name one of the two"))
    if given is not None:
        return {"secret": sys.stdin.readline().strip() if given == "-" else given}
    return {"signature": "v1a"} if ed25519 else {}


def _described(endpoint: dict[str, Any]) -> str:
    apis = "every API" if endpoint["apis"] == ["*"] else ", ".join(endpoint["apis"])
    return f"{endpoint['endpoint']} is told of {', '.join(endpoint['events'])} of {apis} at {endpoint['url']}"


def _key_shown(endpoint: dict[str, Any]) -> str:
    """What the receiver needs to verify: a secret, which is shown this once, or a public key."""
    if "secret" in endpoint:
        return f"secret (shown this once): {endpoint['secret']}"
    return f"public key: {endpoint['keys'][0]['public_key']}"
