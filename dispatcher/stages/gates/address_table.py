"""The table of addresses: what nobody may be sent to, and what may be granted by name.

Data alone, read by `addresses`. Our own, because `ipaddress` calls about twenty families of
forbidden addresses global. Taken from IANA's registries as they stood on the dates below; copies of
them are in `tests/vectors/iana`, and docs/egress.md says how to bring both up to date.
"""

from ipaddress import IPv4Network, IPv6Network
from typing import Final

from dispatcher.model.host import Network

TABLE_VERSION: Final = 3
"""Raised with every change to the tables below."""

REGISTRY_DATES: Final = {
    "iana-ipv4-special-registry": "2025-10-09",
    "iana-ipv6-special-registry": "2025-10-09",
    "ipv6-unicast-address-assignments": "2025-10-10",
}
"""The last update of each registry that the tables were taken from."""

DENIED_4: Final = tuple(
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

DENIED_6: Final = tuple(
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

ALLOCATED_6: Final = tuple(
    IPv6Network(block)
    for block in (
        "2001:200::/23",
        "2001:400::/23",
        "2001:600::/23",
        "2001:800::/22",
        "2001:c00::/23",
        "2001:e00::/23",
        "2001:1200::/23",
        "2001:1400::/22",
        "2001:1800::/23",
        "2001:1a00::/23",
        "2001:1c00::/22",
        "2001:2000::/19",
        "2001:4000::/23",
        "2001:4200::/23",
        "2001:4400::/23",
        "2001:4600::/23",
        "2001:4800::/23",
        "2001:4a00::/23",
        "2001:4c00::/23",
        "2001:5000::/20",
        "2001:8000::/19",
        "2001:a000::/20",
        "2001:b000::/20",
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
"""All global unicast that was given to a registry. What is outside it is refused too."""

GRANTABLE: Final[tuple[Network, ...]] = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("fc00::/7"),
)
"""What an entry of the allowlist may open by naming a range. Nothing else that is denied can be."""

METADATA: Final[tuple[Network, ...]] = (
    IPv4Network("100.100.100.200/32"),
    IPv6Network("fd00:42::/32"),
    IPv6Network("fd00:ec2::/32"),
    IPv6Network("fd20:ce::254/128"),
)
"""Metadata services inside grantable space: never grantable. (The others are denied for good.)"""

RANGE_BITS_MIN: Final = {4: 16, 6: 48}
"""The widest range an entry may name, by IP version."""

NAT64_WELL_KNOWN: Final = IPv6Network("64:ff9b::/96")
NAT64_LOCAL_USE: Final = IPv6Network("64:ff9b:1::/48")
NAT64_BITS: Final = (32, 40, 48, 56, 64, 96)
"""How long a NAT64 prefix may be (RFC 6052, 2.2)."""
