"""The address table, against IANA's registries and as properties (egress spec A1-A4)."""

import csv
import ipaddress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatcher.stages.gates.address_table import ALLOCATED_6, DENIED_6, REGISTRY_DATES
from dispatcher.stages.gates.addresses import AddressRules, judge_address, parse_nat64, parse_range

IANA = Path(__file__).parents[1] / "vectors" / "iana"
NONE = AddressRules()
WELL_KNOWN = parse_nat64("64:ff9b::/96")
PREFIXES = st.sampled_from(
    [parse_nat64(f"2a00:1:{0x2200 if bits == 40 else 0x22CC:x}::/{bits}") for bits in (48, 64, 96)]
    + [parse_nat64("2a00:1::/32"), parse_nat64("2a00:1:200::/40"), parse_nat64("2a00:1:2:300::/56")]
    + [WELL_KNOWN]
)
SPECIAL_4 = st.sampled_from(
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "192.168.1.1",
     "8.8.8.8", "1.1.1.1", "224.0.0.1", "255.255.255.255", "192.0.0.192", "168.63.129.16"]
).map(IPv4Address)  # fmt: skip
ANY_4 = st.one_of(st.ip_addresses(v=4), SPECIAL_4)
RANGES = ("10.20.0.0/16", "fd12:3456:789a::/48")


