"""HTTP in: the listening socket, and uvicorn as this house wants it. Only this and `connections` know uvicorn."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from typing import Any, Final

import uvicorn

from ringback.core.errors import RingbackError
from ringback.runtime.connections import Connection, InspectedConnection

_BACKLOG: Final = 2_048
_KEEP_ALIVE_SECONDS: Final = 75


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        RingbackError: the address cannot be had; the message says what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # the latter for what cannot be a host's name
        reason = error.strerror if isinstance(error, OSError) else "no host name"
        raise RingbackError(f"--host {host[:80]!r} is no address of this machine: {reason}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise RingbackError(
            f"cannot listen on {host}:{port} ({(error.strerror or str(error)).lower()}): "
            "stop what listens there, or choose another --port"
        ) from error
    listener.setblocking(False)
    return listener


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handling: the order of the end is ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def http_server(
    app: Any, *, keep_alive_seconds: int = _KEEP_ALIVE_SECONDS, is_inspected: bool = False
) -> uvicorn.Server:
    """A server for an ASGI application that leaves signals, logs and the order of the end to others.

    Args:
        app: the application.
        keep_alive_seconds: how long a connection may be idle.
        is_inspected: whether inboxes among it want to know more of a request than ASGI tells.
    """
    return _Uvicorn(
        uvicorn.Config(
            app,
            http=InspectedConnection if is_inspected else Connection,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=1,
        )
    )


def url_of(listener: socket.socket) -> str:
    """The address at which a socket listens, which may be every address there is."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_url_of(listener: socket.socket) -> str:
    """Where a listening socket is reached from this machine."""
    url = url_of(listener)
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
