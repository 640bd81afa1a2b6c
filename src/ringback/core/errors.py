"""Everything that can go wrong, as one tree, grouped by what the caller can do about it.

Each `code` is part of the public API (it is the last word of a problem's `type`); the text is not.
No status codes here: only the gateway knows HTTP.
"""

from __future__ import annotations

from typing import ClassVar


class RingbackError(Exception):
    """Root of the tree. `str(error)` is one sentence a user can act on."""

    code: ClassVar[str] = "internal"


# ── Mend the request ────────────────────────────────────────────────────────────────────────────


class InvalidRequest(RingbackError):
    """What was sent cannot be accepted as it is; sending it again will not help."""

    code = "invalid_request"


class InvalidPayload(InvalidRequest):
    """The payload does not match its content type."""

    code = "invalid_payload"


class InvalidHeader(InvalidRequest):
    """A request header's value cannot be read."""

    code = "invalid_header"


class InvalidParameter(InvalidRequest):
    """A query parameter or a path segment cannot be read."""

    code = "invalid_parameter"


class UnsupportedContentType(InvalidRequest):
    """The request has no content type, or one that is no media type."""

    code = "unsupported_content_type"


class PayloadTooLarge(InvalidRequest):
    """The body is over the server's limit."""

    code = "payload_too_large"


class RangeNotSatisfiable(InvalidRequest):
    """A range was asked for that has no byte in it."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, *, size: int = 0) -> None:
        super().__init__(message)
        self.size = size


class ForbiddenTarget(InvalidRequest):
    """A webhook URL that came with the request leads where none may go."""

    code = "forbidden_target"


class MethodNotAllowed(InvalidRequest):
    """The path is right, the method is not."""

    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Unauthorized(InvalidRequest):
    """No API key came with the request, or not a valid one."""

    code = "unauthorized"


class UnknownHost(InvalidRequest):
    """The request asks for a server of another name."""

    code = "unknown_host"


class CrossSite(InvalidRequest):
    """A browser has sent this, and not for one of the server's own pages."""

    code = "cross_site"


class LinkRefused(InvalidRequest):
    """A signed link does not hold, or no longer."""

    code = "link_refused"


# ── Look elsewhere ──────────────────────────────────────────────────────────────────────────────


class NotFound(RingbackError):
    """There is nothing under that name."""

    code = "not_found"


class UnknownApi(NotFound):
    """No API of that name is served."""

    code = "unknown_api"


class UnknownWorkload(NotFound):
    """The API has no workload of that id."""

    code = "unknown_workload"


class UnknownBatch(NotFound):
    """There is no batch of that id."""

    code = "unknown_batch"


class UnknownDelivery(NotFound):
    """There is no delivery of that id."""

    code = "unknown_delivery"


class UnknownEndpoint(NotFound):
    """There is no endpoint of that key."""

    code = "unknown_endpoint"


class UnknownInbox(NotFound):
    """There is no inbox of that id."""

    code = "unknown_inbox"


class UnknownCapture(NotFound):
    """The inbox has no capture of that number, or keeps it no longer."""

    code = "unknown_capture"


class Erased(RingbackError):
    """The workload was here; retention or its owner has erased it."""

    code = "erased"


# ── Look again ──────────────────────────────────────────────────────────────────────────────────


class Conflict(RingbackError):
    """The request was fine; the world has moved on."""

    code = "conflict"


class PreconditionFailed(Conflict):
    """What is there now is not what the request expects (RFC 9110, section 13.1.1)."""

    code = "precondition_failed"


class IdTaken(Conflict):
    """The id, or the idempotency key, already stands for another payload."""

    code = "id_taken"


class AlreadyEnded(Conflict):
    """The workload has ended in another way than was asked for."""

    code = "already_ended"


class CancelAsked(Conflict):
    """Somebody has asked for this workload to end: end it instead of putting it back."""

    code = "cancel_asked"


class LeaseLost(Conflict):
    """Someone else holds this now. Stop working on it."""

    code = "lease_lost"


# ── Wait ────────────────────────────────────────────────────────────────────────────────────────


class Unavailable(RingbackError):
    """Not now. `retry_after_seconds` is a good moment to ask again."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class QueueFull(Unavailable):
    """The API holds as many unfinished workloads as it may."""

    code = "queue_full"


class ApiNotReady(Unavailable):
    """No replica of the API can start; the message carries the reason."""

    code = "api_not_ready"


class StoreBusy(Unavailable):
    """Another process has held the store's write lock for too long."""

    code = "store_busy"


class StoreAway(StoreBusy):
    """The database's server cannot be reached; nothing was accepted."""

    code = "store_away"


class StoreFull(Unavailable):
    """The disk has no room left; nothing was accepted."""

    code = "store_full"


class BlobsUnavailable(Unavailable):
    """Where large payloads and results are kept cannot be reached, or cannot be written to."""

    code = "blobs_unavailable"


class BlobTooOld(Unavailable):
    """A blob has waited for its row for so long that it may be swept; its bytes must be put under a new name."""

    code = "blob_too_old"


class ShuttingDown(Unavailable):
    """The server is draining and takes no new work."""

    code = "shutting_down"


# ── Report ──────────────────────────────────────────────────────────────────────────────────────


class StoreError(RingbackError):
    """The store cannot be opened or has failed; the message says which file and why."""

    code = "store_error"


class BlobLost(StoreError):
    """A blob that a row refers to is not where it was put: somebody else has removed it."""

    code = "blob_lost"


class StoreMoved(StoreError):
    """The store is, or is about to be, in another database; the message says where and what to do."""

    code = "store_moved"


class StoreInUse(StoreError):
    """Servers run on the store, and what was asked for needs it to itself."""

    code = "store_in_use"


class StoreTooNew(StoreError):
    """A newer release wrote this store; this one would misread it."""

    code = "store_too_new"


class SpecError(RingbackError):
    """The file, or what it points to, cannot be served. One line: place, key, what was expected."""

    code = "invalid_file"


class Unreachable(RingbackError):
    """The client could not reach the server, or did not understand its answer."""

    code = "unreachable"


class WorkloadFailed(RingbackError):
    """The result of a workload was asked for that has none, because it failed."""

    code = "workload_failed"

    def __init__(self, message: str, *, type: str) -> None:  # noqa: A002 - the name it has in the answer
        super().__init__(message)
        self.type = type


class VerificationError(RingbackError):
    """A webhook's signature does not hold; the message says why."""

    code = "verification_failed"
