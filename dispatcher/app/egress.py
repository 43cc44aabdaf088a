"""What the configuration says about leaving this machine: own addresses, and a forward proxy.

Used by `app.config` to judge the values and by `app.wiring` to hand them to the network. A name is
never an answer: whoever answers for a name would decide where everything goes.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from dispatcher.model.errors import ConfigInvalid
from dispatcher.network.settings import Proxy

CREDENTIALS_BYTES_MAX: Final = 1024
_PROXY: Final = re.compile(
    r"http://(?:\[(?P<six>[0-9a-f:.]{2,45})\]|(?P<four>[0-9.]{7,15})):(?P<port>[1-9][0-9]{0,4})/?\Z"
)
_CREDENTIALS: Final = re.compile(r"(?P<user>[^:\x00-\x1f\x7f]+):(?P<password>[^\x00-\x1f\x7f]*)\Z")


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


def _literal(text: str) -> IPv4Address | IPv6Address:
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or str(found) != text or "%" in text:
        raise ValueError("each is a literal address in its shortest form")
    if found.is_unspecified or found.is_multicast:
        raise ValueError("an address that belongs to nobody")
    return found
