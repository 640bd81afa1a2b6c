"""deploy/ is what it says: valid by the tools' own schemas, and every command and setting in it is one of ours."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml

from ringback.cli import hoisted
from ringback.cli.app import app
from ringback.core.quantities import parse_duration
from ringback.core.settings import OPTIONS, read_settings
from ringback.runtime.specfile import load
from ringback.store.sqlite.opening import prepare

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
KUBERNETES: Final = "1.33"
FOLDERS: Final = (DEPLOY / "kubernetes", DEPLOY / "keda")
MANIFESTS: Final = sorted(file for each in FOLDERS for file in each.glob("*.yaml") if file.stem != "kustomization")
OURS: Final = ("ringback", "ringback-app")
"""Images whose entry point is the command."""
PROBES: Final = {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
CLIENTS: Final = {"RINGBACK_API_KEY", "RINGBACK_URL"}
FILLED: Final = {"POSTGRES_PASSWORD": "secret", "RINGBACK_API_KEYS": "key"}


def documents(file: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(file.read_text()) if each]


def all_documents() -> list[dict[str, Any]]:
    return [each for file in MANIFESTS for each in documents(file)]


def compose() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return told


def filled(text: str) -> str:
    """The text with `${NAME:?…}` and `${NAME:-default}` filled in, as Compose does."""

    def value(found: re.Match[str]) -> str:
        return FILLED.get(found[1], found[3]) if found[2] == "-" else FILLED[found[1]]

    return re.sub(r"\$\{(\w+)(?::([?-])([^}]*))?\}", value, text)


# ── By others' schemas ──────────────────────────────────────────────────────────────────────────


def test_the_compose_file_is_one() -> None:
    schema = json.loads((files("check_jsonschema.builtin_schemas") / "vendor" / "compose-spec.json").read_text())
    jsonschema.validate(compose(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose() | {"services": {"a": {"restart": 5}}}, schema)


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_each_manifest_is_one(file: Path) -> None:
    for document in documents(file):
        if document["kind"] != "ScaledObject":  # KEDA's, told apart below
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_judge_of_manifests_finds_what_is_wrong() -> None:
    broken = next(each for each in all_documents() if each["kind"] == "Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_kustomizations_name_all_their_files_and_nothing_else() -> None:
    for folder in FOLDERS:
        told = yaml.safe_load((folder / "kustomization.yaml").read_text())
        here = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert {name for name in told["resources"] if not name.startswith("..")} == here


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl to put the manifests together")
@pytest.mark.parametrize("folder", ["kubernetes", "keda"])
def test_kubectl_puts_them_together(folder: str) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    made = [each for each in yaml.safe_load_all(done.stdout) if each]
    workers = [each for each in made if each["metadata"]["name"] == "ringback-worker" and each["kind"] == "Deployment"]
    assert ["replicas" in each["spec"] for each in workers] == [folder == "kubernetes"]
    assert all(
        container["image"].startswith("registry.example/")
        for each in made
        if each["kind"] in {"Deployment", "Job"}
        for container in each["spec"]["template"]["spec"]["containers"]
    )


def dockerfile(file: Path = DEPLOY / "Dockerfile") -> dict[str, list[str]]:
    """What follows each instruction, in order."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE))
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            found.setdefault(word, []).append(rest.strip())
    return found


# ── By our own ──────────────────────────────────────────────────────────────────────────────────


def settings_of_pods() -> dict[str, str]:
    return next(each["data"] for each in all_documents() if each["kind"] == "ConfigMap")