def rows(name: str) -> list[dict[str, str]]:
    with (IANA / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def is_allowed(address: object, rules: AddressRules = NONE, ranges: tuple[str, ...] = ()) -> bool:
    return judge_address(str(address), 443, rules, ranges) is None


def translate(prefix: IPv6Network, address: IPv4Address) -> IPv6Address:
    """Embed as RFC 6052 has it: after the prefix, around the octet at bit 64."""
    octets = bytearray(prefix.network_address.packed)
    places = [place for place in range(prefix.prefixlen // 8, 16) if place != 8]
    if prefix.prefixlen == 96:
        places = [12, 13, 14, 15]
    for place, octet in zip(places, address.packed, strict=False):
        octets[place] = octet
    return IPv6Address(bytes(octets))


@pytest.mark.parametrize("name", ["ipv4-special", "ipv6-special"])
def test_a1_whatever_iana_calls_not_reachable_is_refused(name: str) -> None:
    for row in rows(name):
        network = ip_network(row["Address Block"])
        if row["Globally Reachable"] == "False":
            # Mapped addresses are judged as what they carry.
            if network == ip_network("::ffff:0:0/96"):
                continue
            assert not is_allowed(network[0]), network
            assert not is_allowed(network[-1]), network


def test_a1_what_iana_allocated_is_what_the_table_lets_through() -> None:
    given = {ip_network(row["Prefix"]) for row in rows("ipv6-unicast")}
    denied = {each for each in given if any(each == block for block in DENIED_6)}
    assert given - denied == set(ALLOCATED_6)
    assert all(len(date) == len("2025-10-09") for date in REGISTRY_DATES.values())


@given(ANY_4)
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("8.8.8.8"))
def test_a1_an_embedding_inherits_the_verdict_of_what_it_carries(address: IPv4Address) -> None:
    plain = is_allowed(address)
    assert is_allowed(f"::ffff:{address}") == plain
    for upper in ("0:5efe", "200:5efe"):
        assert is_allowed(IPv6Address(f"2a00:1450:4001:81b:{upper}:{address}")) == plain
    nat64 = AddressRules(nat64=(WELL_KNOWN,))
    assert is_allowed(f"64:ff9b::{address}", nat64) == plain
    assert not is_allowed(f"64:ff9b::{address}")


@given(ANY_4, PREFIXES)
def test_a1_a_declared_translator_is_judged_by_what_it_carries(
    address: IPv4Address, prefix: IPv6Network
) -> None:
    rules = AddressRules(nat64=(prefix,))
    carrying = translate(prefix, address)
    assert carrying in prefix
    assert is_allowed(carrying, rules) == is_allowed(address)
    assert is_allowed(carrying, rules, RANGES) == is_allowed(address, NONE, RANGES)


@given(st.integers(0, 2**120 - 1), st.booleans())
@example(1, True)
@example(0, True)
@example(0x7F000001, True)
@example(0x08080808, True)
@example(0xFFFF_0000_0808_0808, True)
@example(0x0064_FF9B << 96 | 0x08080808, False)
@example(0x0064_FF9B_0001 << 80 | 0x08080808, True)
@example(0x0064_FF9B_0001 << 80, True)
def test_a1_nothing_in_the_reserved_eighth_passes_but_a_declared_translator(
    number: int, is_declared: bool
) -> None:
    address = IPv6Address(number)
    if address.ipv4_mapped is not None:
        return
    rules = AddressRules(nat64=(WELL_KNOWN,) if is_declared else ())
    if is_allowed(address, rules):
        assert is_declared
        assert address in WELL_KNOWN
        assert is_allowed(IPv4Address(number & 0xFFFFFFFF))


@given(st.ip_addresses())
def test_a1_what_the_standard_library_calls_special_is_refused_too(
    address: IPv4Address | IPv6Address,
) -> None:
    address = getattr(address, "ipv4_mapped", None) or address
    if is_allowed(address):
        assert address.is_global or address in ip_network("2001::/16")
        assert not address.is_multicast
        assert not address.is_reserved


@given(st.sampled_from(
    ["127.0.0.1", "0.0.0.0", "169.254.1.1", "169.254.169.254", "224.0.0.1", "240.0.0.1",
     "100.100.100.200", "192.0.0.192", "168.63.129.16", "::1", "::", "fe80::1", "ff02::1",
     "fd00:ec2::254", "fd20:ce::254", "2002:7f00:1::", "64:ff9b:1::1", "2001:db8::1"]
))  # fmt: skip
def test_a2_some_addresses_can_be_granted_to_nobody(address: str) -> None:
    found = ipaddress.ip_address(address)
    for bits in (16, 24, 32) if found.version == 4 else (48, 64, 128):
        around = str(ip_network(f"{found}/{bits}", strict=False))
        try:
            parse_range(around)
        except ValueError:
            continue
        assert judge_address(address, 443, NONE, (around,)) == "A2"


@given(st.ip_addresses())
@example(IPv4Address("10.20.0.0"))
@example(IPv4Address("10.20.255.255"))
@example(IPv4Address("10.21.0.0"))
@example(IPv6Address("fd12:3456:789a::1"))
@example(IPv6Address("fd12:3456:789b::1"))
def test_a3_a_grant_opens_its_range_and_nothing_else(address: IPv4Address | IPv6Address) -> None:
    is_inside = any(address in ip_network(each) for each in RANGES)
    assert is_allowed(address, NONE, RANGES) == (is_allowed(address) or is_inside)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/15", "fd00::/47", "0.0.0.0/0", "127.0.0.0/16", "169.254.0.0/16", "::/48",
             "9.255.0.0/15", "192.0.0.0/16", "10.0.0.1/16", "2001:db8::/48", "ten"]
)  # fmt: skip
def test_a3_a_grant_is_narrow_and_of_what_may_be_granted(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_range(text)


@given(st.ip_addresses())
def test_a3_the_operators_own_addresses_are_opened_by_no_grant(
    address: IPv4Address | IPv6Address,
) -> None:
    around = str(ip_network(f"{address}/{16 if address.version == 4 else 48}", strict=False))
    rules = AddressRules(forbidden=frozenset({ip_network(str(address))}))
    assert judge_address(str(address), 443, rules) is not None
    try:
        parse_range(around)
    except ValueError:
        return
    assert judge_address(str(address), 443, rules, (around,)) == "A1"


@pytest.mark.parametrize(
    "address", ["fd00:ec2::254%1", "fe80::1%eth0", "2a00::1%2", "::1%1", "8.8.8.8%1", "acme", "",
                "8.8.8.8 ", "010.0.0.1", "8.8.8", "::ffff:8.8.8.8%1"]
)  # fmt: skip
def test_a4_what_carries_a_scope_or_is_no_plain_address_is_refused(address: str) -> None:
    assert judge_address(address, 443, NONE, RANGES) == "A4"


@given(st.ip_addresses(v=4))
def test_a4_mapped_is_unwrapped_before_every_test(address: IPv4Address) -> None:
    mapped = f"::ffff:{address}"
    assert judge_address(mapped, 443, NONE, RANGES) == judge_address(
        str(address), 443, NONE, RANGES
    )


@pytest.mark.parametrize(
    "text", ["64:ff9b::/95", "64:ff9b:1::/48", "64:ff9b:1:2::/96", "10.0.0.0/8", "2a00:1::/33",
             "fd00::/96", "2001:db8::/96", "64:ff9b::1/96"]
)  # fmt: skip
def test_a_translators_prefix_is_one_that_a_network_can_have(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_nat64(text)
