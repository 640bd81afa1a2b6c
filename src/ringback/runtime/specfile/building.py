"""From what was read to the values the house is built from: renamed keys, defaults, and what spans several keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final

import yaml

from ringback.core.errors import SpecError
from ringback.core.netguard import Guard, Trust
from ringback.core.spec import Api, Autoscaling, Compute, Endpoint, Predictor, Retries
from ringback.deliver.request import Target
from ringback.runtime.specfile.schema import API, read_keys
from ringback.runtime.specfile.source import Source, Unreadable, kind_of

FIELDS: Final[Mapping[str, str]] = {
    "mem": "mem_bytes",
    "window": "window_seconds",
    "downscale_stabilization_period": "downscale_stabilization_seconds",
    "upscale_stabilization_period": "upscale_stabilization_seconds",
    "initial": "initial_seconds",
    "max": "max_seconds",
    "timeout": "timeout_seconds",
    "cancel_grace": "cancel_grace_seconds",
    "retention": "retention_seconds",
    "retry": "retry_seconds",
    "inline_limit": "inline_limit_bytes",
    "rate_limit": "rate_per_second",
}
"""Keys whose value has another name in `core.spec`, where units are part of names."""

_PLAIN: Final = ("concurrency", "recycle_after", "timeout", "cancel_grace", "retention")
"""Keys of an API whose value is used as it was read."""


def build_apis(source: Source, root: yaml.Node) -> tuple[Api, ...]:
    """Every API of the file.

    Raises:
        SpecError: something is wrong; the message has a line for each.
    """
    if not isinstance(root, yaml.SequenceNode):
        source.blame(Unreadable(root, "the file", f"expected a list of APIs (- name: …), found {kind_of(root)}"))
        source.raise_if_wrong()
    built = [(node, _build_api(source, node, place)) for place, node in enumerate(root.value)]
    apis = [(node, api) for node, api in built if api is not None]
    _refuse_doubles(source, apis, "name")
    _refuse_doubles(source, apis, "endpoint")
    if not root.value:
        source.blame(Unreadable(root, "the file", "there is no API in it"))
    source.raise_if_wrong()
    return tuple(api for _, api in apis)


def _build_api(source: Source, node: yaml.Node, place: int) -> Api | None:
    wrong_before = len(source.errors)
    found = read_keys(source, node, f"[{place}]", API)
    if len(source.errors) > wrong_before:
        return None
    name = found["name"]
    endpoint = found.get("networking", {}).get("endpoint", name)
    autoscaling = Autoscaling(**_fields(found.get("autoscaling", {})))
    _check_replicas(source, _value_of(source, node, "autoscaling"), f"[{place}].autoscaling", autoscaling)
    return Api(
        name=name,
        endpoint=endpoint,
        predictor=Predictor(**_predictor(found["predictor"])),
        compute=Compute(**_fields(found.get("compute", {}))),
        autoscaling=autoscaling,
        retries=Retries(**_fields(found.get("retries", {}))),
        webhooks=tuple(_endpoints(source, name, found)),
        **_fields({key: found[key] for key in _PLAIN if key in found}),
    )


def _check_replicas(source: Source, node: yaml.Node, path: str, autoscaling: Autoscaling) -> None:
    for key in ("min_replicas", "init_replicas"):
        count = getattr(autoscaling, key)
        if count is not None and count > autoscaling.max_replicas:
            most = autoscaling.max_replicas
            source.blame(Unreadable(node, path, f"{key} is {count}, which is more than max_replicas ({most})"))


def _value_of(source: Source, node: yaml.Node, name: str) -> yaml.Node:
    """Where a key's value stands; the mapping itself when it is not there."""
    return next((value for key, _, value in source.pairs(node, "") if key == name), node)


def _predictor(found: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in found.items() if key not in {"type", "dependencies"}}
    return {**plain, "requirements": found.get("dependencies", {}).get("pip")}


def _endpoints(source: Source, name: str, found: Mapping[str, Any]) -> Iterable[Endpoint]:
    """The API's webhooks; their keys name them in the store, so they must not change with unrelated edits."""
    single: list[tuple[yaml.Node, dict[str, Any]]] = found.get("webhook", [])
    several: list[tuple[yaml.Node, dict[str, Any]]] = found.get("webhooks", [])
    keyed = [(name, *each) for each in single]
    keyed += [(f"{name}/{place}", *each) for place, each in enumerate(several, 1)]
    for key, node, each in keyed:
        endpoint = Endpoint(key=key, **_fields(each))
        try:
            refusal = _refusal(Target(endpoint))
        except SpecError as error:
            refusal = str(error)
        if refusal is not None:
            source.blame(Unreadable(node, f"the webhook of {name}", refusal))
            continue
        yield endpoint


def _refusal(target: Target) -> str | None:
    """Why nothing is ever sent to the address in the URL; a name is judged whenever it is looked up."""
    try:
        ip_address(target.host)
    except ValueError:
        return None
    return Guard().refusal(Trust.OPERATOR, target.host, target.port, [target.host])


def _fields(found: Mapping[str, Any]) -> dict[str, Any]:
    return {FIELDS.get(key, key): value for key, value in found.items() if value is not None}


def _refuse_doubles(source: Source, apis: Iterable[tuple[yaml.Node, Api]], attribute: str) -> None:
    seen: dict[str, Api] = {}
    for node, api in apis:
        value = getattr(api, attribute)
        before = seen.setdefault(value, api)
        if before is not api and (attribute == "name" or before.name != api.name):  # of one name is told as that alone
            source.blame(Unreadable(node, attribute, f"two APIs have the {attribute} {value!r}"))
