"""What cannot be served is said at once and clearly; what can be mended recovers without a restart."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from support.catcher import Catcher
from support.ground import change, is_on_postgresql, store_url
from support.processes import ringback, serving
from support.served import ECHO, folder_of
from support.small_disk import small_disk
from support.waiting import until

NO_CLASS = "class Predictor:\n    pass\n"
WRONG_SIGNATURE = "class PythonPredictor:\n    def __init__(self, config): ...\n    def predict(self, data): ...\n"
RAISES = "class PythonPredictor:\n    def __init__(self, config):\n        raise RuntimeError('no such model')\n"


@pytest.mark.every_engine
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (NO_CLASS, "PythonPredictor"),
        (WRONG_SIGNATURE, "data"),
        (RAISES, "no such model"),
        ("import nowhere", "nowhere"),
    ],
    ids=["class missing", "wrong signature", "init raises", "import fails"],
)
def test_a_broken_predictor_is_said_everywhere_and_mending_it_recovers(
    source: str, reason: str, tmp_path: Path
) -> None:
    file = folder_of(tmp_path / "api", predictor=source)
    with serving(file, tmp_path / "store" / "ringback.db", ready=False) as server:
        server.wait_for("/healthz", 200)
        until(
            lambda: reason in server.wait_for("/readyz", 503).text,
            within=20,
            wanted=f"{reason!r} in the words of /readyz",
        )
        refused = requests.post(f"{server.url}/echo", json={}, timeout=10)
        assert refused.status_code == 503
        assert reason in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert reason in server.log()

        (file.parent / "predictor.py").write_text(ECHO)

        server.wait_for("/readyz", 200, within=45)
        assert requests.post(f"{server.url}/echo", json={}, timeout=10).status_code == 200


def test_a_missing_predictor_file_is_one_line_and_exit_status_2(tmp_path: Path) -> None:
    file = folder_of(tmp_path)
    (tmp_path / "predictor.py").unlink()

    ended = ringback("serve", str(file))

    assert ended.returncode == 2
    assert "predictor.py" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- name: echo\n\tkind: AsyncAPI\n", ("ringback.yaml:2", "tab")),
        (
            "- name: echo\n  predictor:\n    type: python\n    path: predictor.py\n    cofnig: {}\n",
            ("ringback.yaml:5", "cofnig", "did you mean 'config'"),
        ),
        ("- name: Iris!\n  predictor: {type: python, path: predictor.py}\n", ("ringback.yaml:1", "name")),
        ("- predictor: {type: python, path: predictor.py}\n", ("ringback.yaml:1", "name")),
    ],
    ids=["tab", "unknown key", "bad name", "no name"],
)
@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_wrong_file_is_one_line_with_the_place_and_exit_status_2(
    text: str, words: tuple[str, ...], command: str, tmp_path: Path
) -> None:
    folder_of(tmp_path)
    (tmp_path / "ringback.yaml").write_text(text)

    ended = ringback(command, str(tmp_path / "ringback.yaml"))

    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    for word in words:
        assert word in ended.stderr
    assert not (tmp_path / ".ringback").exists()


def test_an_address_of_rays_client_is_refused_with_the_cure(tmp_path: Path) -> None:
    env = {"RAY_ADDRESS": "ray://head:10001", "RINGBACK_ENGINE": "ray"}
    ended = ringback("serve", str(folder_of(tmp_path)), "--port", "0", env=env)

    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert "RAY_ADDRESS=ray://head:10001 is an address of Ray's client" in ended.stderr
    assert "`ray start --address=head:6379 --num-cpus=0`" in ended.stderr


def test_a_port_in_use_is_named_and_exit_status_1(tmp_path: Path) -> None:
    with Catcher() as taken:
        ended = ringback("serve", str(folder_of(tmp_path)), "--port", str(taken.port))

    assert ended.returncode == 1
    assert str(taken.port) in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_store_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    file, store = folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db"
    with serving(file, store) as server:
        assert server.terminate() == 0
    newer = {"sqlite": "PRAGMA user_version = 9999", "postgresql": "UPDATE ringback_schema SET version = 9999"}
    change(store, **newer)
    before = None if is_on_postgresql() else store.read_bytes()

    ended = ringback("serve", str(file), "--port", "0", "--store", store_url(store))

    assert ended.returncode == 1
    assert "written by a newer release (schema 9999" in ended.stderr
    assert (urlsplit(store_url(store)).path if is_on_postgresql() else str(store)) in ended.stderr
    assert before is None or store.read_bytes() == before


def test_a_full_disk_refuses_the_new_and_loses_nothing_of_the_old(tmp_path: Path) -> None:
    with Catcher() as catcher, small_disk() as disk:
        file = folder_of(tmp_path / "api", webhook=catcher.url)
        with serving(file, disk.store) as server:
            accepted: set[str] = set()

            def refused() -> requests.Response | None:
                answer = requests.post(f"{server.url}/echo", json={"pad": secrets.token_hex(30_000)}, timeout=10)
                if answer.status_code == 200:
                    accepted.add(answer.json()["id"])
                    return None
                return answer

            answer = until(lambda: Refusal(refused()), within=30, wanted="a refusal for lack of room").answer
            assert answer is not None
            assert answer.status_code == 503
            assert "no room" in answer.json()["detail"]
            assert int(answer.headers["Retry-After"]) >= 1
            assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
            assert accepted

            disk.ballast.unlink()

            catcher.wait_for_all(accepted, within=45)
            for each in accepted:
                assert requests.get(f"{server.url}/echo/{each}", timeout=10).json()["status"] == "completed"


class Refusal:
    """An answer that is awaited; true when there is one, though a `Response` of 503 is false."""

    def __init__(self, answer: requests.Response | None) -> None:
        self.answer = answer

    def __bool__(self) -> bool:
        return self.answer is not None
