"""Which addresses webhooks may be sent to. Pure: names are resolved elsewhere, every address is judged here.

Trust follows who wrote the URL. One in the file is the operator's own word and may lead to private addresses; one that
came with a request is a guest's and may lead to public ones only, and to what the operator allows. Link-local and
metadata addresses are for nobody: no webhook lives there, and whoever reaches them can become the machine.

What counts is the judgement of the address that is dialled, at every connection; any earlier one is a courtesy.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from ringback.core.errors import SpecError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Trust(StrEnum):
    """Whose word a URL is."""

    OPERATOR = "operator"
    GUEST = "guest"


Resolve = Callable[[str, Trust], Awaitable[Sequence[str]]]
"""From a name to all of its addresses, as text; raises `socket.gaierror`. Whose word the name is decides who may be
held up by a name server that does not answer."""


def _nets(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


_NEVER: Final = (
    ("link-local", _nets("169.254.0.0/16", "fe80::/10")),
    # Metadata services with addresses that look like others: Azure, Oracle, Alibaba; over IPv6 AWS (with EKS's
    # credentials, ::23), Google, Oracle, Alibaba, Scaleway, Linode.
    (
        "a metadata service",
        _nets(
            "168.63.129.16",
            "192.0.0.192",
            "100.100.100.200",
            "fd00:ec2::/32",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:100::100:200",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
        ),
    ),
)

_NOT_PUBLIC: Final = (
    ("loopback", _nets("127.0.0.0/8", "::1")),
    ("private", _nets("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("shared by a carrier's customers", _nets("100.64.0.0/10")),
    ("this machine", _nets("0.0.0.0/8", "::")),
    ("multicast", _nets("224.0.0.0/4", "ff00::/8")),
    # iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
    (
        "reserved",
        _nets(
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "2620:4f:8000::/48",
            "3fff::/20",
        ),
    ),
)

_PUBLIC_V6: Final = IPv6Network("2000::/3")
"""The only IPv6 addresses that are given out to the public at all."""

_OTHER_PORTS: Final = frozenset(
    {
        # What browsers refuse, because something else than HTTP listens there (fetch.spec.whatwg.org/#port-blocking).
        *(
            1,
            7,
            9,
            11,
            13,
            15,
            17,
            19,
            20,
            21,
            22,
            23,
            25,
            37,
            42,
            43,
            53,
            69,
            77,
            79,
            87,
            95,
            101,
            102,
            103,
            104,
            109,
            110,
        ),
        *(111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531),
        *(532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190),
        *(5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
        # Databases and caches, of which some take commands from anything that looks like lines.
        *(1433, 1521, 2375, 2379, 3306, 5432, 5672, 6379, 9042, 9092, 11211, 27017),
    }
)

_HOST: Final = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


class Guard:
    """Judges addresses; knows what the operator lets guests reach besides the public."""

    __slots__ = ("_hosts", "_is_own", "_networks")

    def __init__(self, allow: Iterable[str] = (), *, is_own: Callable[[str], bool] = lambda _: False) -> None:
        """Say who may go where.

        Args:
            allow: the entries of `--allow`: hosts (`hooks.internal`, `*.corp.example`), addresses and networks.
            is_own: whether an address is one of this machine's own, public as it may look: whatever listens there is
                reached without passing any firewall.

        Raises:
            SpecError: an entry is none of these.
        """
        self._is_own = is_own
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        for entry in allow:
            self._allow(entry.strip())

    def refusal(self, trust: Trust, host: str, port: int, addresses: Iterable[str]) -> str | None:
        """Why no request may go to a host that has these addresses; None when it may go to any of them.

        One bad address refuses the name: which of them is dialled is nobody's choice but chance's.

        Args:
            trust: whose word the URL is.
            host: the name in the URL.
            port: the port in the URL.
            addresses: all that it resolves to, as text, with or without a scope.
        """
        for text in addresses:
            why = self._refusal_of(trust, host, port, _parsed(text))
            if why is not None:
                return why
        return None

    def refusal_of_unnamed(self, host: str, addresses: Iterable[str]) -> str | None:
        """Why no request may go to a host that has these addresses, where only what the operator named may be reached.

        As `refusal`, for requests that somebody who looks at the server has sent on: they reach nothing else, not
        even what is public.
        """
        for text in addresses:
            address = _parsed(text)
            told = f"{host} is" if host == str(address) else f"{host} is at {address}, which is"
            if (kind := _kind_of((address, *embedded(address)), _NEVER)) is not None:
                return f"{told} {kind}: nothing is ever sent there"
            if not (self.allows_host(host) or _within((address,), self._networks)):
                return f"{told} not among what requests are sent on to: name it with --allow"
        return None

    def allows_host(self, host: str) -> bool:
        """Whether the operator lets guests reach this name wherever it leads."""
        name = host.lower().rstrip(".")
        return any(name.endswith(entry[1:]) if entry.startswith("*.") else name == entry for entry in self._hosts)

    def _refusal_of(self, trust: Trust, host: str, port: int, address: Address) -> str | None:
        told = f"{host} is" if host == str(address) else f"{host} is at {address}, which is"
        forms = (address, *embedded(address))
        if (kind := _kind_of(forms, _NEVER)) is not None:
            return f"{told} {kind}: no webhook is ever sent there"
        if trust is Trust.OPERATOR or self.allows_host(host) or _within((address,), self._networks):
            return None
        kind = _kind_of(forms, _NOT_PUBLIC)
        if kind is None and isinstance(address, IPv6Address) and address not in _PUBLIC_V6:
            kind = "not public"
        if kind is None and self._is_own(str(address)):
            kind = "an address of this machine"
        if kind is None and port in _OTHER_PORTS:
            return (
                f"port {port} of {host} is not one where webhooks are received: "
                "a URL that is not in the file leads there only if --allow names it"
            )
        if kind is None:
            return None
        return f"{told} {kind}: a URL that is not in the file leads to public addresses, or to what --allow names"

    def _allow(self, entry: str) -> None:
        try:
            network = ip_network(entry)
        except ValueError as error:
            if "/" in entry or re.fullmatch(r"[\d.:]*", entry):
                raise SpecError(f"--allow {entry!r} is no network: {error}") from None
            name = entry.lower().rstrip(".")
            if _HOST.fullmatch(name) is None:
                raise SpecError(
                    f"--allow {entry!r} is no host and no network; write hooks.example, *.example or 10.0.0.0/8"
                ) from None
            self._hosts.add(name)
            return
        for kind, never in _NEVER:
            if any(network.version == net.version and network.subnet_of(net) for net in never):  # type: ignore[arg-type]
                raise SpecError(f"--allow {entry!r} is {kind}: no webhook is ever sent there; leave it out")
        self._networks.append(network)


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address carries inside, in any of the ways there are."""
    if isinstance(address, IPv4Address):
        return ()
    bits = int(address)
    low = IPv4Address(bits & 0xFFFF_FFFF)
    high = bits >> 32
    found = []
    if high in _LOW_CARRIERS:
        found.append(low)
    if bits >> 80 == _LOCAL_NAT64:
        found.append(low)
        found.extend(_in_a_prefix(bits, length) for length in (48, 56, 64))
    if high & 0xFFFF_FFFF in _ISATAP:
        found.append(low)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    return tuple(found)


