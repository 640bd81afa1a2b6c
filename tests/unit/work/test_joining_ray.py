"""Which cluster is joined: the one that is named, or one of this machine's own and no other's."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.work.cluster.engine import join


class Asked:
    """Stands where `ray` does, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    def init(self, **settings: Any) -> None:
        self.settings = settings


def test_without_a_name_it_is_a_cluster_of_ones_own_whichever_others_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # which joining sets, and the test puts back
    asked = Asked()
    join(asked, None)
    assert asked.settings["address"] == "local"
    assert asked.settings["_node_ip_address"] == "127.0.0.1"


def test_one_that_is_named_is_joined_as_it_is() -> None:
    asked = Asked()
    join(asked, "head:6379")
    assert asked.settings["address"] == "head:6379"
    assert "object_store_memory" not in asked.settings
