"""The server's settings: where a value comes from, and what every wrong one is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.core.errors import SpecError
from ringback.core.roles import Role
from ringback.core.settings import OPTIONS, Settings, read_settings

DEFAULTS = Settings(
    host="127.0.0.1",
    port=8080,
    store="",
    blobs="",
    roles=frozenset(Role),
    engine="local",
    api_keys=frozenset(),
    public_url="",
    allow=frozenset(),
    trusted_hosts=frozenset(),
    inspector="",
    max_body=64 * 2**20,
    blob_threshold=2**20,
    file_threshold=64 * 2**20,
    lease=30.0,
    grace=30,
    log_level="info",
    log_format="text",
)

GOOD = [
    ("host", "::1", "::1"),
    ("host", "localhost", "localhost"),
    ("host", "127.9.9.9", "127.9.9.9"),
    ("port", "0", 0),
    ("port", "65535", 65_535),
    ("store", "sqlite:///x.db", "sqlite:///x.db"),
    ("store", "postgresql://u@h/d\n", "postgresql://u@h/d"),
    ("roles", "Worker, dispatcher", frozenset({Role.WORKER, Role.DISPATCHER})),
    ("roles", "gateway gateway", frozenset({Role.GATEWAY})),
    ("api-keys", "a,b c", frozenset({"a", "b", "c"})),
    ("api-keys", "", frozenset()),
    ("api-keys", " , ", frozenset()),
    ("public-url", "https://hooks.example/rb/", "https://hooks.example/rb"),
    ("allow", "hooks.internal, 10.0.0.0/8 fd00::/8", frozenset({"hooks.internal", "10.0.0.0/8", "fd00::/8"})),
    ("trusted-hosts", "Rb.internal:80, 10.1.1.1 [::2]", frozenset({"rb.internal", "10.1.1.1", "::2"})),
    ("inspector", "ON", "on"),
    ("inspector", "off", "off"),
    ("max-body", "1KiB", 1_024),
    ("blobs", "blobs", "blobs"),
    ("blobs", "file:///data/blobs", "file:///data/blobs"),
    ("blobs", "s3://bucket", "s3://bucket"),
    ("blobs", "gs://bucket/a/b", "gs://bucket/a/b"),
    ("blobs", "az://container", "az://container"),
    ("blob-threshold", "0", 0),
    ("file-threshold", "1MiB", 2**20),
    ("grace", "1m", 60),
    ("lease", "10s", 10.0),
    ("log-level", "WARNING", "warning"),
    ("engine", "ray", "ray"),
    ("log-format", "Json", "json"),
]

BAD = [
    ("port", "http", "'http' is no port; expected 0 to 65535, where 0 takes any free one"),
    ("port", "65536", "'65536' is no port; expected 0 to 65535, where 0 takes any free one"),
    ("port", "-1", "'-1' is no port; expected 0 to 65535, where 0 takes any free one"),
    ("port", "٣", "'٣' is no port; expected 0 to 65535, where 0 takes any free one"),
    ("port", "9" * 5_000, f"'{'9' * 40}' is no port; expected 0 to 65535, where 0 takes any free one"),
    ("port", "", "'' is no port; expected 0 to 65535, where 0 takes any free one"),
    (
        "store",
        "postgresql://user:secret@h",
        "the address names no database; write postgresql://user:password@host/database",
    ),
    (
        "store",
        "host=h password=hush",
        "this is no store; write sqlite:///path/to/file.db or postgresql://host/database",
    ),
    ("store", "x.db", "'x.db' is no store; write sqlite:///path/to/file.db or postgresql://host/database"),
    ("store", "sqlite:///", "'sqlite:///' names no file; write sqlite:///path/to/file.db"),
    ("roles", "worker,cook", "'cook' is no role; there are gateway, worker, dispatcher"),
    ("roles", ",", "a server without a role does nothing; name some of gateway, worker, dispatcher"),
    ("api-keys", "schlüssel", "a key has characters that no header can carry"),
    ("public-url", "hooks", "'hooks' is no address of a server; write for example https://hooks.example"),
    ("allow", "10.0.0.1/8", "'10.0.0.1/8' is no network: 10.0.0.1/8 has host bits set"),
    ("allow", "http://x", "'http://x' is no network: 'http://x' does not appear to be an IPv4 or IPv6 network"),
    ("trusted-hosts", "a/b", "'a/b' is no host name; write for example ringback.internal"),
    (
        "blobs",
        "http://x/y",
        "'http://x/y' is no place for blobs; name a folder, or a URL that begins with file://, s3://, gs://, az://",
    ),
    ("blobs", "file://data", "'file://data' names no folder; write file:///path/to/folder"),
    ("blobs", "s3:///", "'s3:///' names no bucket; write for example s3://bucket/path"),
    ("blob-threshold", "1GiB", "1GiB is too large to be kept in memory; at most 64MiB may be"),
    ("file-threshold", "1GiB", "1GiB is too large to be kept in memory; at most 256MiB may be"),
    ("inspector", "maybe", "'maybe' is none of on, off"),
    ("max-body", "big", "'big' is no size; write for example 512KiB, 64MiB or 2Gi"),
    ("grace", "soon", "'soon' is no duration; write for example 30s, 5m, 1h30m or 7d"),
    ("lease", "499ms", "'499ms' is not from 500ms to 1h"),
    ("log-level", "loud", "'loud' is none of debug, info, warning, error"),
    ("engine", "dask", "'dask' is none of local, ray"),
    ("log-format", "xml", "'xml' is none of text, json"),
]


def test_without_a_word_the_defaults_hold() -> None:
    assert read_settings({}, {"PATH": "/bin", "PORT": "1"}) == DEFAULTS


def test_a_flag_that_was_not_given_is_as_good_as_absent() -> None:
    assert read_settings(dict.fromkeys((option.name for option in OPTIONS), None), {}) == DEFAULTS


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_every_option_is_read_from_flag_and_environment(name: str, text: str, value: object) -> None:
    option = next(each for each in OPTIONS if each.name == name)

    assert getattr(read_settings({name: text}, {}), option.field) == value
    assert getattr(read_settings({}, {option.variable: text}), option.field) == value
    assert option.variable == f"RINGBACK_{name.upper().replace('-', '_')}"


def test_no_option_is_left_out_above() -> None:
    assert {name for name, _, _ in GOOD} == {option.name for option in OPTIONS}
    assert {name for name, _, _ in BAD} == {option.name for option in OPTIONS} - {"host"}


def test_a_flag_wins_over_the_environment() -> None:
    assert read_settings({"port": "1"}, {"RINGBACK_PORT": "2"}).port == 1
    assert read_settings({"port": "1"}, {"RINGBACK_PORT": "not looked at"}).port == 1


def test_servers_that_take_nothing_in_get_out_of_each_others_way() -> None:
    assert read_settings({"roles": "worker,dispatcher"}, {}).port == 0
    assert read_settings({"roles": "worker", "port": "8080"}, {}).port == 8080
    assert read_settings({"roles": "worker"}, {"RINGBACK_PORT": "81"}).port == 81
    assert read_settings({"roles": "gateway"}, {}).port == 8080


def test_there_are_inboxes_only_where_requests_are_answered() -> None:
    assert read_settings({"roles": "gateway"}, {}).has_inspector
    assert not read_settings({"roles": "worker", "inspector": "on"}, {}).has_inspector


@pytest.mark.parametrize(("name", "text", "words"), BAD)
def test_a_wrong_value_is_answered_with_its_source_and_the_cure(name: str, text: str, words: str) -> None:
    variable = f"RINGBACK_{name.upper().replace('-', '_')}"

    with pytest.raises(SpecError) as by_flag:
        read_settings({name: text}, {})
    with pytest.raises(SpecError) as by_environment:
        read_settings({}, {variable: text})

    assert str(by_flag.value) == f"--{name}: {words}"
    assert str(by_environment.value) == f"{variable}: {words}"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.com", "127.0.0.1.example.com"])
def test_an_address_open_to_others_wants_a_key(host: str) -> None:
    with pytest.raises(
        SpecError, match=r"set an API key \(--api-key or RINGBACK_API_KEYS\), or listen on 127\.0\.0\.1"
    ):
        read_settings({"host": host}, {})

    assert read_settings({"host": host, "api-keys": "k"}, {}).host == host


def test_a_key_is_never_repeated() -> None:
    with pytest.raises(SpecError) as refused:
        read_settings({"api-keys": "hunter2 hünter3"}, {})

    assert "nter" not in str(refused.value)


@pytest.mark.parametrize(
    ("store", "path"),
    [
        ("", "/folder/.ringback/ringback.db"),
        ("sqlite:///x.db", "x.db"),
        ("sqlite:////var/x.db", "/var/x.db"),
    ],
)
def test_the_store_is_beside_the_file_unless_it_is_named(store: str, path: str) -> None:
    assert read_settings({"store": store}, {}).store_place(Path("/folder")) == Path(path)


def test_what_is_kept_in_the_store_is_given_in_memory() -> None:
    with pytest.raises(SpecError, match="--file-threshold is smaller than --blob-threshold"):
        read_settings({"file-threshold": "1KiB"}, {})


def test_blobs_are_kept_beside_the_store_unless_they_are_told_elsewhere() -> None:
    folder = Path("/apis")

    assert read_settings({}, {}).blobs_place(folder) == "/apis/.ringback/blobs"
    assert read_settings({"store": "sqlite:////data/x.db"}, {}).blobs_place(folder) == "/data/blobs"
    assert read_settings({}, {"RINGBACK_BLOBS": "s3://bucket"}).blobs_place(folder) == "s3://bucket"


@pytest.mark.parametrize(
    ("host", "said", "has"),
    [
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("0.0.0.0", "", False),
        ("0.0.0.0", "on", True),
        ("::1", "off", False),
    ],
)
def test_the_inspector_is_there_on_loopback_and_elsewhere_when_asked_for(host: str, said: str, has: bool) -> None:
    given = {"host": host, "inspector": said or None, "api-keys": "sesame"}

    assert read_settings(given, {}).has_inspector is has


@pytest.mark.parametrize("lease", ["499ms", "2h", "soon"])
def test_a_lease_that_helps_nobody_is_refused(lease: str) -> None:
    with pytest.raises(SpecError, match="--lease"):
        read_settings({"lease": lease}, {})
    assert read_settings({"lease": "500ms"}, {}).lease == 0.5
