"""Errors as HTTP: the one table from our tree to status codes, and problem details (RFC 9457).

A problem's `type` ends with the error's code, which is part of the public API; title and detail are for people. Where
the store and the blobs are is for the operator alone: callers are told what to do, the log is told the rest.
"""

from __future__ import annotations

from typing import Final

import orjson

from ringback.core import errors
from ringback.gateway.answers import Answer, Headers

STATUS: Final[dict[type[errors.RingbackError], tuple[int, str]]] = {
    errors.InvalidRequest: (400, "The request cannot be accepted"),
    errors.InvalidPayload: (400, "The payload does not match its content type"),
    errors.InvalidHeader: (400, "A header cannot be read"),
    errors.InvalidParameter: (400, "A parameter cannot be read"),
    errors.UnsupportedContentType: (415, "The content type cannot be accepted"),
    errors.PayloadTooLarge: (413, "The payload is too large"),
    errors.RangeNotSatisfiable: (416, "There is nothing in that range"),
    errors.ForbiddenTarget: (422, "The webhook URL cannot be used"),
    errors.MethodNotAllowed: (405, "The method is not allowed here"),
    errors.Unauthorized: (401, "An API key is needed"),
    errors.UnknownHost: (421, "The server goes by another name"),
    errors.CrossSite: (403, "Another site may not ask for this"),
    errors.LinkRefused: (403, "The link does not hold"),
    errors.NotFound: (404, "There is nothing here"),
    errors.UnknownApi: (404, "There is no such API"),
    errors.UnknownWorkload: (404, "There is no such workload"),
    errors.UnknownBatch: (404, "There is no such batch"),
    errors.UnknownDelivery: (404, "There is no such delivery"),
    errors.UnknownEndpoint: (404, "There is no such endpoint"),
    errors.UnknownInbox: (404, "There is no such inbox"),
    errors.UnknownCapture: (404, "There is no such capture"),
    errors.Erased: (410, "The workload has been erased"),
    errors.Conflict: (409, "The world has moved on"),
    errors.PreconditionFailed: (412, "It is not what was expected"),
    errors.AlreadyEnded: (409, "The workload has ended already"),
    errors.IdTaken: (409, "The id stands for another payload"),
    errors.Unavailable: (503, "Not now"),
    errors.QueueFull: (503, "The queue is full"),
    errors.ApiNotReady: (503, "No replica can start"),
    errors.StoreBusy: (503, "The store is busy"),
    errors.StoreAway: (503, "The store cannot be reached"),
    errors.StoreFull: (503, "The store's disk is full"),
    errors.BlobsUnavailable: (503, "The blobs cannot be reached"),
    errors.ShuttingDown: (503, "The server is shutting down"),
}

_FOR_CALLERS: Final[dict[type[errors.RingbackError], str]] = {
    errors.StoreBusy: "the server's store has too much to do: try again in {seconds} s",
    errors.StoreAway: "the server's store cannot be reached just now: try again in {seconds} s",
    errors.StoreFull: "the server's disk has no room left for it: try again in {seconds} s",
    errors.BlobsUnavailable: "large payloads and results cannot be reached just now: try again in {seconds} s",
    errors.BlobLost: "the bytes are no longer where the server had put them; its log says more",
    errors.StoreError: "the server's store has failed; its log says why",
}
"""What is told of errors whose own words name hosts, users and files of the server's."""

_INTERNAL: Final = (500, "Something is wrong with the server")


def problem(error: errors.RingbackError) -> Answer:
    """The answer that tells of `error`."""
    status, title = _status_and_title(error)
    text = detail_of(error).encode("utf-8", "replace").decode()
    body = orjson.dumps(
        {"type": f"urn:ringback:problem:{error.code}", "title": title, "status": status, "detail": text}
    )
    headers: Headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
    if isinstance(error, errors.Unavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
    if isinstance(error, errors.MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, errors.RangeNotSatisfiable):
        headers.append((b"content-range", b"bytes */%d" % error.size))
    if isinstance(error, errors.Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, errors.PayloadTooLarge | errors.ShuttingDown):
        # The rest of the body is not read; the connection cannot be used for another request.
        headers.append((b"connection", b"close"))
    return status, headers, body


def detail_of(error: errors.RingbackError) -> str:
    """What a caller is told to do about it, in one sentence."""
    for each in type(error).__mro__:
        if each in _FOR_CALLERS:
            return _FOR_CALLERS[each].format(seconds=getattr(error, "retry_after_seconds", 0))
    return str(error)


def is_for_operators(error: errors.RingbackError) -> bool:
    """Whether its own words are for the log alone."""
    return any(each in _FOR_CALLERS for each in type(error).__mro__)


def title_of(error: errors.RingbackError) -> str:
    """The problem in a few words."""
    return _status_and_title(error)[1]


def _status_and_title(error: errors.RingbackError) -> tuple[int, str]:
    return next((STATUS[each] for each in type(error).__mro__ if each in STATUS), _INTERNAL)


def internal() -> errors.RingbackError:
    """What a caller is told of a fault that is ours; the log knows more."""
    return errors.RingbackError("the server failed to answer; its log says why")