def commands() -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Where each command line of ours stands, its words, and what it finds in its environment."""
    built = dockerfile()
    environment = dict(re.findall(r"(RINGBACK_\w+)=(\S+)", " ".join(built["ENV"])))
    yield "Dockerfile", json.loads(built["CMD"][0]), {**environment, **FILLED}
    for name, service in compose()["services"].items():
        if service["image"] in OURS:
            told = {name: filled(value) for name, value in service["environment"].items()}
            yield f"compose.yaml {name}", service["command"], environment | told
    settings = settings_of_pods()
    secrets = {"store": "postgresql://ringback@db/ringback", "api-keys": "key"}
    for document in all_documents():
        if document["kind"] in {"Deployment", "Job"}:
            for container in document["spec"]["template"]["spec"]["containers"]:
                own = {each["name"]: secrets[each["valueFrom"]["secretKeyRef"]["key"]] for each in container["env"]}
                more = settings if "envFrom" in container else {}
                yield document["metadata"]["name"], container["args"], environment | more | own
    for page in (DEPLOY / "Dockerfile", DEPLOY / "app" / "Dockerfile", ROOT / "docs" / "deploy.md"):
        for line in re.findall(r'^RUN (\["ringback".*\])$', page.read_text(), re.MULTILINE):
            yield page.name, json.loads(line)[1:], {}
        for line in re.findall(r"^(?:docker compose .* run --rm \S+ |ringback )(.+)$", page.read_text(), re.MULTILINE):
            yield page.name, shlex.split(line, comments=True), {}


def test_every_command_is_one_the_command_line_takes() -> None:
    seen = set()
    for where, words, environment in commands():
        context = parsed(words)
        seen.add((where, context.info_name))
        if context.info_name == "serve":
            given = {name.replace("_", "-"): value for name, value in context.params.items() if isinstance(value, str)}
            roles = context.params["roles"]
            settings = read_settings(given | {"roles": ",".join(roles) if roles else None}, environment)
            assert settings.port == 8080
            assert {role.value for role in settings.roles} == set(roles or ("gateway", "worker", "dispatcher"))
    assert {("compose.yaml worker", "serve"), ("ringback-migrate", "migrate"), ("deploy.md", "check")} <= seen


def parsed(words: Sequence[str]) -> Any:
    """The command that the words lead to, with its parameters; nothing is run."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("ringback", hoisted(words))
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    return context


def test_a_command_that_is_none_is_found_out() -> None:
    for words in (["serve", "--role", "gateway"], ["store", "migrat"], ["serve", "a", "b"]):
        with pytest.raises(Exception, match=r"No such|unexpected"):
            parsed(words)


def test_every_setting_that_is_named_exists() -> None:
    known = {option.variable for option in OPTIONS} | CLIENTS
    pages = [file for file in DEPLOY.rglob("*") if file.is_file()] + [ROOT / "docs" / "deploy.md"]
    named = {(file.name, name) for file in pages for name in re.findall(r"\bRINGBACK_[A-Z_]+\b", file.read_text())}
    assert {each for each in named if each[1] not in known} == set()
    assert len(named) > 10


def test_every_metric_that_is_named_exists() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "src" / "ringback" / "runtime").glob("*.py"))
    named = set(re.findall(r"\bringback_[a-z_]+\b", (ROOT / "docs" / "deploy.md").read_text()))
    assert named
    assert {name for name in named if name not in sources} == set()


def test_a_pod_is_given_more_time_than_a_server_takes() -> None:
    grace = next(
        parse_duration(each["data"]["RINGBACK_GRACE"]) for each in all_documents() if each["kind"] == "ConfigMap"
    )
    for document in all_documents():
        if document["kind"] == "Deployment":
            pod = document["spec"]["template"]["spec"]
            [container] = pod["containers"]
            before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            assert pod["terminationGracePeriodSeconds"] >= grace + before + 10
            probes = {
                name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
            }
            assert probes == PROBES
    services = compose()["services"].values()
    assert all(
        parse_duration(each["stop_grace_period"]) > parse_duration(each["environment"]["RINGBACK_GRACE"])
        for each in services
        if "stop_grace_period" in each
    )


