"""Which address of this machine a connection leaves from, where the operator named one.

Partners that admit us by address need one that stays. Called by the dialer for every socket it
opens, and when the transport starts. Fails closed: a family without an address is not dialled.
"""

import socket
from typing import Final

from dispatcher.model.errors import ConfigInvalid
from dispatcher.network.troubles import SourceMissing

_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux: choose the port when connecting, or all partners together share one range of ports."""


def check_sources(addresses: tuple[str, ...]) -> None:
    """Raise `ConfigInvalid` for an address that this machine does not have."""
    for address in addresses:
        try:
            with socket.socket(_family(address), socket.SOCK_STREAM) as found:
                found.bind((address, 0))
        except OSError:
            raise ConfigInvalid(
                "not an address of this machine",
                where=f"network.bind_addresses: {address}",
                fix="name addresses that 'ip address' shows here, at most one per family",
                code="bind_address",
            ) from None


def bind_source(found: socket.socket, addresses: tuple[str, ...]) -> None:
    """Bind a socket to the address of its family; `SourceMissing` when there is none."""
    for address in addresses:
        if _family(address) == found.family:
            if hasattr(socket, "SOL_IP"):
                found.setsockopt(socket.SOL_IP, _BIND_ADDRESS_NO_PORT, 1)
            found.bind((address, 0))
            return
    raise SourceMissing


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
