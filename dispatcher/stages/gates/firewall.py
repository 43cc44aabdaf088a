"""The table of addresses as a firewall is built from it: what to let through, less what lies in it.

Read by `dispatcher doctor --egress`; a test keeps the chart's network policy and the documented
rules of nftables equal to it. A second fence around the guard, for whatever does not ask the guard.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from dispatcher.model.host import Network, contains
from dispatcher.stages.gates.address_table import ALLOCATED_6, DENIED_4, DENIED_6

EVERY_4: Final = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Opening:
    """One block that may be let through, and the blocks inside it that may not."""

    block: Network
    closed: tuple[Network, ...]


def list_openings() -> tuple[Opening, ...]:
    """Give everything a partner can be at: all of IPv4, and IPv6 that was given to somebody."""
    return (
        Opening(EVERY_4, DENIED_4),
        *(
            Opening(block, tuple(each for each in DENIED_6 if contains(block, each)))
            for block in ALLOCATED_6
        ),
    )