def test_every_part_is_there_may_be_moved_and_is_chosen_by_what_it_says() -> None:
    deployments = {each["metadata"]["name"]: each for each in all_documents() if each["kind"] == "Deployment"}
    assert set(deployments) == {"ringback-gateway", "ringback-worker", "ringback-dispatcher"}
    labels = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in deployments.items()}
    for document in all_documents():
        name, spec = document["metadata"]["name"], document.get("spec", {})
        match document["kind"]:
            case "Deployment" | "PodDisruptionBudget":
                assert spec["selector"]["matchLabels"] == labels[name]
            case "Service":
                assert spec["selector"] == labels["ringback-gateway"]
            case "HorizontalPodAutoscaler" | "ScaledObject":
                assert spec["scaleTargetRef"]["name"] in deployments
    budgets = {each["metadata"]["name"] for each in all_documents() if each["kind"] == "PodDisruptionBudget"}
    assert budgets == set(deployments)


def test_the_scaler_asks_the_store_what_it_can_answer(tmp_path: Path) -> None:
    [scaled] = [each for each in all_documents() if each["kind"] == "ScaledObject"]
    [trigger] = scaled["spec"]["triggers"]
    [worker] = [
        each
        for each in all_documents()
        if each["metadata"]["name"] == "ringback-worker" and each["kind"] == "Deployment"
    ]
    environment = {each["name"] for each in worker["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (trigger["type"], trigger["metadata"]["connectionFromEnv"] in environment) == ("postgresql", True)
    with closing(sqlite3.connect(prepare(tmp_path / "ringback.db"))) as tables:
        tables.execute(
            "INSERT INTO tallies (api, tenant, member, unfinished) VALUES ('hello', '', 'a', 3), ('hello', 't', '', 4)"
        )
        assert tables.execute(trigger["metadata"]["query"]).fetchall() == [(7,)]


# ── The images ──────────────────────────────────────────────────────────────────────────────────


def test_the_image_is_made_in_stages_and_runs_as_nobody_in_particular() -> None:
    built = dockerfile()
    assert len(built["FROM"]) == 2
    assert built["USER"] == ["10001:10001"]
    assert json.loads(built["ENTRYPOINT"][0]) == ["ringback"]
    [python, flag, script] = json.loads(built["HEALTHCHECK"][0].partition("CMD ")[2])
    assert (python, flag) == ("python", "-c")
    compile(script, "healthcheck", "exec")
    assert "/healthz" in script
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in [word for line in built["COPY"] if "--from" not in line for word in line.split()[:-1]]:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_what_the_image_installs_are_our_extras() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    [extras] = re.findall(r"/source\[([\w,]+)\]", (DEPLOY / "Dockerfile").read_text())
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras.split(","))


def test_the_app_can_be_served() -> None:
    assert [api.name for api in load(DEPLOY / "app" / "ringback.yaml", {}).apis] == ["hello"]


def test_what_the_file_takes_from_the_environment_reaches_every_role() -> None:
    servers = [each for each in compose()["services"].values() if each.get("command", [""])[0] == "serve"]
    assert [each["env_file"] for each in servers] == [[{"path": "app.env", "required": False}]] * 3

    pods = [each["spec"]["template"]["spec"] for each in all_documents() if each["kind"] == "Deployment"]
    given = [source["secretRef"] for pod in pods for source in pod["containers"][0]["envFrom"] if "secretRef" in source]
    assert given == [{"name": "ringback-app", "optional": True}] * 3


def test_the_secret_that_stands_in_while_the_image_is_built_can_be_read(tmp_path: Path) -> None:
    [stands_in] = set(re.findall(r"HELLO_SECRET=(whsec_\S+)", (DEPLOY / "app" / "Dockerfile").read_text()))
    assert f"RUN HELLO_SECRET={stands_in} ringback check" in (ROOT / "docs" / "deploy.md").read_text()
    (tmp_path / "predictor.py").write_text("class PythonPredictor:\n    def predict(self, payload): pass\n")
    file = tmp_path / "ringback.yaml"
    hook = "{url: https://example.com/hook, secret: '${HELLO_SECRET}'}"
    file.write_text(f"- name: hello\n  predictor: {{type: python, path: predictor.py}}\n  webhook: {hook}\n")

    assert load(file, {"HELLO_SECRET": stands_in}).apis[0].webhooks[0].secret == stands_in
