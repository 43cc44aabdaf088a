"""Is a destination still where, and vouched for by whom, it was?

Asked by the worker when it meets a peer that nobody has met at that host before. It says that
something changed, never that it is wrong: partners move, and what follows is the policy's to say.
"""

from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from dispatcher.model.tls import Peer


class Drift(StrEnum):
    """What none of those known before has in common with the one that was met."""

    NETWORK = "network"
    ISSUER = "issuer"


def find_drift(known: Collection[Peer], met: Peer) -> tuple[Drift, ...]:
    """Say how a peer differs from all that are known; the first one differs from nobody."""
    if not known or met in known:
        return ()
    found = []
    if network_of(met.address) not in {network_of(each.address) for each in known}:
        found.append(Drift.NETWORK)
    if met.issuer not in {each.issuer for each in known}:
        found.append(Drift.ISSUER)
    return tuple(found)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Give the network an address counts to: /24, or /48 of IPv6."""
    found = ip_address(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ip_network((found, 24 if found.version == 4 else 48), strict=False))
