"""Every key of the file, once: how it is read, what it means, and the words the docs have for it.

Defaults are those of `core.spec`; here they are only named.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from ringback.core.spec import BodyFormat, Event, Order
from ringback.runtime.specfile import values
from ringback.runtime.specfile.source import Source, Unreadable
from ringback.runtime.specfile.values import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a mapping."""

    read: Reader
    shape: str
    """What is expected, for the docs."""
    meaning: str
    required: bool = False
    ignored: str = ""
    """Why it means nothing here: it is read with a warning that says so."""


Keys = Mapping[str, Key]


def read_keys(source: Source, node: yaml.Node, path: str, keys: Keys) -> dict[str, Any]:
    """The values of those keys that are there. Everything wrong is noted in `source`, and left out."""
    found: dict[str, Any] = {}
    try:
        pairs = list(source.pairs(node, path))
    except Unreadable as unreadable:
        source.blame(unreadable)
        return found
    for name, key_node, value in pairs:
        at = f"{path}.{name}" if path else name
        key = keys.get(name)
        if key is None:
            source.blame(Unreadable(key_node, at, f"there is no such key{_hint(name, keys)}"))
        elif key.ignored:
            source.warn(key_node, at, key.ignored)
        else:
            try:
                found[name] = key.read(source, value, at)
            except Unreadable as unreadable:
                source.blame(unreadable)
    for name, key in keys.items():
        if key.required and name not in {each for each, _, _ in pairs}:
            source.blame(Unreadable(node, path, f"the key {name!r} is missing ({key.meaning})"))
    return found


def section(keys: Keys) -> Reader:
    """A mapping with keys of its own; null is as good as empty."""

    def read(source: Source, node: yaml.Node, path: str) -> dict[str, Any]:
        if source.is_null(node, path):
            node = yaml.MappingNode("tag:yaml.org,2002:map", [], node.start_mark, node.end_mark)
        return read_keys(source, node, path, keys)

    return read


def _hint(name: str, keys: Keys) -> str:
    near = difflib.get_close_matches(name, keys, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(keys)}"


def _ignored(why: str) -> Key:
    return Key(read=values.text, shape="", meaning="", ignored=why)


_MEANS_NOTHING: Final = "means nothing to Ringback and is ignored"

DEPENDENCIES: Final[Keys] = {
    "pip": Key(
        read=values.optional_file,
        shape="a file, relative to this one",
        meaning="What pip or uv installs into it, such as requirements.txt",
    ),
    "conda": _ignored(_MEANS_NOTHING),
    "shell": _ignored(_MEANS_NOTHING),
}

PREDICTOR: Final[Keys] = {
    "type": Key(
        read=values.constant("python", "is not served; only type: python is"), shape="`python`", meaning="Kind"
    ),
    "path": Key(
        read=values.existing_file,
        shape="a file, relative to this one",
        meaning="Where the class `PythonPredictor` is",
        required=True,
    ),
    "config": Key(read=values.config, shape="a mapping", meaning="Given to `__init__` as it stands"),
    "python_path": Key(
        read=values.existing_folder,
        shape="a folder, relative to this file",
        meaning="Appended to `sys.path`; by default the predictor's folder",
    ),
    "env": Key(read=values.variables, shape="a mapping of texts", meaning="Environment variables of the replicas"),
    "log_level": Key(
        read=values.log_level, shape="debug, info, warning, error, critical", meaning="What a replica logs"
    ),
    "dependencies": Key(
        read=section(DEPENDENCIES), shape="a mapping, below", meaning="A virtual environment of the API's own"
    ),
    "image": _ignored(_MEANS_NOTHING),
    "shm_size": _ignored(_MEANS_NOTHING),
    "processes_per_replica": _ignored(_MEANS_NOTHING),
    "threads_per_process": _ignored(_MEANS_NOTHING),
}

COMPUTE: Final[Keys] = {
    "cpu": Key(
        read=values.number(0.001), shape="a number, or 500m", meaning="Cores one replica needs; counted if given"
    ),
    "gpu": Key(read=values.whole(0), shape="a whole number", meaning="GPUs one replica asks of the engine"),
    "mem": Key(
        read=values.memory, shape="a size, like 2Gi", meaning="Memory one replica may use, its children included"
    ),
    "inf": _ignored(_MEANS_NOTHING),
}

NETWORKING: Final[Keys] = {
    "endpoint": Key(read=values.segment, shape="a path of one segment", meaning="URL path; by default the name"),
}

AUTOSCALING: Final[Keys] = {
    "min_replicas": Key(
        read=values.whole(0), shape="a whole number", meaning="Replicas kept; 0 lets the API sleep when it is idle"
    ),
    "max_replicas": Key(read=values.whole(1), shape="a whole number", meaning="Replicas at most"),
    "init_replicas": Key(
        read=values.whole(1), shape="a whole number", meaning="Replicas at the start; by default `min_replicas`"
    ),
    "max_replica_concurrency": Key(
        read=values.whole(1),
        shape="a whole number",
        meaning="Unfinished workloads per replica; more are answered 503 with Retry-After",
    ),
    "target_replica_concurrency": Key(
        read=values.number(0.001),
        shape="a number",
        meaning="Unfinished workloads per replica aimed at; by default `concurrency`",
    ),
    "window": Key(read=values.duration(1), shape="a duration", meaning="Time over which the load is averaged"),
    "downscale_stabilization_period": Key(read=values.duration(), shape="a duration", meaning="Calm before fewer"),
    "upscale_stabilization_period": Key(read=values.duration(), shape="a duration", meaning="Load before more"),
    "max_downscale_factor": Key(read=values.number(0, 1), shape="0 to 1", meaning="Smallest step down"),
    "max_upscale_factor": Key(read=values.number(1), shape="1 or more", meaning="Largest step up"),
    "downscale_tolerance": Key(read=values.number(0), shape="a number", meaning="Slack before fewer"),
    "upscale_tolerance": Key(read=values.number(0), shape="a number", meaning="Slack before more"),
}

