"""The first page: what is served, how it goes, what wants looking at, what came last."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from ringback.core.agreement import digests
from ringback.core.delivery import DeliveryState
from ringback.core.roles import Role
from ringback.core.spec import Api
from ringback.core.urls import shown_url
from ringback.dashboard.asked import Asked, Known, View
from ringback.dashboard.figures import charts
from ringback.store.contract import Backlog, QueueDepth, ReplicaState

_LATEST: Final = 8
_NAMED: Final = 2
"""Servers that are named before the others are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRow:
    """One API as it stands."""

    api: Api
    replicas: ReplicaState
    depth: QueueDepth

    @property
    def state(self) -> tuple[str, str]:
        """How it is, as a class and a word."""
        if self.replicas.problem is not None and not self.replicas.ready:
            return "bad", "cannot start"
        if self.replicas.ready:
            return "good", "ready"
        if self.replicas.starting:
            return "busy", self.replicas.preparing or "starting"
        if self.replicas.asleep:
            return "wait", "asleep"
        return "wait", "no replica"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """Something that wants looking at."""

    kind: str
    """`bad` or `warn`."""
    words: str
    path: str
    link: str


class Overview:
    """Makes the first page."""

    def __init__(self, known: Known) -> None:
        self._known = known

    async def __call__(self, asked: Asked) -> View:  # noqa: ARG002 - it has no parameters
        known = self._known
        depths, backlogs, page, parked = await asyncio.gather(
            known.store.depths(),
            known.store.backlogs(),
            known.store.page(list(known.apis), status=None, limit=_LATEST, cursor=None),
            known.store.find_deliveries(endpoint=None, state=DeliveryState.PARKED, limit=_LATEST, cursor=None),
        )
        rows = [
            ApiRow(api=api, replicas=known.store.replicas(api.name), depth=depths.get(api.name, QueueDepth()))
            for api in known.apis.values()
        ]
        return View(
            template="dashboard/overview.html",
            values={
                "charts": charts(known.hour.window()),
                "rows": rows,
                "concerns": self._concerns(rows, backlogs),
                "workloads": page.workloads,
                "parked": parked.deliveries,
            },
        )

    def _lacking(self, rows: list[ApiRow]) -> list[Concern]:
        """What waits because no server does it."""
        store = self._known.store
        found = [
            Concern(
                kind="warn",
                words=f"No server runs {row.api.name}: what is submitted waits until one is started that has "
                "the worker role, and this API in its file",
                path=f"/-/ui/apis/{row.api.name}",
                link="Look at the API",
            )
            for row in rows
            if not store.serving(row.api.name) and row.state[0] != "bad"
        ]
        if not store.roster(Role.DISPATCHER):
            words = "No server sends webhooks: they wait until one with the dispatcher role is started"
            found.append(Concern(kind="warn", words=words, path="/-/ui/deliveries?state=pending", link="Look"))
        return found

    def _differing(self, rows: list[ApiRow]) -> list[Concern]:
        """What other servers have another file of."""
        others = [fellow.about for fellow in self._known.store.fellows()]
        own = digests(row.api for row in rows)
        return [
            Concern(
                kind="warn",
                words=f"Of {row.api.name}, another file is served by {_several(having)}: as while a new one is rolled "
                "out; if it stays so, give all servers the same",
                path=f"/-/ui/apis/{row.api.name}",
                link="Look at the API",
            )
            for row in rows
            if (having := [each.server for each in others if each.apis.get(row.api.name) != own[row.api.name]])
        ]

    def _concerns(self, rows: list[ApiRow], backlogs: Mapping[str, Backlog]) -> list[Concern]:
        found = [
            Concern(
                kind="bad",
                words=f"No replica of {row.api.name} can start: {row.replicas.problem}",
                path=f"/-/ui/apis/{row.api.name}",
                link="Look at the API",
            )
            for row in rows
            if row.state[0] == "bad"
        ]
        found += [*self._lacking(rows), *self._differing(rows)]
        for key in sorted({*backlogs, *self._known.endpoints}):
            backlog = backlogs.get(key)
            pause = self._known.store.paused(key)
            if pause is not None:
                words = f"{shown_url(key)} is at rest: {pause.reason}"
            elif key in self._known.hour.tripped:
                words = f"{shown_url(key)} does not work and is being probed"
            elif backlog is not None and backlog.parked:
                words = f"{shown_url(key)} has deliveries that were given up on"
            else:
                continue
            waiting = "" if backlog is None else f" ({backlog.parked} parked, {backlog.pending} pending)"
            name = quote(key, safe="")  # a guest's is a URL
            path = f"/-/ui/endpoints#{name}" if pause is not None else f"/-/ui/deliveries?state=parked&endpoint={name}"
            found.append(Concern(kind="warn", words=words + waiting, path=path, link="Look"))
        return found


def _several(servers: list[str]) -> str:
    more = len(servers) - _NAMED
    return " and ".join([*sorted(servers)[:_NAMED], *([f"{more} more"] if more > 0 else [])])
