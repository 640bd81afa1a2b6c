"""What good files stand for: every key and default, both kinds of file, the environment, a single Python file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.core.errors import SpecError
from ringback.core.spec import Api, Autoscaling, Compute, Endpoint, Event, Predictor, Retries
from ringback.runtime.specfile import find, load
from support.signed import SIGNING_KEY
from unit.runtime.conftest import IRIS, Desk

SECRET = "whsec_" + "A" * 43 + "="

FULL = """
- name: iris
  kind: AsyncAPI
  predictor:
    type: python
    path: predictor.py
    config: {model: iris.joblib, sizes: [1, 2.5, null, true, 2026-01-31], "7": "${SEVEN}"}
    python_path: lib
    env: {OMP_NUM_THREADS: 1, HOME_OF: "${WHERE:-nowhere}"}
    log_level: DEBUG
  compute: {cpu: 500m, gpu: 1, mem: 2Gi}
  networking: {endpoint: /flowers}
  autoscaling:
    min_replicas: 1
    max_replicas: 4
    init_replicas: 2
    max_replica_concurrency: 64
    target_replica_concurrency: 1.5
    window: 30s
    downscale_stabilization_period: 5m
    upscale_stabilization_period: 1m
    max_downscale_factor: 0.5
    max_upscale_factor: 2
    downscale_tolerance: 0.1
    upscale_tolerance: 0
  concurrency: 8
  timeout: 1h30m
  cancel_grace: 20s
  retries: {max_attempts: 3, max_losses: 2, initial: 250ms, max: 1m}
  retention: 7d
  webhooks:
    - url: https://example.com/hooks/iris?a=b
      secret: ${IRIS_SECRET}
      events: [completed]
      format: cortex
      headers: {Authorization: "Bearer ${TOKEN:-none}"}
      timeout: 5s
      retry: [1s, 1m, 1h]
      concurrency: 2
      order: none
    - url: http://127.0.0.1:9000/
"""

CORTEX = """
- name: text-generator
  kind: AsyncAPI
  predictor:
    type: python
    path: predictor.py
    image: quay.io/cortexlabs/python-predictor-cpu:0.33.0
    shm_size: 1Gi
    processes_per_replica: 1
    threads_per_process: 1
  compute: {cpu: 1, inf: 0}
  update_strategy: {max_surge: 25%, max_unavailable: 25%}
