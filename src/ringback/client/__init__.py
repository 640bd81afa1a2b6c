"""The Python client. Knows HTTP and `core`, nothing of the server."""

from ringback.client.batches import AsyncBatchHandle, BatchHandle
from ringback.client.clients import AsyncClient, Client
from ringback.client.connections import DEFAULT_URL
from ringback.client.handles import AsyncWorkloadHandle, WorkloadHandle
from ringback.client.streams import WorkloadEvent

__all__ = [
    "DEFAULT_URL",
    "AsyncBatchHandle",
    "AsyncClient",
    "AsyncWorkloadHandle",
    "BatchHandle",
    "Client",
    "WorkloadEvent",
    "WorkloadHandle",
]