def _in_a_prefix(bits: int, length: int) -> IPv4Address:
    """The IPv4 address after a NAT64 prefix of so many bits, around the octet that is never used (RFC 6052, 2.2)."""
    without_octet = bits >> 64 << 56 | bits & (1 << 56) - 1
    return IPv4Address(without_octet >> (120 - length - 32) & 0xFFFF_FFFF)


_LOW_CARRIERS: Final = frozenset(
    {
        0,  # compatible, ::/96 (RFC 4291, section 2.5.5.1)
        0xFFFF,  # mapped, ::ffff:0:0/96 (section 2.5.5.2)
        0xFFFF_0000,  # translated, ::ffff:0:0:0/96 (RFC 2765)
        0x0064_FF9B << 64,  # NAT64, 64:ff9b::/96 (RFC 6052)
    }
)
_LOCAL_NAT64: Final = 0x0064_FF9B_0001  # 64:ff9b:1::/48 (RFC 8215)
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})  # RFC 5214, section 6.1


def _kind_of(forms: Iterable[Address], kinds: Iterable[tuple[str, tuple[Network, ...]]]) -> str | None:
    return next((kind for kind, networks in kinds if _within(forms, networks)), None)


def _within(addresses: Iterable[Address], networks: Iterable[Network]) -> bool:
    return any(address.version == net.version and address in net for address in addresses for net in networks)


def _parsed(text: str) -> Address:
    return ip_address(text.partition("%")[0])