"""


def test_every_key_reaches_its_place(desk: Desk) -> None:
    folder = desk.file.parent
    (folder / "lib").mkdir()

    spec = desk.load(FULL, {"SEVEN": "7", "IRIS_SECRET": SECRET})

    assert spec.warnings == ()
    assert (spec.file, spec.folder) == (desk.file, folder)
    assert spec.apis == (
        Api(
            name="iris",
            endpoint="flowers",
            predictor=Predictor(
                path=folder / "predictor.py",
                config={"model": "iris.joblib", "sizes": [1, 2.5, None, True, "2026-01-31"], "7": "7"},
                python_path=folder / "lib",
                env={"OMP_NUM_THREADS": "1", "HOME_OF": "nowhere"},
                log_level="debug",
            ),
            compute=Compute(cpu=0.5, gpu=1, mem_bytes=2 * 2**30),
            autoscaling=Autoscaling(
                min_replicas=1,
                max_replicas=4,
                init_replicas=2,
                max_replica_concurrency=64,
                target_replica_concurrency=1.5,
                window_seconds=30,
                downscale_stabilization_seconds=300,
                upscale_stabilization_seconds=60,
                max_downscale_factor=0.5,
                max_upscale_factor=2,
                downscale_tolerance=0.1,
                upscale_tolerance=0,
            ),
            concurrency=8,
            timeout_seconds=5_400,
            cancel_grace_seconds=20,
            retries=Retries(max_attempts=3, max_losses=2, initial_seconds=0.25, max_seconds=60),
            retention_seconds=604_800,
            webhooks=(
                Endpoint(
                    key="iris/1",
                    url="https://example.com/hooks/iris?a=b",
                    secret=SECRET,
                    events=frozenset({Event.COMPLETED}),
                    headers={"Authorization": "Bearer none"},
                    timeout_seconds=5,
                    retry_seconds=(1, 60, 3_600),
                    concurrency=2,
                ),
                Endpoint(key="iris/2", url="http://127.0.0.1:9000/"),
            ),
        ),
    )


def test_the_least_that_can_be_served_has_the_defaults_of_the_core(desk: Desk) -> None:
    assert desk.api() == Api(name="iris", endpoint="iris", predictor=Predictor(path=desk.file.parent / "predictor.py"))


@pytest.mark.parametrize("section", ["compute", "networking", "autoscaling", "retries", "webhook"])
@pytest.mark.parametrize("nothing", ["", " {}", " null", " ~"])
def test_an_empty_section_is_as_good_as_none(section: str, nothing: str, desk: Desk) -> None:
    if (section, nothing) == ("webhook", " {}"):
        assert "'url' is missing" in desk.error(f"{IRIS}  {section}:{nothing}\n")
    else:
        assert desk.api(f"  {section}:{nothing}\n") == desk.api()


def test_an_empty_value_is_as_good_as_none_where_none_is_the_default(desk: Desk) -> None:
    full = (
        "- name: iris\n  predictor: {path: predictor.py, config: null, env: null, python_path: null}\n"
        "  compute: {mem: null}\n"
        "  webhook: {url: 'http://a/', secret: null, headers: null, rate_limit: null, inline_limit: null}\n"
    )

    assert desk.load(full).apis == (desk.api("  webhook: {url: 'http://a/'}\n"),)


def test_a_cortex_file_is_served_with_one_warning_for_each_key_that_means_nothing(desk: Desk) -> None:
    spec = desk.load(CORTEX)

    assert spec.apis == (
        Api(
            name="text-generator",
            endpoint="text-generator",
            predictor=Predictor(path=desk.file.parent / "predictor.py"),
            compute=Compute(cpu=1),
        ),
    )
    means_nothing = "means nothing to Ringback and is ignored"
    assert spec.warnings == (
        f"{desk.file}:7: [0].predictor.image: {means_nothing}",
        f"{desk.file}:8: [0].predictor.shm_size: {means_nothing}",
        f"{desk.file}:9: [0].predictor.processes_per_replica: {means_nothing}",
        f"{desk.file}:10: [0].predictor.threads_per_process: {means_nothing}",
        f"{desk.file}:11: [0].compute.inf: {means_nothing}",
        f"{desk.file}:12: [0].update_strategy: {means_nothing}",
    )


def test_requirements_are_an_environment_of_the_apis_own(desk: Desk) -> None:
    requirements = desk.file.parent / "requirements.txt"
    requirements.touch()
    dependencies = "dependencies: {pip: requirements.txt, conda: env.yaml, shell: setup.sh}"
    spec = desk.load(f"- name: iris\n  predictor: {{path: predictor.py, {dependencies}}}\n")

    assert spec.apis[0].predictor.requirements == requirements
    assert [warning.partition("dependencies.")[2] for warning in spec.warnings] == [
        "conda: means nothing to Ringback and is ignored",
        "shell: means nothing to Ringback and is ignored",
    ]
    nothing = desk.load("- name: iris\n  predictor: {path: predictor.py, dependencies: {pip: null}}\n")
    assert nothing.apis[0].predictor.requirements is None
    assert "dependencies.pip: there is no file" in desk.error(
        "- name: iris\n  predictor: {path: predictor.py, dependencies: {pip: none.txt}}\n"
    )


def test_one_webhook_is_named_for_its_api_and_keeps_that_name_whatever_stands_beside_it(desk: Desk) -> None:
    alone = desk.api("  webhook: {url: 'http://a/'}\n")
    beside = desk.api("  webhook: {url: 'http://a/'}\n  webhooks: [{url: 'http://b/'}]\n")

    assert [hook.key for hook in alone.webhooks] == ["iris"]
    assert [(hook.key, hook.url) for hook in beside.webhooks] == [("iris", "http://a/"), ("iris/1", "http://b/")]


@pytest.mark.parametrize(
    ("written", "environment", "config"),
    [
        ("${A}", {"A": "5"}, 5),
        ("'${A}'", {"A": "5"}, "5"),
        ("${A}${B}", {"A": "1", "B": "2"}, 12),
        ("a-${A}-b", {"A": "x"}, "a-x-b"),
        ("${A:-7}", {}, 7),
        ("${A:-7}", {"A": "8"}, 8),
        ("${A:-}", {}, None),
        ("${A:-5 $ or $5}", {}, "5 $ or $5"),
        ("${A}", {"A": "true"}, True),
        ("${A}", {"A": "[1]"}, "[1]"),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$A {A} $(A)", {"A": "x"}, "$A {A} $(A)"),
    ],
)
def test_variables_are_filled_in_once_and_read_as_if_they_stood_there(
    written: str, environment: dict[str, str], config: object, desk: Desk
) -> None:
    content = f"- name: iris\n  predictor:\n    path: predictor.py\n    config:\n      value: {written}\n"

    [api] = desk.load(content, environment).apis

    assert api.predictor.config == {"value": config}


def test_an_empty_secret_is_no_secret(desk: Desk) -> None:
    [hook] = desk.api("  webhook:\n    url: http://a/\n    secret: ${S:-}\n").webhooks

    assert hook.secret is None


def test_a_secret_may_be_shared_or_ed25519_or_several_of_both(desk: Desk) -> None:
    content = f"{IRIS}  webhook:\n    url: http://a/\n    secret: ${{S}}\n"
    for secret in (SECRET, SIGNING_KEY, f"{SIGNING_KEY} {SECRET}"):
        [api] = desk.load(content, {"S": secret}).apis
        assert api.webhooks[0].secret == secret


def test_anchors_and_merges_save_typing(desk: Desk) -> None:
    spec = desk.load(
        "- &base\n  name: a\n  predictor: {path: predictor.py}\n  timeout: 5s\n  concurrency: 2\n"
        "- <<: *base\n  name: b\n  timeout: 9s\n"
    )

    assert [(api.name, api.timeout_seconds, api.concurrency) for api in spec.apis] == [("a", 5, 2), ("b", 9, 2)]


def test_secrets_and_what_may_hold_them_are_not_in_any_repr(desk: Desk) -> None:
    api = desk.api(f"  webhook: {{url: 'http://a/', secret: {SECRET}, headers: {{Authorization: Bearer x}}}}\n")

    assert SECRET not in repr(api)
    assert "Bearer x" not in repr(api)


def test_a_byte_order_mark_and_windows_line_ends_are_nothing_special(desk: Desk) -> None:
    assert desk.load(b"\xef\xbb\xbf" + IRIS.replace("\n", "\r\n").encode()).apis == (desk.api(),)


def test_the_older_name_is_found_and_the_newer_one_wins(tmp_path: Path) -> None:
    (tmp_path / "cortex.yaml").touch()
    assert find(tmp_path) == tmp_path / "cortex.yaml"

    (tmp_path / "ringback.yaml").touch()
    assert find(tmp_path) == tmp_path / "ringback.yaml"


@pytest.mark.parametrize(
    ("folder", "file", "name"),
    [
        ("iris", "predictor.py", "iris"),
        ("My Flowers_2", "predictor.py", "my-flowers-2"),
        ("x" * 80, "predictor.py", "x" * 63),
        ("docs", "iris_model.py", "iris-model"),
        ("花", "iris.py", "iris"),
    ],
)
def test_a_python_file_alone_is_served_under_its_folders_name_or_its_own(
    folder: str, file: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / folder / file
    path.parent.mkdir()
    path.touch()

    assert load(path, {}).apis == (Api(name=name, endpoint=name, predictor=Predictor(path=path)),)


def test_a_python_file_without_any_name_for_a_url_asks_for_a_file(tmp_path: Path) -> None:
    path = tmp_path / "花" / "花.py"
    path.parent.mkdir()
    path.touch()

    with pytest.raises(SpecError, match=r"write a ringback\.yaml"):
        load(path, {})
