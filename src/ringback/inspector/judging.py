"""Whether captures verify, and which deliveries of this store they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ringback.core.clock import SECOND
from ringback.core.delivery import DeliveryRecord
from ringback.core.diagnosis import Evidence, Finding, Reason, diagnose
from ringback.core.errors import UnknownCapture
from ringback.core.inbox import CAPTURE_PATH, Capture, Inbox
from ringback.core.rotation import EndpointKey
from ringback.core.spec import Api, Endpoint
from ringback.store.contract import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What an inbox's captures are verified with."""

    texts: tuple[str, ...]
    former: tuple[EndpointKey, ...]
    source: str | None
    """Where they are from: `inbox`, or the keys of the endpoints that ring it; None when there are none."""


class Judge:
    """Judges captures by the secret of their inbox, or of the endpoints that lead there: the file's, and registered."""

    def __init__(self, store: Store, apis: Sequence[Api]) -> None:
        self._store = store
        self._endpoints = _by_inbox(apis)

    @property
    def served(self) -> Mapping[str, Sequence[Endpoint]]:
        """The inboxes, by id, that endpoints of the file lead to."""
        return self._endpoints

    def secrets_of(self, inbox: Inbox) -> Secrets:
        """What its captures are verified with: its own secrets, else those of the endpoints that ring it."""
        settings = inbox.settings
        former = tuple(EndpointKey(secret=each) for each in settings.former_secrets)
        if settings.secrets:
            return Secrets(texts=settings.secrets, former=former, source="inbox")
        registered = (each.endpoint for each in self._store.registrations())
        leading = (each for each in registered if inbox_id_of(urlsplit(each.url).path) == inbox.id)
        endpoints = [each for each in (*self._endpoints.get(inbox.id, ()), *leading) if each.secret]
        return Secrets(
            texts=tuple(each.secret for each in endpoints if each.secret),
            former=(*(key for each in endpoints for key in each.former), *former),
            source=", ".join(each.key for each in endpoints) or None,
        )

    async def judge(self, inbox: Inbox, capture: Capture) -> Finding:
        """The verdict on one capture, listed or whole."""
        secrets = self.secrets_of(inbox)
        if secrets.texts and not capture.arrival.is_cut and capture.arrival.size_bytes > len(capture.arrival.body):
            try:
                capture = await self._store.inboxes.one(capture.inbox_id, capture.number)
            except UnknownCapture:  # dropped this very moment
                return Finding(reason=Reason.CUT, sentence="it is kept no longer")
        finding = diagnose(_evidence(capture, None), secrets.texts, secrets.former)
        if finding.reason is Reason.NO_MATCH and capture.arrival.message_id is not None:
            for _, sent in await self._store.inboxes.sent(capture.arrival.message_id):
                finding = diagnose(_evidence(capture, sent), secrets.texts, secrets.former)
                if finding.reason is not Reason.NO_MATCH:
                    break
        return finding

    async def deliveries_of(self, message_id: str) -> Sequence[DeliveryRecord]:
        """The deliveries that a captured `webhook-id` belongs to, if it was sent from this store."""
        return [record for record, _ in await self._store.inboxes.sent(message_id)]


def inbox_id_of(path: str) -> str | None:
    """The inbox that a URL's path leads to."""
    rest = path.removeprefix(f"{CAPTURE_PATH}/")
    return None if rest == path else rest.partition("/")[0] or None


def _by_inbox(apis: Sequence[Api]) -> dict[str, list[Endpoint]]:
    found: dict[str, list[Endpoint]] = {}
    for api in apis:
        for hook in api.webhooks:
            inbox_id = inbox_id_of(urlsplit(hook.url).path)
            if inbox_id is not None:
                found.setdefault(inbox_id, []).append(hook)
    return found


def _evidence(capture: Capture, sent: bytes | None) -> Evidence:
    arrival = capture.arrival
    return Evidence(
        head=arrival.head,
        body=arrival.body,
        received_at_seconds=arrival.received_at // SECOND,
        is_cut=arrival.is_cut,
        sent=sent,
    )