RETRIES: Final[Keys] = {
    "max_attempts": Key(
        read=values.whole(1, 1_000),
        shape="a whole number",
        meaning="Runs that may raise or time out, the first included",
    ),
    "max_losses": Key(
        read=values.whole(1, 1_000), shape="a whole number", meaning="Replicas that may die under a workload"
    ),
    "on": Key(
        read=values.names,
        shape="a list of names",
        meaning="Exceptions that are tried again, by class or base class; without it, all",
    ),
    "never_on": Key(read=values.names, shape="a list of names", meaning="Exceptions that are not, whatever `on` says"),
    "initial": Key(read=values.duration(), shape="a duration", meaning="Wait before the second attempt"),
    "max": Key(read=values.duration(), shape="a duration", meaning="Longest wait; waits double"),
}

WEBHOOK: Final[Keys] = {
    "url": Key(read=values.url, shape="http:// or https://", meaning="Where the webhook goes", required=True),
    "secret": Key(read=values.secret, shape="whsec_… or whsk_…, several with spaces", meaning="Signs each request"),
    "events": Key(
        read=values.members(Event),
        shape="a list",
        meaning="Which events: started, progress, output, completed, failed, canceled",
    ),
    "format": Key(
        read=values.member(BodyFormat),
        shape="cortex, standard, cloudevents or cloudevents-binary",
        meaning="How the body is written",
    ),
    "headers": Key(read=values.texts, shape="a mapping of texts", meaning="Headers of your own"),
    "timeout": Key(read=values.duration(0.001), shape="a duration", meaning="Deadline of one attempt, all in all"),
    "retry": Key(read=values.durations, shape="a list of durations", meaning="Waits after failed attempts"),
    "concurrency": Key(read=values.whole(1, 1_000), shape="a whole number", meaning="Open requests at most"),
    "rate_limit": Key(read=values.rate, shape="a rate", meaning="Requests begun per time at most: 50/s, 600/m"),
    "inline_limit": Key(read=values.optional_size, shape="a size", meaning="A larger result goes as a link"),
    "order": Key(
        read=values.member(Order),
        shape="none or fifo",
        meaning="fifo: one at a time per Ringback-Order-Key, in the order of their events",
    ),
}


def _webhooks(source: Source, node: yaml.Node, path: str) -> list[tuple[yaml.Node, dict[str, Any]]]:
    return [
        (each, read_keys(source, each, f"{path}[{index}]", WEBHOOK))
        for index, each in enumerate(source.items(node, path))
    ]


def _webhook(source: Source, node: yaml.Node, path: str) -> list[tuple[yaml.Node, dict[str, Any]]]:
    return [] if source.is_null(node, path) else [(node, read_keys(source, node, path, WEBHOOK))]


API: Final[Keys] = {
    "name": Key(read=values.name, shape="1 to 63 of a-z, 0-9, -", meaning="The API's name", required=True),
    "kind": Key(
        read=values.constant("AsyncAPI", "is not served; only kind: AsyncAPI is"), shape="`AsyncAPI`", meaning="Kind"
    ),
    "predictor": Key(
        read=section(PREDICTOR), shape="a mapping, below", meaning="Your class and what it is given", required=True
    ),
    "compute": Key(read=section(COMPUTE), shape="a mapping, below", meaning="What one replica needs"),
    "networking": Key(read=section(NETWORKING), shape="a mapping, below", meaning="Where it answers"),
    "autoscaling": Key(read=section(AUTOSCALING), shape="a mapping, below", meaning="How many replicas"),
    "concurrency": Key(
        read=values.whole(1, 10_000), shape="a whole number", meaning="Workloads one replica runs at once"
    ),
    "recycle_after": Key(
        read=values.optional_whole(1),
        shape="a whole number",
        meaning="Workloads a replica runs before a fresh one replaces it",
    ),
    "timeout": Key(read=values.duration(0.001), shape="a duration", meaning="One attempt's run time"),
    "cancel_grace": Key(
        read=values.duration(),
        shape="a duration",
        meaning="How long a canceled workload may take to end by itself; then its replica is killed and replaced",
    ),
    "retries": Key(read=section(RETRIES), shape="a mapping, below", meaning="How often a workload runs again"),
    "retention": Key(read=values.duration(), shape="a duration", meaning="How long payload, result and log are kept"),
    "webhook": Key(read=_webhook, shape="a mapping, below", meaning="Who is told"),
    "webhooks": Key(read=_webhooks, shape="a list of these", meaning="Several who are told"),
    "update_strategy": _ignored(_MEANS_NOTHING),
    "monitoring": _ignored(_MEANS_NOTHING),
    "pod": _ignored(_MEANS_NOTHING),
    "node_groups": _ignored(_MEANS_NOTHING),
}

SECTIONS: Final[Mapping[str, Keys]] = {
    "": API,
    "predictor": PREDICTOR,
    "predictor.dependencies": DEPENDENCIES,
    "compute": COMPUTE,
    "networking": NETWORKING,
    "autoscaling": AUTOSCALING,
    "retries": RETRIES,
    "webhook": WEBHOOK,
}
"""Every mapping of the file, for the docs."""
