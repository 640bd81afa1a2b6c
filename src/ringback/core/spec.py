"""What is served: the values a `ringback.yaml` stands for, complete and checked, with their defaults.

Pure data. Reading the file is `runtime.specfile`'s; nothing here opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ringback.core.netguard import Trust
from ringback.core.rotation import EndpointKey
from ringback.core.urls import shown_url

RESERVED_NAMES: Final = frozenset({"healthz", "readyz", "metrics", "docs", "openapi"})
"""Names no API may take, because the server answers there itself."""


class Event(StrEnum):
    """What a webhook can tell."""

    STARTED = "started"
    PROGRESS = "progress"
    OUTPUT = "output"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    BATCH_COMPLETED = "batch.completed"


DEFAULT_EVENTS: Final = frozenset({Event.COMPLETED, Event.FAILED, Event.BATCH_COMPLETED})
"""What an endpoint is told of unless it asks for something else."""

OUTCOMES: Final = DEFAULT_EVENTS | {Event.CANCELED}
"""The events that end something; the others happen on the way."""


class BodyFormat(StrEnum):
    """How a webhook's body is written."""

    CORTEX = "cortex"
    STANDARD = "standard"
    CLOUDEVENTS = "cloudevents"
    CLOUDEVENTS_BINARY = "cloudevents-binary"


class Order(StrEnum):
    """Whether an endpoint's deliveries wait for each other."""

    NONE = "none"
    FIFO = "fifo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One receiver of webhooks.

    `key` names it in the store and survives a restart. Secrets of the file are never stored, only read from here.
    """

    key: str
    url: str
    trust: Trust = Trust.OPERATOR
    """Whose word the URL is, which decides where it may lead."""
    secret: str | None = field(default=None, repr=False)
    """The keys that sign, separated by spaces; None: nothing is signed."""
    former: tuple[EndpointKey, ...] = field(default=(), repr=False)
    """Keys that a rotation has replaced and that sign on for a while."""
    events: frozenset[Event] = DEFAULT_EVENTS
    format: BodyFormat = BodyFormat.CORTEX
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 15.0
    retry_seconds: tuple[float, ...] = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    concurrency: int = 8
    rate_per_second: float | None = None
    inline_limit_bytes: int = 262_144
    order: Order = Order.NONE

    @property
    def shown_url(self) -> str:
        """The URL as it may be listed, logged and kept with deliveries: without its secrets."""
        return shown_url(self.url)


GUEST_PREFIX: Final = "guest:"
"""What the keys of endpoints begin with that came with a request; the URL follows."""


def guest_endpoint(url: str, events: frozenset[Event] = DEFAULT_EVENTS) -> Endpoint:
    """An endpoint as a request names it: a URL, unsigned, with everything else as by default.

    The same URL is the same endpoint, whoever named it, so that nobody gets around its limits.
    """
    return Endpoint(key=f"{GUEST_PREFIX}{url}", url=url, trust=Trust.GUEST, events=events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a workload may run again, and how long it waits before."""

    max_attempts: int = 1
    """Runs that may raise or time out, the first included."""
    max_losses: int = 3
    """Replicas that may die under it; the last of them fails it."""
    on: frozenset[str] = frozenset()
    """Names of failures that are tried again; none stands for all."""
    never_on: frozenset[str] = frozenset()
    """Names of failures that are not, whatever `on` says."""
    initial_seconds: float = 1.0
    max_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """What one replica asks of the engine."""

    cpu: float | None = None
    """Cores; None means that they are not counted."""
    gpu: int = 0
    mem_bytes: int | None = None
    """Memory a replica and its children may use; past it they are killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """Cortex's names and meaning."""

    min_replicas: int = 1
    max_replicas: int = 100
    init_replicas: int | None = None
    max_replica_concurrency: int = 1024
    """Unfinished workloads the API may hold per replica; more are refused."""
    target_replica_concurrency: float | None = None
    """Workloads in flight per replica aimed at; None means the API's `concurrency`."""
    window_seconds: float = 60.0
    downscale_stabilization_seconds: float = 300.0
    upscale_stabilization_seconds: float = 60.0
    max_downscale_factor: float = 0.75
    max_upscale_factor: float = 1.5
    downscale_tolerance: float = 0.05
    upscale_tolerance: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """Where the user's class is and what it is given."""

    path: Path
    """Absolute."""
    config: Mapping[str, Any] = field(default_factory=dict)
    python_path: Path | None = None
    """Absolute; None means the folder of the file that names the API."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    log_level: str = "info"
    requirements: Path | None = None
    """Absolute path of `dependencies.pip`."""

    @property
    def folders(self) -> frozenset[Path]:
        """Where its Python is."""
        return frozenset({self.path.parent} if self.python_path is None else {self.path.parent, self.python_path})

    def is_made_of(self, file: Path) -> bool:
        """Whether a replica that starts anew may find something else when this file has changed."""
        is_code = file.suffix == ".py" and any(file.is_relative_to(folder) for folder in self.folders)
        return is_code or file == self.requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One entry of the file."""

    name: str
    predictor: Predictor
    endpoint: str
    """The URL path segment it answers under."""
    compute: Compute = Compute()
    autoscaling: Autoscaling = Autoscaling()
    concurrency: int = 1
    recycle_after: int | None = None
    """Workloads a replica runs before it is replaced; None means any number."""
    timeout_seconds: float = 3_600.0
    cancel_grace_seconds: float = 5.0
    """How long a canceled workload that runs may take to end by itself."""
    retries: Retries = Retries()
    retention_seconds: float = 604_800.0
    webhooks: tuple[Endpoint, ...] = ()
