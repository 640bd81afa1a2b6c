"""Every way a file can be wrong: one line with its place, its key, and what was expected."""

from __future__ import annotations

import pytest

from ringback.runtime.specfile.schema import API
from ringback.runtime.specfile.source import MAX_BYTES
from unit.runtime.conftest import IRIS, Desk

BOMB = "- &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("- name: iris\n\tkind: AsyncAPI\n", "2:1: a tab; YAML is indented with spaces"),
        ("- name: [iris\n", "2:1: expected ',' or ']', but got '<stream end>'"),
        ("- name: *nobody\n", "1:9: found undefined alias 'nobody'"),
        ("- name: iris\n  env: {A: ${B}}\n", '2:13: a variable within { } or [ ] needs quotes: "${NAME}"'),
        ("- a: 1\n---\n- b: 2\n", "2:1: but found another document"),
        (b"- name: iris\n  env: \xff\n", "2:8: not UTF-8 text; save the file as UTF-8"),
        ("- name: iris\n".encode("utf-16"), "1:1: not UTF-8 text; save the file as UTF-8"),
        ("- name: iris\n  x: a\0b\n", "2:7: the character '\\x00' has no place in YAML"),
        ('- "\\UFFFFFFFF"\n', " no YAML: an escape (\\U…) or a number in it is out of range"),
        ("", " the file is empty; `ringback init` makes one to start from"),
        ("# nothing\n", " the file is empty; `ringback init` makes one to start from"),
        (" " * (MAX_BYTES + 1), " 1048577 bytes are too many; at most 1048576 are read"),
        ("[" * 500, " nested too deeply, or its aliases (*name) unfold to too much"),
        ("- " * 62 + "x", " nested too deeply, or its aliases (*name) unfold to too much"),
        (BOMB, " nested too deeply, or its aliases (*name) unfold to too much"),
        ("&a [*a]\n", " nested too deeply, or its aliases (*name) unfold to too much"),
        ("- &a {<<: *a, name: x}\n", " nested too deeply, or its aliases (*name) unfold to too much"),
    ],
)
def test_what_is_no_readable_yaml(content: str | bytes, line: str, desk: Desk) -> None:
    assert desk.error(content) == line


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("name: iris\n", "1:1: the file: expected a list of APIs (- name: …), found a mapping"),
        ("hello\n", "1:1: the file: expected a list of APIs (- name: …), found 'hello'"),
        ("[]\n", "1:1: the file: there is no API in it"),
        ("- iris\n", "1:3: [0]: expected a mapping of keys to values, found 'iris'"),
        ("-\n", "1:2: [0]: expected a mapping of keys to values, found nothing"),
        ("- [iris]\n", "1:3: [0]: expected a mapping of keys to values, found a list"),
        (IRIS + "  ? [a]\n  : 1\n", "3:5: [0]: expected one value, found a list"),
        (IRIS + "  <<: 5\n", "3:7: [0]: << merges mappings only"),
        (IRIS + "  name: again\n", "3:3: [0]: the key 'name' is there twice"),
        ("- predictor: {path: predictor.py}\n", "1:3: [0]: the key 'name' is missing (The API's name)"),
        ("- name: iris\n", "1:3: [0]: the key 'predictor' is missing (Your class and what it is given)"),
        (
            "- name: iris\n  predictor: {}\n",
            "2:14: [0].predictor: the key 'path' is missing (Where the class `PythonPredictor` is)",
        ),
        (
            "- name: iris\n  predictor:\n",
            "2:13: [0].predictor: the key 'path' is missing (Where the class `PythonPredictor` is)",
        ),
        (IRIS + "  timeuot: 5s\n", "3:3: [0].timeuot: there is no such key; did you mean 'timeout'?"),
        (
            IRIS + "  compute: {disk: 1}\n",
            "3:13: [0].compute.disk: there is no such key; known are cpu, gpu, mem, inf",
        ),
        (
            IRIS + '  "a\\nb\\e": 1\n  concurrency: 1\n',
            f"3:3: [0].a\\nb\\x1b: there is no such key; known are {', '.join(API)}",
        ),
    ],
)
def test_what_has_the_wrong_shape(content: str, line: str, desk: Desk) -> None:
    assert desk.error(content) == line


