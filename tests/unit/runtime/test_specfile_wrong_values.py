"""Wrong names, predictors and webhooks in a file, what a later release brings, and what spans several keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.core.errors import SpecError
from ringback.runtime.specfile import find, load
from unit.runtime.conftest import IRIS, Desk

NO_NAME = "is no name; use 1 to 63 of a-z, 0-9 and -"
GOOD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DAMAGED = "A" * 85 + "Q=="
TAKEN = "is taken: the server itself answers there; choose another"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Iris", f"'Iris' {NO_NAME}"),
        ("a_b", f"'a_b' {NO_NAME}"),
        ("a" * 64, f"'{'a' * 64}' {NO_NAME}"),
        ("''", "expected a text, found nothing"),
        ("", "expected a text, found nothing"),
        ("[a]", "expected one value, found a list"),
        *((name, f"'{name}' {TAKEN}") for name in ("healthz", "readyz", "metrics", "docs", "openapi")),
        ("'-'", f"'-' {TAKEN}"),
    ],
)
def test_a_name_that_no_api_can_have(name: str, words: str, desk: Desk) -> None:
    column = 9 if name else 8
    assert desk.error(f"- name: {name}\n  predictor: {{path: predictor.py}}\n") == f"1:{column}: [0].name: {words}"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("type: onnx", "type: 'onnx' is not served; only type: python is"),
        ("env: [A]", "env: expected a mapping of keys to values, found a list"),
        ("env: {A: [1]}", "env.A: expected one value, found a list"),
        ("env: {A=B: c}", "env: 'A=B' is no name of an environment variable"),
        ("env: {'': c}", "env: '' is no name of an environment variable"),
        ('env: {A: "b\\0c"}', "env.A: an environment variable holds no zero character"),
        ("config: 5", "config: expected a mapping of keys to values, found '5'"),
        ("config: {a: {b: 1, b: 2}}", "config.a: the key 'b' is there twice"),
        ("config: {a: !mine x}", "config.a: the YAML tag !mine is not read here"),
        ('config: {a: "\\uD800"}', "config.a: half a character (a lone surrogate) is no text"),
        ("log_level: loud", "log_level: 'loud' is none of debug, info, warning, error, critical"),
        ("python_path: nowhere", "python_path: there is no folder {folder}/nowhere"),
        ('python_path: "a\\0b"', "python_path: there is no folder {folder}/a\\x00b"),
    ],
)
def test_a_wrong_value_of_a_predictor(lines: str, words: str, desk: Desk) -> None:
    line = desk.error(f"- name: iris\n  predictor:\n    path: predictor.py\n    {lines}\n")

    place, _, rest = line.partition(": ")
    assert place.startswith("4:")
    assert rest == f"[0].predictor.{words}".replace("{folder}", str(desk.file.parent))


@pytest.mark.parametrize("path", ["nowhere.py", ".", '"a\\0b"', "x" * 5_000, "loop/x.py"])
def test_a_predictor_that_is_no_file(path: str, desk: Desk) -> None:
    (desk.file.parent / "loop").symlink_to("loop")

    line = desk.error(f"- name: iris\n  predictor: {{path: {path}}}\n")

    assert line.startswith(f"2:21: [0].predictor.path: there is no file {desk.file.parent}")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("url: ftp://example.com/", "webhook.url: 'ftp://example.com/' is no webhook URL; expected https://host/path"),
        ("url: example.com", "webhook.url: 'example.com' is no webhook URL; expected https://host/path"),
        ("url: http://", "webhook.url: 'http://' is no webhook URL; expected https://host/path"),
        ("url: http://a:99999/", "webhook.url: 'http://a:99999/' is no URL: Port out of range 0-65535"),
        ("url: 'http://[::1/'", "webhook.url: 'http://[::1/' is no URL: Invalid IPv6 URL"),
    ],
)
def test_a_url_that_cannot_be_rung(lines: str, words: str, desk: Desk) -> None:
    assert desk.error(f"{IRIS}  webhook:\n    {lines}\n") == f"4:10: [0].{words}"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            "secret: hunter2",
            "secret: the secret does not start with whsec_ or whsk_; expected whsec_ and the base64 of 24 to 64",
        ),
        (
            "secret: whsec_AAAA",
            "secret: the secret holds 3 bytes, too few to be safe; expected whsec_ and the base64 of 24",
        ),
        ("secret: whsec_!!!!", "secret: the secret after whsec_ is not base64"),
        ("secret: whsk_abcd", "secret: the secret holds 3 bytes; expected whsk_ and the base64 of an Ed25519 seed"),
        ("secret: v1,whsec_AAAA", "secret: the secret starts with 'v1,' as a signature does; leave that out"),
        (f"secret: {GOOD} whpk_AAAA", "secret: the secret is a public key (whpk_), which cannot sign"),
        (f"secret: whsk_{DAMAGED}", "secret: the signing key (whsk_) is damaged: its second half is not the public"),
        ("events: completed", "events: expected a list, found 'completed'"),
        ("events: [done]", "events[0]: 'done' is none of started, progress, output, completed, failed, canceled"),
        ("format: xml", "format: 'xml' is none of cortex, standard, cloudevents, cloudevents-binary"),
        ("retry: 5s", "retry: expected a list, found '5s'"),
        ("retry: [5s, later]", "retry[1]: 'later' is no duration"),
        ("concurrency: 0", "concurrency: expected 1 to 1000, found 0"),
        ("timeout: 0", "timeout: expected 0.001s or more, found 0s"),
        ("headers: {X: [y]}", "headers.X: expected one value, found a list"),
        ("events: [begun]", "events[0]: 'begun' is none of started, progress, output, completed, failed, canceled"),
        ("order: lifo", "order: 'lifo' is none of none, fifo"),
        ("rate_limit: 50", "rate_limit: '50' is no rate; write for example 50/s, 600/m or 3600/h"),
        ("rate_limit: 0/s", "rate_limit: '0/s' is no rate"),
        ("inline_limit: lots", "inline_limit: 'lots' is no size"),
    ],
)
def test_a_wrong_value_of_a_webhook(lines: str, words: str, desk: Desk) -> None:
    line = desk.error(f"{IRIS}  webhook:\n    url: https://example.com/\n    {lines}\n")

    place, _, rest = line.partition(": ")
    assert place.startswith("5:")
    assert rest.startswith(f"[0].webhook.{words}")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("url: http://a/#b", "has a fragment (#b), which is never sent; leave it out"),
        ("url: 'http://a/b c'", "contains a space or a control character"),
        ("url: http://a..b/", "is no host name"),
        ("url: http://169.254.169.254/", "169.254.169.254 is link-local: no webhook is ever sent there"),
        ("url: 'http://[::ffff:a9fe:a9fe]/'", "::ffff:a9fe:a9fe is link-local: no webhook is ever sent there"),
        ("url: 'http://[fd20:ce::254]/'", "fd20:ce::254 is a metadata service: no webhook is ever sent there"),
        ("url: http://a/\n    headers: {Host: b}", "the header Host is Ringback's own; leave it out"),
        ("url: http://a/\n    headers: {webhook-id: b}", "the header webhook-id is Ringback's own; leave it out"),
        ("url: http://a/\n    headers: {a b: c}", "'a b' is no header name"),
        ('url: http://a/\n    headers: {a: "b\\r\\nc"}', "the value of the header a has a character"),
    ],
)
def test_a_webhook_whose_request_could_not_be_written(lines: str, words: str, desk: Desk) -> None:
    line = desk.error(f"{IRIS}  webhook:\n    {lines}\n")

    assert line.startswith("4:5: the webhook of iris: ")
    assert words in line


def test_two_apis_of_one_name_are_told_once_at_the_second(desk: Desk) -> None:
    assert desk.error(IRIS + IRIS) == "3:3: name: two APIs have the name 'iris'"


def test_two_apis_at_one_path(desk: Desk) -> None:
    other = "- name: other\n  predictor: {path: predictor.py}\n  networking: {endpoint: iris}\n"

    assert desk.error(IRIS + other) == "3:3: endpoint: two APIs have the endpoint 'iris'"


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file(desk: Desk) -> None:
    content = "- name: Iris\n  predictor: {path: nowhere.py, typ: python}\n- name: b\n  compute: {cpu: x}\n"

    places = [line.split(": ")[:2] for line in desk.errors(content)]

    assert places == [
        ["1:9", "[0].name"],
        ["2:21", "[0].predictor.path"],
        ["2:33", "[0].predictor.typ"],
        ["3:3", "[1]"],
        ["4:18", "[1].compute.cpu"],
    ]


@pytest.mark.parametrize("value", ["${NOWHERE}", "a${NOWHERE}b", '"${NOWHERE}"'])
def test_a_variable_that_is_not_set_is_named_with_two_cures(value: str, desk: Desk) -> None:
    content = f"{IRIS}  webhook:\n    url: {value}\n"

    assert desk.error(content) == (
        "4:10: [0].webhook.url: the environment has no NOWHERE; set it, or write ${NOWHERE:-…}"
    )


def test_a_variable_that_is_no_text_is_not_taken(desk: Desk) -> None:
    content = IRIS + "  webhook:\n    url: http://a/${BYTES}\n"

    assert desk.error(content, {"BYTES": "\udcff"}) == (
        "4:10: [0].webhook.url: half a character (a lone surrogate) is no text"
    )


def test_a_secret_that_is_wrong_is_never_repeated(desk: Desk) -> None:
    line = desk.error(f"{IRIS}  webhook: {{url: 'http://a/', secret: '${{S}}'}}\n", {"S": "hunter2-very-secret"})

    assert "hunter2" not in line


def test_a_file_that_is_not_there_or_cannot_be_read(tmp_path: Path) -> None:
    for name in ("nowhere.yaml", "."):
        with pytest.raises(SpecError, match=r"cannot be read: (No such file|Is a directory)"):
            load(tmp_path / name, {})
    with pytest.raises(SpecError, match="there is no such file"):
        load(tmp_path / "nowhere.py", {})


def test_a_folder_without_a_file_names_both_and_init(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no ringback\.yaml or cortex\.yaml in .*`ringback init`"):
        find(tmp_path)
