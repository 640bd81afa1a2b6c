"""Results and payloads on their way out: from the row or from a blob, whole or in part.

Of a blob there is never more in memory than a few pieces.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.core.blob import JSON, Blob
from ringback.core.clock import after
from ringback.core.errors import BlobsUnavailable, MethodNotAllowed, NotFound
from ringback.core.links import EXPIRES, LINK_SECONDS, RESULTS_PATH, SIGNATURE, check_link, result_path, signed_link
from ringback.core.spec import Api
from ringback.core.workload import Workload
from ringback.gateway import incoming
from ringback.gateway.control import find_api
from ringback.gateway.incoming import Receive, Scope, Send
from ringback.gateway.methods import METHODS
from ringback.gateway.ranges import Part, Unchanged, Whole, wanted
from ringback.store.blobs import Large
from ringback.store.contract import Store

_METHODS: Final = list(METHODS)
_LINK_PARAMETERS: Final = frozenset({EXPIRES, SIGNATURE})
_HEADERS: Final = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    # What a predictor made may be HTML; shown in a browser it must not act as a page of this server.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


_WHOLE: Final = 2**31 - 1
"""More than any row holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is answered with."""

    name: str
    """Stands for these very bytes, as an entity tag does."""
    content_type: str
    body: bytes
    blob: Blob | None


class Results:
    """Answers with results and payloads, and tells where results are."""

    def __init__(self, store: Store, apis: Mapping[str, Api], large: Large | None, public_url: str) -> None:
        self._store = store
        self._apis = apis
        self._large = large
        self._public_url = public_url

    @property
    def routes(self) -> list[Route]:
        return [
            Route(f"{RESULTS_PATH}/{{name}}/{{workload_id}}", self._linked, methods=_METHODS),
            Route("/{api}/{workload_id}/result", self._of_workload, methods=_METHODS),
            Route("/{api}/{workload_id}/payload", self._payload, methods=_METHODS),
        ]

    def url_of(self, workload: Workload) -> str:
        """A link to the result that needs no key and holds for a week."""
        until = after(self._store.clock.now(), LINK_SECONDS)
        path = result_path(workload.api, workload.id)
        return signed_link(self._public_url, path, self._store.link_key, until)

    async def _of_workload(self, request: Request) -> Response:
        api = find_api(self._apis, request.path_params["api"])
        return self._answer(request, await self._store.get(api.name, request.path_params["workload_id"]))

    async def _linked(self, request: Request) -> Response:
        """For whoever has the signed link, until it expires."""
        query = incoming.parameters_of(request.scope, _LINK_PARAMETERS)
        check_link(request.url.path, query, self._store.link_key, self._store.clock.now())
        return self._answer(
            request, await self._store.get(request.path_params["name"], request.path_params["workload_id"])
        )

    async def _payload(self, request: Request) -> Response:
        """What was submitted, to whoever may ask: as a file to keep, for it is anybody's."""
        _must_be_read(request)
        api, workload_id = find_api(self._apis, request.path_params["api"]), request.path_params["workload_id"]
        found = await self._store.payload(api.name, workload_id, most_bytes=_WHOLE)
        digest = hashlib.sha256(found.body).hexdigest()[:32]
        kept = _Kept(name=digest, content_type=found.content_type, body=found.body, blob=found.blob)
        disposition = f'attachment; filename="{api.name}-{workload_id}-payload"'
        return self._sent(request, kept, {"Content-Disposition": disposition})

    def _answer(self, request: Request, workload: Workload) -> Response:
        """The result, or what the request wants of it.

        Raises:
            MethodNotAllowed, PreconditionFailed, RangeNotSatisfiable: as by `_sent`.
            NotFound: the workload has none.
        """
        _must_be_read(request)
        if workload.blob is None and workload.result is None:
            raise NotFound(f"workload {workload.id} has no result: it is {workload.status.value}")
        # A workload completes once, so this is a strong validator.
        name = f"{workload.seq}-{workload.attempt}"
        kept = _Kept(name=name, content_type=JSON, body=workload.result or b"", blob=workload.blob)
        return self._sent(request, kept, {})

    def _sent(self, request: Request, kept: _Kept, headers: Mapping[str, str]) -> Response:
        """What is kept, or what the request wants of it.

        Raises:
            PreconditionFailed: the client expects something else.
            RangeNotSatisfiable: the range that is asked for has nothing in it.
            BlobsUnavailable: it is a blob, and there is no place for them here.
        """
        blob, text = kept.blob, kept.body
        size, kind = (len(text), kept.content_type) if blob is None else (blob.size_bytes, blob.content_type)
        etag = f'"{kept.name}"' if blob is None else f'"{blob.key}"'  # a blob never changes
        headers = {**_HEADERS, **headers, "ETag": etag}
        match wanted(request.method, request.headers, etag=etag, size=size):
            case Unchanged():
                return Response(status_code=304, headers=headers)
            case Part(start=start, stop=stop):
                status = 206
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
            case Whole():
                start, stop, status = 0, size, 200
        headers |= {"Content-Type": kind, "Content-Length": str(stop - start)}
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        if blob is None:
            return Response(text[start:stop], status, headers)
        if self._large is None:
            raise BlobsUnavailable("this server has no place for blobs")
        return _Streamed(self._large.blobs.read(blob, start, stop), status, headers)


def _must_be_read(request: Request) -> None:
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(f"{request.url.path} can only be read", allowed=("GET", "HEAD"))


class _Streamed(Response):
    """An answer whose body comes in pieces; it begins only when the first is there, and ends when the client leaves."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, headers)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        left = asyncio.ensure_future(incoming.left(receive))
        try:
            async with aclosing(self._pieces) as pieces:
                first = await anext(pieces, b"")
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": first, "more_body": True})
                async for piece in pieces:
                    if left.done():
                        return
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            left.cancel()
