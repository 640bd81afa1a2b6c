"""Endpoints registered with a running server, by the real command: told, signed, rotated, kept over a kill, removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ringback import verify
from support.catcher import Catcher, Caught
from support.processes import Server, ringback, serving
from support.served import folder_of
from support.waiting import until

ALLOWED = ("--allow", "127.0.0.0/8")


def added(server: Server, *options: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(server.ringback("--json", "endpoints", "add", *options))
    return told


def submitted(server: Server) -> str:
    return str(requests.post(f"{server.url}/echo", json={"n": 1}, timeout=10).json()["id"])


def holds(secret: str, caught: Caught) -> bool:
    """What the official library says."""
    try:
        Webhook(secret).verify(caught.body, caught.headers)
    except WebhookVerificationError:
        return False
    return True


def test_one_is_told_signed_rotated_and_kept_over_a_kill_and_then_removed(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api")
        with serving(file, tmp_path / "store" / "ringback.db", options=ALLOWED) as server:
            endpoint = added(server, catcher.url, "--api", "echo", "--retry", "1s,1s,1s,1s")
            key, first = endpoint["endpoint"], endpoint["secret"]
            assert holds(first, catcher.wait_for(submitted(server)))

            server.kill()
            server.start_and_wait()
            assert holds(first, catcher.wait_for(submitted(server)))

            second = json.loads(server.ringback("--json", "endpoints", "rotate", key))["secret"]
            both = catcher.wait_for(submitted(server))
            assert (holds(first, both), holds(second, both)) == (True, True)
            assert len(both.headers["webhook-signature"].split(" ")) == 2
            third = json.loads(server.ringback("--json", "endpoints", "rotate", key, "--overlap", "0s"))["secret"]
            last = catcher.wait_for(submitted(server))
            assert [holds(each, last) for each in (first, second, third)] == [False, False, True]

            server.ringback("endpoints", "disable", key)
            waiting = submitted(server)
            until(lambda: rows(server, "deliveries", "list", "--state", "pending"), within=10, wanted="a pending one")
            assert "1 webhooks that have not reached it are kept" in server.ringback("endpoints", "remove", key)
            [parked] = rows(server, "deliveries", "list", "--endpoint", key, "--state", "parked")
            assert (parked["workload"], parked["reason"]) == (waiting, "the endpoint was removed before this arrived")
            later = submitted(server)
            server.wait_for(f"/echo/{later}?wait=10", 200)
            assert requests.get(f"{server.url}/-/deliveries?api=echo&id={later}", timeout=10).json()["deliveries"] == []
            assert waiting not in catcher.ids()

            told = server.log() + json.dumps([rows(server, "endpoints", "list"), rows(server, "deliveries", "list")])
            assert not any(secret.partition("_")[2] in told for secret in (first, second, third))
            assert f"endpoint.rotated endpoint={key}" in server.log()


def test_one_with_a_key_pair_is_verified_by_what_the_key_set_says(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file = folder_of(tmp_path / "api")
        with serving(file, tmp_path / "store" / "ringback.db", options=ALLOWED) as server:
            endpoint = added(server, catcher.url, "--ed25519")
            [key] = endpoint["keys"]
            assert "secret" not in endpoint
            caught = catcher.wait_for(submitted(server))
            assert verify(caught.body, caught.headers, key["public_key"])["status"] == "completed"
            server.ringback("endpoints", "rotate", endpoint["endpoint"])
            keys = requests.get(f"{server.url}/.well-known/ringback/jwks.json", timeout=10).json()["keys"]
            assert len(keys) == 2
            again = catcher.wait_for(submitted(server))
            assert verify(again.body, again.headers, key["public_key"])["status"] == "completed"


def test_every_server_on_the_store_tells_it(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file, store = folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db"
        with serving(file, store, options=ALLOWED) as one, serving(file, store, options=ALLOWED) as two:
            key = added(one, catcher.url)["endpoint"]
            until(
                lambda: key in [each["endpoint"] for each in rows(two, "endpoints", "list")],
                within=5,
                wanted="the endpoint known to the other server",
            )
            catcher.wait_for(submitted(two))
            two.ringback("endpoints", "remove", key)
            until(
                lambda: key not in [each["endpoint"] for each in rows(one, "endpoints", "list")],
                within=5,
                wanted="the endpoint gone from the first server",
            )


def test_a_trial_and_its_refusal_say_the_same_as_the_registration(tmp_path: Path) -> None:
    with Catcher() as catcher:
        file, store = folder_of(tmp_path / "api"), tmp_path / "store" / "ringback.db"
        with serving(file, store, options=ALLOWED) as server:
            key = added(server, catcher.url)["endpoint"]
            assert "delivered" in server.ringback("endpoints", "test", key)
        reason = (
            "127.0.0.1 is loopback: a URL that is not in the file leads to public addresses, or to what --allow names"
        )
        rung = len(catcher.all())
        with serving(file, store) as server:
            at_registration = ringback("endpoints", "add", catcher.url, "--url", server.url)
            assert at_registration.returncode == 1
            assert reason in at_registration.stderr
            answer = requests.post(f"{server.url}/-/endpoints", json={"url": catcher.url}, timeout=10)
            assert (answer.status_code, reason in answer.json()["detail"]) == (422, True)
            at_submit = requests.post(
                f"{server.url}/echo", json={}, headers={"Ringback-Webhook": catcher.url}, timeout=10
            )
            assert (at_submit.status_code, reason in at_submit.json()["detail"]) == (422, True)
            at_test = ringback("endpoints", "test", key, "--url", server.url)
            assert at_test.returncode == 1
            assert f"guard: {reason}" in at_test.stdout
            workload_id = submitted(server)
            sent = until(lambda: attempts(server, workload_id), within=10, wanted="an attempt")
            assert (sent[0]["outcome"], sent[0]["detail"], sent[0]["address"]) == ("guard", reason, None)
        assert len(catcher.all()) == rung


@pytest.mark.parametrize("verb", ["rotate", "remove"])
def test_for_one_of_the_file_the_cure_is_said(verb: str, tmp_path: Path) -> None:
    file = folder_of(tmp_path / "api", webhook="http://127.0.0.1:9/")
    with serving(file, tmp_path / "store" / "ringback.db") as server:
        told = ringback("endpoints", verb, "echo", "--url", server.url)
        assert told.returncode == 1
        assert "stands in the file" in told.stderr
        assert "read it again (SIGHUP)" in told.stderr


def attempts(server: Server, workload_id: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{server.url}/-/deliveries?api=echo&id={workload_id}", timeout=10).json()
    return [attempt for each in answer["deliveries"] for attempt in each["attempts"]]


def rows(server: Server, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.ringback("--json", *arguments).splitlines()]
