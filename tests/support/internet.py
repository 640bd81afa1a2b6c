"""A network of the tests' own in which every address there is leads to us, and every name is answered by us.

For use inside `unshare --map-root-user --mount --net` alone: it changes routes, and what names mean. A connection to
any address at all is accepted and remembered with the address that was dialled, so that a test can see what was not.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final

PUBLIC: Final = "93.184.216.34"
PUBLIC_V6: Final = "2606:4700:4700::1111"
OWN: Final = "198.41.0.4"
"""An address of this machine that looks public."""

_SOURCE: Final = "203.0.113.77"
_SOURCE_V6: Final = "2001:db8:77::1"
_A: Final = 1
_CNAME: Final = 5
_AAAA: Final = 28

Answers = Callable[[int], list[str]]
"""What a name has at its n-th look-up, from 0: addresses, or one `=other.name` for an alias."""


@dataclass(frozen=True, slots=True)
class Landed:
    """One connection that was opened."""

    address: str
    """That was dialled."""
    port: int


@dataclass(frozen=True, slots=True)
class Came:
    """One request that came over one."""

    address: str
    path: str
    host: str


@dataclass(slots=True)
class Internet:
    """What leads where, and what has come."""

    zone: dict[str, Answers] = field(default_factory=dict)
    silent: str = ".silent.test"
    """Names that end so are never answered for."""
    landed: list[Landed] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)

    def name(self, name: str, *answers: list[str]) -> str:
        """Give a name these addresses, one list for each look-up, the last one for ever."""
        self.zone[name] = lambda nth: answers[min(nth, len(answers) - 1)]
        return name

    def addresses(self) -> set[str]:
        """Those that were dialled."""
        return {each.address for each in self.landed}


def lead_everything_here(folder: Path) -> None:
    """Set routes and names up; once, inside the namespaces.

    Raises:
        RuntimeError: this is the machine's own network, which would be gone.
    """
    if others := [name for _, name in socket.if_nameindex() if name != "lo"]:
        raise RuntimeError(f"not in a network of its own, but in one with {', '.join(others)}: nothing was changed")
    for command in (
        "ip link set lo up",
        f"ip addr add {_SOURCE}/32 dev lo",
        f"ip addr add {OWN}/32 dev lo",
        f"ip -6 addr add {_SOURCE_V6}/128 dev lo",
        f"ip route add local 0.0.0.0/0 dev lo src {_SOURCE}",
        f"ip -6 route add local ::/0 dev lo src {_SOURCE_V6}",
    ):
        subprocess.run(command.split(), check=True, capture_output=True, timeout=10)
    for path, text in (
        ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n"),
        ("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {socket.gethostname()} thismachine\n"),
        ("/etc/nsswitch.conf", "hosts: files dns\n"),
    ):
        if not Path(path).exists():
            continue  # a machine without it knows its default, which is the same
        ours = folder / Path(path).name
        ours.write_text(text)
        subprocess.run(["mount", "--bind", str(ours), path], check=True, capture_output=True, timeout=10)


@contextlib.contextmanager
def answering(internet: Internet, *ports: int, tls: dict[int, ssl.SSLContext] | None = None) -> Iterator[None]:
    """Be the name server, and the receiver at every address, until the end of the block."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_running(_names(internet)))
        for port in ports:
            stack.enter_context(_running(_Everywhere(port, internet)))
        for port, context in (tls or {}).items():
            server = _Everywhere(port, internet)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            stack.enter_context(_running(server))
        yield


@contextlib.contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Everywhere(ThreadingHTTPServer):
    """Listens at every address of both families."""

    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, internet: Internet) -> None:
        self._internet = internet
        super().__init__(("::", port), _handler(internet))

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def get_request(self) -> tuple[Any, Any]:
        connection, peer = super().get_request()
        self._internet.landed.append(Landed(dialled(connection), self.server_port))
        return connection, peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a handshake that fails is what some tests are about."""


def dialled(connection: socket.socket) -> str:
    """The address at our end, which is the one that was dialled."""
    address = ip_address(str(connection.getsockname()[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _handler(internet: Internet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            internet.came.append(Came(dialled(self.connection), self.path, self.headers["Host"]))
            where = self.path.partition("?to=")[2]
            self.send_response(307 if where else 200)
            if where:
                self.send_header("Location", where)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    return Handler


# ── Names ───────────────────────────────────────────────────────────────────────────────────────


def _names(internet: Internet) -> socketserver.BaseServer:
    class Asked(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            message, sender = self.request
            answer = _answer(internet, message)
            if answer is not None:
                sender.sendto(answer, self.client_address)

    return socketserver.UDPServer(("127.0.0.1", 53), Asked)


def _answer(internet: Internet, message: bytes) -> bytes | None:
    """A name server's answer (RFC 1035, section 4.1), which nobody may keep."""
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    name, [kind] = ".".join(labels).lower(), struct.unpack("!H", message[at + 1 : at + 3])
    if name.endswith(internet.silent):
        internet.asked[name] += 1
        return None
    records = _records(internet, name, kind)
    code = 3 if records is None else 0
    head = message[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records or []), 0, 0)
    return head + message[12 : at + 5] + b"".join(records or [])


def _records(internet: Internet, name: str, kind: int) -> list[bytes] | None:
    """What there is of that kind; None if there is no such name."""
    if name not in internet.zone:
        return None
    if kind == _A:  # the system asks for both kinds at each look-up, for this one first
        internet.asked[name] += 1
    found = internet.zone[name](max(0, internet.asked[name] - 1))
    if found and found[0].startswith("="):
        alias = found[0].removeprefix("=")
        text = b"".join(bytes([len(label)]) + label.encode() for label in alias.split(".")) + b"\0"
        return [_record(b"\xc0\x0c", _CNAME, text), *_of_kind(internet.zone[alias](0), kind, owner=text)]
    return _of_kind(found, kind, owner=b"\xc0\x0c")


def _of_kind(addresses: list[str], kind: int, *, owner: bytes) -> list[bytes]:
    wanted = {_A: IPv4Address, _AAAA: IPv6Address}.get(kind)
    parsed = (ip_address(text.partition("%")[0]) for text in addresses)
    return [_record(owner, kind, each.packed) for each in parsed if wanted is not None and isinstance(each, wanted)]


def _record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, 0, len(data)) + data
