"""How often a login may be tried with a wrong key: so often at once, then at a pace; for each address and for all.

Pure but for the clock. Bounded: of very many addresses those that failed last are remembered, and all share one pace.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from ringback.core.clock import SECOND, Clock

MOST_ADDRESSES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """So many at once, and one more each time so many seconds have passed."""

    at_once: int
    seconds: float

    @property
    def step_us(self) -> int:
        return round(self.seconds * SECOND)


OF_ONE: Final = Pace(at_once=10, seconds=6.0)
OF_ALL: Final = Pace(at_once=100, seconds=0.6)


class Tries:
    """Counts wrong keys.

    A pace is kept as one moment, that at which everything is forgotten: each wrong key puts it off by a step (the
    generic cell rate algorithm).
    """

    def __init__(self, clock: Clock, *, of_one: Pace = OF_ONE, of_all: Pace = OF_ALL) -> None:
        self._clock = clock
        self._of_one = of_one
        self._of_all = of_all
        self._all = 0
        self._addresses: OrderedDict[str, int] = OrderedDict()

    def wait_seconds(self, address: str) -> int:
        """How long this address is to wait before it may try again; 0: not at all."""
        now = self._clock.elapsed()
        waits = (
            self._addresses.get(network_of(address), 0) - self._of_one.at_once * self._of_one.step_us - now,
            self._all - self._of_all.at_once * self._of_all.step_us - now,
        )
        # One step more than is owed: at that moment there is room for a whole try.
        steps = (self._of_one.step_us, self._of_all.step_us)
        owed = max(wait + step for wait, step in zip(waits, steps, strict=True))
        return max(0, -(-owed // SECOND))

    def failed(self, address: str) -> None:
        """A wrong key came from there."""
        now, network = self._clock.elapsed(), network_of(address)
        self._all = max(self._all, now) + self._of_all.step_us
        self._addresses[network] = max(self._addresses.pop(network, 0), now) + self._of_one.step_us
        while len(self._addresses) > MOST_ADDRESSES:
            self._addresses.popitem(last=False)

    def worked(self, address: str) -> None:
        """The right key came from there: what was wrong before was a slip."""
        self._addresses.pop(network_of(address), None)


def network_of(address: str) -> str:
    """What counts as one: an IPv4 address, or the /64 that whoever has one IPv6 address has all of (RFC 6177)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or parsed.exploded[:19])
    return str(parsed)
