"""The server's settings: one table from which the command line, the environment and the docs are made. Pure.

A value given on the command line wins over `RINGBACK_<OPTION>` in the environment, and that over the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ringback.core.databases import SCHEMES, database_url
from ringback.core.errors import SpecError
from ringback.core.hosts import is_loopback, trusted_names
from ringback.core.netguard import Guard
from ringback.core.quantities import format_size, parse_duration, parse_size
from ringback.core.roles import EVERY_ROLE, Role, read_roles, written
from ringback.core.urls import webhook_url

_LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_ENGINES: Final = ("local", "ray")
_LOG_FORMATS: Final = ("text", "json")
_SQLITE: Final = "sqlite:///"
_PLACES: Final = ("file", "s3", "gs", "az")
_LEASE_LEAST_SECONDS: Final = 0.5
_LEASE_MOST_SECONDS: Final = 3_600.0
_DEFAULT_STORE: Final = Path(".ringback") / "ringback.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting."""

    name: str
    """As on the command line, without dashes in front."""
    default: str
    """As it would be written; empty when there is none."""
    meaning: str
    parse: Callable[[str], Any]

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "RINGBACK_" + self.name.upper().replace("-", "_")

    @property
    def field(self) -> str:
        """Its attribute of `Settings`."""
        return self.name.replace("-", "_")


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535:
        return int(text)
    raise ValueError(f"{text[:40]!r} is no port; expected 0 to 65535, where 0 takes any free one")


def _lease(text: str) -> float:
    seconds = parse_duration(text)
    if not _LEASE_LEAST_SECONDS <= seconds <= _LEASE_MOST_SECONDS:
        raise ValueError(f"{text[:40]!r} is not from 500ms to 1h")
    return seconds


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() in words:
            return text.lower()
        raise ValueError(f"{text!r} is none of {', '.join(words)}")

    return parse


def _switch(text: str) -> str:
    return _one_of("on", "off")(text) if text else ""


def _keys(text: str) -> frozenset[str]:
    keys = frozenset(text.replace(",", " ").split())
    for key in keys:
        if not (key.isascii() and key.isprintable()):
            raise ValueError("a key has characters that no header can carry")
    return keys


def _store(text: str) -> str:
    text = text.strip()  # a secret that was read from a file ends with its line
    if text.startswith(SCHEMES):
        return database_url(text)
    if text and not text.startswith(_SQLITE):
        scheme, separator, _ = text.partition("://")
        # Whatever it is, it may have a password in it.
        shown = "this" if not separator and {"@", "="} & set(text) else repr(scheme[:40])
        raise ValueError(f"{shown} is no store; write sqlite:///path/to/file.db or postgresql://host/database")
    if text == _SQLITE:
        raise ValueError(f"{text!r} names no file; write sqlite:///path/to/file.db")
    return text


