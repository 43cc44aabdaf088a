"""What an operator can tune about the way out: frozen records, filled by `app.way_out`.

Read by the transport, the dialer and the resolver; what is read from text is judged here, for
`app.network_section`. A name is never an answer: whoever answers for a name would decide where
everything goes. Nothing here can make an address reachable that the gates refuse, save
`loopback_inboxes`, which `app` fills in development alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_address
from pathlib import Path
from typing import Final

from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.host import Address, Network
from dispatcher.stages.gates.addresses import AddressRules

_SERVER: Final = re.compile(
    r"(?:\[(?P<six>[^\[\]]+)\]|(?P<four>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?\Z"
)
_DNS_PORT: Final = 53
_PROXY: Final = re.compile(
    r"http://(?:\[(?P<six>[0-9a-f:.]{2,45})\]|(?P<four>[0-9.]{7,15})):(?P<port>[1-9][0-9]{0,4})/?\Z"
)
_CREDENTIALS: Final = re.compile(r"(?P<user>[^:\x00-\x1f\x7f]+):(?P<password>[^\x00-\x1f\x7f]*)\Z")
CREDENTIALS_BYTES_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """A client certificate with its chain, and its key: two PEM files.

    `next` is the pair that takes the place of this one from the moment it is valid.
    """

    certificate: str
    key: str
    next: "Identity | None" = None

    @property
    def pairs(self) -> "tuple[Identity, ...]":
        """This pair, and the next one if there is one."""
        return (self,) if self.next is None else (self, self.next)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A forward proxy that opens tunnels: where it is, and how we say who we are."""

    address: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def place(self) -> tuple[str, int]:
        """The one place a socket may be opened to for a tunnel."""
        return self.address, self.port


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Limits of the way out.

    `ca_file` replaces the system's trusted roots. `identities` are the client certificates that
    destinations may ask for by name. `loopback_inboxes` lists the exact `(address, port)` pairs on
    loopback that may be dialled; `nat64` and `forbidden` are for the gates' `AddressRules`.
    `bind_addresses` are this machine's own that connections leave from, at most one per family;
    none: the kernel chooses. With a `proxy` nothing but it, and loopback inboxes, is dialled.
    """

    connect_seconds: float = 5.0
    answer_bytes_max: int = 65536
    keepalive_seconds: float = 60.0
    connections_per_partner_max: int = 1024
    interim_answers_max: int = 8
    ca_file: str | None = None
    identities: Mapping[str, Identity] = field(default_factory=dict)
    loopback_inboxes: frozenset[tuple[str, int]] = frozenset()
    nat64: tuple[IPv6Network, ...] = ()
    forbidden: frozenset[Network] = frozenset()
    bind_addresses: tuple[str, ...] = ()
    proxy: Proxy | None = None

    @property
    def address_rules(self) -> AddressRules:
        """What the gates and the dialer judge addresses by, beside the table."""
        return AddressRules(
            loopback=self.loopback_inboxes, nat64=self.nat64, forbidden=self.forbidden
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverSettings:
    """How names are looked up.

    `is_system` asks the machine; else `name_servers` are asked, and those of the machine where the
    list is empty. `private_name_servers` are asked for hosts that may lie in a private network;
    where there are none, the ordinary way serves these too. Both as `parse_name_server` gives them.
    """

    is_system: bool = True
    name_servers: tuple[str, ...] = ()
    private_name_servers: tuple[str, ...] = ()
    dns_seconds: float = 5.0
    cache_seconds: float = 30.0


def parse_name_server(text: str) -> str:
    """Give `address:port` of a name server, or raise `ValueError`; a name is none."""
    found = _SERVER.match(text)
    host = (found["six"] or found["four"]) if found else text
    port = int((found["port"] if found else None) or _DNS_PORT)
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_multicast or not 0 < port <= 65535:
        raise ValueError("each is an address, or address:port: 192.0.2.53 or [2001:db8::53]:53")
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def check_bind_addresses(given: tuple[str, ...]) -> tuple[str, ...]:
    """Give them back, or raise `ValueError`: literal addresses, at most one per family."""
    found = [_literal(address) for address in given]
    if any(each.is_loopback for each in found):
        raise ValueError("nothing leaves this machine from loopback")
    if len({each.version for each in found}) < len(found):
        raise ValueError("at most one address per family")
    return given


def parse_proxy(url: str) -> Proxy:
    """Read the proxy's URL, or raise `ValueError`."""
    found = _PROXY.match(url)
    if found is None or int(found["port"]) > 65535:
        raise ValueError('write "http://ADDRESS:PORT", with a literal address')
    address = found["six"] or found["four"]
    _literal(address)
    return Proxy(address=address, port=int(found["port"]))


def parse_credentials(text: str, file: Path) -> tuple[str, str]:
    """Read `user:password`, or raise `ConfigInvalid`, which never shows what was read."""
    found = _CREDENTIALS.match(text.removesuffix("\n").removesuffix("\r"))
    if found is None:
        raise ConfigInvalid(
            "not credentials of a proxy",
            where=str(file),
            fix="write one line: USER:PASSWORD",
            code="proxy_credentials",
        )
    return found["user"], found["password"]


def _literal(text: str) -> Address:
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or str(found) != text or "%" in text:
        raise ValueError("each is a literal address in its shortest form")
    if found.is_unspecified or found.is_multicast:
        raise ValueError("an address that belongs to nobody")
    return found
