"""Which addresses may be dialled: our own table, because `ipaddress` is wrong about several.

Called by the courier with everything a host resolved to, and by the dialer's re-check. Denied
unless the address is in allocated global unicast and in none of the special blocks (egress spec
2.3). One bad answer rejects the whole set. Nothing but an exact loopback inbox of a development
configuration can make a loopback address reachable. It never resolves anything.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from dispatcher.model.letter import Admitted, Cleared
from dispatcher.model.verdict import Reason, Refusal, refuse

TABLE_VERSION: Final = 1
"""Raised with every change to the tables below."""

_DENIED_4: Final = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier NAT; 100.100.100.200 is a metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's host agent
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is a metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, retired
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

# All global unicast that has been given to a registry. What is outside is refused: unspecified,
# loopback, compatible, SIIT and NAT64 (::/8), discard, 6to4, 5f00::/16, unique local, link-local,
# site-local, multicast, and everything nobody has been given yet.
_ALLOCATED_6: Final = tuple(
    IPv6Network(block)
    for block in (
        "2001::/16",
        "2003::/18",
        "2400::/12",
        "2410::/12",
        "2600::/12",
        "2610::/23",
        "2620::/23",
        "2630::/12",
        "2800::/12",
        "2a00::/12",
        "2a10::/12",
        "2c00::/12",
    )
)

_DENIED_6: Final = tuple(
    IPv6Network(block)
    for block in (
        "::/8",  # loopback, unspecified, compatible, SIIT, NAT64 64:ff9b::/96 and 64:ff9b:1::/48
        "100::/64",  # discard
        "100:0:0:1::/64",  # dummy prefix
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fc00::/7",  # unique local; fd00:ec2::/32 and fd20:ce::254 are metadata services
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
)

_ISATAP: Final = 0x00005EFE
_ISATAP_MASK: Final = 0xFDFFFFFF
"""All but the universal/local bit of the upper half of an interface identifier."""


def admit(
    cleared: Cleared, addresses: tuple[str, ...], loopback: frozenset[tuple[str, int]]
) -> Admitted | Refusal:
    """Vet everything the host resolved to; the letter then carries exactly these addresses."""
    endpoint = cleared.route.endpoint
    if not addresses:
        return refuse(Reason.ADDRESS_NONE, detail=endpoint.host)
    for address in addresses:
        reason = judge_address(address, endpoint.port, loopback)
        if reason is not None:
            return refuse(reason, detail=f"{endpoint.host} resolved to a forbidden address")
    return Admitted(cleared=cleared, addresses=addresses)


@lru_cache(maxsize=16384)
def judge_address(address: str, port: int, loopback: frozenset[tuple[str, int]]) -> Reason | None:
    """Say why this address may not be dialled, or nothing if it may."""
    try:
        found = ip_address(address)
    except ValueError:
        return Reason.ADDRESS_FORBIDDEN
    if found.is_loopback and (str(found), port) in loopback:
        return None
    is_allowed = _is_allowed_4(found) if isinstance(found, IPv4Address) else _is_allowed_6(found)
    return None if is_allowed else Reason.ADDRESS_FORBIDDEN


def _is_allowed_4(address: IPv4Address) -> bool:
    return not any(address in block for block in _DENIED_4)


def _is_allowed_6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return _is_allowed_4(address.ipv4_mapped)
    if any(address in block for block in _DENIED_6):
        return False
    if not any(address in block for block in _ALLOCATED_6):
        return False
    upper = int(address) >> 32 & 0xFFFFFFFF
    if upper & _ISATAP_MASK == _ISATAP:
        return _is_allowed_4(IPv4Address(int(address) & 0xFFFFFFFF))
    return True