def _blobs(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    if scheme not in _PLACES:
        known = ", ".join(f"{each}://" for each in _PLACES)
        raise ValueError(f"{text[:80]!r} is no place for blobs; name a folder, or a URL that begins with {known}")
    if scheme == "file" and not rest.startswith("/"):
        raise ValueError(f"{text[:80]!r} names no folder; write file:///path/to/folder")
    if not rest.strip("/"):
        raise ValueError(f"{text[:80]!r} names no bucket; write for example {scheme}://bucket/path")
    return text


def _at_most(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        size = parse_size(text)
        if size > most:
            raise ValueError(f"{text} is too large to be kept in memory; at most {format_size(most)} may be")
        return size

    return parse


def _base_url(text: str) -> str:
    if not text:
        return text
    try:
        url = webhook_url(text)
    except ValueError:
        raise ValueError(f"{text[:80]!r} is no address of a server; write for example https://hooks.example") from None
    if url.query:
        raise ValueError(f"{text[:80]!r} has a query; leave it out")
    return text.rstrip("/")


def _allowed(text: str) -> frozenset[str]:
    entries = frozenset(text.replace(",", " ").split())
    try:
        Guard(entries)
    except SpecError as error:
        raise ValueError(str(error).removeprefix("--allow ")) from None
    return entries


OPTIONS: Final = (
    Option(name="host", default="127.0.0.1", meaning="Address to listen on", parse=str),
    Option(
        name="port",
        default="8080",
        meaning="Port to listen on; 0 takes any free one, as does a server without the gateway role that is given none",
        parse=_port,
    ),
    Option(
        name="store",
        default="",
        meaning="Where workloads are kept: sqlite:///file.db, by default .ringback/ringback.db beside the file; or "
        "postgresql://user:password@host/database",
        parse=_store,
    ),
    Option(
        name="blobs",
        default="",
        meaning="Where large data is kept: a folder, file:///folder, s3://bucket/path, gs://… or az://…; by default "
        "a folder beside the store",
        parse=_blobs,
    ),
    Option(
        name="roles",
        default=written(EVERY_ROLE),
        meaning="What of the work it does, comma-separated; servers on one store share it out among themselves",
        parse=read_roles,
    ),
    Option(
        name="engine",
        default="local",
        meaning="local: replicas are processes of this machine. ray: they are actors of the Ray cluster "
        "that RAY_ADDRESS names, or else of one on this machine",
        parse=_one_of(*_ENGINES),
    ),
    Option(
        name="api-keys",
        default="",
        meaning="Keys, comma-separated, one of which every request must bring; without any, only loopback is served",
        parse=_keys,
    ),
    Option(
        name="public-url",
        default="",
        meaning="Where receivers reach the server, for links in webhooks; by default where it listens",
        parse=_base_url,
    ),
    Option(
        name="allow",
        default="",
        meaning="Hosts and networks, comma-separated, that webhooks named in requests may reach besides public ones",
        parse=_allowed,
    ),
    Option(
        name="trusted-hosts",
        default="",
        meaning="Names, comma-separated, by which a server on loopback may be asked for, besides localhost and its own",
        parse=trusted_names,
    ),
    Option(
        name="inspector",
        default="",
        meaning="on or off: inboxes that capture any request, at /-/inspector; by default on when on loopback",
        parse=_switch,
    ),
    Option(name="max-body", default="64MiB", meaning="Largest payload taken in", parse=parse_size),
    Option(
        name="blob-threshold",
        default="1MiB",
        meaning="Payloads and results larger than this are kept as blobs, not in the store; 64MiB at most",
        parse=_at_most(64 * 2**20),
    ),
    Option(
        name="file-threshold",
        default="64MiB",
        meaning="Payloads larger than this reach predict as a file, not in memory; 256MiB at most",
        parse=_at_most(256 * 2**20),
    ),
    Option(
        name="grace",
        default="30s",
        meaning="How long running workloads may take to end when the server is told to stop",
        parse=parse_duration,
    ),
    Option(
        name="lease",
        default="30s",
        meaning="After how long without a word another server on the same store takes over what this one runs",
        parse=_lease,
    ),
    Option(name="log-level", default="info", meaning=", ".join(_LOG_LEVELS), parse=_one_of(*_LOG_LEVELS)),
    Option(name="log-format", default="text", meaning=", ".join(_LOG_FORMATS), parse=_one_of(*_LOG_FORMATS)),
)
"""Every setting of `ringback serve`, in the order of the docs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the server runs; what it serves is the file's."""

    host: str
    port: int
    store: str
    blobs: str
    """A folder or a URL; empty means beside the store."""
    roles: frozenset[Role]
    engine: str
    api_keys: frozenset[str]
    public_url: str
    """Without a slash at its end; empty means where it listens."""
    allow: frozenset[str]
    """Entries of a `netguard.Guard`."""
    trusted_hosts: frozenset[str]
    """As `hosts.host_name` writes them."""
    inspector: str
    """`on`, `off`, or empty: on where only loopback is served."""
    max_body: int
    """Bytes."""
    blob_threshold: int
    """Bytes."""
    file_threshold: int
    """Bytes."""
    grace: float
    """Seconds."""
    lease: float
    """Seconds."""
    log_level: str
    log_format: str

    @property
    def has_inspector(self) -> bool:
        """Whether requests are captured here: only where any are answered."""
        wanted = self.inspector == "on" or (not self.inspector and is_loopback(self.host))
        return wanted and Role.GATEWAY in self.roles

    def store_place(self, folder: Path) -> Path | str:
        """The database file, relative to `folder` unless the store was named; or the database's URL."""
        return store_place(self.store, folder)

    def blobs_place(self, folder: Path) -> str:
        """Where blobs are kept: a folder, or a URL."""
        return self.blobs or str(self._beside(folder) / "blobs")

    def spool_folder(self, folder: Path) -> Path:
        """Where what is on its way to a blob, or to a replica, is kept meanwhile."""
        return self._beside(folder) / "spool"

    def _beside(self, folder: Path) -> Path:
        place = self.store_place(folder)
        return place.parent if isinstance(place, Path) else (folder / _DEFAULT_STORE).parent


def store_place(store: str, folder: Path) -> Path | str:
    """What a value of `--store` stands for: a file, the one in `folder` when it is empty, or a database's URL.

    Raises:
        ValueError: it stands for nothing.
    """
    text = _store(store)
    if text.startswith(SCHEMES):
        return text
    return Path(text.removeprefix(_SQLITE)) if text else folder / _DEFAULT_STORE


def read_settings(given: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """The settings from the command line (by option name) and the environment.

    Raises:
        SpecError: a value cannot be read, or the address would be open to others without a key.
    """
    values: dict[str, Any] = {}
    for option in OPTIONS:
        text, source = given.get(option.name), f"--{option.name}"
        if text is None and option.variable in environment:
            text, source = environment[option.variable], option.variable
        try:
            values[option.field] = option.parse(option.default if text is None else text)
        except ValueError as error:
            raise SpecError(f"{source}: {error}") from None
    if Role.GATEWAY not in values["roles"] and given.get("port") is None and "RINGBACK_PORT" not in environment:
        values["port"] = 0  # nobody asks there but probes: several go on one machine
    settings = Settings(**values)
    if settings.file_threshold < settings.blob_threshold:
        raise SpecError(
            "--file-threshold is smaller than --blob-threshold: what is kept in the store reaches predict in memory"
        )
    if not settings.api_keys and not is_loopback(settings.host):
        raise SpecError(
            f"--host {settings.host} is open to other machines: set an API key (--api-key or RINGBACK_API_KEYS), "
            "or listen on 127.0.0.1"
        )
    return settings
