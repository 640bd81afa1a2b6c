"""`init`, `check`, and what `serve` refuses before anything is started."""

from __future__ import annotations

import json
import shlex
import stat
from pathlib import Path

import pytest

from ringback.runtime.specfile import load
from unit.cli.conftest import Run

IRIS = "- name: iris\n  predictor: {path: predictor.py}\n"
SECRET = "whsec_" + "A" * 43 + "="
STARTER = {"ringback.yaml", "predictor.py", "sample.json", ".gitignore"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ── init ────────────────────────────────────────────────────────────────────────────────────────


def test_init_makes_a_starter_that_can_be_served(run: Run, folder: Path) -> None:
    ended = run("init")

    assert (ended.status, ended.err) == (0, "")
    assert names(folder) == STARTER
    [api] = load(folder / "ringback.yaml", {}).apis
    assert f"ringback submit {api.endpoint} -d @sample.json --wait" in ended.out
    assert "start it:  ringback dev\n" in ended.out
    json.loads((folder / "sample.json").read_text())
    compile((folder / "predictor.py").read_text(), "predictor.py", "exec")


@pytest.mark.parametrize("name", ["new", "deep/er", "with space"])
def test_init_makes_the_folder_and_says_how_to_get_there(name: str, run: Run, folder: Path) -> None:
    ended = run("init", name)

    assert ended.status == 0
    assert names(folder / name) == STARTER
    assert f"start it:  cd {shlex.quote(name)} && ringback dev\n" in ended.out


@pytest.mark.parametrize("name", sorted(STARTER - {".gitignore"}))
def test_init_overwrites_nothing_and_makes_nothing_beside_it(name: str, run: Run, folder: Path) -> None:
    (folder / name).write_text("mine")

    ended = run("init")

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"ringback: {name} is there already and is left alone; name an empty folder\n"
    assert names(folder) == {name}
    assert (folder / name).read_text() == "mine"


def test_init_names_all_that_is_in_the_way(run: Run, folder: Path) -> None:
    for name in ("predictor.py", "sample.json"):
        (folder / name).write_text("mine")

    assert "predictor.py, sample.json are there already and are left alone" in run("init").err


def test_init_leaves_a_repositorys_gitignore_as_it_is(run: Run, folder: Path) -> None:
    (folder / ".gitignore").write_text("mine")

    ended = run("init")

    assert ended.status == 0
    assert names(folder) == STARTER
    assert (folder / ".gitignore").read_text() == "mine"
    assert ".gitignore" not in ended.out


def test_init_where_no_folder_can_be(run: Run, folder: Path) -> None:
    (folder / "file").touch()

    for name in ("file", "file/below"):
        ended = run("init", name)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith(f"ringback: {name} cannot be written to (")
        assert ended.err.count("\n") == 1


def test_what_init_makes_can_be_written_to(run: Run, folder: Path) -> None:
    run("init")

    assert all(path.stat().st_mode & stat.S_IWUSR for path in folder.iterdir())


# ── check ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def file(folder: Path) -> Path:
    (folder / "predictor.py").touch()
    path = folder / "ringback.yaml"
    path.write_text(
        IRIS + f"  timeout: 90m\n  autoscaling: {{init_replicas: 3}}\n  webhooks:\n  - {{url: 'http://a/', "
        f"secret: {SECRET}}}\n  - url: http://b/\n- name: other\n  networking: {{endpoint: elsewhere}}\n"
        "  predictor: {path: predictor.py, image: x}\n"
    )
    return path


def test_check_prints_what_would_be_served(file: Path, run: Run) -> None:
    ended = run("check")

    assert ended.status == 0
    assert ended.out.splitlines() == [
        f"{file} is fine.",
        "",
        "api    path        predictor     replicas  timeout  webhooks",
        "iris   /iris       predictor.py  1 to 100  1h30m    http://a/ (signed), http://b/ (unsigned)",
        "other  /elsewhere  predictor.py  1 to 100  1h       none",
    ]
    assert ended.err == (f"warning: {file}:10: [1].predictor.image: means nothing to Ringback and is ignored\n")


@pytest.mark.parametrize("arguments", [("check", "--json"), ("--json", "check"), ("check", "ringback.yaml", "--json")])
def test_check_prints_the_same_for_machines_without_any_secret(
    arguments: tuple[str, ...], file: Path, run: Run
) -> None:
    ended = run(*arguments)

    [line] = ended.out.splitlines()
    told = json.loads(line)
    assert told["file"] == str(file)
    assert told["warnings"] == [f"{file}:10: [1].predictor.image: means nothing to Ringback and is ignored"]
    assert told["apis"][0] == {
        "name": "iris",
        "path": "/iris",
        "predictor": str(file.parent / "predictor.py"),
        "timeout_seconds": 5400.0,
        "webhooks": [
            {"endpoint": "iris/1", "url": "http://a/", "signed": True},
            {"endpoint": "iris/2", "url": "http://b/", "signed": False},
        ],
    }
    assert SECRET not in ended.out


def test_check_takes_a_python_file_and_a_cortex_yaml(run: Run, folder: Path) -> None:
    (folder / "predictor.py").touch()
    (folder / "cortex.yaml").write_text(IRIS)

    assert "predictor.py" in run("check", "predictor.py").out
    assert "cortex.yaml is fine." in run("check").out


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_bad_file_is_told_line_by_line_with_status_2(command: str, run: Run, folder: Path) -> None:
    (folder / "ringback.yaml").write_text("- name: Iris\n  predictor: {path: nowhere.py}\n")

    ended = run(command, "--json") if command == "check" else run(command)

    assert (ended.status, ended.out) == (2, "")
    first, second = ended.err.splitlines()
    assert first.startswith(f"{folder}/ringback.yaml:1:9: [0].name: ")
    assert second.startswith(f"{folder}/ringback.yaml:2:21: [0].predictor.path: ")


@pytest.mark.parametrize("command", ["check", "serve"])
def test_without_a_file_the_cure_is_named(command: str, run: Run, folder: Path) -> None:
    ended = run(command)
    assert ended.status == 2
    assert ended.err == (
        f"there is no ringback.yaml or cortex.yaml in {folder}; name a file, or make one with `ringback init`\n"
    )

    ended = run(command, "nowhere.yaml")
    assert (ended.status, ended.err) == (2, f"{folder}/nowhere.yaml: cannot be read: No such file or directory\n")


# ── serve ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "http"), "--port: 'http' is no port; expected 0 to 65535, where 0 takes any free one"),
        (("--store", "postgresql://h"), "--store: the address names no database"),
        (("--max-body", "big"), "--max-body: 'big' is no size"),
        (("--grace", "soon"), "--grace: 'soon' is no duration"),
        (("--log-level", "loud"), "--log-level: 'loud' is none of debug, info, warning, error"),
        (("--log-format", "xml"), "--log-format: 'xml' is none of text, json"),
        (("--api-key", "ключ"), "--api-keys: a key has characters that no header can carry"),
        (("--host", "0.0.0.0"), "--host 0.0.0.0 is open to other machines: set an API key"),
    ],
)
def test_serve_refuses_a_wrong_setting_before_it_reads_the_file(
    arguments: tuple[str, str], words: str, run: Run, folder: Path
) -> None:
    ended = run("serve", "nowhere.yaml", *arguments)

    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"ringback: {words}")
    assert names(folder) == set()


def test_serve_reads_its_settings_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_PORT", "http")

    assert run("serve").err.startswith("ringback: RINGBACK_PORT: 'http' is no port")
    assert "no ringback.yaml" in run("serve", "--port", "0").err


@pytest.mark.parametrize("typed", [("--api-key", "k", "serve"), ("serve", "--api-key", "k"), ("serve", "--api-key=k")])
def test_any_key_opens_serve_to_others(typed: tuple[str, ...], run: Run) -> None:
    assert "no ringback.yaml" in run(*typed, "--host", "0.0.0.0").err


def test_a_clients_own_key_gives_way_to_the_servers_keys(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_API_KEY", "mine")
    assert "no ringback.yaml" in run("serve", "--host", "0.0.0.0").err

    monkeypatch.setenv("RINGBACK_API_KEYS", "ключи")
    assert run("serve").err.startswith("ringback: RINGBACK_API_KEYS: ")
    assert "no ringback.yaml" in run("--api-key", "typed", "serve").err
