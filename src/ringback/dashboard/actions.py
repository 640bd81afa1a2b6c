"""What the pages' buttons do: each asks the control plane, and leads back to a page that says what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ringback.core.errors import InvalidPayload, UnknownApi
from ringback.core.spec import Api
from ringback.dashboard.asked import PREFIX, STREAM_PATH, Known
from ringback.dashboard.submitting import CONTENT_TYPES, Submitting
from ringback.pages import PAGE_HEADERS, Inside, Pages, Told, visitor_of

DONE: Final[Mapping[str, str]] = {
    "submitted": "Submitted.",
    "cancel": "It is told to stop.",
    "retry": "It runs again.",
    "batch-cancel": "Told to stop: {count}.",
    "batch-retry": "Run again: {count}.",
    "batch-more": "Done for {count} so far; there are more: press the button again.",
    "delete": "Payload, result, log and deliveries are erased.",
    "replay": "Will be sent again: {count}.",
    "skip": "It stands aside; what waited for it goes on.",
    "recover": "Will be sent again: {count}.",
    "enable": "Webhooks go there again.",
    "disable": "It is at rest; its webhooks are kept and wait.",
}
"""What a page says after a button, by the word in its address: nobody can have it say anything else."""

_FIELDS_MOST: Final = 2_000
_MOST_SWEEPS: Final = 4
"""Requests of some seconds each that one press of a button makes."""


class Refused(Exception):
    """The control plane did not do it."""

    def __init__(self, told: Told, back: str) -> None:
        problem = told.value
        super().__init__(problem["detail"])
        self.status = told.status
        self.title: str = problem["title"]
        self.detail: str = problem["detail"]
        self.back = back


class Actions:
    """The routes that take forms."""

    def __init__(self, ask: Inside, known: Known, pages: Pages) -> None:
        self._ask = ask
        self._apis = known.apis
        self._submitting = Submitting(known)
        self._pages = pages

    @property
    def routes(self) -> list[Route]:
        return [
            Route(f"{PREFIX}{path}", handler, methods=["POST"])
            for path, handler in (
                ("/submit", self._submit),
                ("/workloads/{api}/{id}/{verb:str}", self._workload),
                ("/batches/{id}/{verb:str}", self._batch),
                ("/deliveries/replay", self._replay),
                ("/deliveries/recover", self._recover),
                ("/deliveries/{id}/skip", self._skip),
                ("/endpoints/{verb:str}", self._endpoint),
            )
        ]

    async def _submit(self, request: Request) -> Response:
        form = await form_of(request)
        api = self._api(form.get("api", ""))
        payload = form.get("payload", "").replace("\r\n", "\n")
        headers = {"content-type": form.get("content_type", "application/json")}
        told = await self._ask("POST", f"/{api.endpoint}", headers=headers, body=payload.encode("utf-8", "replace"))
        if not told.is_ok:
            return self._form_again(request, api, form, told)
        return _on(f"{PREFIX}/workloads/{api.name}/{quote(told.value['id'], safe='')}", "submitted")

    def _form_again(self, request: Request, api: Api, form: Mapping[str, str], told: Told) -> Response:
        """The form as it was sent, with why it was refused: nothing that was typed is lost."""
        chosen = form.get("content_type", "")
        content_type = chosen if chosen in CONTENT_TYPES else CONTENT_TYPES[0]
        refusal = f"{told.value['title']}: {told.value['detail']}"
        view = self._submitting.filled(api.name, form.get("payload", ""), content_type=content_type, refusal=refusal)
        here = f"{PREFIX}/submit?{urlencode({'api': api.name})}"
        values = {**view.values, "notice": "", "here": here, "stream": STREAM_PATH}
        page = self._pages.render(view.template, values, visitor_of(request.scope), path=view.marks)
        return Response(page, told.status, headers=PAGE_HEADERS)

    async def _workload(self, request: Request) -> Response:
        api, verb = self._api(request.path_params["api"]), request.path_params["verb"]
        workload_id = quote(request.path_params["id"], safe="")
        page = f"{PREFIX}/workloads/{api.name}/{workload_id}"
        path = f"/{api.endpoint}/{workload_id}"
        match verb:
            case "cancel" | "retry":
                await self._done("POST", f"{path}/{verb}", page)
                return _on(page, verb)
            case "delete":
                await self._done("DELETE", path, page)
                return _on(f"{PREFIX}/workloads", verb)
            case _:
                raise InvalidPayload(f"there is no button {verb[:40]!r}")

    async def _batch(self, request: Request) -> Response:
        """Cancel or retry what can be of a batch: a portion at a time, as long as somebody waits for it."""
        verb = request.path_params["verb"]
        if verb not in {"cancel", "retry"}:
            raise InvalidPayload(f"there is no button {verb[:40]!r}")
        batch = quote(request.path_params["id"], safe="")
        page = f"{PREFIX}/batches/{batch}"
        changed, wanted = 0, dict[str, str]()
        for _ in range(_MOST_SWEEPS):
            told = await self._done("POST", f"/-/batches/{batch}/{verb}", page, wanted)
            changed += told.value["changed"]
            if told.value["cursor"] is None:
                return _on(page, f"batch-{verb}", changed)
            if told.value["wait_seconds"] is not None:
                break
            wanted = {"cursor": told.value["cursor"]}
        return _on(page, "batch-more", changed)

    async def _replay(self, request: Request) -> Response:
        pairs = await pairs_of(request)
        ids = [value for name, value in pairs if name == "id"]
        back = _back(dict(pairs))
        if not ids:
            raise InvalidPayload("no delivery was chosen; tick those to be sent again")
        for each in ids:
            await self._done("POST", f"/-/deliveries/{quote(each, safe='')}/replay", back)
        return _on(back, "replay", len(ids))

    async def _skip(self, request: Request) -> Response:
        delivery = quote(request.path_params["id"], safe="")
        page = f"{PREFIX}/deliveries/{delivery}"
        await self._done("POST", f"/-/deliveries/{delivery}/skip", page)
        return _on(page, "skip")

    async def _recover(self, request: Request) -> Response:
        form = await form_of(request)
        back = _back(form)
        wanted = {"endpoint": form.get("endpoint", ""), "since": form.get("since") or None}
        told = await self._done("POST", "/-/deliveries/recover", back, {k: v for k, v in wanted.items() if v})
        return _on(back, "recover", told.value["recovered"])

    async def _endpoint(self, request: Request) -> Response:
        form = await form_of(request)
        verb, back = request.path_params["verb"], f"{PREFIX}/endpoints"
        path = f"/-/endpoints/{quote(form.get('endpoint', ''), safe='')}"
        match verb:
            case "rotate":
                told = await self._done("POST", f"{path}/rotate", back)
                return self._rotated(request, told.value, back)
            case "enable" | "disable":
                await self._done("POST", f"{path}/{verb}", back)
                return _on(back, verb)
            case "test":
                told = await self._done("POST", f"{path}/test", back)
                return RedirectResponse(f"{PREFIX}/deliveries/{told.value['delivery']['id']}", 303)
            case _:
                raise InvalidPayload(f"there is no button {verb[:40]!r}")

    def _rotated(self, request: Request, value: Mapping[str, object], back: str) -> Response:
        """The one page that shows a secret: it is no address that could be come back to."""
        told = {"endpoint": value["endpoint"], "secret": value.get("secret"), "back": back}
        page = self._pages.render("dashboard/rotated.html", told, visitor_of(request.scope), path=back)
        return Response(page, headers=PAGE_HEADERS)

    async def _done(self, method: str, path: str, back: str, value: Mapping[str, object] | None = None) -> Told:
        body = b"" if value is None else orjson.dumps(value)
        headers = {} if value is None else {"content-type": "application/json"}
        told = await self._ask(method, path, headers=headers, body=body)
        if not told.is_ok:
            raise Refused(told, back)
        return told

    def _api(self, name: str) -> Api:
        if name not in self._apis:
            raise UnknownApi(f"no API {name[:80]!r} is served")
        return self._apis[name]


async def pairs_of(request: Request) -> Sequence[tuple[str, str]]:
    """The form's fields in their order, repeated ones as often as they came.

    Raises:
        InvalidPayload: it is no form.
    """
    try:
        text = (await request.body()).decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_FIELDS_MOST)
    except ValueError:
        raise InvalidPayload("the form cannot be read") from None


async def form_of(request: Request) -> dict[str, str]:
    """The form's fields, the last of those that came several times."""
    return dict(await pairs_of(request))


def _back(form: Mapping[str, str]) -> str:
    """Where a list's buttons lead back to: the list as it was filtered."""
    kept = {name: form[name] for name in ("state", "filter") if form.get(name)}
    wanted = {"endpoint" if name == "filter" else name: value for name, value in kept.items()}
    return f"{PREFIX}/deliveries" + (f"?{urlencode(wanted)}" if wanted else "")


def _on(page: str, done: str, count: int | None = None) -> Response:
    mark = "&" if "?" in page else "?"
    number = "" if count is None else f"&count={count}"
    return RedirectResponse(f"{page}{mark}done={done}{number}", 303)
