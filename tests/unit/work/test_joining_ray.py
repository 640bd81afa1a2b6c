"""Which cluster is joined: the one that is named, or one of this machine's own and no other's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.core.errors import Unavailable
from ringback.work.cluster.engine import join, must_answer


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


async def test_where_nobody_is_that_is_said_at_once_and_ray_is_not_asked() -> None:
    async with asyncio.timeout(10):  # Ray itself would try for two minutes
        with pytest.raises(Unavailable, match=r"no Ray at 127.0.0.1:1 \(RAY_ADDRESS\): .*see that the cluster's head"):
            await must_answer("127.0.0.1:1")
        with pytest.raises(Unavailable, match=r"no Ray at 127\.0\.0\.1:99999"):
            await must_answer("127.0.0.1:99999")


async def test_where_somebody_is_ray_is_asked_and_also_where_only_ray_knows() -> None:
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        await must_answer(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await must_answer("auto")
