"""Which addresses may be dialled, by our own table.

Called by `worker.reaching` with everything a host resolved to, by the dialer right before it dials,
and by `explain`. Denied unless the address is allocated global unicast and in none of the special
blocks, or in a private range that the entry of the allowlist names (egress spec 2.3). One bad
answer rejects the whole set. Nothing but an exact loopback inbox of a development configuration can
make a loopback address reachable. It never resolves anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from dispatcher.model.host import Address, Network, contains, parse_network
from dispatcher.model.letter import Admitted, Cleared, Resolved
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.gates.address_table import (
    ALLOCATED_6,
    DENIED_4,
    DENIED_6,
    GRANTABLE,
    METADATA,
    NAT64_BITS,
    NAT64_LOCAL_USE,
    NAT64_WELL_KNOWN,
    RANGE_BITS_MIN,
)
from dispatcher.stages.gates.aliases import is_alias_outside

ADDRESS_CHARACTERS_MAX: Final = 64
_ISATAP: Final = 0x00005EFE
_ISATAP_MASK: Final = 0xFDFFFFFF
"""All but the universal/local bit of the upper half of an interface identifier."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AddressRules:
    """What the operator's configuration says about addresses; nobody else can.

    A process has one, compared by identity: what is remembered of it is looked up for every letter.

    `loopback` are the inboxes a development may use, `nat64` the prefixes of this network's
    translators, `forbidden` the operator's own addresses: no entry opens those.
    """

    loopback: frozenset[tuple[str, int]] = frozenset()
    nat64: tuple[IPv6Network, ...] = ()
    forbidden: frozenset[Network] = frozenset()


def admit(cleared: Cleared, resolved: Resolved, rules: AddressRules) -> Admitted | Refusal:
    """Vet everything the host resolved to; the letter then carries exactly these addresses."""
    route = cleared.route
    host, port = route.endpoint.host, route.endpoint.port
    if not resolved.addresses:
        return refuse(Reason.ADDRESS_NONE, detail=host)
    if judge_answer(resolved.addresses, port, rules, route.private_ranges) is not None:
        return refuse(Reason.ADDRESS_FORBIDDEN, detail=f"{host} resolved to a forbidden address")
    if is_alias_outside(host, resolved.aliases, route.alias_zones):
        return refuse(Reason.ALIAS_OUTSIDE, detail=f"{host} goes by a name outside its zones")
    return Admitted(cleared=cleared, addresses=resolved.addresses)


def judge_answer(
    addresses: Iterable[str], port: int, rules: AddressRules, ranges: tuple[str, ...] = ()
) -> str | None:
    """Give the rule that one of these addresses breaks; nothing when all of them may be dialled."""
    for address in addresses:
        # What is no address is not kept in memory either: it may be as long as somebody likes.
        is_short = len(address) <= ADDRESS_CHARACTERS_MAX
        broken = judge_address(address, port, rules, ranges) if is_short else "A4"
        if broken is not None:
            return broken
    return None


@lru_cache(maxsize=16384)
def judge_address(
    address: str, port: int, rules: AddressRules, ranges: tuple[str, ...] = ()
) -> str | None:
    """Give the rule by which this address may not be dialled, or nothing if it may.

    `ranges` are the private ranges that the entry of the allowlist names. A1: the table or the
    operator's own addresses; A2: it can be granted to nobody; A3: outside the ranges; A4: no plain
    address.
    """
    try:
        typed = ip_address(address)
    except ValueError:
        return "A4"
    if typed.is_loopback and (str(typed), port) in rules.loopback:
        return None
    if isinstance(typed, IPv6Address) and typed.scope_id is not None:
        return "A4"
    found = carried(typed, rules.nat64)
    if any(each in network for each in {typed, found} for network in rules.forbidden):
        return "A1"
    if not _is_denied(found):
        return None
    if not _is_grantable(found):
        return "A2"
    if any(found in network for network in _networks(ranges)):
        return None
    return "A3" if ranges else "A1"


def carried(address: Address, nat64: tuple[IPv6Network, ...]) -> Address:
    """Give the IPv4 address that an IPv6 address leads to, by whatever embedding; else itself.

    Mapped, ISATAP under any prefix, and the declared prefixes of NAT64. Other embeddings lie in
    blocks that are denied whole.
    """
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for prefix in nat64:
        if address in prefix:
            return _translated(address, prefix.prefixlen)
    upper = int(address) >> 32 & 0xFFFFFFFF
    is_isatap = upper & _ISATAP_MASK == _ISATAP
    if is_isatap and (_is_grantable(address) or not _is_denied_6(address)):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def parse_range(text: str) -> Network:
    """Read a range that an entry may name; `ValueError` says why it may not.

    A network in canonical form, no wider than the rules allow, which is either wholly grantable
    private space or touches nothing that is denied.
    """
    network = parse_network(text)
    bits = RANGE_BITS_MIN[network.version]
    if network.prefixlen < bits:
        raise ValueError(f"wider than /{bits}")
    is_grantable = any(contains(block, network) for block in GRANTABLE)
    if not is_grantable and not _is_wholly_public(network):
        raise ValueError("it holds addresses that nobody may be sent to")
    return network


def parse_nat64(text: str) -> IPv6Network:
    """Read the prefix of a NAT64 translator; `ValueError` says what is wrong with it."""
    network = parse_network(text)
    if not isinstance(network, IPv6Network) or network.prefixlen not in NAT64_BITS:
        raise ValueError(f"a NAT64 prefix is IPv6 and one of {NAT64_BITS} bits long")
    if network.overlaps(NAT64_LOCAL_USE):
        raise ValueError(f"{NAT64_LOCAL_USE} is never let through: its length cannot be known")
    special = (each for each in DENIED_6 if network.overlaps(each))
    if network != NAT64_WELL_KNOWN and any(special):
        raise ValueError("it lies in a special block")
    return network


def _is_denied(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        return _is_denied_6(address)
    return any(address in block for block in DENIED_4)


def _is_denied_6(address: IPv6Address) -> bool:
    return any(address in block for block in DENIED_6) or not any(
        address in block for block in ALLOCATED_6
    )


def _is_grantable(address: Address) -> bool:
    return any(address in block for block in GRANTABLE) and not any(
        address in block for block in METADATA
    )


def _is_wholly_public(network: Network) -> bool:
    if isinstance(network, IPv6Network):
        return any(network.subnet_of(block) for block in ALLOCATED_6) and not any(
            network.overlaps(block) for block in DENIED_6
        )
    return not any(network.overlaps(block) for block in DENIED_4)


def _translated(address: IPv6Address, bits: int) -> Address:
    """Read the IPv4 address behind a NAT64 prefix; the octet at bit 64 is left out (RFC 6052)."""
    octets = address.packed
    if bits < 96 and octets[8]:
        return IPv6Address(0)  # no translator would accept it, and nobody may be sent there
    without = octets[:8] + octets[9:] if bits < 96 else octets
    return IPv4Address(without[bits // 8 : bits // 8 + 4])


@lru_cache(maxsize=4096)
def _networks(ranges: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(map(parse_range, ranges))