@pytest.mark.parametrize(
    ("lines", "column", "words"),
    [
        ("kind: RealtimeAPI", 9, "kind: 'RealtimeAPI' is not served; only kind: AsyncAPI is"),
        ("concurrency: many", 16, "concurrency: expected a whole number, found 'many'"),
        ("concurrency: 1.5", 16, "concurrency: expected a whole number, found 1.5"),
        ("concurrency: yes", 16, "concurrency: expected a whole number, found True"),
        ("concurrency:", 15, "concurrency: expected a whole number, found nothing"),
        ("concurrency: [1]", 16, "concurrency: expected one value, found a list"),
        ("concurrency: 0", 16, "concurrency: expected 1 to 10000, found 0"),
        ("concurrency: 20000", 16, "concurrency: expected 1 to 10000, found 20000"),
        ("concurrency: !!int ''", 16, "concurrency: '' is no int"),
        ("concurrency: !!bool maybe", 16, "concurrency: 'maybe' is no bool"),
        ("concurrency: !mine 1", 16, "concurrency: the YAML tag !mine is not read here"),
        ("timeout: soon", 12, "timeout: 'soon' is no duration; write for example 30s, 5m, 1h30m or 7d"),
        ("timeout:", 11, "timeout: '' is no duration; write for example 30s, 5m, 1h30m or 7d"),
        ("timeout: 0s", 12, "timeout: expected 0.001s or more, found 0s"),
        ("timeout: {}", 12, "timeout: expected one value, found a mapping"),
        ("retention: 40000d", 14, "retention: '40000d' is longer than 100 years"),
        ("compute: {cpu: much}", 18, "compute.cpu: expected a number, found 'much'"),
        ("compute: {cpu: .nan}", 18, "compute.cpu: expected 0.001 to 1e+09, found nan"),
        ("compute: {gpu: -1}", 18, "compute.gpu: expected 0 to 1000000000, found -1"),
        ("compute: {mem: lots}", 18, "compute.mem: 'lots' is no size; write for example 512KiB, 64MiB or 2Gi"),
        ("compute: {mem: 2}", 18, "compute.mem: expected 1MiB or more, found 2B"),
        ("compute: {mem: 0}", 18, "compute.mem: expected 1MiB or more, found 0B"),
        ("compute: 2", 12, "compute: expected a mapping of keys to values, found '2'"),
        ("networking: {endpoint: a/b}", 26, "networking.endpoint: 'a/b' is no path of one segment, such as iris"),
        (
            "networking: {endpoint: docs}",
            26,
            "networking.endpoint: 'docs' is taken: the server itself answers there; choose another",
        ),
        (
            "networking: {endpoint: openapi.json}",
            26,
            "networking.endpoint: 'openapi.json' is taken: the server itself answers there; choose another",
        ),
        ("autoscaling: {max_downscale_factor: 2}", 39, "autoscaling.max_downscale_factor: expected 0 to 1, found 2"),
        (
            "autoscaling: {min_replicas: 5, max_replicas: 2}",
            16,
            "autoscaling: min_replicas is 5, which is more than max_replicas (2)",
        ),
        (
            "autoscaling: {init_replicas: 3, max_replicas: 2}",
            16,
            "autoscaling: init_replicas is 3, which is more than max_replicas (2)",
        ),
        ("retries: {max_attempts: 0}", 27, "retries.max_attempts: expected 1 to 1000, found 0"),
        (
            "webhook: https://example.com/",
            12,
            "webhook: expected a mapping of keys to values, found 'https://example.com/'",
        ),
        ("webhooks: {url: x}", 13, "webhooks: expected a list, found a mapping"),
        ("webhooks:", 12, "webhooks: expected a list, found nothing"),
        ("webhooks: [{}]", 14, "webhooks[0]: the key 'url' is missing (Where the webhook goes)"),
    ],
)
def test_a_wrong_value_of_an_api(lines: str, column: int, words: str, desk: Desk) -> None:
    assert desk.error(f"{IRIS}  {lines}\n") == f"3:{column}: [0].{words}"
