"""Hosts in their one canonical form: an A-label name in lower case, or an address.

Whatever names a host (an endpoint, an entry of the allowlist, a switch) is read here, so that two
spellings of one host are one, and a spelling that two parsers might read as two hosts is refused
(egress spec U5-U7, U9 and N1-N7). Pure text: nothing is resolved, and whether a host may be reached
is for the gates.

A producer's tests read a registry with the base package alone: what knows names beyond ASCII and
public suffixes is imported where one is met.
"""

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, Final

NAME_CHARACTERS_MAX: Final = 253
LABEL_CHARACTERS_MAX: Final = 63
TYPED_CHARACTERS_MAX: Final = 1024
"""Of a host as it was typed; what is longer is no host, and is not kept in memory for it."""
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]+(?<!-)\Z")
_NUMERIC: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_LITERAL_6: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}\Z")
_OTHER_OR_BLANK: Final = ("C", "Z")
SPECIAL_ZONES: Final = frozenset(
    {
        "alt",
        "arpa",
        "cluster",
        "consul",
        "corp",
        "home",
        "internal",
        "intranet",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "onion",
        "private",
        "svc",
    }
)
"""Top levels that mean something to one machine or one network alone, or to no DNS at all."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Unreadable(ValueError):
    """A text that is no host or URL, or one that two parsers may read as two; `rule` says which."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(why)
        self.rule = rule


def parse_host(text: str) -> str:
    """Give the canonical form of a DNS name or an address; raises `Unreadable`.

    An IPv4 address that is carried in IPv6 is the IPv4 address (A4).
    """
    if len(text) > TYPED_CHARACTERS_MAX:
        raise Unreadable("U9", f"the host is longer than {NAME_CHARACTERS_MAX} characters")
    if ":" in text:
        return parse_address_6(text)
    return parse_name(text)


def canonical_host(text: str) -> str | None:
    """Give the canonical form of a host, or nothing where it has none."""
    return _canonical(text) if len(text) <= TYPED_CHARACTERS_MAX else None


@lru_cache(maxsize=65536)
def _canonical(text: str) -> str | None:
    try:
        return parse_host(text)
    except Unreadable:
        return None


def parse_address_6(text: str) -> str:
    """Read an IPv6 address, as it stands between brackets: no zone, nothing of the future (U5)."""
    try:
        if _LITERAL_6.match(text):
            found = IPv6Address(text)
            return str(found.ipv4_mapped or found)
    except ValueError:
        pass
    raise Unreadable("U5", "what has colons, or stands in brackets, is not an IPv6 address")


@lru_cache(maxsize=65536)
def parse_name(text: str) -> str:
    """Give a DNS name as A-labels, or a dotted quad, from a bounded text; raises `Unreadable`."""
    if "%" in text:
        raise Unreadable("U7", "the host holds a percent sign")
    name = text.lower() if text.isascii() else _mapped(text)
    is_closed = name.endswith(".")
    labels = name.removesuffix(".").split(".")
    if not all(labels):
        raise Unreadable("N7", "the host is empty, or two of its dots stand side by side")
    if _NUMERIC.match(labels[-1]):
        if not text.isascii():
            raise Unreadable("N2", "the host turns into a number when it is written in ASCII")
        return _dotted_quad(text, is_closed=is_closed)
    # With one label beyond ASCII, others read the whole name by IDNA's rules, or by older ones.
    to_a_label = _plain_label if text.isascii() else _a_label
    host = ".".join([to_a_label(label) for label in labels])
    if len(host) > NAME_CHARACTERS_MAX:
        raise Unreadable("U9", f"the host is longer than {NAME_CHARACTERS_MAX} characters")
    return host


def as_address(host: str) -> Address | None:
    """Give the address that a canonical host is; nothing for a name."""
    if ":" in host:
        return IPv6Address(host)
    return IPv4Address(host) if _NUMERIC.match(host.rpartition(".")[2]) else None


def parse_network(text: str) -> Network:
    """Read a network in canonical form; `ValueError` says what is wrong with it."""
    network = _network(text)
    if str(network) != text:
        raise ValueError(f"write it as {network}")
    return network


def parse_place(text: str) -> Network:
    """Read an address, or a network in canonical form; `ValueError` says what is wrong with it."""
    network = _network(text)
    if text not in (str(network), str(network.network_address)):
        raise ValueError(f"write it as {network}")
    return network


def contains(outer: Network, inner: Network) -> bool:
    """True when every address of the inner network is in the outer one."""
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def is_special(name: str) -> bool:
    """True for names that only mean something inside: one label, or a special-use zone (N6)."""
    head, _, zone = name.rpartition(".")
    return not head or zone in SPECIAL_ZONES


def is_public_suffix(name: str) -> bool:
    """True where anybody may register the label below: a top level, `co.uk`, `github.io` (N5)."""
    return _suffixes().privatesuffix(name) is None


@lru_cache(maxsize=65536)
def registered_name(name: str) -> str:
    """Give the name that somebody registered, which this one is or lies below; else itself."""
    found: str | None = _suffixes().privatesuffix(name)
    return found or name


@lru_cache(maxsize=1)
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=True)


def as_typed(host: str) -> str:
    """Give the letters behind the A-labels of a canonical host, for people to read."""
    import idna

    return ".".join(
        idna.ulabel(label) if label.startswith("xn--") else label for label in host.split(".")
    )


def _network(text: str) -> Network:
    if "%" in text:
        raise ValueError("a network has no zone")
    return ip_network(text)


def _mapped(text: str) -> str:
    """Map a name after UTS 46, non-transitional; what would vanish on the way is refused (N1, N3).

    A name may not hold characters that are not seen, or not where they stand.
    """
    for character in text:
        if not character.isascii() and _is_unseen(character):
            raise Unreadable("N3", f"the host holds U+{ord(character):04X}, which is not seen")
    import idna

    try:
        return idna.uts46_remap(text, std3_rules=False, transitional=False)
    except idna.IDNAError:
        raise Unreadable("N1", "the host holds a character that no name may hold") from None


def _is_unseen(character: str) -> bool:
    if unicodedata.category(character).startswith(_OTHER_OR_BLANK):
        return True
    import idna

    try:
        return not idna.uts46_remap(character, std3_rules=False, transitional=False)
    except idna.IDNAError:
        return False  # the whole text is refused for it, with a better reason


def _plain_label(label: str) -> str:
    if label.startswith("xn--"):
        return _a_label(label)
    if not _LABEL.match(label):
        raise Unreadable("U6", "a label of the host is not letters, digits and hyphens")
    return _bounded(label)


def _a_label(label: str) -> str:
    import idna

    try:
        # Encodes what is not ASCII; what claims to be encoded must decode, and to itself again.
        return _bounded(idna.alabel(label).decode("ascii"))
    except (idna.IDNAError, UnicodeError, IndexError):
        rule = "N3" if label.isascii() else "N1"
        raise Unreadable(rule, "a label of the host is not valid in IDNA 2008") from None


def _bounded(label: str) -> str:
    if len(label) > LABEL_CHARACTERS_MAX:
        raise Unreadable("U9", f"a label is longer than {LABEL_CHARACTERS_MAX} characters")
    return label


def _dotted_quad(text: str, *, is_closed: bool) -> str:
    try:
        if not is_closed:
            return str(IPv4Address(text))
    except ValueError:
        pass
    raise Unreadable("U6", "the host is a number that is not a dotted-quad address")
