"""The canary: tries, past the guard, to reach one address of every forbidden family.

`dispatcher doctor --backstop` calls it, for a person who asked, and nothing else ever does. It
shows whether a firewall around this machine stops what the guard stops, so it sends packets to
forbidden addresses on purpose: a SYN each, and nothing on a connection. It can prove that a family
is open; silence may also mean that nobody is there.
"""

import asyncio
import errno
import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SECONDS: Final = 1.0
PORT: Final = 443
_PROHIBITED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EINVAL})


class Outcome(StrEnum):
    """What came back. The first two are an answer from there, so the backstop is open."""

    CONNECTED = "connected"
    REFUSED = "refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    PROHIBITED = "prohibited"


@dataclass(frozen=True, slots=True)
class Family:
    """A forbidden family, and one address of it."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of trying one family."""

    family: Family
    outcome: Outcome

    @property
    def is_open(self) -> bool:
        """True when somebody there answered."""
        return self.outcome in (Outcome.CONNECTED, Outcome.REFUSED)


FAMILIES: Final = (
    Family("this network", "0.0.0.1"),
    Family("private, 10/8", "10.0.0.1"),
    Family("carrier NAT", "100.64.0.1"),
    Family("metadata service", "100.100.100.200"),
    Family("cloud host agent", "168.63.129.16"),
    Family("link-local", "169.254.0.1"),
    Family("metadata service", "169.254.169.254"),
    Family("metadata service of containers", "169.254.170.2"),
    Family("private, 172.16/12", "172.16.0.1"),
    Family("protocol assignments", "192.0.0.1"),
    Family("metadata service", "192.0.0.192"),
    Family("documentation", "192.0.2.1"),
    Family("6to4 relays", "192.88.99.1"),
    Family("private, 192.168/16", "192.168.0.1"),
    Family("benchmarks", "198.18.0.1"),
    Family("documentation", "198.51.100.1"),
    Family("documentation", "203.0.113.1"),
    Family("multicast", "224.0.0.1"),
    Family("reserved", "240.0.0.1"),
    Family("IPv4-compatible", "::a00:1"),
    Family("IPv4-mapped", "::ffff:a00:1"),
    Family("SIIT", "::ffff:0:a00:1"),
    Family("NAT64", "64:ff9b::a00:1"),
    Family("NAT64, local use", "64:ff9b:1::a00:1"),
    Family("discard", "100::1"),
    Family("dummy prefix", "100:0:0:1::1"),
    Family("Teredo", "2001::1"),
    Family("documentation", "2001:db8::1"),
    Family("6to4", "2002:a00:1::1"),
    Family("given to nobody", "2d00::1"),
    Family("documentation", "3fff::1"),
    Family("given to nobody", "4000::1"),
    Family("segment routing", "5f00::1"),
    Family("unique local", "fc00::1"),
    Family("unique local", "fd00::1"),
    Family("metadata service", "fd00:42::42"),
    Family("metadata service", "fd00:ec2::254"),
    Family("metadata service", "fd20:ce::254"),
    Family("link-local", "fe80::1"),
    Family("site-local", "fec0::1"),
    Family("multicast", "ff02::1"),
)
"""One address of each, with the metadata services apart. Loopback never leaves the machine."""


async def try_backstop(own: frozenset[str]) -> tuple[Probe, ...]:
    """Try every family at once; `own` addresses are this machine's and would answer themselves."""
    tried = [family for family in FAMILIES if family.address not in own]
    outcomes = await asyncio.gather(*(_try(family.address) for family in tried))
    return tuple(map(Probe, tried, outcomes))


async def _try(address: str) -> Outcome:
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            async with asyncio.timeout(SECONDS):
                await asyncio.get_running_loop().sock_connect(probe, (address, PORT))
    except TimeoutError as error:
        # The kernel's own patience ends in an error number, ours has none: silence, both.
        return Outcome.SILENT if error.errno in (None, errno.ETIMEDOUT) else Outcome.UNREACHABLE
    except (ConnectionRefusedError, ConnectionResetError):
        return Outcome.REFUSED
    except OSError as error:
        return Outcome.PROHIBITED if error.errno in _PROHIBITED else Outcome.UNREACHABLE
    return Outcome.CONNECTED
