"""A fence around tests: while it stands, this process reaches loopback and nothing else.

What a broken guard would let out is stopped here, so that a test that fails harms nobody.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any


@dataclass
class Fence:
    """What was dialled, and which names were looked up."""

    dialled: list[str] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)


_standing: list[Fence] = []
_hooked: list[bool] = []


@contextmanager
def fence() -> Iterator[Fence]:
    """Note every connection until the block ends; one that leaves loopback is refused."""
    if not _hooked:
        # The interpreter keeps an audit hook for ever; without a fence it does nothing.
        sys.addaudithook(_hear)
        _hooked.append(True)
    found = Fence()
    _standing.append(found)
    try:
        yield found
    finally:
        _standing.remove(found)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _standing:
        return
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        address = str(arguments[1][0])
        for each in _standing:
            each.dialled.append(address)
        if not ip_address(address).is_loopback:
            raise PermissionError(f"a test tried to reach {address}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        for each in _standing:
            each.looked_up.append(str(arguments[0]))
