"""A destination URL, parsed once and strictly; the dialer and the gates see only these parts.

Refused: anything but http(s), userinfo, control characters, spaces, backslashes, non-ASCII, percent
signs in the host, fragments, ports out of range, hosts that look like a number but are not a
canonical dotted quad. (The complete rules are egress spec U1-U10 and N1-N7.)
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<ip6>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>/[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e\x25]*)?\Z"
)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_NUMERIC: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
URL_CHARACTERS_MAX: Final = 2048
NAME_CHARACTERS_MAX: Final = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a delivery goes. `host` is an A-label name or a canonical address literal."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Scheme, host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The address, when the host is one."""
        if ":" in self.host:
            return IPv6Address(self.host)
        return IPv4Address(self.host) if _NUMERIC.match(self.host.rpartition(".")[2]) else None

    @property
    def authority(self) -> str:
        """The `Host` header: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


def parse_endpoint(url: str) -> Endpoint:
    """Read a URL; `ValueError` says in one sentence what is wrong with it."""
    if len(url) > URL_CHARACTERS_MAX:
        raise ValueError(f"longer than {URL_CHARACTERS_MAX} characters")
    found = _URL.match(url)
    if found is None:
        raise ValueError("not a plain http(s) URL: scheme://host[:port]/path in visible ASCII")
    scheme = found["scheme"]
    port = int(found["port"]) if found["port"] else _DEFAULT_PORT[scheme]
    if not 1 <= port <= 65535:
        raise ValueError("the port is not between 1 and 65535")
    host = str(IPv6Address(found["ip6"])) if found["ip6"] else parse_host(found["name"])
    return Endpoint(scheme=scheme, host=host, port=port, target=found["target"] or "/")


def parse_host(text: str) -> str:
    """Give the canonical form of a DNS name or address literal, or raise `ValueError`."""
    name = text.lower().removesuffix(".")
    if ":" in name:
        return str(IPv6Address(name))
    labels = name.split(".")
    if len(name) > NAME_CHARACTERS_MAX or not all(_LABEL.match(label) for label in labels):
        raise ValueError(f"not a host name: {text!r}")
    if _NUMERIC.match(labels[-1]):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise ValueError(f"a number that is not a dotted-quad address: {text!r}") from None
    return name
