"""The addresses of this machine by interface, and those of a host that the operator configured.

Asked at start, so that no letter is ever sent to where it leaves from or to where its rows lie, and
by `doctor`. It must never be asked for a host of the registry: those are the resolver's.
"""

import asyncio
import socket
from typing import Final

import psutil

_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})


def list_interfaces() -> dict[str, tuple[str, ...]]:
    """Give the IP addresses of every interface, loopback included, without their zones."""
    found = {
        name: tuple(each.address.partition("%")[0] for each in given if each.family in _FAMILIES)
        for name, given in psutil.net_if_addrs().items()
    }
    return {name: addresses for name, addresses in sorted(found.items()) if addresses}


def list_own() -> frozenset[str]:
    """Give every address of this machine."""
    return frozenset(each for given in list_interfaces().values() for each in given)


async def look_up_host(host: str) -> frozenset[str]:
    """Give every address of a host as database drivers look it up; `OSError` where it has none."""
    lines = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return frozenset(str(line[4][0]).partition("%")[0] for line in lines)
